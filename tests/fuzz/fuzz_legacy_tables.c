/* fuzz_legacy_tables.c - Tractor catalogues, sweeps with photometric redshifts beside them, tables of bricks. */
#include <dirent.h>
#include <stdio.h>

#include "data/legacy.h"
#include "data/mock.h"
#include "fuzz.h"

enum { TRACTOR, SWEEP, PHOTO_Z, BRICKS, N_FILES, ROWS = 128 };

static const char *const files[] = {"dr9/south/tractor/330/tractor-3301m002.fits",
                                    "dr9/south/sweep/9.0/sweep-320m005-330p000.fits",
                                    "dr9/south/sweep/9.1-photo-z/sweep-320m005-330p000-pz.fits", "survey-bricks.fits"};
static const char *const words[] = {"BRICKNAME",   "BRICKID ", "OBJID   ", "RELEASE ", "brick_primary",
                                    "TYPE    ",    "maskbits", "FLUX_G  ", "flux_z  ", "DUP ",
                                    "Z_PHOT_MEAN", "NAXIS1  ", "NAXIS2  ", "TFIELDS ", "TFORM1  ",
                                    "TTYPE1  ",    "TSCAL2  ", "TZERO2  ", "TNULL2  ", "PCOUNT  ",
                                    "1PE(9)",      "../../x",  "TDIM3   ", "THEAP   ", NULL};
static FuzzSeed sweep;

/* The first file of a folder of the mock sky. */
static void add(int kind, const char *folder)
{
    char path[FUZZ_PATH * 2];
    DIR *d = opendir(fuzz_path(folder));
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s/%s", fuzz_folder(), folder, e->d_name);
        fuzz_seed_file(kind, path);
        if (kind == SWEEP) sweep = fuzz_seeds[fuzz_n_seeds - 1];
        remove(path);
        break;
    }
    if (d) closedir(d);
}

static Status seeds(Arena *a)
{
    static const char *south = "south";
    const LegacyConfig legacy = {.root = fuzz_folder(), .release = "dr9", .regions = {1, &south}};
    const MockConfig config = {.objects = 8, .per_brick = 8, .ra = 325, .dec = -2, .truth = ""};
    MockSky sky;
    TRY(mock_sky(&sky, &config, &legacy, 3, &par_alone, a));
    Brick brick;
    MockObject *object;
    MockSource *source;
    int64_t n_objects, n;
    mock_brick(&brick, &sky, 0);
    TRY(mock_objects(&object, &n_objects, &sky, 0, 1, a));
    TRY(mock_sources(&source, &n, &sky, &brick, object, n_objects, a));
    TRY(mock_write_tractor(&sky, &legacy, &brick, source, n, a));
    TRY(mock_write_sweep(&sky, &legacy, 0, a));
    char folder[FUZZ_PATH];
    snprintf(folder, sizeof folder, "dr9/south/tractor/%.3s", brick.name);
    add(TRACTOR, folder);
    add(SWEEP, "dr9/south/sweep/9.0");
    add(PHOTO_Z, "dr9/south/sweep/9.1-photo-z");
    fuzz_seed_shared(TRACTOR, "data/tractor/tractor-3301m002.fits");
    fuzz_seed_shared(SWEEP, "data/tractor/sweep-320m005-330p000.fits");
    fuzz_seed_shared(BRICKS, "data/legacy/survey-bricks-dr6.fits.gz");
    return OK;
}

static void one(int kind, const char *path, const uint8_t *bytes, int64_t n, Arena *a)
{
    static const char *south = "south", *drop[] = {"PSF", "DUP"};
    const LegacyConfig config = {.root = fuzz_folder(),
                                 .release = "dr9",
                                 .regions = {1, &south},
                                 .objects = {.drop_types = {2, drop},
                                             .max_mag_z = n % 2 ? 20 : 0,
                                             .dereddened = true,
                                             .min_exposures = n / 2 % 2,
                                             .photo_z = true}};
    int64_t count = 0, kept = 0, skipped[N_REJECTS] = {0};
    CatalogRow *rows;
    (void)bytes;
    if (kind == BRICKS) {
        fuzz_ok(legacy_check_bricks(path, a));
    } else if (kind == TRACTOR) {
        fuzz_ok(legacy_survey.read_photometry(&rows, &count, &kept, &config, path, a));
    } else {
        if (kind == PHOTO_Z) fuzz_write(fuzz_path(files[SWEEP]), sweep.bytes, sweep.n);
        if (fuzz_ok(legacy_survey.count_objects(&count, &config, files[SWEEP], a))) {
            if (count > ROWS) count = ROWS;
            MUST(arena_new(&rows, a, count) == OK);
            fuzz_ok(legacy_survey.read_objects(rows, &kept, skipped, &config, files[SWEEP], 0, count, a));
        }
        remove(fuzz_path(files[SWEEP]));
    }
}

const FuzzTarget fuzz_target = {"legacy_tables", N_FILES, seeds, one, files, words};
