/* read.c - cutting of windows and merging of spectra from the surveys' files, for read.py: results as files for a peer, then
   one time per line of stdin.

   bench_read cutouts ROOT POSITIONS FOLDER: windows in three bands around positions (lines RA DEC) from the bricks of release
     dr9 below ROOT. Writes FOLDER/pixels.f32 (n, 3, 152, 152). Any line is answered with the seconds of cutting all of them.
   bench_read coadd FILE FOLDER: all spectra of FILE by TARGETID. Writes FOLDER/flux.f32 and ivar.f32 (n, 7781), in the order
     of FOLDER/targets.i64. "merge" is answered with the seconds of merging arms that lie in memory, any other line with those of
     reading and merging. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "data/desi.h"
#include "data/desi_arms.h"
#include "data/legacy.h"

typedef struct {
    int64_t n;
    CatalogRow *row;
    const char *path, *folder;
    LegacyConfig legacy;
    ImageSource source;
    ImageBatch images;
    SpectrumBatch spectra;
    ArmFile arms; /* of all rows */
} Bench;

static const ImagesConfig image_options = {.max_masked_fraction = 1};
static const SpectraConfig spectrum_options = {.merge = MERGE_LEGACY_2022,
                                               .bad_pixels = BAD_PIXELS_RELEASED,
                                               .max_masked_fraction = 1};

static Status write_file(const char *folder, const char *name, const void *data, int64_t bytes)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    const bool good = f && fwrite(data, 1, (size_t)bytes, f) == (size_t)bytes;
    if (f) fclose(f);
    return good ? OK : FAIL(E_OUTPUT, "cannot write %s", path);
}

/* ---- cutouts ---- */

static Status read_positions(Bench *b, const char *path, Arena *a)
{
    enum { MOST = 100000 };
    double ra, dec;
    FILE *f = fopen(path, "r");
    if (!f) return FAIL(E_INPUT, "cannot open %s", path);
    Status st = arena_new(&b->row, a, MOST);
    for (; st == OK && b->n < MOST && fscanf(f, "%lf %lf", &ra, &dec) == 2; b->n++) {
        catalog_new_row(&b->row[b->n]);
        b->row[b->n].ra = ra;
        b->row[b->n].dec = dec;
        b->row[b->n].has_image = 1;
    }
    fclose(f);
    return st;
}

static Status cut(Bench *b, Arena *a)
{
    return legacy_cutouts(&b->images, 0, &b->source, &image_options, b->row, b->n, a);
}

static Status open_cutouts(Bench *b, Arena *a)
{
    static const char *regions[] = {"south"};
    b->legacy = (LegacyConfig){.root = b->path, .release = "dr9", .regions = {1, regions}};
    b->source = (ImageSource){.config = &b->legacy};
    TRY(images_batch(&b->images, b->n, a));
    TRY(cut(b, a));
    return write_file(b->folder, "pixels.f32", b->images.pixels,
                      b->n * N_BANDS * CUTOUT_PIXELS * CUTOUT_PIXELS * (int64_t)sizeof(float));
}

/* ---- spectra ---- */

static Status read_all(Bench *b, Arena *a)
{
    return desi_read_spectra(&b->spectra, 0, NULL, &spectrum_options, b->path, b->row, b->n, a);
}

static Status merge_all(Bench *b)
{
    for (int64_t i = 0; i < b->n; i++) {
        Arm arm[N_ARMS];
        arms_slot(arm, &b->arms, i);
        arms_merge(&b->spectra, i, arm, b->arms.joined, &spectrum_options);
    }
    return OK;
}

/* The rows of the file, and its arms in memory. */
static Status read_arms(Bench *b, FitsFile *f, Arena *a)
{
    DesiTarget *target;
    int64_t *id, *row;
    bool *ok;
    TRY(desi_read_targets(&target, &b->n, f, a));
    TRY(arena_new(&b->row, a, b->n));
    TRY(arena_new(&id, a, b->n));
    TRY(arena_new(&row, a, b->n));
    TRY(arena_new(&ok, a, b->n));
    for (int64_t i = 0; i < b->n; i++) {
        catalog_new_row(&b->row[i]);
        id[i] = b->row[i].targetid = target[i].id;
        row[i] = i;
    }
    TRY(arms_open(&b->arms, f, b->n, b->n, a));
    TRY(arms_read(ok, &b->arms, f, row, b->n));
    return write_file(b->folder, "targets.i64", id, b->n * (int64_t)sizeof *id);
}

static Status open_coadd(Bench *b, Arena *a)
{
    FitsFile f = {0};
    TRY(desi_open(&f, b->path));
    const Status st = read_arms(b, &f, a);
    fitsfile_close(&f);
    TRY(st);
    TRY(spectra_batch(&b->spectra, b->n, a));
    TRY(read_all(b, a));
    TRY(write_file(b->folder, "flux.f32", b->spectra.flux, b->n * GRID_PIXELS * (int64_t)sizeof(float)));
    return write_file(b->folder, "ivar.f32", b->spectra.ivar, b->n * GRID_PIXELS * (int64_t)sizeof(float));
}

/* ---- both ---- */

static Status serve(Bench *b, bool images, Arena *a)
{
    char line[32];
    printf("%lld\n", (long long)b->n);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        const double start = clock_now();
        TRY(images ? cut(b, a) : strcmp(line, "merge\n") == 0 ? merge_all(b) : read_all(b, a));
        printf("%.6f\n", clock_now() - start);
        fflush(stdout);
    }
    return OK;
}

int main(int argc, char **argv)
{
    Bench b = {0};
    Arena a = {0};
    const bool images = argc == 5 && strcmp(argv[1], "cutouts") == 0;
    if (!images && !(argc == 4 && strcmp(argv[1], "coadd") == 0)) {
        fprintf(stderr, "bench_read cutouts ROOT POSITIONS FOLDER | coadd FILE FOLDER\n");
        return 2;
    }
    log_init(0, 1);
    b.path = argv[2];
    b.folder = argv[argc - 1];
    Status st = arena_init(&a, "bench", 0);
    if (st == OK && images) st = read_positions(&b, argv[3], &a);
    if (st == OK) st = images ? open_cutouts(&b, &a) : open_coadd(&b, &a);
    if (st == OK) st = serve(&b, images, &a);
    if (st != OK) fail_print(stderr, 1);
    arena_free(&a);
    return st;
}
