/* Rough products are as far off as they say, at most: for every provider, at any number of vectors and any dimension. */
#include <math.h>

#include "core/rng.h"
#include "nn/gemm.h"
#include "nn/rough.h"
#include "test_main.h"

static double length(const float *x, int64_t dim)
{
    double sum = 0;
    for (int64_t d = 0; d < dim; d++) sum += (double)x[d] * (double)x[d];
    return sqrt(sum);
}

/* Numbers of one size, or (spread > 0) of many sizes. */
static void fill(float *x, int64_t n, double scale, double spread, int64_t seed)
{
    Rng g = rng_stream(1, "test.rough", seed, 0);
    rng_normals(x, n, &g);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(scale * x[i] * exp(spread * sin(13.7 * (double)i)));
}

static void check(int64_t n_left, int64_t n_right, int64_t dim, double scale, double spread)
{
    const Mark mark = arena_mark(&test_arena);
    float *a, *b, *room_a, *room_b, *y;
    RoughRows left, right;
    CHECK_OK(arena_new(&a, &test_arena, n_left * dim));
    CHECK_OK(arena_new(&b, &test_arena, n_right * dim));
    CHECK_OK(arena_new(&room_a, &test_arena, rough_reals(n_left, dim)));
    CHECK_OK(arena_new(&room_b, &test_arena, rough_reals(n_right, dim)));
    CHECK_OK(arena_new(&y, &test_arena, n_left * n_right));
    fill(a, n_left * dim, scale, spread, 1);
    fill(b, n_right * dim, 1, spread, 2);
    rough_left(&left, room_a, a, n_left, dim);
    rough_right(&right, room_b, b, n_right, dim);
    for (int64_t first = 0; first < n_left; first += ROUGH_ROWS)
        rough_products(y + first * n_right, &left, first, n_left - first < ROUGH_ROWS ? n_left - first : ROUGH_ROWS,
                       &right);
    CU_ASSERT(left.off <= 0x1p-8 && right.off <= 0x1p-8);
    const double bound = rough_bound(&left, &right);
    double worst = 0;
    for (int64_t i = 0; i < n_left; i++)
        for (int64_t j = 0; j < n_right; j++) {
            double exact = 0;
            for (int64_t d = 0; d < dim; d++) exact += (double)a[i * dim + d] * (double)b[j * dim + d];
            worst = fmax(worst, fabs((double)y[i * n_right + j] - exact) / length(a + i * dim, dim) /
                                    length(b + j * dim, dim));
        }
    CU_ASSERT(worst <= bound);
    CU_ASSERT(bound < 0.01 + 1e-6 * (double)dim); /* it says something */
    arena_reset(&test_arena, mark);
}

static void products_keep_their_bound(void)
{
    for (const GemmProvider *const *p = gemm_providers; *p; p++) {
        if (!(*p)->available()) continue;
        CHECK_OK(gemm_choose((*p)->name, 1));
        check(1, 1, 1, 1, 0);
        check(3, 40, 5, 1, 2);
        check(ROUGH_ROWS, 32, 64, 1e-15, 0);
        check(2 * ROUGH_ROWS + 7, 65, 301, 1e15, 0);
        check(ROUGH_ROWS + 1, 33, 301, 1, 6); /* few numbers make the length */
    }
    CHECK_OK(gemm_choose("auto", 1));
}

TEST_MAIN("rough", {"products are off by what their bound says, at most", products_keep_their_bound})
