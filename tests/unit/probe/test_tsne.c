/* A map of points keeps who belongs together, and is the same each time. */
#include <math.h>
#include <string.h>

#include "probe/tsne.h"
#include "test_main.h"

enum { GROUPS = 4, EACH = 30, N = GROUPS * EACH, DIM = 10 };

static void fill(float *x)
{
    for (int i = 0; i < N; i++)
        for (int d = 0; d < DIM; d++)
            x[i * DIM + d] = (float)(8 * (d % GROUPS == i % GROUPS) + sin(1.3 * i * (d + 1) + d));
}

static double distance(const double *map, int i, int j)
{
    return hypot(map[2 * i] - map[2 * j], map[2 * i + 1] - map[2 * j + 1]);
}

static void groups_stay_together(void)
{
    float x[N * DIM];
    double map[2 * N];
    int right = 0;
    fill(x);
    CHECK_OK(tsne_map(map, x, N, DIM, 10, &test_arena));
    for (int i = 0; i < N; i++) {
        int nearest = -1;
        for (int j = 0; j < N; j++)
            if (j != i && (nearest < 0 || distance(map, i, j) < distance(map, i, nearest))) nearest = j;
        CU_ASSERT(isfinite(map[2 * i]) && isfinite(map[2 * i + 1]));
        right += nearest % GROUPS == i % GROUPS;
    }
    CU_ASSERT(right == N);
}

static void the_same_points_make_the_same_map(void)
{
    float x[N * DIM];
    double a[2 * N], b[2 * N];
    fill(x);
    CHECK_OK(tsne_map(a, x, N, DIM, 30, &test_arena));
    CHECK_OK(tsne_map(b, x, N, DIM, 30, &test_arena));
    CU_ASSERT(memcmp(a, b, sizeof a) == 0);
}

static void few_or_equal_points_do_no_harm(void)
{
    float x[5 * DIM] = {0};
    double map[10];
    CHECK_OK(tsne_map(map, x, 5, DIM, 30, &test_arena));
    for (int k = 0; k < 10; k++) CU_ASSERT(isfinite(map[k]));
    for (int k = 0; k < 5 * DIM; k++) x[k] = (float)(k % 7);
    CHECK_OK(tsne_map(map, x, 3, DIM, 30, &test_arena));
    for (int k = 0; k < 6; k++) CU_ASSERT(isfinite(map[k]));
}

TEST_MAIN("tsne", {"groups stay together", groups_stay_together},
          {"the same points make the same map", the_same_points_make_the_same_map},
          {"few or equal points do no harm", few_or_equal_points_do_no_harm})
