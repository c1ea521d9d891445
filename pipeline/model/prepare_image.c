/* prepare_image.c - nanomaggies to RGB on an arcsinh scale, cropped around the centre.

   The mean over bands of the positive part, I, decides the stretch asinh(Q I) / sqrt(Q); the colours keep their
   ratios and are clipped. Written once for both precisions; in float every step rounds to float in the order of
   spec.md 1, with asinh correctly rounded (taken in double), so that two programs agree to the last bit. */
#include "model/prepare_image.h"

#include <stddef.h>

enum { BANDS = 3 };

/* Centre crop: ties of the half pixel go to even. */
static int64_t crop_offset(int64_t size, int64_t crop) { return (int64_t)rint((double)(size - crop) / 2.0); }

static Status check_crop(int64_t size, int64_t crop)
{
    if (crop < 1 || size < crop)
        return FAIL(E_INPUT,
                    "a cutout of %lld x %lld pixels is smaller than the %lld x %lld that the image encoder takes",
                    (long long)size, (long long)size, (long long)crop, (long long)crop);
    return OK;
}

/* The function `name` for numbers of `type`. */
#define DEFINE_PREPARE(name, type)                                                                                     \
    static void name##_pixel(type out[BANDS], const float band[BANDS])                                                 \
    {                                                                                                                  \
        static const type scale[BANDS] = {(type)6.0, (type)3.4, (type)2.2}; /* g, r, z */                              \
        const type m = (type)0.03, q = (type)20.0;                                                                     \
        type mean = 0, level[BANDS];                                                                                   \
        for (int b = 0; b < BANDS; b++) {                                                                              \
            level[b] = (type)band[b] * scale[b] + m;                                                                   \
            mean += level[b] > 0 ? level[b] : 0;                                                                       \
        }                                                                                                              \
        mean /= (type)BANDS;                                                                                           \
        const type stretch = (type)asinh((double)(q * mean)) / (type)sqrt(20.0);                                       \
        if (mean == 0) mean += (type)1e-6;                                                                             \
        for (int b = 0; b < BANDS; b++) {                                                                              \
            const type value = level[b] * stretch / mean;                                                              \
            out[BANDS - 1 - b] = value < 0 ? 0 : value > 1 ? 1 : value;                                                \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    Status name(type *out, const float *pixels, int64_t size, int64_t crop)                                            \
    {                                                                                                                  \
        TRY(check_crop(size, crop));                                                                                   \
        const int64_t first = crop_offset(size, crop), plane = crop * crop;                                            \
        for (int64_t y = 0; y < crop; y++) {                                                                           \
            for (int64_t x = 0; x < crop; x++) {                                                                       \
                float band[BANDS];                                                                                     \
                type rgb[BANDS];                                                                                       \
                for (int b = 0; b < BANDS; b++) band[b] = pixels[(b * size + first + y) * size + first + x];           \
                name##_pixel(rgb, band);                                                                               \
                for (int b = 0; b < BANDS; b++) out[b * plane + y * crop + x] = rgb[b];                                \
            }                                                                                                          \
        }                                                                                                              \
        return OK;                                                                                                     \
    }

DEFINE_PREPARE(prepare_image, float)
DEFINE_PREPARE(prepare_image_double, double)
