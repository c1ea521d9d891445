/* select.c - by partition around the middle one of what is left (Hoare 1961, CACM 4, 321); where there are many values,
   the range that holds the wanted ones is halved before, by counting, of which compilers make vectors. */
#include "core/select.h"

#include <math.h>
#include <stdbool.h>

/* The value at place k, and none before it larger. */
static double partition(double *x, int64_t n, int64_t k)
{
    int64_t low = 0, high = n - 1;
    while (low < high) {
        double pivot = x[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (x[i] < pivot) i++;
            while (x[j] > pivot) j--;
            if (i > j) break;
            double swap = x[i];
            x[i++] = x[j];
            x[j--] = swap;
        }
        if (k <= j)
            high = j;
        else if (k >= i)
            low = i;
        else
            break;
    }
    return x[k];
}

enum { SAMPLE = 64, ASIDE = 12 /* of the sample: three standard deviations */, FEW = 64, CHUNK = 16 };

static int64_t count_below(const double *x, int64_t n, double value)
{
    int64_t below = 0;
    for (int64_t i = 0; i < n; i++) below += x[i] < value;
    return below;
}

/* Values [low, high) of n, how many are less than each. */
typedef struct {
    double low, high;
    int64_t below_low, below_high;
} Range;

/* Whether numbers k - 1 and k of the order lie there. */
static bool holds(const Range *r, int64_t k) { return r->below_low <= k - (k > 0) && r->below_high > k; }

/* Where a sample says that number k of the order lies. */
static Range range_near(const double *x, int64_t n, int64_t k)
{
    double sample[SAMPLE], low = -INFINITY, high = INFINITY;
    int64_t less[SAMPLE] = {0};
    const int64_t at = k * SAMPLE / n;
    for (int64_t i = 0; i < SAMPLE; i++) sample[i] = x[i * (n / SAMPLE)];
    for (int i = 0; i < SAMPLE; i++)
        for (int j = 0; j < SAMPLE; j++) less[j] += sample[i] < sample[j];
    for (int i = 0; i < SAMPLE; i++) {
        if (less[i] <= at - ASIDE && sample[i] > low) low = sample[i];
        if (less[i] >= at + ASIDE && sample[i] < high) high = sample[i];
    }
    return (Range){low, high, count_below(x, n, low), count_below(x, n, high)};
}

/* Halves the range as long as it holds many, and k - 1 and k. */
static void halve(Range *r, const double *x, int64_t n, int64_t k)
{
    while (r->below_high - r->below_low > FEW) {
        const double middle = r->low + (r->high - r->low) / 2;
        if (!(middle > r->low && middle < r->high)) return;
        const int64_t below = count_below(x, n, middle);
        const Range lower = {r->low, middle, r->below_low, below}, upper = {middle, r->high, below, r->below_high};
        if (!holds(&lower, k) && !holds(&upper, k)) return;
        *r = holds(&lower, k) ? lower : upper;
    }
}

/* The values of a range to the front; returns how many. */
static int64_t keep_range(double *x, int64_t n, const Range *r)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i += CHUNK) {
        const int64_t end = i + CHUNK < n ? i + CHUNK : n;
        int64_t inside = end < i + CHUNK; /* the last ones are looked at in any case */
        for (int64_t j = i; j < i + CHUNK && end == i + CHUNK; j++) inside += (x[j] >= r->low) & (x[j] < r->high);
        for (int64_t j = i; j < end && inside > 0; j++) {
            x[kept] = x[j];
            kept += (x[j] >= r->low) & (x[j] < r->high); /* no branch to mispredict */
        }
    }
    return kept;
}

/* Many values become few, with numbers k - 1 and k of the order among them. */
static void thin_out(double *x, int64_t *n, int64_t *k)
{
    if (*n <= 4 * SAMPLE) return;
    Range r = range_near(x, *n, *k);
    if (!holds(&r, *k)) return;
    halve(&r, x, *n, *k);
    *n = keep_range(x, *n, &r);
    *k -= r.below_low;
}

double select_kth(double *x, int64_t n, int64_t k)
{
    thin_out(x, &n, &k);
    return partition(x, n, k);
}

double select_median(double *x, int64_t n, int64_t among)
{
    int64_t k = among / 2;
    if (among == 0) return 0;
    thin_out(x, &n, &k);
    const double upper = partition(x, n, k);
    if (among % 2 == 1) return upper;
    double lower = x[0]; /* k > 0: there is one before the middle */
    for (int64_t i = 1; i < k; i++)
        if (x[i] > lower) lower = x[i];
    return (lower + upper) / 2;
}
