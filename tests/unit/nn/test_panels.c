/* test_panels.c - layer norm, linear layers and attention on panels against the plain operators, in three parts (float) and in one (bf16),
   at sizes that fill panels and that do not; rows and objects that cannot see each other. */
#include <stdlib.h>
#include <string.h>

#include "nn/attention.h"
#include "nn/gelu.h"
#include "nn/gemm.h"
#include "nn/layernorm.h"
#include "nn/panels.h"
#include "numbers.h"
#include "test_main.h"

#ifdef NN_PANELS

/* Of the largest number: float rounds sums of a few hundred products to a few 1e-7; bf16 keeps 8 bits of each factor, whose
   errors of 2^-9 add up at random. */
static const double float_rounding = 3e-6, bf16_rounding = 1.5e-2;

static bool choose(int parts)
{
    if (!gemm_amx.available()) return false;
    CHECK_OK(gemm_choose("amx", 1));
    CHECK_OK(gemm_precision(parts == 1 ? "bf16" : "f32"));
    CU_ASSERT_EQUAL(panels_parts(), parts);
    return true;
}

static bool near(const real *a, const real *b, int64_t n, int parts)
{
    return numbers_apart(a, b, n) <= (parts == 3 ? float_rounding : bf16_rounding);
}

/* Rows of x, panels_row(n) apart. */
static real *apart(const real *x, int64_t rows, int64_t n)
{
    real *out = numbers(rows * panels_row(n), 99);
    for (int64_t r = 0; r < rows; r++) memcpy(out + r * panels_row(n), x + r * n, sizeof *x * (size_t)n);
    return out;
}

static bf16 *panels(int64_t rows, int64_t n)
{
    bf16 *out;
    if (!CHECK_OK(panels_new(&out, &test_arena, rows, n))) CU_FAIL_FATAL("no memory");
    return out;
}

/* The number of panels that stands at (row, column). */
static real number_at(const bf16 *x, int parts, int64_t n, int64_t row, int64_t column)
{
    enum { STEP = PANEL * PANEL };
    const int64_t steps = (n + PANEL - 1) / PANEL;
    real sum = 0;
    for (int part = 0; part < parts; part++) {
        const uint32_t bits =
            (uint32_t)
                x[((row / PANEL * steps + column / PANEL) * parts + part) * STEP + row % PANEL * PANEL + column % PANEL]
            << 16;
        float value;
        memcpy(&value, &bits, sizeof value);
        sum += value;
    }
    return sum;
}

static real *rows_of(const bf16 *x, int parts, int64_t rows, int64_t n)
{
    real *out = numbers(rows * n, 98);
    for (int64_t i = 0; i < rows * n; i++) out[i] = number_at(x, parts, n, i / n, i % n);
    return out;
}

/* x as panels: a layer norm would change it, a product with the identity does not. */
static bf16 *panels_from(const real *x, int64_t rows, int64_t n)
{
    real *one = numbers(n * n, 1);
    for (int64_t i = 0; i < n * n; i++) one[i] = i % (n + 1) == 0;
    bf16 *some = panels(rows, n), *out = panels(rows, n);
    const int parts = panels_parts();
    for (int64_t i = 0; i < rows * n; i++) { /* in as many parts as fit: by hand */
        const int64_t steps = (n + PANEL - 1) / PANEL, row = i / n, column = i % n;
        float rest = x[i];
        for (int part = 0; part < parts; part++) {
            uint32_t bits;
            memcpy(&bits, &rest, sizeof bits);
            bits = (bits + 0x7fffu + ((bits >> 16) & 1)) & 0xffff0000u;
            float value;
            memcpy(&value, &bits, sizeof value);
            rest -= value;
            some[((row / PANEL * steps + column / PANEL) * parts + part) * PANEL * PANEL + row % PANEL * PANEL +
                 column % PANEL] = (bf16)(bits >> 16);
        }
    }
    panels_linear(out, some, one, NULL, rows, n, n);
    return out;
}

static const int64_t shapes[][3] = {
    {1, 5, 7}, {33, 48, 22}, {64, 32, 32}, {97, 120, 72}, {45, 96, 2112}}; /* rows, n_out, n_in */
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static void linear_layers_are_those_of_rows(void)
{
    for (int parts = 1; parts <= 3; parts += 2)
        for (int s = 0; s < N_SHAPES && choose(parts); s++) {
            const Mark mark = arena_mark(&test_arena);
            const int64_t rows = shapes[s][0], n_out = shapes[s][1], n_in = shapes[s][2];
            const real *x = numbers(rows * n_in, 1), *w = numbers(n_out * n_in, 2), *b = numbers(n_out, 3),
                       *gamma = numbers(n_out, 4), *stream = numbers(rows * n_out, 5);
            real *want = numbers(rows * n_out, 6), *kept;
            const bf16 *in = panels_from(x, rows, n_in);
            bf16 *out = panels(rows, n_out);
            for (int keep = 0; keep < 2; keep++) {
                CHECK_OK(arena_new(&kept, &test_arena, gemm_kept_reals(n_out, n_in)));
                if (keep) gemm_keep(kept, w, n_out, n_in, true);
                gemm_ref.forward(want, x, w, b, rows, n_out, n_in);
                panels_linear(out, in, w, b, rows, n_out, n_in);
                CU_ASSERT(near(rows_of(out, parts, rows, n_out), want, rows * n_out, parts));
                real *to = apart(stream, rows, n_out);
                panels_linear_add(to, gamma, in, w, b, rows, n_out, n_in);
                for (int64_t i = 0; i < rows * n_out; i++) want[i] = stream[i] + gamma[i % n_out] * want[i];
                for (int64_t r = 0; r < rows; r++)
                    CU_ASSERT(near(to + r * panels_row(n_out), want + r * n_out, n_out, parts));
                gemm_ref.forward(want, x, w, b, rows, n_out, n_in);
                gelu_forward(want, want, rows * n_out);
                panels_linear_gelu(out, in, w, b, rows, n_out, n_in);
                CU_ASSERT(near(rows_of(out, parts, rows, n_out), want, rows * n_out, parts));
            }
            gemm_keep_none();
            arena_reset(&test_arena, mark);
        }
}

/* Tails of the normal distribution and beyond, in all parts of the result. */
static void gelu_is_exact_everywhere(void)
{
    enum { N = 64 };
    if (!choose(3)) return;
    real *x = numbers(N * N, 1), *one = numbers(N * N, 2), *want = numbers(N * N, 3);
    for (int64_t i = 0; i < N * N; i++) {
        x[i] = (real)(-12 + 24.0 * (double)i / (N * N));
        one[i] = i % (N + 1) == 0;
    }
    bf16 *out = panels(N, N);
    panels_linear_gelu(out, panels_from(x, N, N), one, NULL, N, N, N);
    gelu_forward(want, x, N * N);
    int64_t off = 0; /* float resolves 6e-8, 2^t and the tail add as much each */
    const real *got = rows_of(out, 3, N, N);
    for (int64_t i = 0; i < N * N; i++)
        off += !(fabs((double)got[i] - (double)want[i]) <= 4e-7 * fmax(1, fabs((double)x[i])));
    CU_ASSERT_EQUAL(off, 0);
}

static void layer_norm_is_that_of_rows(void)
{
    static const int64_t widths[] = {7, 32, 48, 120, 1024};
    enum { ROWS = 37 };
    for (int parts = 1; parts <= 3; parts += 2)
        for (int k = 0; k < 5 && choose(parts); k++) {
            const int64_t n = widths[k];
            const real *x = numbers(ROWS * n, 1), *w = numbers(n, 2), *b = numbers(n, 3);
            real *want = numbers(ROWS * n, 4);
            bf16 *out = panels(ROWS, n);
            panels_norm(out, apart(x, ROWS, n), w, b, ROWS, n, (real)1e-6);
            layernorm_forward(want, NULL, NULL, x, w, b, ROWS, n, (real)1e-6);
            CU_ASSERT(near(rows_of(out, parts, ROWS, n), want, ROWS * n, parts));
        }
}

static void attention_is_that_of_rows(void)
{
    static const int64_t sizes[][3] = {{1, 1, 8},    {37, 3, 8},   {64, 2, 32}, {145, 2, 64},
                                       {211, 3, 20}, {70, 1, 128}, {330, 2, 32}}; /* tokens, heads, width */
    for (int parts = 1; parts <= 3; parts += 2)
        for (int k = 0; k < 7 && choose(parts); k++) {
            const Mark mark = arena_mark(&test_arena);
            const int64_t tokens = sizes[k][0], heads = sizes[k][1], width = sizes[k][2], dim = heads * width,
                          n = tokens * dim;
            real *qkv = numbers(3 * n, 1), *want = numbers(n, 2), *first = NULL;
            for (int64_t i = 0; i < 3 * n; i++) qkv[i] *= 4;
            for (int64_t i = 0; i < n; i++) /* scores of later keys are larger */
                qkv[i / dim * 3 * dim + dim + i % dim] *= (real)0.2 + (real)(i / dim) / (real)tokens;
            CHECK_OK(attention_forward(want, qkv, tokens, heads, width, &test_arena));
            /* The object stands behind others, at rows that begin in the middle of a panel. */
            for (int64_t row = 0; row < 50; row += 24) {
                real *all = numbers((row + tokens) * 3 * dim, 7);
                memcpy(all + row * 3 * dim, qkv, sizeof *all * (size_t)(3 * n));
                bf16 *out = panels(row + tokens, dim), *in = panels_from(all, row + tokens, 3 * dim);
                const size_t used = test_arena.used;
                CHECK_OK(panels_attention(out, in, row, tokens, heads, width, &test_arena));
                CU_ASSERT_EQUAL(test_arena.used, used);
                real *got = rows_of(out, parts, row + tokens, dim) + row * dim;
                if (!first) first = got;
                CU_ASSERT(near(got, want, n, parts));
                CU_ASSERT(memcmp(got, first, sizeof *got * (size_t)n) == 0);
            }
            arena_reset(&test_arena, mark);
        }
}

static void a_row_does_not_see_the_others(void)
{
    enum { N_IN = 72, N_OUT = 120, MOST = 70 };
    for (int parts = 1; parts <= 3; parts += 2)
        for (int64_t rows = 1; rows <= MOST && choose(parts); rows += 23) {
            const Mark mark = arena_mark(&test_arena);
            const real *w = numbers(N_OUT * N_IN, 2), *b = numbers(N_OUT, 3), *mine = numbers(N_IN, 9);
            bf16 *alone = panels(1, N_OUT), *all = panels(rows, N_OUT);
            real *x = numbers(rows * N_IN, (uint32_t)rows);
            memcpy(x + (rows - 1) * N_IN, mine, sizeof *x * N_IN);
            panels_linear_gelu(alone, panels_from(mine, 1, N_IN), w, b, 1, N_OUT, N_IN);
            panels_linear_gelu(all, panels_from(x, rows, N_IN), w, b, rows, N_OUT, N_IN);
            CU_ASSERT(memcmp(rows_of(alone, parts, 1, N_OUT), rows_of(all, parts, rows, N_OUT) + (rows - 1) * N_OUT,
                             sizeof(real) * N_OUT) == 0);
            arena_reset(&test_arena, mark);
        }
}

/* In one part the products are those of gemm_bf16 on the loops, but for the order of sums. */
static void bf16_provider_is_near_the_rounded_loops(void)
{
    enum { ROWS = 70, N_OUT = 33, N_IN = 61 };
    const real *x = numbers(ROWS * N_IN, 1), *w = numbers(N_OUT * N_IN, 2), *b = numbers(N_OUT, 3),
               *d_y = numbers(ROWS * N_OUT, 4);
    real *result[2][3];
    if (!gemm_amx.available()) return;
    for (int k = 0; k < 2; k++) {
        const GemmProvider *p = k == 0 ? &gemm_bf16 : &gemm_amx_bf16;
        CHECK_OK(gemm_choose(k == 0 ? "ref" : "amx", 1));
        result[k][0] = numbers(ROWS * N_OUT, 5);
        result[k][1] = numbers(ROWS * N_IN, 6);
        result[k][2] = numbers(N_OUT * N_IN, 7);
        p->forward(result[k][0], x, w, b, ROWS, N_OUT, N_IN);
        p->backward_x(result[k][1], d_y, w, ROWS, N_OUT, N_IN);
        p->backward_w(result[k][2], d_y, x, ROWS, N_OUT, N_IN);
        for (int shape = 0; shape < N_SHAPES; shape++) {
            bool keeps;
            CHECK_OK(gemm_keeps_rows(&keeps, p, shapes[shape][1], shapes[shape][2], 1));
            CU_ASSERT(keeps);
        }
    }
    CU_ASSERT(near(result[1][0], result[0][0], ROWS * N_OUT, 3));
    CU_ASSERT(near(result[1][1], result[0][1], ROWS * N_IN, 3));
    CU_ASSERT(near(result[1][2], result[0][2], N_OUT * N_IN, 3));
}

static void told(void)
{
    if (!gemm_amx.available()) printf("panels: this CPU has no AMX: nothing is compared\n");
    CHECK_OK(gemm_choose("ref", 1));
    CHECK_OK(gemm_precision("f32"));
    CU_ASSERT_EQUAL(panels_parts(), 0);
}

TEST_MAIN("panels", {"linear layers are those of rows", linear_layers_are_those_of_rows},
          {"GELU is exact from tail to tail", gelu_is_exact_everywhere},
          {"layer norm is that of rows", layer_norm_is_that_of_rows},
          {"attention is that of rows, and an object's bits do not depend on where it stands",
           attention_is_that_of_rows},
          {"a row does not see the others", a_row_does_not_see_the_others},
          {"products in bf16 are those of rounded numbers", bf16_provider_is_near_the_rounded_loops},
          {"other providers have no panels", told})

#else

static void none(void) { printf("panels: this build has none\n"); }

TEST_MAIN("panels", {"this build has no panels", none})

#endif
