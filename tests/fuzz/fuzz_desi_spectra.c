/* fuzz_desi_spectra.c - DESI's coadd-* and spectra-* files, read as spectra and as rows of a catalogue. */
#include "data/desi.h"
#include "data/mock.h"
#include "fuzz.h"

enum { ROWS = 6 };

static const char *const files[] = {"coadd-main-dark-9144.fits", "spectra-main-dark-9144.fits"};
static const char *const words[] = {"B_FLUX  ", "R_IVAR  ", "Z_MASK  ", "BRZ_FLUX", "FIBERMAP",          "TARGETID",
                                    "EXPID   ", "NAXIS1  ", "NAXIS2  ", "NAXIS   ", "BITPIX  ",          "PCOUNT  ",
                                    "TFIELDS ", "TFORM1  ", "TSCAL1  ", "TZERO1  ", "TNULL1  ",          "BZERO   ",
                                    "BSCALE  ", "BLANK   ", "ZIMAGE  ", "THEAP   ", "COADD_FIBERSTATUS", "FIBERSTATUS",
                                    "END     ", "CONTINUE", NULL};

static Status seeds(Arena *a)
{
    static const char *const real[] = {"data/desi/coadd-special-dark-27247.fits",
                                       "data/desi/coadd-main-dark-9144.fits"};
    const DesiConfig desi = {.root = fuzz_folder(), .specprod = "mock"};
    MockSky sky;
    for (int i = 0; i < 2; i++) fuzz_seed_shared(0, real[i]);
    fuzz_seed_shared(1, "data/desi/spectra-5-169-thru20210419.fits");
    for (int layout = MOCK_DR1; layout <= MOCK_TILES; layout += MOCK_TILES - MOCK_DR1) {
        const MockConfig config = {
            .objects = 6, .per_brick = 6, .ra = 150, .dec = 2, .layout = layout, .exposures = 2, .truth = ""};
        TRY(mock_sky(&sky, &config, NULL, 3, &par_alone, a));
        for (int64_t i = 0, found = 0; i < sky.n_groups && found < 2; i++) {
            char path[FITS_PATH];
            MockGroup g;
            MockObject *object;
            int64_t n;
            mock_group(&g, &sky, i);
            TRY(mock_group_objects(&object, &n, &sky, &g, a));
            if (n == 0 || g.missing) continue;
            found++;
            TRY(mock_write_group(&sky, &desi, i, a));
            for (int kind = 0; kind < 2; kind++) {
                TRY(mock_group_path(path, &sky, &desi, &g, kind ? "spectra" : "coadd"));
                fuzz_seed_file(kind, path);
            }
        }
    }
    return OK;
}

static void one(int kind, const char *path, const uint8_t *bytes, int64_t n, Arena *a)
{
    const DesiConfig config = {.root = fuzz_folder(),
                               .specprod = "mock",
                               .spectra = kind,
                               .redshifts = REDSHIFTS_COADD};
    const SpectraConfig options = {n % 2 ? MERGE_LEGACY_2022 : MERGE_DESISPEC_2024, BAD_PIXELS_ZERO, 0.5,
                                   EXTINCTION_NONE};
    CatalogRow *rows;
    SpectrumBatch batch;
    int64_t count = 0;
    (void)bytes;
    if (fuzz_ok(desi_count_redshifts(&count, &config, files[kind], a)) && count > ROWS) count = ROWS;
    MUST(arena_new(&rows, a, count + 1) == OK);
    for (int64_t i = 0; i <= count; i++) catalog_new_row(&rows[i]);
    fuzz_ok(desi_read_redshifts(rows, &config, files[kind], 0, count, a));
    rows[count].targetid = count > 0 ? rows[0].targetid : 39627841603633169;
    MUST(spectra_batch(&batch, count + 1, a) == OK);
    fuzz_ok(desi_read_spectra(&batch, 0, &config, &options, path, rows, count + 1, a));
}

const FuzzTarget fuzz_target = {"desi_spectra", 2, seeds, one, files, words};
