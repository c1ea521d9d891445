/* fuzz_sdss.c - SDSS spec files and the tables that list them, as rows and as spectra. */
#include <string.h>

#include "data/sdss.h"
#include "fuzz.h"

enum { ROWS = 16 };

static const char *const files[] = {"spec-0266-51602-0013.fits", "specObj.fits"};
static const char *const words[] = {"COADD   ", "SPALL   ", "SPECOBJ ", "loglam  ", "flux    ", "and_mask", "ivar    ",
                                    "COEFF0  ", "COEFF1  ", "PLATEID ", "MJD     ", "FIBERID ", "RUN2D   ", "PLATE   ",
                                    "NAXIS1  ", "NAXIS2  ", "TFIELDS ", "TFORM1  ", "TTYPE1  ", "VACUUM  ", "../26/..",
                                    "TZERO1  ", "TSCAL1  ", "PCOUNT  ", NULL};

static Status seeds(Arena *a)
{
    static const char *const real[] = {"data/sdss/spec-0266-51602-0013.fits", "data/sdss/spec-4055-55359-0006.fits",
                                       "data/sdss/spec-0854-52373-0369.fits", "data/sdss/spec-0266-51602-0162.fits"};
    (void)a;
    for (int i = 0; i < 4; i++) fuzz_seed_shared(0, real[i]);
    for (int i = 0; i < 2; i++) fuzz_seed_shared(1, real[i]); /* their HDU 2 is a row of such a table */
    return OK;
}

static void one(int kind, const char *path, const uint8_t *bytes, int64_t n, Arena *a)
{
    const char *item = files[0];
    const SdssConfig config = {.root = fuzz_folder(),
                               .run2d = "",
                               .files = {kind == 0, &item},
                               .catalog = kind ? files[1] : "",
                               .layout = (int)(n % 4),
                               .mask_bits = 4294967295};
    const SpectraConfig options = {MERGE_LEGACY_2022, BAD_PIXELS_ZERO, 0.5, EXTINCTION_NONE};
    CatalogRow *rows;
    SpectrumBatch batch;
    int64_t count = 0;
    (void)bytes;
    if (fuzz_ok(sdss_count_redshifts(&count, &config, files[kind], a)) && count > ROWS) count = ROWS;
    MUST(arena_new(&rows, a, count + 1) == OK);
    for (int64_t i = 0; i <= count; i++) catalog_new_row(&rows[i]);
    fuzz_ok(sdss_read_redshifts(rows, &config, files[kind], 0, count, a));
    for (int64_t i = 0; i < count; i++) {
        char name[FUZZ_PATH];
        const FileList list = {(char *[]){(char *)files[kind]}, 1};
        rows[i].source_file = 0;
        if (fuzz_ok(sdss_survey.spectrum_file(name, sizeof name, &config, &rows[i], &list)))
            MUST(!strstr(name, "..") && name[0] != '/' && !strpbrk(name, " ;|&$`'\"\\\n"));
    }
    const SdssName own = {266, 51602, 13};
    if (count == 0) count = 1;
    MUST(sdss_targetid(&rows[0].targetid, &own));
    MUST(spectra_batch(&batch, count, a) == OK);
    fuzz_ok(sdss_read_spectra(&batch, 0, &config, &options, path, rows, count, a));
}

const FuzzTarget fuzz_target = {"sdss", 2, seeds, one, files, words};
