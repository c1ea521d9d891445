/* conv.c - a convolution as a matrix product: each position of y gets a row with all numbers of x that its kernel meets
   (kernel_h, kernel_w, c_in), so that rows of the kernel are copied in one piece; weights are turned to that order. */
#include "nn/conv.h"

#include <stdbool.h>
#include <string.h>

#include "nn/gemm.h"
#include "nn/vector.h"

enum { ROWS = 768 }; /* of a product, where maps have fewer positions */

static int64_t reach(const Conv *c) { return c->kernel_h * c->kernel_w * c->c_in; }

/* The columns of the kernel that lie on the map when it begins at column `left`: [*from, *to). */
static void on_map(int64_t *from, int64_t *to, int64_t left, const Conv *c)
{
    *from = left < 0 ? -left : 0;
    *to = left + c->kernel_w > c->width ? c->width - left : c->kernel_w;
    if (*to < *from) *to = *from;
}

/* rows (positions, reach) of one map x; what lies in the padding is 0. */
static void gather(real *rows, const Conv *c, const real *x)
{
    const int64_t height = conv_height(c), width = conv_width(c), each = c->kernel_w * c->c_in;
    memset(rows, 0, sizeof *rows * (size_t)(height * width * reach(c)));
    for (int64_t i = 0; i < height; i++)
        for (int64_t j = 0; j < width; j++, rows += reach(c)) {
            const int64_t left = j * c->stride - c->pad_w;
            int64_t from, to;
            on_map(&from, &to, left, c);
            for (int64_t k = 0; k < c->kernel_h; k++) {
                const int64_t row = i * c->stride - c->pad_h + k;
                if (row >= 0 && row < c->height)
                    memcpy(rows + k * each + from * c->c_in, x + (row * c->width + left + from) * c->c_in,
                           sizeof *x * (size_t)((to - from) * c->c_in));
            }
        }
}

/* The way back: adds what the rows hold to the places it came from. */
static void scatter(real *d_x, const Conv *c, const real *rows)
{
    const int64_t height = conv_height(c), width = conv_width(c), each = c->kernel_w * c->c_in;
    for (int64_t i = 0; i < height; i++)
        for (int64_t j = 0; j < width; j++, rows += reach(c)) {
            const int64_t left = j * c->stride - c->pad_w;
            int64_t from, to;
            on_map(&from, &to, left, c);
            for (int64_t k = 0; k < c->kernel_h; k++) {
                const int64_t row = i * c->stride - c->pad_h + k;
                if (row < 0 || row >= c->height) continue;
                real *to_x = d_x + (row * c->width + left + from) * c->c_in;
                const real *of = rows + k * each + from * c->c_in;
                for (int64_t l = 0; l < (to - from) * c->c_in; l++) to_x[l] += of[l];
            }
        }
}

/* turned (c_out, kernel, c_in) = w (c_out, c_in, kernel); back: w += turned. */
static void turn(real *turned, const real *w, const Conv *c)
{
    const int64_t kernel = c->kernel_h * c->kernel_w;
    for (int64_t o = 0; o < c->c_out; o++)
        for (int64_t i = 0; i < c->c_in; i++)
            for (int64_t k = 0; k < kernel; k++) turned[(o * kernel + k) * c->c_in + i] = *w++;
}

static void turn_back(real *w, const real *turned, const Conv *c)
{
    const int64_t kernel = c->kernel_h * c->kernel_w;
    for (int64_t o = 0; o < c->c_out; o++)
        for (int64_t i = 0; i < c->c_in; i++)
            for (int64_t k = 0; k < kernel; k++) *w++ += turned[(o * kernel + k) * c->c_in + i];
}

/* A kernel of one position that meets each one: its rows are the map as it lies. */
static bool is_plain(const Conv *c)
{
    return c->kernel_h == 1 && c->kernel_w == 1 && c->pad_h == 0 && c->pad_w == 0 && c->stride == 1;
}

/* Maps that go through one product: small ones together, so that weights are not read for a handful of rows. Only where that
   changes no bit of a row (gemm.h). */
static int64_t group_of(int64_t positions, int64_t n)
{
    if (positions % gemm_row_unit() != 0) return 1;
    const int64_t most = ROWS / positions > 1 ? ROWS / positions : 1;
    return most < n ? most : n;
}

static void gather_all(real *rows, const Conv *c, const real *x, int64_t n)
{
    const int64_t positions = conv_height(c) * conv_width(c), map = c->height * c->width * c->c_in;
    for (int64_t i = 0; i < n; i++) gather(rows + i * positions * reach(c), c, x + i * map);
}

Status conv_forward(real *y, const Conv *c, const real *x, const real *w, const real *b, int64_t n, Arena *scratch)
{
    const int64_t positions = conv_height(c) * conv_width(c), map = c->height * c->width * c->c_in;
    const int64_t group = group_of(positions, n);
    const bool plain = is_plain(c);
    const Mark mark = arena_mark(scratch);
    real *rows = NULL, *turned = NULL;
    if (!plain) {
        TRY(arena_new(&rows, scratch, group * positions * reach(c)));
        TRY(arena_new(&turned, scratch, c->c_out * reach(c)));
        turn(turned, w, c);
    }
    for (int64_t i = 0, m; i < n; i += m) {
        m = n - i < group ? n - i : group;
        if (!plain) gather_all(rows, c, x + i * map, m);
        gemm_linear()->forward(y + i * positions * c->c_out, plain ? x + i * map : rows, plain ? w : turned, b,
                               m * positions, c->c_out, reach(c));
    }
    arena_reset(scratch, mark);
    return OK;
}

/* Of m maps; rows and turned as below. */
static void maps_backward(real *d_x, real *d_turned, const Conv *c, const real *d_y, const real *x, real *rows,
                          const real *turned, int64_t m)
{
    const int64_t positions = conv_height(c) * conv_width(c), map = c->height * c->width * c->c_in;
    if (d_turned) {
        gather_all(rows, c, x, m);
        gemm_linear()->backward_w(d_turned, d_y, rows, m * positions, c->c_out, reach(c));
    }
    if (!d_x) return;
    memset(rows, 0, sizeof *rows * (size_t)(m * positions * reach(c)));
    gemm_linear()->backward_x(rows, d_y, turned, m * positions, c->c_out, reach(c));
    for (int64_t i = 0; i < m; i++) scatter(d_x + i * map, c, rows + i * positions * reach(c));
}

static void plain_backward(real *d_x, real *d_w, const Conv *c, const real *d_y, const real *x, const real *w,
                           int64_t rows)
{
    if (d_w) gemm_linear()->backward_w(d_w, d_y, x, rows, c->c_out, c->c_in);
    if (d_x) gemm_linear()->backward_x(d_x, d_y, w, rows, c->c_out, c->c_in);
}

Status conv_backward(real *d_x, real *d_w, real *d_b, const Conv *c, const real *d_y, const real *x, const real *w,
                     int64_t n, Arena *scratch)
{
    const int64_t positions = conv_height(c) * conv_width(c), map = c->height * c->width * c->c_in;
    const int64_t group = group_of(positions, n);
    const bool plain = is_plain(c);
    const Mark mark = arena_mark(scratch);
    real *rows = NULL, *turned = NULL, *d_turned = NULL;
    if (!plain) {
        TRY(arena_new(&rows, scratch, group * positions * reach(c)));
        TRY(arena_new(&turned, scratch, c->c_out * reach(c)));
        turn(turned, w, c);
        if (d_w) TRY(arena_new(&d_turned, scratch, c->c_out * reach(c)));
    }
    for (int64_t i = 0, m; i < n; i += m) {
        m = n - i < group ? n - i : group;
        const real *own = d_y + i * positions * c->c_out;
        real *d_own = d_x ? d_x + i * map : NULL;
        if (plain)
            plain_backward(d_own, d_w, c, own, x + i * map, w, m * positions);
        else
            maps_backward(d_own, d_turned, c, own, x + i * map, rows, turned, m);
        if (d_b) vector_add_columns(d_b, own, m * positions, c->c_out);
    }
    if (d_turned) turn_back(d_w, d_turned, c);
    arena_reset(scratch, mark);
    return OK;
}
