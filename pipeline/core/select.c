/* select.c - by partition around the middle one of what is left (Hoare 1961, CACM 4, 321). */
#include "core/select.h"

double select_kth(double *x, int64_t n, int64_t k)
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

/* Keeps of many values those between two of a sample that should have the middle between them; returns how many were below,
   or -1 where the middle ones are not there and all stay. Counting and keeping have no branch to mispredict. */
static int64_t keep_middle(double *x, int64_t *n)
{
    enum { SAMPLE = 255, ASIDE = 16 }; /* of the middle of the sample: two standard deviations */
    double sample[SAMPLE];
    int64_t below = 0, inside = 0, kept = 0;
    if (*n < 8 * SAMPLE) return -1;
    for (int64_t i = 0; i < SAMPLE; i++) sample[i] = x[i * (*n / SAMPLE)];
    const double low = select_kth(sample, SAMPLE, SAMPLE / 2 - ASIDE),
                 high = select_kth(sample, SAMPLE, SAMPLE / 2 + ASIDE);
    for (int64_t i = 0; i < *n; i++) {
        below += x[i] < low;
        inside += (x[i] >= low) & (x[i] <= high);
    }
    if (below >= *n / 2 || below + inside <= *n / 2) return -1;
    for (int64_t i = 0; i < *n; i++) {
        x[kept] = x[i];
        kept += (x[i] >= low) & (x[i] <= high);
    }
    *n = kept;
    return below;
}

double select_median(double *x, int64_t n)
{
    if (n == 0) return 0;
    int64_t left = n;
    const int64_t below = keep_middle(x, &left), middle = n / 2 - (below > 0 ? below : 0);
    const double upper = select_kth(x, left, middle);
    if (n % 2 == 1) return upper;
    double lower = x[0]; /* below < n / 2: there is one before the middle */
    for (int64_t i = 1; i < middle; i++)
        if (x[i] > lower) lower = x[i];
    return (lower + upper) / 2;
}
