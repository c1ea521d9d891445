/* The published AstroCLIP set: which row is which, which axis is which, what becomes of spectra without errors. */
#include "data/brick.h"
#include "stored_files.h"

/* Groups in an order that sorting as text would get wrong: 0, 2, 10. */
static const char *const group[] = {"0", "2", "10"};
static const int64_t size_of[] = {3, 1, 4};
enum { N_GROUPS = 3, N_ROWS = 8 };
static const int64_t id_of[N_ROWS] = {39627658495133957, 5, 6, 39633114299208801, 8, 9, 10, 39628500000000000};

typedef struct {
    bool flat;         /* spectra (N, 7781) */
    bool no_redshifts; /* in group 2 */
    int64_t spectra;   /* rows of spectra in group 10, 0 = as many as targetids */
    int64_t pixels;    /* of spectra, 0 = 7781 */
    int64_t side;      /* of images, 0 = 152 */
} Spoil;

static void put_images(H5File *f, const char *name, int64_t first, int64_t n, int64_t side)
{
    float *x;
    char path[64];
    CHECK_OK(arena_new(&x, &test_arena, n * CUTOUT));
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < side; c++)
            for (int64_t r = 0; r < side; r++)
                for (int64_t b = 0; b < N_BANDS; b++)
                    x[((i * side + c) * side + r) * N_BANDS + b] = pixel_of(first + i, b, r, c);
    snprintf(path, sizeof path, "%s/images", name);
    CHECK_OK(h5_put(f, path, H5_F32, 0, x, (int64_t[]){n, side, side, N_BANDS}, 4));
}

/* Object 1 has NaN and zeros, object 4 nothing but zeros. */
static void put_spectra(H5File *f, const char *name, int64_t first, int64_t n, int64_t pixels, bool flat)
{
    float *x;
    char path[64];
    CHECK_OK(arena_new(&x, &test_arena, n * pixels));
    for (int64_t i = 0; i < n; i++)
        for (int64_t p = 0; p < pixels; p++) x[i * pixels + p] = first + i == 4 ? 0 : flux_of(first + i, p);
    if (first == 0) {
        x[pixels + 7] = NAN;
        for (int64_t p = 100; p < 110; p++) x[pixels + p] = 0;
    }
    snprintf(path, sizeof path, "%s/spectra", name);
    CHECK_OK(h5_put(f, path, H5_F32, 0, x, (int64_t[]){n, pixels, 1}, flat ? 2 : 3));
}

static void write_set(const char *path, const Spoil *s)
{
    H5File f;
    char name[64];
    CU_ASSERT_FATAL(h5_create(&f, path, NULL) == OK);
    for (int g = 0, first = 0; g < N_GROUPS; first += (int)size_of[g++]) {
        double z[4];
        int64_t n = size_of[g];
        for (int i = 0; i < n; i++) z[i] = first + i == 2 ? NAN : 0.1 * (first + i);
        snprintf(name, sizeof name, "%s/targetids", group[g]);
        CHECK_OK(h5_put(&f, name, H5_I64, 0, id_of + first, &n, 1));
        snprintf(name, sizeof name, "%s/redshifts", group[g]);
        if (!(s->no_redshifts && g == 1)) CHECK_OK(h5_put(&f, name, H5_F64, 0, z, &n, 1));
        put_images(&f, group[g], first, n, s->side ? s->side : SIDE);
        put_spectra(&f, group[g], first, g == 2 && s->spectra ? s->spectra : n, s->pixels ? s->pixels : GRID_PIXELS,
                    s->flat);
    }
    CHECK_OK(h5_put(&f, "notes/of/something", H5_I64, 0, id_of, (int64_t[]){1}, 1)); /* not a group of objects */
    CHECK_OK(h5_close(&f));
}

static StoredConfig make_set(const char *folder, const Spoil *s)
{
    const char *root = folder_of(folder);
    char *kept;
    write_set(in_folder(root, "set.h5"), s);
    CHECK_OK(arena_text(&kept, &test_arena, root));
    return (StoredConfig){.root = kept};
}

static void rows_are_numbered_through_the_groups_in_the_order_of_their_numbers(void)
{
    StoredConfig c = make_set("order", &(Spoil){0});
    FileList files;
    int64_t n, n_objects;
    CHECK_OK(astroclip_spectra.list_redshifts(&files, &c, &test_arena));
    CU_ASSERT_FATAL(files.n == 1 && strcmp(files.path[0], "set.h5") == 0);
    CatalogRow *row = redshifts_of(&astroclip_spectra, &c, "set.h5", &n);
    CatalogRow *object = objects_of(&astroclip_images, &c, "set.h5", 0, &n_objects);
    CU_ASSERT_FATAL(n == N_ROWS && n_objects == N_ROWS);
    for (int64_t i = 0; i < n; i++) {
        CU_ASSERT(row[i].targetid == id_of[i] && object[i].targetid == id_of[i]);
        CU_ASSERT(i == 2 ? isnan(row[i].z) : row[i].z == 0.1 * (double)i);
        CU_ASSERT(isnan(row[i].ra) && row[i].healpix == 0 && row[i].survey[0] == '\0' && row[i].zwarn == 0);
        bool imaging = id_of[i] > 100; /* the small ones are no TARGETIDs of an imaging survey */
        CU_ASSERT(row[i].release == (imaging ? id_of[i] >> 42 : 0) &&
                  row[i].photsys == (!imaging                 ? '\0'
                                     : row[i].release == 9011 ? 'N'
                                                              : 'S'));
        CU_ASSERT(!imaging || brick_targetid(row[i].release, row[i].brickid, row[i].brick_objid) == id_of[i]);
        CU_ASSERT(!row[i].has_image && !object[i].has_spectrum && object[i].healpix == 0);
    }
}

static void images_are_turned_back_to_band_row_column(void)
{
    StoredConfig c = make_set("turn", &(Spoil){0});
    FileList files;
    ImageBatch b;
    int64_t n;
    CHECK_OK(astroclip_images.list_objects(&files, &c, &test_arena));
    CatalogRow *row = objects_of(&astroclip_images, &c, "set.h5", 0, &n);
    for (int64_t i = 0; i < n / 2; i++) { /* in any order */
        CatalogRow swap = row[i];
        row[i] = row[n - 1 - i];
        row[n - 1 - i] = swap;
    }
    row[3].has_image = 0;
    row[4].image_row = N_ROWS; /* a row that the file lacks */
    row[5].image_file = 7;     /* a file that the catalogue lacks */
    cut(&b, &astroclip_images, &c, &files, &flag_bands, row, n);
    for (int64_t i = 0; i < n; i++) {
        int32_t expected = i == 3 ? IMAGE_NOT_ASKED : i == 4 ? IMAGE_UNREADABLE : i == 5 ? IMAGE_NO_BRICK : 0;
        CU_ASSERT_EQUAL(b.flag[i], expected);
        CU_ASSERT(expected ? all_zero(b.pixels + i * CUTOUT, CUTOUT) : is_cutout(&b, i, N_ROWS - 1 - i));
        for (int s = 0; s < N_IMAGE_STATS; s++) CU_ASSERT_EQUAL(b.stats[i * N_IMAGE_STATS + s], expected ? 0.0F : 1.0F);
    }
}

static SpectrumBatch read_all(const StoredConfig *c, const SpectraConfig *options, const CatalogRow *row, int64_t n)
{
    SpectrumBatch b;
    CHECK_OK(spectra_batch(&b, n, &test_arena));
    CHECK_OK(astroclip_spectra.read_spectra(&b, 0, c, options, in_folder(c->root, "set.h5"), row, n, &test_arena));
    return b;
}

static void spectra_are_the_flux_as_released(void)
{
    for (int flat = 0; flat < 2; flat++) {
        StoredConfig c = make_set(flat ? "flat" : "deep", &(Spoil){.flat = flat});
        int64_t n;
        CatalogRow *row = redshifts_of(&astroclip_spectra, &c, "set.h5", &n);
        row[5].targetid = 77; /* the file was replaced since */
        row[6].source_row = 99;
        SpectrumBatch b = read_all(&c, &as_usual, row, n);
        for (int64_t i = 0; i < n; i++) {
            int32_t expected = i == 5 || i == 6 ? SPECTRUM_NO_ROW
                               : i == 1         ? SPECTRUM_BAD_PIXELS | SPECTRUM_NONFINITE
                               : i == 4
                                   ? SPECTRUM_BAD_PIXELS | SPECTRUM_NO_DATA | SPECTRUM_MASKED | SPECTRUM_MISSING_ARM
                                   : 0;
            CU_ASSERT_EQUAL(b.flag[i], expected);
            bool gone = i == 4 || i == 5 || i == 6;
            for (int64_t p = 0; p < GRID_PIXELS; p++) {
                bool gap = gone || (i == 1 && (p == 7 || (p >= 100 && p < 110)));
                CU_ASSERT(b.flux[i * GRID_PIXELS + p] == (gap ? 0 : flux_of(i, p)));
            }
            for (int s = STAT_SNR_B; s <= STAT_SNR_Z; s++) CU_ASSERT(b.stats[i * N_SPECTRUM_STATS + s] == 0);
        }
        CU_ASSERT(b.stats[N_SPECTRUM_STATS + STAT_FRAC_MASKED_B] == (float)(11.0 / 2751));
    }
}

static void a_row_does_not_depend_on_the_other_rows_asked_for(void)
{
    StoredConfig c = make_set("alone", &(Spoil){0});
    FileList files;
    int64_t n;
    CHECK_OK(astroclip_images.list_objects(&files, &c, &test_arena));
    CatalogRow *row = redshifts_of(&astroclip_spectra, &c, "set.h5", &n);
    CatalogRow *object = objects_of(&astroclip_images, &c, "set.h5", 0, &n);
    SpectrumBatch all = read_all(&c, &as_usual, row, n);
    for (int64_t i = 0; i < n; i++) {
        ImageBatch image;
        SpectrumBatch one = read_all(&c, &as_usual, row + i, 1);
        CU_ASSERT(one.flag[0] == all.flag[i]);
        CU_ASSERT(memcmp(one.flux, all.flux + i * GRID_PIXELS, GRID_PIXELS * sizeof(float)) == 0);
        cut(&image, &astroclip_images, &c, &files, &flag_bands, object + i, 1);
        CU_ASSERT(image.flag[0] == 0 && is_cutout(&image, 0, i));
    }
}

static void wrong_files_are_named_and_their_rows_flagged(void)
{
    static const struct {
        const char *folder, *spectra, *images; /* what the message names, NULL = the file is fine */
        Spoil spoil;
    } wrong[] = {{"w0", "2/redshifts", NULL, {.no_redshifts = true}},
                 {"w1", "10/spectra", NULL, {.spectra = 3}},
                 {"w2", "(3, 7000, 1)", NULL, {.pixels = 7000}},
                 {"w3", NULL, "(3, 150, 150, 3)", {.side = 150}}};
    for (int k = 0; k < 4; k++) {
        StoredConfig c = make_set(wrong[k].folder, &wrong[k].spoil);
        FileList files;
        ImageBatch image;
        CatalogRow rows[N_ROWS];
        CHECK_OK(astroclip_spectra.list_redshifts(&files, &c, &test_arena));
        int64_t n, skipped[N_REJECTS];
        Status st = astroclip_spectra.read_redshifts(rows, &c, "set.h5", 0, N_ROWS, &test_arena);
        CU_ASSERT(st == (wrong[k].spectra ? E_INPUT : OK) && (st == OK || says(wrong[k].spectra)));
        st = astroclip_images.read_objects(rows, &n, skipped, &c, "set.h5", 0, N_ROWS, &test_arena);
        CU_ASSERT(st == (wrong[k].images ? E_INPUT : OK) && (st == OK || says(wrong[k].images)));
        fail_clear();
        for (int64_t i = 0; i < N_ROWS; i++) {
            catalog_new_row(&rows[i]);
            rows[i] = (CatalogRow){.targetid = id_of[i], .source_row = i, .image_row = i, .has_image = 1};
        }
        SpectrumBatch spectrum = read_all(&c, &as_usual, rows, N_ROWS);
        cut(&image, &astroclip_images, &c, &files, &flag_bands, rows, N_ROWS);
        bool spectra_bad = k == 1 || k == 2; /* redshifts are of no use to the spectra */
        for (int64_t i = 0; i < N_ROWS; i++) {
            CU_ASSERT(!(spectrum.flag[i] & SPECTRUM_UNREADABLE) == !spectra_bad);
            CU_ASSERT(image.flag[i] == (wrong[k].images ? IMAGE_UNREADABLE : 0));
        }
    }
}

static void files_that_are_not_the_set_fail_in_words(void)
{
    const char *root = folder_of("other");
    StoredConfig c = {.root = root};
    FileList files;
    int64_t n;
    H5File f;
    SpectrumBatch b;
    CatalogRow row = {.targetid = 5};
    CHECK_FAILS(astroclip_spectra.list_redshifts(&files, &c, &test_arena), E_INPUT); /* an empty folder */
    CHECK_OK(h5_create(&f, in_folder(root, "a.h5"), NULL));
    CHECK_OK(h5_put(&f, "x", H5_I64, 0, id_of, (int64_t[]){3}, 1));
    CHECK_OK(h5_close(&f));
    CHECK_FAILS(astroclip_spectra.count_redshifts(&n, &c, "a.h5", &test_arena), E_INPUT);
    CHECK_OK(h5_create(&f, in_folder(root, "b.h5"), NULL));
    CHECK_OK(h5_put(&f, "0/targetids", H5_TEXT, 2, "abcdef", (int64_t[]){3}, 1));
    CHECK_OK(h5_put(&f, "0/spectra", H5_F32, 0, (float[3]){0}, (int64_t[]){3}, 1));
    CHECK_OK(h5_put(&f, "0/redshifts", H5_F32, 0, (float[3]){0}, (int64_t[]){3}, 1));
    CHECK_OK(h5_close(&f));
    CatalogRow rows[3];
    CHECK_FAILS(astroclip_spectra.read_redshifts(rows, &c, "b.h5", 0, 3, &test_arena), E_INPUT);
    FILE *text = fopen(in_folder(root, "c.h5"), "w");
    CU_ASSERT_FATAL(text != NULL);
    fputs("not HDF5", text);
    fclose(text);
    CHECK_FAILS(astroclip_spectra.count_redshifts(&n, &c, "c.h5", &test_arena), E_INPUT);
    CHECK_OK(spectra_batch(&b, 1, &test_arena));
    CHECK_OK(astroclip_spectra.read_spectra(&b, 0, &c, &as_usual, in_folder(root, "c.h5"), &row, 1, &test_arena));
    CU_ASSERT_EQUAL(b.flag[0], SPECTRUM_UNREADABLE);
    CHECK_OK(astroclip_spectra.read_spectra(&b, 0, &c, &as_usual, in_folder(root, "d.h5"), &row, 1, &test_arena));
    CU_ASSERT_EQUAL(b.flag[0], SPECTRUM_NO_FILE);
}

static void a_cut_file_flags_its_rows(void)
{
    StoredConfig c = make_set("short", &(Spoil){0});
    FileList files;
    ImageBatch image;
    int64_t n;
    CHECK_OK(astroclip_images.list_objects(&files, &c, &test_arena));
    CatalogRow *row = redshifts_of(&astroclip_spectra, &c, "set.h5", &n);
    CatalogRow *object = objects_of(&astroclip_images, &c, "set.h5", 0, &n);
    struct stat whole;
    const char *path = in_folder(c.root, "set.h5");
    CU_ASSERT_FATAL(stat(path, &whole) == 0);
    for (int part = 1; part < 8; part++) {
        CU_ASSERT_FATAL(truncate(path, whole.st_size * (8 - part) / 8) == 0);
        SpectrumBatch b = read_all(&c, &as_usual, row, n);
        cut(&image, &astroclip_images, &c, &files, &flag_bands, object, n);
        for (int64_t i = 0; i < n; i++)
            CU_ASSERT(flags_fatal(MODALITY_SPECTRUM, b.flag[i], false) && image.flag[i] == IMAGE_UNREADABLE);
    }
}

TEST_MAIN("paired",
          {"rows are numbered through the groups in the order of their numbers",
           rows_are_numbered_through_the_groups_in_the_order_of_their_numbers},
          {"images are turned back to band, row, column", images_are_turned_back_to_band_row_column},
          {"spectra are the flux as released", spectra_are_the_flux_as_released},
          {"a row does not depend on the other rows asked for", a_row_does_not_depend_on_the_other_rows_asked_for},
          {"wrong files are named and their rows flagged", wrong_files_are_named_and_their_rows_flagged},
          {"files that are not the set fail in words", files_that_are_not_the_set_fail_in_words},
          {"a cut file flags its rows", a_cut_file_flags_its_rows})
