/* images.c - the section "images" and the batch that cutouts are written into. */
#include "data/images.h"

const char band_name[N_BANDS + 1] = "grz";
const char *const image_stat_name[N_IMAGE_STATS] = {"FRAC_COVERED_G", "FRAC_COVERED_R", "FRAC_COVERED_Z"};

static const char *const missing_bands[] = {"flag", "zero", NULL};

static const char *const other_scales[] = {"flag", "convert", NULL};

static const ConfigField images_fields[] = {
    FIELD_CHOICE(ImagesConfig, missing_band, "flag", missing_bands, RESULT,
                 "a band that is absent or without data: no embedding, or embed it as zeros"),
    FIELD_REAL(ImagesConfig, max_masked_fraction, "0.5", 0, 1, RESULT,
               "more pixels of the cutout than this without data in a band: no embedding"),
    FIELD_CHOICE(ImagesConfig, other_scale, "flag", other_scales, RESULT,
                 "a single cutout whose pixels are not 0.262 arcsec: no embedding, or convert it by averaging areas"),
    FIELD_END};

const ConfigSection images_section = {"images", "cutouts: missing bands and missing pixels", images_fields,
                                      sizeof(ImagesConfig), NULL};

Status images_batch(ImageBatch *out, int64_t n, Arena *a)
{
    out->n = n;
    TRY(arena_take((void **)&out->pixels, a, n, N_BANDS * CUTOUT_PIXELS * CUTOUT_PIXELS * sizeof *out->pixels));
    TRY(arena_new(&out->flag, a, n));
    TRY(arena_take((void **)&out->stats, a, n, N_IMAGE_STATS * sizeof *out->stats));
    return OK;
}
