/* The median is that of sorting, whatever the values and their order. */
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "core/select.h"
#include "test_main.h"

enum { MOST = 3000 };

static int in_order(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* kind 0: normal; 1: few different values; 2: rising; 3: falling; 4: one side far away, where a sample of every n-th misleads */
static void fill(double *x, int64_t n, int kind)
{
    Rng g = rng_stream(3, "test.select", n, kind);
    for (int64_t i = 0; i < n; i++) {
        const double u = rng_normal(&g);
        x[i] = kind == 0          ? u
               : kind == 1        ? (double)(int)(2 * u)
               : kind == 2        ? (double)i
               : kind == 3        ? (double)(n - i)
               : i % (n / 63 + 1) ? u
                                  : 1e9;
    }
}

static double middle_of(const double *sorted, int64_t n)
{
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static void as_sorting(void)
{
    static double x[MOST], sorted[MOST], used[MOST];
    int64_t wrong = 0;
    for (int64_t n = 1; n < MOST; n += n < 20 ? 1 : n < 600 ? 97 : 211)
        for (int kind = 0; kind < 5; kind++) {
            fill(x, n, kind);
            memcpy(sorted, x, sizeof x);
            memcpy(used, x, sizeof x);
            qsort(sorted, (size_t)n, sizeof *sorted, in_order);
            wrong += select_median(used, n, n) != middle_of(sorted, n);
            memcpy(used, x, sizeof x); /* every fifth does not count */
            int64_t among = 0;
            for (int64_t i = 0; i < n; i++) {
                if (i % 5 == 4)
                    used[i] = INFINITY;
                else
                    sorted[among++] = x[i];
            }
            qsort(sorted, (size_t)among, sizeof *sorted, in_order);
            wrong += select_median(used, n, among) != middle_of(sorted, among);
            memcpy(sorted, x, sizeof x);
            qsort(sorted, (size_t)n, sizeof *sorted, in_order);
            memcpy(used, x, sizeof x);
            wrong += select_kth(used, n, n / 3) != sorted[n / 3];
        }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(select_median(x, 0, 0), 0);
}

TEST_MAIN("select", {"the median is that of sorting", as_sorting})
