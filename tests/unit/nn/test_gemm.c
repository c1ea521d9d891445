/* test_gemm.c - every provider of matrix products: the numbers of the loops, and rows that cannot see each other. */
#include <stdlib.h>
#include <string.h>

#include "nn/gemm.h"
#include "numbers.h"
#include "test_main.h"

/* n_in -> n_out of the models: tiny, odd, between, published. */
static const int64_t shapes[][2] = {{22, 48},   {48, 22},   {5, 7},     {61, 33},    {48, 144},  {120, 360},
                                    {480, 120}, {255, 257}, {768, 192}, {432, 1024}, {768, 3072}};
enum {
    N_SHAPES = sizeof shapes / sizeof *shapes,
    N_LOOPS = 7
}; /* the loops are too slow to go often through the shapes after these */

/* Sums of up to 3072 products of numbers below 1/2: float rounding leaves about 1e-6 of the largest. */
static const double same_numbers = 5e-6;

static bool near(const real *a, const real *b, int64_t n) { return numbers_apart(a, b, n) <= same_numbers; }

static void compare(const GemmProvider *p, int64_t rows, int64_t n_in, int64_t n_out)
{
    const Mark mark = arena_mark(&test_arena);
    const real *x = numbers(rows * n_in, 1), *w = numbers(n_out * n_in, 2), *b = numbers(n_out, 3),
               *d_y = numbers(rows * n_out, 4);
    real *y = numbers(rows * n_out, 5), *y_ref = numbers(rows * n_out, 6); /* forward overwrites */
    p->forward(y, x, w, b, rows, n_out, n_in);
    gemm_ref.forward(y_ref, x, w, b, rows, n_out, n_in);
    CU_ASSERT(near(y, y_ref, rows * n_out));
    p->forward(y, x, w, NULL, rows, n_out, n_in);
    gemm_ref.forward(y_ref, x, w, NULL, rows, n_out, n_in);
    CU_ASSERT(near(y, y_ref, rows * n_out));
    real *d_x = numbers(rows * n_in, 7), *d_x_ref = numbers(rows * n_in, 7); /* the backward products add */
    p->backward_x(d_x, d_y, w, rows, n_out, n_in);
    gemm_ref.backward_x(d_x_ref, d_y, w, rows, n_out, n_in);
    CU_ASSERT(near(d_x, d_x_ref, rows * n_in));
    real *d_w = numbers(n_out * n_in, 8), *d_w_ref = numbers(n_out * n_in, 8);
    p->backward_w(d_w, d_y, x, rows, n_out, n_in);
    gemm_ref.backward_w(d_w_ref, d_y, x, rows, n_out, n_in);
    CU_ASSERT(near(d_w, d_w_ref, n_out * n_in));
    arena_reset(&test_arena, mark);
}

static void providers_agree_with_the_loops(void)
{
    static const int64_t rows[] = {17, 1, 15, 16, 50};
    for (const GemmProvider *const *p = gemm_providers; *p; p++) {
        if (!(*p)->available() || *p == &gemm_ref) continue;
        (*p)->set_threads(1);
        for (int s = 0; s < N_SHAPES; s++)
            for (int r = 0; r < (s < N_LOOPS ? 5 : 1); r++) compare(*p, rows[r], shapes[s][0], shapes[s][1]);
        compare(*p, 4500, 24, 40); /* more rows than are taken at a time */
    }
}

static void loops_are_right(void)
{
    const real x[] = {1, 2, 3, 4, 5, 6}, w[] = {1, 0, -1, 2, 1, 0}, b[] = {10, 20}; /* x (2, 3), w (2, 3) */
    const real want[] = {8, 24, 8, 33};
    real y[4], d_x[6] = {1}, d_w[6] = {0};
    gemm_ref.forward(y, x, w, b, 2, 2, 3);
    CU_ASSERT(memcmp(y, want, sizeof want) == 0);
    const real d_y[] = {1, 2, 3, 4};
    const real want_x[] = {6, 2, -1, 11, 4, -3}, want_w[] = {13, 17, 21, 18, 24, 30};
    gemm_ref.backward_x(d_x, d_y, w, 2, 2, 3);
    gemm_ref.backward_w(d_w, d_y, x, 2, 2, 3);
    CU_ASSERT(memcmp(d_x, want_x, sizeof want_x) == 0);
    CU_ASSERT(memcmp(d_w, want_w, sizeof want_w) == 0);
}

/* ---- the contract ---- */

static void check_rows(const GemmProvider *p, int n_shapes, int64_t stride)
{
    for (int threads = 1; threads <= 2; threads++) {
        p->set_threads(threads);
        for (int s = threads == 1 ? 0 : n_shapes - 1; s < n_shapes; s++) { /* only the largest is worth a thread */
            bool keeps;
            CHECK_OK(gemm_keeps_rows(&keeps, p, shapes[s][1], shapes[s][0], stride));
            if (!keeps)
                printf("%s %s: %d -> %d breaks rows\n", p->name, p->version(), (int)shapes[s][0], (int)shapes[s][1]);
            CU_ASSERT(keeps);
        }
    }
    p->set_threads(1);
}

static void rows_stand_alone(void)
{
    for (const GemmProvider *const *p = gemm_providers; *p; p++)
        if ((*p)->available()) check_rows(*p, *p == &gemm_ref ? 4 : N_SHAPES, GEMM_ROWS);
}

/* More than the contract asks for, where the kernels allow it: loops and AVX-512. */
static void offsets_do_not_matter(void)
{
    check_rows(&gemm_ref, 4, 1);
    if (strstr(gemm_openblas.version(), "SkylakeX") || strstr(gemm_openblas.version(), "Cooperlake"))
        check_rows(&gemm_openblas, N_SHAPES - 2, 1);
}

/* The row count runs through 1 .. 40 and the other rows hold other numbers each time: row `row` of each product
   stays the same. */
static void row_counts_and_neighbours(const GemmProvider *p, int64_t n_in, int64_t n_out)
{
    enum { MOST = 40 };
    const Mark mark = arena_mark(&test_arena);
    const real *w = numbers(n_out * n_in, 2), *b = numbers(n_out, 3), *mine = numbers(n_in, 9);
    real *want = numbers(n_out, 1), *y = numbers(MOST * n_out, 1);
    p->forward(want, mine, w, b, 1, n_out, n_in);
    for (int64_t rows = 1; rows <= MOST; rows++) {
        const Mark again = arena_mark(&test_arena);
        real *x = numbers(rows * n_in, 100 + (uint32_t)rows);
        const int64_t row = rows > GEMM_ROWS && rows % 2 ? GEMM_ROWS : 0; /* the first of a panel */
        memcpy(x + row * n_in, mine, sizeof *x * (size_t)n_in);
        p->set_threads(1 + (int)(rows % 2));
        p->forward(y, x, w, b, rows, n_out, n_in);
        CU_ASSERT(memcmp(y + row * n_out, want, sizeof *y * (size_t)n_out) == 0);
        arena_reset(&test_arena, again);
    }
    p->set_threads(1);
    arena_reset(&test_arena, mark);
}

static void neighbours_do_not_matter(void)
{
    static const int64_t pairs[][2] = {{22, 48}, {48, 22}, {120, 120}, {768, 192}, {768, 3072}};
    for (const GemmProvider *const *p = gemm_providers; *p; p++)
        if ((*p)->available())
            for (int s = 0; s < (*p == &gemm_ref ? 3 : 5); s++) row_counts_and_neighbours(*p, pairs[s][0], pairs[s][1]);
}

/* Large enough for several threads to share the rows of the result: forward, d_x and d_w. */
static void compare_threads(const GemmProvider *p)
{
    enum { ROWS = 480, N_IN = 432, N_OUT = 1024 };
    const Mark mark = arena_mark(&test_arena);
    const real *x = numbers(ROWS * N_IN, 1), *w = numbers(N_OUT * N_IN, 2), *d_y = numbers(ROWS * N_OUT, 4);
    real *y[2], *d_x[2], *d_w[2];
    for (int k = 0; k < 2; k++) {
        y[k] = numbers(ROWS * N_OUT, 5);
        d_x[k] = numbers(ROWS * N_IN, 6);
        d_w[k] = numbers(N_OUT * N_IN, 7);
        p->set_threads(1 + 2 * k);
        p->forward(y[k], x, w, NULL, ROWS, N_OUT, N_IN);
        p->backward_x(d_x[k], d_y, w, ROWS, N_OUT, N_IN);
        p->backward_w(d_w[k], d_y, x, ROWS, N_OUT, N_IN);
    }
    p->set_threads(1);
    CU_ASSERT(memcmp(y[0], y[1], sizeof *y[0] * ROWS * N_OUT) == 0);
    CU_ASSERT(memcmp(d_x[0], d_x[1], sizeof *d_x[0] * ROWS * N_IN) == 0);
    CU_ASSERT(memcmp(d_w[0], d_w[1], sizeof *d_w[0] * N_OUT * N_IN) == 0);
    arena_reset(&test_arena, mark);
}

static void threads_change_no_bit(void)
{
    for (const GemmProvider *const *p = gemm_providers; *p; p++)
        if ((*p)->available() && *p != &gemm_ref) compare_threads(*p);
    if (gemm_onednn_bf16.available() && CHECK_OK(gemm_choose("onednn", 1))) compare_threads(&gemm_onednn_bf16);
}

/* Weights that are kept in a provider's order, in both precisions. */
static void kept_weights_change_no_bit(void)
{
    enum { ROWS = 50, N_IN = 61, N_OUT = 33, KEPT = 1 << 16 };
    static const char *const precisions[] = {"f32", "bf16"};
    const real *x = numbers(ROWS * N_IN, 1), *w = numbers(N_OUT * N_IN, 2);
    real *y = numbers(ROWS * N_OUT, 3), *want = numbers(ROWS * N_OUT, 4), *kept = numbers(KEPT, 5);
    for (const GemmProvider *const *p = gemm_providers; *p; p++) {
        for (int k = 0; k < 2; k++) {
            if (!(*p)->available() || !CHECK_OK(gemm_choose((*p)->name, 1))) continue;
            CHECK_OK(gemm_precision(precisions[k]));
            if (gemm_kept_reals(N_OUT, N_IN) == 0) continue;
            CU_ASSERT_FATAL(gemm_kept_reals(N_OUT, N_IN) <= KEPT);
            gemm_linear()->forward(want, x, w, NULL, ROWS, N_OUT, N_IN);
            gemm_keep(kept, w, N_OUT, N_IN, true);
            gemm_linear()->forward(y, x, w, NULL, ROWS, N_OUT, N_IN);
            gemm_keep_none();
            CU_ASSERT(memcmp(y, want, sizeof *y * ROWS * N_OUT) == 0);
        }
    }
    CHECK_OK(gemm_precision("f32"));
}

/* ---- a provider that breaks it: the number of rows leaks into the result ---- */

static void leaky_forward(real *y, const real *x, const real *w, const real *b, int64_t rows, int64_t n_out,
                          int64_t n_in)
{
    gemm_ref.forward(y, x, w, b, rows, n_out, n_in);
    for (int64_t i = 0; i < rows * n_out; i++) y[i] += (real)1e-6 * (real)(rows % 7);
}

static void broken_contract_is_noticed(void)
{
    GemmProvider leaky = gemm_ref;
    leaky.forward = leaky_forward;
    bool keeps = true;
    CHECK_OK(gemm_keeps_rows(&keeps, &leaky, 48, 22, GEMM_ROWS));
    CU_ASSERT(!keeps);
}

static void provider_is_chosen_by_name(void)
{
    CHECK_FAILS(gemm_choose("abacus", 1), E_CONFIG);
    CHECK_OK(gemm_choose("ref", 1));
    CU_ASSERT_PTR_EQUAL(gemm(), &gemm_ref);
    CU_ASSERT(strncmp(gemm_provider_text(), "ref loops, ", 11) == 0);
    CHECK_OK(gemm_choose("auto", 1));
    CU_ASSERT_PTR_EQUAL(gemm(), gemm_providers[0]);
}

/* ---- bf16 ---- */

/* What a product with the number 1 leaves of x. */
static float through_bf16(float x)
{
    const real in = (real)x, one = 1;
    real out;
    gemm_bf16.forward(&out, &in, &one, NULL, 1, 1, 1);
    return (float)out;
}

static void bf16_is_the_nearest_number(void)
{
    CHECK_OK(gemm_choose("ref", 1));
    const float kept[] = {0, 1, -2.5f, 0x1.fep127f, 0x1p-126f, 0x1.02p3f};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) CU_ASSERT_EQUAL(through_bf16(kept[i]), kept[i]);
    CU_ASSERT_EQUAL(through_bf16(0x1.01p0f), 1);           /* half way: to the even one */
    CU_ASSERT_EQUAL(through_bf16(0x1.03p0f), 0x1.04p0f);   /* likewise, upwards */
    CU_ASSERT_EQUAL(through_bf16(0x1.0101p0f), 0x1.02p0f); /* just above half */
    CU_ASSERT_EQUAL(through_bf16(-0x1.00fffep0f), -1);     /* just below */
    CU_ASSERT_EQUAL(through_bf16(0x1.fffffep3f), 16);      /* the carry reaches the exponent */
    CU_ASSERT(isinf(through_bf16(0x1.fffffep127f)));
    CU_ASSERT(isinf(through_bf16(INFINITY)) && isnan(through_bf16(NAN)));
    uint32_t bits = 0x7fffffff; /* a NaN that rounding of its bits would make -0 */
    float all_ones;
    memcpy(&all_ones, &bits, sizeof bits);
    CU_ASSERT(isnan(through_bf16(all_ones)));
}

static void round_all(real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = (real)through_bf16((float)x[i]);
}

/* Rounding first and multiplying by the provider gives the same bits; bias and what gradients are added to stay as they are. More rows than a
   block has. */
static void bf16_products_are_those_of_rounded_numbers(void)
{
    enum { ROWS = 1000, N_OUT = 33, N_IN = 61 };
    CHECK_OK(gemm_choose("auto", 1));
    real *x = numbers(ROWS * N_IN, 1), *w = numbers(N_OUT * N_IN, 2), *b = numbers(N_OUT, 3),
         *d_y = numbers(ROWS * N_OUT, 4);
    real *y = numbers(ROWS * N_OUT, 5), *d_x = numbers(ROWS * N_IN, 6), *d_w = numbers(N_OUT * N_IN, 7);
    real *want_y = numbers(ROWS * N_OUT, 8), *want_x = numbers(ROWS * N_IN, 6), *want_w = numbers(N_OUT * N_IN, 7);
    real *whole_y = numbers(ROWS * N_OUT, 9);
    gemm()->forward(whole_y, x, w, b, ROWS, N_OUT, N_IN);
    gemm_bf16.forward(y, x, w, b, ROWS, N_OUT, N_IN);
    gemm_bf16.backward_x(d_x, d_y, w, ROWS, N_OUT, N_IN);
    gemm_bf16.backward_w(d_w, d_y, x, ROWS, N_OUT, N_IN);
    round_all(x, ROWS * N_IN);
    round_all(w, N_OUT * N_IN);
    round_all(d_y, ROWS * N_OUT);
    CHECK_OK(gemm_choose("auto", 1));
    gemm()->forward(want_y, x, w, b, ROWS, N_OUT, N_IN);
    gemm()->backward_x(want_x, d_y, w, ROWS, N_OUT, N_IN);
    gemm()->backward_w(want_w, d_y, x, ROWS, N_OUT, N_IN);
    CU_ASSERT(memcmp(y, want_y, sizeof *y * ROWS * N_OUT) == 0);
    CU_ASSERT(memcmp(d_x, want_x, sizeof *d_x * ROWS * N_IN) == 0);
    CU_ASSERT(near(d_w, want_w, N_OUT * N_IN)); /* summed in blocks of rows */
    CU_ASSERT(!near(y, whole_y, ROWS * N_OUT)); /* and something was rounded */
}

static void bf16_rows_stand_alone(void)
{
    for (const GemmProvider *const *p = gemm_providers; *p; p++) {
        if (!(*p)->available() || !CHECK_OK(gemm_choose((*p)->name, 1))) continue;
        check_rows(&gemm_bf16, *p == &gemm_ref ? 3 : N_SHAPES - 2, GEMM_ROWS);
        row_counts_and_neighbours(&gemm_bf16, 120, 120);
    }
    if (gemm_onednn_bf16.available()) {
        check_rows(&gemm_onednn_bf16, N_SHAPES - 2, GEMM_ROWS);
        row_counts_and_neighbours(&gemm_onednn_bf16, 120, 120);
    }
    CHECK_OK(gemm_choose("auto", 1));
}

/* More shapes than oneDNN's table has places; test_panels.c has the like for amx. */
static void onednn_rounds_as_the_loops_do(void)
{
    enum { ROWS = 17, MOST = 120 };
    if (!gemm_onednn_bf16.available()) return;
    real *y = numbers(ROWS * MOST, 5), *want = numbers(ROWS * MOST, 5);
    const real *x = numbers(ROWS * MOST, 1), *w = numbers(MOST * MOST, 2), *b = numbers(MOST, 3);
    CHECK_OK(gemm_choose("ref", 1));
    for (int64_t n = 80; n <= MOST; n++) {
        gemm_onednn_bf16.forward(y, x, w, b, ROWS, n, MOST);
        gemm_bf16.forward(want, x, w, b, ROWS, n, MOST);
        CU_ASSERT(near(y, want, ROWS * n));
        gemm_onednn_bf16.backward_x(y, x, w, ROWS, MOST, n);
        gemm_bf16.backward_x(want, x, w, ROWS, MOST, n);
        CU_ASSERT(near(y, want, ROWS * n));
    }
    CHECK_OK(gemm_choose("auto", 1));
}

static void precision_is_for_linear_layers_and_told(void)
{
    CHECK_OK(gemm_choose("ref", 1));
    CHECK_FAILS(gemm_precision("bf17"), E_CONFIG);
    CU_ASSERT_PTR_EQUAL(gemm_linear(), &gemm_ref);
    CHECK_OK(gemm_precision("bf16"));
    CU_ASSERT_PTR_EQUAL(gemm_linear(), &gemm_bf16);
    CU_ASSERT_PTR_EQUAL(gemm(), &gemm_ref);
    CU_ASSERT(strncmp(gemm_provider_text(), "ref loops, bf16, ", 17) == 0);
    CHECK_OK(gemm_precision("f32"));
    CU_ASSERT_PTR_EQUAL(gemm_linear(), &gemm_ref);
    CU_ASSERT_PTR_NULL(strstr(gemm_provider_text(), "bf16"));
}

TEST_MAIN("gemm", {"the loops compute what a linear layer is", loops_are_right},
          {"every provider agrees with the loops", providers_agree_with_the_loops},
          {"a row's bits do not depend on how many rows there are or in which panel it stands", rows_stand_alone},
          {"on AVX-512 and in the loops they do not depend on any offset", offsets_do_not_matter},
          {"a row's bits do not depend on its neighbours", neighbours_do_not_matter},
          {"threads change no bit", threads_change_no_bit}, {"kept weights change no bit", kept_weights_change_no_bit},
          {"a provider that mixes rows is noticed", broken_contract_is_noticed},
          {"a provider is chosen by name, and an unknown name lists them", provider_is_chosen_by_name},
          {"bf16 is the nearest number, ties to even", bf16_is_the_nearest_number},
          {"bf16 products are the provider's of rounded numbers", bf16_products_are_those_of_rounded_numbers},
          {"rows stand alone in bf16 too", bf16_rows_stand_alone},
          {"oneDNN's products of bf16 are those of rounded numbers", onednn_rounds_as_the_loops_do},
          {"the precision is that of linear layers, and told", precision_is_for_linear_layers_and_told})
