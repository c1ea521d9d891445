/* stored_files.h - small files in the layouts of published sets, with values that say where they stand. */
#ifndef STORED_FILES_H
#define STORED_FILES_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/flags.h"
#include "data/stored.h"
#include "test_main.h"

enum { SIDE = CUTOUT_PIXELS, PLANE = SIDE * SIDE, CUTOUT = N_BANDS * PLANE };

static const SpectraConfig as_usual = {MERGE_LEGACY_2022, BAD_PIXELS_ZERO, 0.5, EXTINCTION_NONE};
static const ImagesConfig flag_bands = {MISSING_BAND_FLAG, 0.5, OTHER_SCALE_FLAG};

/* A folder of the test that is removed with it. */
static inline const char *folder_of(const char *name)
{
    static char path[H5_PATH];
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    mkdir(path, 0777);
    return path;
}

static inline const char *in_folder(const char *folder, const char *name)
{
    static char path[4][2 * H5_PATH];
    static int next;
    char *out = path[next++ & 3];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

/* What pixel (band, row, column) of an object's cutout is; whole numbers below 2^24 and a quarter, exact as float32.
   Never 0. */
static inline float pixel_of(int64_t object, int64_t band, int64_t row, int64_t column)
{
    return (float)(1 + object * CUTOUT + band * PLANE + row * SIDE + column) / 64;
}

static inline float flux_of(int64_t object, int64_t pixel) { return (float)(1 + object + pixel % 97) / 8; }

/* All planes of batch row i are the object's, pixel by pixel. */
static inline bool is_cutout(const ImageBatch *b, int64_t i, int64_t object)
{
    for (int64_t band = 0; band < N_BANDS; band++)
        for (int64_t row = 0; row < SIDE; row++)
            for (int64_t column = 0; column < SIDE; column++)
                if (b->pixels[i * CUTOUT + band * PLANE + row * SIDE + column] != pixel_of(object, band, row, column))
                    return false;
    return true;
}

static inline bool all_zero(const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (x[i] != 0) return false;
    return true;
}

/* Cutouts of rows through a fresh source. */
static inline void cut(ImageBatch *out, const ImageSurvey *survey, const void *config, const FileList *files,
                       const ImagesConfig *options, const CatalogRow *rows, int64_t n)
{
    ImageSource s = {.config = config, .files = files};
    CHECK_OK(images_batch(out, n, &test_arena));
    CHECK_OK(survey->open(&s, &test_arena));
    CHECK_OK(survey->cutouts(out, 0, &s, options, rows, n, &test_arena));
    survey->close(&s);
}

/* Rows [0, n) of file `path`, and again in two parts cut at every place: the same rows. Image rows get their place. */
static inline CatalogRow *objects_of(const ImageSurvey *survey, const void *config, const char *path, int32_t file,
                                     int64_t *n)
{
    CatalogRow *rows = NULL, *part = NULL;
    int64_t skipped[N_REJECTS] = {0}, kept = 0;
    if (!CHECK_OK(survey->count_objects(n, config, path, &test_arena))) return NULL;
    CHECK_OK(arena_new(&rows, &test_arena, *n));
    CHECK_OK(arena_new(&part, &test_arena, *n));
    CHECK_OK(survey->read_objects(rows, &kept, skipped, config, path, 0, *n, &test_arena));
    CU_ASSERT_EQUAL(kept, *n);
    for (int64_t first = 0; first <= *n; first++) {
        CHECK_OK(survey->read_objects(part, &kept, skipped, config, path, 0, first, &test_arena));
        CHECK_OK(survey->read_objects(part + first, &kept, skipped, config, path, first, *n - first, &test_arena));
        CU_ASSERT(memcmp(part, rows, (size_t)*n * sizeof *rows) == 0);
    }
    for (int64_t i = 0; i < *n; i++) {
        CU_ASSERT(rows[i].has_image == 1 && rows[i].match == MATCH_ID && rows[i].source_row == i);
        rows[i].image_file = file;
        rows[i].image_row = i;
    }
    return rows;
}

static inline CatalogRow *redshifts_of(const SpectrumSurvey *survey, const void *config, const char *path, int64_t *n)
{
    CatalogRow *rows = NULL, *part = NULL;
    if (!CHECK_OK(survey->count_redshifts(n, config, path, &test_arena))) return NULL;
    CHECK_OK(arena_new(&rows, &test_arena, *n));
    CHECK_OK(arena_new(&part, &test_arena, *n));
    CHECK_OK(survey->read_redshifts(rows, config, path, 0, *n, &test_arena));
    for (int64_t first = 0; first <= *n; first++) {
        CHECK_OK(survey->read_redshifts(part, config, path, 0, first, &test_arena));
        CHECK_OK(survey->read_redshifts(part + first, config, path, first, *n - first, &test_arena));
        CU_ASSERT(memcmp(part, rows, (size_t)*n * sizeof *rows) == 0);
    }
    for (int64_t i = 0; i < *n; i++) CU_ASSERT(rows[i].has_spectrum == 1 && rows[i].source_row == i);
    return rows;
}

/* The record of the last failure names this text. */
static inline bool says(const char *text) { return strstr(fail_record()->text, text) != NULL; }

#endif
