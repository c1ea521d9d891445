/* window.c - cleaning and judging the pixels of a cutout. */
#include "data/window.h"

#include <math.h>
#include <string.h>

#include "data/flags.h"

int64_t window_first(double x) { return (int64_t)ceil(x - CUTOUT_PIXELS / 2.0); }

int32_t window_finish(float *share, uint64_t lacking[WINDOW_WORDS], float *pixels, const float *ivar,
                      const uint8_t *shown, const ImagesConfig *options)
{
    uint64_t without[WINDOW_WORDS] = {0};
    int64_t n_data = 0;
    int32_t flag = 0;
    for (int64_t k = 0; k < WINDOW_PIXELS; k++) {
        bool number = isfinite(pixels[k]), weight = isfinite(ivar[k]), data = number && weight && ivar[k] > 0;
        if (!number || !weight) flag |= IMAGE_NONFINITE;
        if (!number) pixels[k] = 0;
        if (!shown[k]) flag |= IMAGE_PADDED;
        if (shown[k] && !(weight && ivar[k] > 0)) flag |= IMAGE_BAD_PIXELS;
        n_data += data;
        if (!data) without[k / 64] |= UINT64_C(1) << (k % 64);
    }
    if (n_data == 0) flag |= IMAGE_NO_COVERAGE;
    if (n_data == 0 && options->missing_band == MISSING_BAND_ZERO) memset(pixels, 0, WINDOW_PIXELS * sizeof *pixels);
    for (int64_t i = 0; n_data > 0 && i < WINDOW_WORDS; i++) lacking[i] |= without[i];
    *share = (float)((double)n_data / WINDOW_PIXELS);
    return flag;
}

int32_t window_judge(const uint64_t lacking[WINDOW_WORDS], const ImagesConfig *options)
{
    int64_t n = 0;
    for (int64_t k = 0; k < WINDOW_WORDS; k++) n += __builtin_popcountll(lacking[k]);
    return (double)n > options->max_masked_fraction * WINDOW_PIXELS ? IMAGE_MASKED : 0;
}
