/* The photometry that embeddings have to beat: what a probe sees of it, and of which rows. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "probe/probes.h"
#include "test_main.h"

static void features_are_colours_magnitude_and_its_square(void)
{
    float x[PHOTOMETRY_DIM];
    probe_photometry(x, 1, 10, 100); /* nanomaggies: magnitudes 22.5, 20, 17.5 */
    const double expected[PHOTOMETRY_DIM] = {2.5, 2.5, 20, 400};
    for (int d = 0; d < PHOTOMETRY_DIM; d++) CU_ASSERT_DOUBLE_EQUAL(x[d], expected[d], 1e-5 * expected[d]);
}

static void rows_without_positive_flux_are_left_out(void)
{
    const float bad[] = {0, -1, NAN, INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (int b = 0; b < 3; b++) {
            float flux[3] = {1, 2, 3}, x[PHOTOMETRY_DIM];
            flux[b] = bad[i];
            probe_photometry(x, flux[0], flux[1], flux[2]);
            CU_ASSERT_FALSE(probe_usable(x, PHOTOMETRY_DIM));
            for (int d = 0; d < PHOTOMETRY_DIM; d++) CU_ASSERT(isnan(x[d]));
        }
}

static void features_follow_the_rows_of_the_catalogue(void)
{
    enum { ROWS = 40, FIRST = 7, SOME = 20 };
    Catalog c = {0};
    CatalogRow row[ROWS];
    float x[SOME * PHOTOMETRY_DIM], expected[PHOTOMETRY_DIM];
    char path[H5_PATH];
    const Envelope e = {.kind = "catalog", .version = CATALOG_VERSION, .made_by = "catalog", .config = ""};
    for (int64_t i = 0; i < ROWS; i++) {
        catalog_new_row(&row[i]);
        row[i].targetid = i;
        for (int b = 0; b < 3; b++) row[i].flux[b] = (float)(1 + i + 100 * b);
    }
    row[FIRST + 1].flux[2] = NAN;
    const CatalogParts parts = {.row = row, .n = ROWS, .files = &(FileList){0}};
    snprintf(path, sizeof path, "%s/catalog.h5", test_folder());
    if (!CHECK_OK(catalog_write(path, &e, &parts, &test_par, &test_arena))) return;
    if (!CHECK_OK(catalog_open(&c, path, NULL, &test_arena))) return;
    const ProbeInputRow *photometry = probe_inputs;
    while (photometry->kind != INPUT_PHOTOMETRY) photometry++;
    const ProbeFiles files = {&c, NULL, NULL};
    CU_ASSERT_EQUAL_FATAL(probe_input_dim(&files, photometry), PHOTOMETRY_DIM);
    CHECK_OK(probe_read_input(x, &files, photometry, FIRST, SOME, &test_arena));
    for (int i = 0; i < SOME; i++) {
        const float *flux = row[FIRST + i].flux;
        probe_photometry(expected, flux[0], flux[1], flux[2]);
        CU_ASSERT_EQUAL(memcmp(expected, x + i * PHOTOMETRY_DIM, sizeof expected), 0);
    }
    CU_ASSERT(isnan(x[PHOTOMETRY_DIM]) && isfinite(x[0]));
    catalog_close(&c);
}

TEST_MAIN("photometry",
          {"features are colours, magnitude and its square", features_are_colours_magnitude_and_its_square},
          {"rows without positive flux are left out", rows_without_positive_flux_are_left_out},
          {"features follow the rows of the catalogue", features_follow_the_rows_of_the_catalogue})
