/* fuzz_h5_sets.c - foreign HDF5 files: the published AstroCLIP set, the images of Stein et al., the Multimodal Universe, and
   label tables. They bear no footer of ours, and libhdf5 1.10.8 does not survive damage to their metadata: what is hostile
   in them is the library's problem, and damage to them may end a run. Under ctest the good files alone are read. */
#include <string.h>

#include "data/labels.h"
#include "data/mock.h"
#include "data/stored.h"
#include "fuzz.h"

static const LabelsConfig label_usual = {.hdu = "",
                                         .targetid = "TARGETID",
                                         .z = "",
                                         .logmstar = "",
                                         .age = "",
                                         .metallicity = "",
                                         .sfr = "",
                                         .solar = 0.02,
                                         .magnitudes = true};
static LabelCounts label_counts;

enum { PAIRED, STEIN, MMU_SPECTRA, MMU_IMAGES, LABELS, N_FORMS, N = 2, SIDE = CUTOUT_PIXELS };

static const char *const files[] = {"astroclip.h5", "images_npix152_000000000_000000002.h5",
                                    "spectra/healpix=3/001-of-001.h5", "images/healpix=3/001-of-001.h5", "labels.hdf5"};
static const char *const words[] = {"targetids",  "redshifts",
                                    "images",     "spectra",
                                    "object_id",  "spectrum_lambda",
                                    "image_band", "image_scale",
                                    "TARGETID",   "PROVABGS_LOGMSTAR_BF",
                                    "OHDR",       "TREE",
                                    "HEAP",       "SNOD",
                                    "OCHK",       "FRHP",
                                    "BTHD",       "GCOL",
                                    "../x",       NULL};

static Status column(H5File *f, const char *name, H5Type type, const void *data)
{
    return h5_put(f, name, type, 0, data, &(int64_t){N}, 1);
}

static Status put_set(int kind, Arena *a)
{
    static const int64_t id[N] = {39627658495133957, 39633114299208801};
    static const double place[N] = {150, 2}, wave[N] = {3600, 9824};
    static const float scale[N * 4] = {0.262F, 0.262F, 0.262F, 0.262F, 0.262F, 0.262F, 0.262F, 0.262F};
    H5File f;
    float *x;
    TRY(arena_new(&x, a, N * 4 * 160 * 160));
    for (int64_t k = 0; k < N * 4 * 160 * 160; k++) x[k] = (float)(1 + k % 97) / 8;
    TRY(h5_create(&f, fuzz_path(files[kind]), NULL));
    if (kind == PAIRED) {
        TRY(column(&f, "0/targetids", H5_I64, id));
        TRY(column(&f, "0/redshifts", H5_F64, place));
        TRY(h5_put(&f, "0/images", H5_F32, 0, x, (int64_t[]){N, SIDE, SIDE, N_BANDS}, 4));
        TRY(h5_put(&f, "0/spectra", H5_F32, 0, x, (int64_t[]){N, GRID_PIXELS, 1}, 3));
    } else if (kind == STEIN) {
        TRY(h5_put(&f, "images", H5_F32, 0, x, (int64_t[]){N, N_BANDS, SIDE, SIDE}, 4));
        TRY(h5_put(&f, "flux", H5_F32, 0, x, (int64_t[]){N, 3}, 2));
        static const char *const whole[] = {"release", "brickid", "objid", "maskbits"};
        for (int i = 0; i < 4; i++) TRY(column(&f, whole[i], H5_I64, id));
        static const char *const real[] = {"ra", "dec", "ebv", "z_spec", "z_phot_mean", "z_phot_std"};
        for (int i = 0; i < 6; i++) TRY(column(&f, real[i], H5_F64, place));
    } else {
        TRY(column(&f, "object_id", H5_I64, id));
        TRY(column(&f, "ra", H5_F64, place));
        TRY(column(&f, "dec", H5_F64, place));
        if (kind == MMU_SPECTRA) {
            TRY(h5_put(&f, "spectrum_flux", H5_F32, 0, x, (int64_t[]){N, GRID_PIXELS}, 2));
            TRY(h5_put(&f, "spectrum_ivar", H5_F32, 0, x, (int64_t[]){N, GRID_PIXELS}, 2));
            TRY(column(&f, "spectrum_lambda_min", H5_F64, wave));
            TRY(column(&f, "spectrum_lambda_max", H5_F64, wave + 0));
            TRY(h5_put(&f, "SURVEY", H5_TEXT, 4, "mainsv3\0", &(int64_t){N}, 1));
        } else {
            TRY(h5_put(&f, "image_array", H5_F32, 0, x, (int64_t[]){N, 4, 160, 160}, 4));
            TRY(h5_put(&f, "image_band", H5_TEXT, 5, "des-gdes-rdes-ides-zdes-gdes-rdes-ides-z", (int64_t[]){N, 4}, 2));
            TRY(h5_put(&f, "image_scale", H5_F32, 0, scale, (int64_t[]){N, 4}, 2));
        }
    }
    TRY(h5_close(&f));
    fuzz_seed_file(kind, fuzz_path(files[kind]));
    return OK;
}

static Status seeds(Arena *a)
{
    const MockConfig config = {.objects = 8, .per_brick = 8, .ra = 150, .dec = 2, .truth = ""};
    MockSky sky;
    for (int kind = 0; kind < LABELS; kind++) TRY(put_set(kind, a));
    TRY(mock_sky(&sky, &config, NULL, 3, &par_alone, a));
    TRY(mock_write_lists(&sky, &(MockLists){.labels = fuzz_path(files[LABELS])}, &par_alone, a));
    fuzz_seed_file(LABELS, fuzz_path(files[LABELS]));
    fuzz_seed_golden(LABELS, "provabgs.h5");
    return OK;
}

static void read_spectra(const SpectrumSurvey *s, const void *config, const char *name, const char *path, Arena *a)
{
    const SpectraConfig options = {MERGE_LEGACY_2022, BAD_PIXELS_ZERO, 0.5, EXTINCTION_NONE};
    CatalogRow rows[N];
    SpectrumBatch batch;
    int64_t n = 0;
    if (!fuzz_ok(s->count_redshifts(&n, config, name, a)) || n < 1) return;
    if (n > N) n = N;
    for (int64_t i = 0; i < n; i++) catalog_new_row(&rows[i]);
    fuzz_ok(s->read_redshifts(rows, config, name, 0, n, a));
    MUST(spectra_batch(&batch, n, a) == OK);
    fuzz_ok(s->read_spectra(&batch, 0, config, &options, path, rows, n, a));
}

static void read_images(const ImageSurvey *s, const void *config, const char *name, Arena *a)
{
    const ImagesConfig options = {MISSING_BAND_ZERO, 0.5, OTHER_SCALE_CONVERT};
    const FileList list = {(char *[]){(char *)name}, 1};
    CatalogRow rows[N];
    ImageBatch batch;
    ImageSource *source;
    int64_t n = 0, skipped[N_REJECTS] = {0};
    if (!fuzz_ok(s->count_objects(&n, config, name, a))) return;
    for (int i = 0; i < N; i++) catalog_new_row(&rows[i]);
    fuzz_ok(s->read_objects(rows, &n, skipped, config, name, 0, n < N ? n : N, a));
    for (int i = 0; i < N; i++) rows[i].has_image = 1, rows[i].image_file = 0, rows[i].image_row = i;
    MUST(images_batch(&batch, N, a) == OK && arena_new(&source, a, 1) == OK);
    *source = (ImageSource){.config = config, .files = &list};
    if (s->open && !fuzz_ok(s->open(source, a))) return;
    fuzz_ok(s->cutouts(&batch, 0, source, &options, rows, N, a));
    if (s->close) s->close(source);
}

static void one(int kind, const char *path, const uint8_t *bytes, int64_t n, Arena *a)
{
    const char *item = files[kind];
    const StoredConfig config = {.root = fuzz_folder(), .files = {1, &item}, .specprod = "", .release = ""};
    LabelEntry *labels;
    int64_t count;
    (void)bytes, (void)n;
    if (kind == PAIRED || kind == MMU_SPECTRA)
        read_spectra(kind == PAIRED ? &astroclip_spectra : &mmu_spectra, &config, item, path, a);
    if (kind == PAIRED) read_images(&astroclip_images, &config, item, a);
    if (kind == STEIN) read_images(&stein_images, &config, item, a);
    if (kind == MMU_IMAGES) read_images(&mmu_images, &config, item, a);
    if (kind == LABELS && fuzz_ok(labels_count(&count, path, &label_usual)))
        fuzz_ok(labels_read(&labels, &count, &label_counts, path, &label_usual, 0, 1, a));
}

const FuzzTarget fuzz_target = {"h5_sets", N_FORMS, seeds, one, files, words};
