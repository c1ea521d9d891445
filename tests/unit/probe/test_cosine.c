/* The k best by cosine: whatever provider multiplies, in whatever order and company candidates come, they are those that a sort of
   all exact scores gives. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "nn/gemm.h"
#include "probe/cosine.h"
#include "test_main.h"

enum { DIM = 37, N = 700, QUERIES = 40, K = 9 };

typedef struct {
    float x[N * DIM];
    double norm[N];
    int64_t id[N], row[N];
} Sky;
static Sky sky;

static void fill(double spread)
{
    for (int i = 0; i < N; i++) {
        for (int d = 0; d < DIM; d++)
            sky.x[i * DIM + d] =
                (float)(1 + spread * sin(1.7 * i * (d + 1) + 0.3 * d * d)); /* all look much the same way */
        sky.norm[i] = cosine_norm(sky.x + i * DIM, DIM);
        sky.id[i] = 1000 - i;
        sky.row[i] = i;
    }
}

static const CosineMatch *by_sorting(const float *q, int64_t self)
{
    CosineMatch *all = NULL;
    int64_t n = 0;
    CHECK_OK(arena_new(&all, &test_arena, N));
    for (int i = 0; i < N; i++) {
        double sum = 0;
        if (i == self || !(sky.norm[i] > 0)) continue;
        for (int d = 0; d < DIM; d++) sum += (double)q[d] * sky.x[i * DIM + d];
        all[n++] = (CosineMatch){sum / (sky.norm[i] * cosine_norm(q, DIM)), sky.id[i], sky.row[i]};
    }
    qsort(all, (size_t)n, sizeof *all, cosine_compare);
    return all;
}

static void check_all(const CosineSearch *s)
{
    for (int64_t i = 0; i < s->n; i++) {
        const CosineMatch *want = by_sorting(s->query + i * DIM, s->self ? s->self[i] : -1);
        CU_ASSERT_EQUAL(s->found[i], s->k);
        for (int64_t j = 0; j < s->found[i]; j++) {
            CU_ASSERT_EQUAL(s->best[i * s->k + j].row, want[j].row);
            CU_ASSERT_DOUBLE_EQUAL(s->best[i * s->k + j].score, want[j].score, 1e-14); /* sums in another order */
        }
    }
}

static void neighbours_are_those_of_exact_scores(void)
{
    static const double spread[] = {1, 1e-2, 1e-4}; /* the last: scores closer to each other than floats tell */
    for (const GemmProvider *const *g = gemm_providers; *g; g++) {
        if (!(*g)->available() || !CHECK_OK(gemm_choose((*g)->name, 1))) continue;
        for (int k = 0; k < 3; k++) {
            CosineSearch s;
            fill(spread[k]);
            CHECK_OK(cosine_open(&s, K, DIM, sky.x + 100 * DIM, QUERIES, &test_arena));
            cosine_add(&s, sky.x, sky.norm, sky.id, sky.row, N);
            check_all(&s);
        }
    }
}

static void same_bits_in_any_order_and_company(void)
{
    CosineSearch whole, parts, alone;
    fill(1e-3);
    CHECK_OK(cosine_open(&whole, K, DIM, sky.x, QUERIES, &test_arena));
    CHECK_OK(cosine_open(&parts, K, DIM, sky.x, QUERIES, &test_arena));
    CHECK_OK(cosine_open(&alone, K, DIM, sky.x + 3 * DIM, 1, &test_arena));
    cosine_add(&whole, sky.x, sky.norm, sky.id, sky.row, N);
    for (int at = N; at > 0; at -= 100)
        cosine_add(&parts, sky.x + (at - 100) * DIM, sky.norm + at - 100, sky.id + at - 100, sky.row + at - 100, 100);
    cosine_add(&alone, sky.x, sky.norm, sky.id, sky.row, N);
    CU_ASSERT(memcmp(whole.best, parts.best, sizeof *whole.best * QUERIES * K) == 0);
    CU_ASSERT(memcmp(whole.best + 3 * K, alone.best, sizeof *whole.best * K) == 0);
}

static void equal_scores_come_by_targetid_then_row(void)
{
    CosineSearch s;
    fill(1);
    for (int i = 10; i < 40; i++) {
        memcpy(sky.x + i * DIM, sky.x + 5 * DIM, DIM * sizeof *sky.x);
        sky.norm[i] = sky.norm[5];
        sky.id[i] = i % 2 ? 7 : 900 - i;
    }
    CHECK_OK(cosine_open(&s, 20, DIM, sky.x + 5 * DIM, 1, &test_arena));
    cosine_add(&s, sky.x, sky.norm, sky.id, sky.row, N);
    for (int j = 0; j < 15; j++) CU_ASSERT(s.best[j].targetid == 7 && s.best[j].row == 11 + 2 * j);
    CU_ASSERT(s.best[15].targetid == 900 - 38 && s.best[16].targetid == 900 - 36);
}

static void lengths_do_not_matter_even_extreme_ones(void)
{
    CosineSearch s;
    fill(0.5);
    for (int i = 0; i < N; i++) {
        const float scale = i % 3 == 0 ? 1e30f : i % 3 == 1 ? 1e-30f : 1;
        for (int d = 0; d < DIM; d++) sky.x[i * DIM + d] *= scale;
        sky.norm[i] = cosine_norm(sky.x + i * DIM, DIM);
    }
    CHECK_OK(cosine_open(&s, K, DIM, sky.x + 9 * DIM, QUERIES, &test_arena));
    cosine_add(&s, sky.x, sky.norm, sky.id, sky.row, N);
    check_all(&s);
}

static void what_has_no_direction_neither_finds_nor_is_found(void)
{
    CosineSearch s;
    fill(1);
    sky.x[0] = NAN;
    sky.x[DIM] = INFINITY;
    memset(sky.x + 2 * DIM, 0, DIM * sizeof *sky.x);
    for (int i = 0; i < 3; i++) sky.norm[i] = cosine_norm(sky.x + i * DIM, DIM);
    CHECK_OK(cosine_open(&s, N, DIM, sky.x, 10, &test_arena));
    cosine_add(&s, sky.x, sky.norm, sky.id, sky.row, N);
    for (int i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(s.found[i], i < 3 ? 0 : N - 3);
        for (int64_t j = 0; j < s.found[i]; j++) CU_ASSERT(s.best[i * N + j].row > 2);
    }
}

static void a_row_can_be_kept_from_finding_itself(void)
{
    CosineSearch s;
    int64_t self[QUERIES];
    fill(1);
    for (int i = 0; i < QUERIES; i++) self[i] = i % 2 ? i : -1;
    CHECK_OK(cosine_open(&s, K, DIM, sky.x, QUERIES, &test_arena));
    s.self = self;
    cosine_add(&s, sky.x, sky.norm, sky.id, sky.row, N);
    check_all(&s);
    for (int i = 0; i < QUERIES; i++) CU_ASSERT_EQUAL(s.best[i * K].row == i, i % 2 == 0);
}

TEST_MAIN("cosine", {"neighbours are those of exact scores, whatever multiplies", neighbours_are_those_of_exact_scores},
          {"the same bits in any order and company", same_bits_in_any_order_and_company},
          {"equal scores come by TARGETID, then by row", equal_scores_come_by_targetid_then_row},
          {"lengths do not matter, even extreme ones", lengths_do_not_matter_even_extreme_ones},
          {"what has no direction neither finds nor is found", what_has_no_direction_neither_finds_nor_is_found},
          {"a row can be kept from finding itself", a_row_can_be_kept_from_finding_itself})
