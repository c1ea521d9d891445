/* prepare_spectrum.c - a spectrum as tokens: its mean and scatter first, then sections that overlap by half.
   Sums run in double: a spike of 1e6 must not round the mean of the rest away. */
#include "model/prepare_spectrum.h"

#include <string.h>

static const double std_floor = 0.2; /* a flat spectrum is not blown up to noise */

int64_t prepare_spectrum_tokens(int64_t n_pixels, int64_t length, int64_t overlap)
{
    const int64_t step = length - overlap;
    if (step < 1 || n_pixels <= overlap) return 0;
    return (n_pixels - overlap + step - 1) /
           step; /* one per start of a section; the last section makes room for token 0 */
}

static void moments(double *mean, double *std, const float *flux, int64_t n)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)flux[i];
    *mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) squares += ((double)flux[i] - *mean) * ((double)flux[i] - *mean);
    *std = sqrt(squares / (double)(n - 1));
}

Status prepare_spectrum(real *tokens, double *mean, double *std, const float *flux, int64_t n_pixels, int64_t length,
                        int64_t overlap)
{
    const int64_t n_tokens = prepare_spectrum_tokens(n_pixels, length, overlap), width = SPECTRUM_EXTRA + length;
    if (n_tokens < 2)
        return FAIL(
            E_INPUT,
            "a spectrum of %lld pixels is too short: sections of %lld with overlap %lld need more than %lld pixels",
            (long long)n_pixels, (long long)length, (long long)overlap, (long long)length);
    double m, s;
    moments(&m, &s, flux, n_pixels);
    if (mean) *mean = m;
    if (std) *std = s;
    if (s < std_floor) s = std_floor;
    memset(tokens, 0, sizeof *tokens * (size_t)(n_tokens * width));
    tokens[0] = (real)((m - 2) / 2);
    tokens[1] = (real)((s - 2) / 8);
    for (int64_t t = 1; t < n_tokens; t++) {
        const float *section = flux + (t - 1) * (length - overlap);
        for (int64_t i = 0; i < length; i++)
            tokens[t * width + SPECTRUM_EXTRA + i] = (real)(((double)section[i] - m) / s);
    }
    return OK;
}
