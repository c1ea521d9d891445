/* mock_estimate.c - what a mock sky will cost, from its configuration alone: nothing is drawn, so a plan for a thousand
   million objects takes no longer than one for a hundred. Numbers of files and bytes are within some per cent of what
   is written; seconds are those of one core of 2023. */
#include <math.h>

#include "data/mock_table.h"

/* Rice keeps noise badly: an image takes a byte a pixel; coverage and masks next to nothing. A spectrum is 7958 pixels
   of flux, ivar, mask and 11 diagonals of the resolution, four bytes each. */
static const double plane_bytes = 13.8e6, invvar_bytes = 0.71e6, mask_bytes = 52e3, tractor_bytes = 130;
static const double spectrum_bytes = 7958 * 14 * 4, exposure_bytes = 290e3, catalogue_bytes = 900;
/* Draws of the posterior in the labels of a small sky, of nine in ten objects. */
static const double draws_bytes = 0.9 * 100 * 13 * 8, most_with_draws = 20000;
/* Painting and compressing a band of a brick; a galaxy in three bands; its spectrum. */
static const double plane_seconds = 0.33, image_seconds = 0.85e-3, spectrum_seconds = 1.4e-3;
enum { FILES_OF_GROUP = 5 }; /* coadd, redrock and its three companions */

/* Bricks of a square field, two more for the defects. */
static Status count_bricks(int64_t *n, const MockConfig *c)
{
    const int64_t n_full = (c->objects + c->per_brick - 1) / c->per_brick;
    const int64_t per_row = (int64_t)ceil(sqrt((double)n_full));
    Brick centre;
    if (!brick_at(&centre, c->ra, c->dec)) return FAIL(E_CONFIG, "mock: ra %g, dec %g is no position", c->ra, c->dec);
    *n = n_full + 2;
    for (int64_t row = centre.row; row <= centre.row + (*n - 1) / per_row; row++)
        if (row >= N_BRICK_ROWS || brick_columns(row) < per_row)
            return FAIL(E_CONFIG,
                        "mock: %lld bricks upwards of dec %g reach the pole: lower mock.dec, or raise mock.per_brick",
                        (long long)n_full, c->dec);
    return OK;
}

/* Files of spectra: pixels of nside 64 that a square field touches, twice where the dark program is there too. */
static double count_groups(const MockConfig *c, int64_t bricks)
{
    const double pixel = 41252.96 / 49152, area = (double)bricks * BRICK_SIZE * BRICK_SIZE;
    if (c->layout == MOCK_TILES) return 4 * 10;
    const double pixels = pow(sqrt(area / pixel) + 1, 2), dark = (double)c->objects / 16 / pixels;
    return fmin(pixels * (2 - exp(-dark)), 2 * (double)c->objects);
}

Status mock_estimate(MockEstimate *out, const MockConfig *c, bool spectra, bool images, int n_ranks)
{
    const double n = (double)c->objects, exposures = (double)c->exposures;
    *out = (MockEstimate){0};
    TRY(count_bricks(&out->bricks, c));
    const double bricks = (double)out->bricks, planes = N_BANDS * (bricks - 1) - 1; /* one has no files, one no z */
    out->files = 2;
    out->bytes = 2 * catalogue_bytes * n / 3 + (spectra && n <= most_with_draws ? n * draws_bytes : 0);
    const double here = (double)(c->objects < c->per_brick ? c->objects : c->per_brick);
    if (images) {
        out->files += (int64_t)(2 * planes + 2 * (bricks - 1)) + 4;
        out->bytes += planes * (plane_bytes + invvar_bytes) + bricks * mask_bytes + 2 * tractor_bytes * n;
        const double pixels = 3600.0 * 3600, sweep = fmin(bricks, 50 / (BRICK_SIZE * BRICK_SIZE));
        out->memory = fmax(out->memory, (N_BANDS + 1) * sizeof(float) * pixels + here * sizeof(MockObject));
        out->memory = fmax(out->memory, sweep * (double)c->per_brick * 2 * sizeof(MockSource));
        out->seconds += planes * plane_seconds + n * image_seconds;
    }
    if (spectra) {
        const double groups = count_groups(c, out->bricks), rows = c->layout == MOCK_TILES ? 1.19 : 1.0625;
        out->groups = (int64_t)groups;
        out->files += (int64_t)(groups * (FILES_OF_GROUP + (c->exposures > 0))) + 3;
        out->bytes += rows * n * (spectrum_bytes + exposures * exposure_bytes + catalogue_bytes);
        const double in_group = fmin(n, c->layout == MOCK_TILES ? 400 + here / 10 : 13.4 * (double)c->per_brick);
        const double row = sizeof(MockObject) + sizeof(MockRecord) * (1 + exposures) + 12.0 * 2881 * fmax(1, exposures);
        out->memory = fmax(out->memory, in_group * row);
        out->seconds += rows * n * spectrum_seconds * (1 + 0.7 * exposures);
    }
    /* what all ranks draw for the tables at once; rows of the widest table, and the draws of a small sky's labels */
    out->memory = fmax(out->memory, (double)n_ranks * fmax(here, 1024) * sizeof(MockObject) + here * 12e3);
    out->memory += 6e6;
    return OK;
}
