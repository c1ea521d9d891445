/* Sets of the Multimodal Universe: names in any capitals, identifiers as text, grids, bands by name, the middle of an
   image. */
#include "data/mmu.h"
#include "stored_files.h"

enum { N_ROWS = 5, BIG = 160, N_IMAGE_BANDS = 4 };
static const int64_t id_of[N_ROWS] = {39627658495133957, 39633114299208801, 3, 4, 39628500000000000};

/* ---- spectra ---- */

typedef enum { LAMBDA_EACH, LAMBDA_ONE, LAMBDA_ENDS, N_LAMBDAS } Lambda;

typedef struct {
    bool lower, text_ids, no_mask, no_ivar;
    Lambda lambda;
    int64_t pixels; /* of the flux, 0 = 7781 */
    double shift;   /* Angstrom, of row 3's wavelengths */
} Spectra;

/* Row 1 has masked pixels, ivar 0 and NaN; the flux there is not 0. */
static void put_spectra(H5File *f, const Spectra *s)
{
    int64_t pixels = s->pixels ? s->pixels : GRID_PIXELS, n = N_ROWS;
    float *flux, *ivar, *lambda;
    uint8_t *mask;
    CHECK_OK(arena_new(&flux, &test_arena, n * pixels));
    CHECK_OK(arena_new(&ivar, &test_arena, n * GRID_PIXELS));
    CHECK_OK(arena_new(&lambda, &test_arena, n * GRID_PIXELS));
    CHECK_OK(arena_new(&mask, &test_arena, n * GRID_PIXELS));
    for (int64_t k = 0; k < n * pixels; k++) flux[k] = flux_of(k / pixels, k % pixels);
    for (int64_t k = 0; k < n * GRID_PIXELS; k++) {
        ivar[k] = 4;
        double shift = k / GRID_PIXELS == 3 && k % GRID_PIXELS == 7000 ? s->shift : 0;
        lambda[k] = (float)(GRID_START + GRID_STEP * (double)(k % GRID_PIXELS) + shift);
    }
    for (int k = 0; k < 6; k++) mask[GRID_PIXELS + 50 + k] = 1;
    ivar[GRID_PIXELS + 60] = 0;
    ivar[GRID_PIXELS + 61] = NAN;
    CHECK_OK(h5_put(f, "spectrum_flux", H5_F32, 0, flux, (int64_t[]){n, pixels}, 2));
    if (!s->no_ivar) CHECK_OK(h5_put(f, "spectrum_ivar", H5_F32, 0, ivar, (int64_t[]){n, GRID_PIXELS}, 2));
    if (!s->no_mask) CHECK_OK(h5_put(f, "spectrum_mask", H5_U8, 0, mask, (int64_t[]){n, GRID_PIXELS}, 2));
    if (s->lambda == LAMBDA_EACH)
        CHECK_OK(h5_put(f, "spectrum_lambda", H5_F32, 0, lambda, (int64_t[]){n, GRID_PIXELS}, 2));
    if (s->lambda == LAMBDA_ONE) CHECK_OK(h5_put(f, "spectrum_lambda", H5_F32, 0, lambda, (int64_t[]){GRID_PIXELS}, 1));
    if (s->lambda != LAMBDA_ENDS) return;
    float low[N_ROWS], high[N_ROWS];
    for (int i = 0; i < N_ROWS; i++) {
        low[i] = 3600;
        high[i] = i == 3 && s->shift > 0 ? 9000 : 9824;
    }
    CHECK_OK(h5_put(f, "spectrum_lambda_min", H5_F32, 0, low, &n, 1));
    CHECK_OK(h5_put(f, "spectrum_lambda_max", H5_F32, 0, high, &n, 1));
}

static void put_column(H5File *f, bool lower, const char *name, H5Type type, int64_t width, const void *data)
{
    char own[32];
    int64_t n = N_ROWS;
    snprintf(own, sizeof own, "%s", name);
    for (char *c = own; *c && lower; c++)
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
    CHECK_OK(h5_put(f, own, type, width, data, &n, 1));
}

static void write_spectra(const char *path, const Spectra *s)
{
    H5File f;
    double ra[N_ROWS], dec[N_ROWS], z[N_ROWS];
    float flux_g[N_ROWS];
    int64_t zwarn[N_ROWS];
    char text[N_ROWS][24] = {{0}};
    for (int i = 0; i < N_ROWS; i++) {
        ra[i] = 150 + i;
        dec[i] = 2;
        z[i] = 0.125 * i;
        flux_g[i] = (float)i;
        zwarn[i] = i == 1 ? 4 : 0;
        snprintf(text[i], sizeof text[i], i % 2 ? "b'%lld'" : "%lld   ", (long long)id_of[i]);
    }
    CU_ASSERT_FATAL(h5_create(&f, path, NULL) == OK);
    put_column(&f, false, "object_id", s->text_ids ? H5_TEXT : H5_I64, 24,
               s->text_ids ? (const void *)text : (const void *)id_of);
    put_column(&f, false, "ra", H5_F64, 0, ra);
    put_column(&f, false, "dec", H5_F64, 0, dec);
    put_column(&f, s->lower, "Z", H5_F64, 0, z);
    put_column(&f, s->lower, "ZWARN", H5_I64, 0, zwarn);
    put_column(&f, s->lower, "FLUX_G", H5_F32, 0, flux_g);
    put_column(&f, s->lower, "SURVEY", H5_TEXT, 4, "sv3\0sv3\0mainmainsv3\0");
    put_column(&f, s->lower, "SPECTYPE", H5_TEXT, 6, "GALAXYQSO   GALAXYSTAR  GALAXY");
    put_column(&f, s->lower, "healpix", H5_I64, 0, zwarn); /* of nside 16: not ours */
    put_spectra(&f, s);
    CHECK_OK(h5_close(&f));
}

static StoredConfig make_spectra(const char *folder, const Spectra *s)
{
    char *root;
    CHECK_OK(arena_text(&root, &test_arena, folder_of(folder)));
    mkdir(in_folder(root, "healpix=17"), 0777);
    mkdir(in_folder(root, "healpix=3"), 0777);
    mkdir(in_folder(root, "other"), 0777);
    write_spectra(in_folder(root, "healpix=17/001-of-001.hdf5"), s);
    fclose(fopen(in_folder(root, "healpix=3/001-of-001.hdf5"), "w"));
    fclose(fopen(in_folder(root, "healpix=17/001-of-001.hdf5.lock"), "w"));
    fclose(fopen(in_folder(root, "other/001-of-001.hdf5"), "w"));
    return (StoredConfig){.root = root};
}

static const char spectra_file[] = "healpix=17/001-of-001.hdf5";

static void files_of_the_pixels_are_found(void)
{
    StoredConfig c = make_spectra("list", &(Spectra){0});
    FileList files;
    CHECK_OK(mmu_spectra.list_redshifts(&files, &c, &test_arena));
    CU_ASSERT_FATAL(files.n == 2);
    CU_ASSERT_STRING_EQUAL(files.path[0], spectra_file);
    CU_ASSERT_STRING_EQUAL(files.path[1], "healpix=3/001-of-001.hdf5");
    c.root = in_folder(c.root, "nowhere");
    CHECK_FAILS(mmu_spectra.list_redshifts(&files, &c, &test_arena), E_INPUT);
}

static void rows_read_the_same_whatever_the_capitals_and_the_kind_of_identifier(void)
{
    for (int k = 0; k < 4; k++) {
        char folder[8];
        snprintf(folder, sizeof folder, "r%d", k);
        StoredConfig c = make_spectra(folder, &(Spectra){.lower = k & 1, .text_ids = k >> 1});
        int64_t n;
        CatalogRow *row = redshifts_of(&mmu_spectra, &c, spectra_file, &n);
        CU_ASSERT_FATAL(n == N_ROWS);
        for (int64_t i = 0; i < n; i++) {
            CU_ASSERT(row[i].targetid == id_of[i] && row[i].ra == 150 + (double)i && row[i].dec == 2);
            CU_ASSERT(row[i].z == 0.125 * (double)i && row[i].zwarn == (i == 1 ? 4 : 0)); /* not turned round */
            CU_ASSERT(row[i].flux[0] == (float)i && isnan(row[i].flux[1]) && row[i].healpix == -1);
            CU_ASSERT_STRING_EQUAL(row[i].survey, i == 2 || i == 3 ? "main" : "sv3");
        }
        CU_ASSERT(strcmp(row[0].spectype, "GALAXY") == 0 && strcmp(row[1].spectype, "QSO") == 0);
    }
}

static SpectrumBatch read_all(const StoredConfig *c, const SpectraConfig *options)
{
    SpectrumBatch b;
    CatalogRow row[N_ROWS];
    for (int64_t i = 0; i < N_ROWS; i++)
        row[i] = (CatalogRow){.targetid = id_of[N_ROWS - 1 - i], .source_row = N_ROWS - 1 - i}; /* backwards */
    CHECK_OK(spectra_batch(&b, N_ROWS, &test_arena));
    CHECK_OK(mmu_spectra.read_spectra(&b, 0, c, options, in_folder(c->root, spectra_file), row, N_ROWS, &test_arena));
    return b;
}

static void masked_pixels_have_no_information(void)
{
    for (int k = 0; k < 2 * N_LAMBDAS; k++) {
        char folder[8];
        bool mask = k % 2 == 0, released = k >= N_LAMBDAS;
        snprintf(folder, sizeof folder, "s%d", k);
        StoredConfig c =
            make_spectra(folder, &(Spectra){.lambda = (Lambda)(k / 2), .no_mask = !mask, .text_ids = k > 2});
        SpectraConfig options = as_usual;
        options.bad_pixels = released ? BAD_PIXELS_RELEASED : BAD_PIXELS_ZERO;
        SpectrumBatch b = read_all(&c, &options);
        for (int64_t i = 0; i < N_ROWS; i++) {
            int64_t object = N_ROWS - 1 - i, wrong = 0;
            CU_ASSERT_EQUAL(b.flag[i], object == 1 ? SPECTRUM_BAD_PIXELS | SPECTRUM_NONFINITE : 0);
            for (int64_t p = 0; p < GRID_PIXELS; p++) {
                bool bad = object == 1 && ((mask && p >= 50 && p < 56) || p == 60 || p == 61);
                wrong += b.flux[i * GRID_PIXELS + p] != (bad && !released ? 0 : flux_of(object, p));
                wrong += b.ivar[i * GRID_PIXELS + p] != (bad ? 0 : 4);
            }
            CU_ASSERT_EQUAL(wrong, 0);
            CU_ASSERT(b.stats[i * N_SPECTRUM_STATS + STAT_SNR_R] > 0);
        }
        CU_ASSERT(b.stats[3 * N_SPECTRUM_STATS + STAT_FRAC_MASKED_B] == (float)((mask ? 8.0 : 2.0) / 2751));
    }
}

static void other_wavelengths_are_flagged_and_roundings_are_not(void)
{
    static const struct {
        double shift;
        Lambda lambda;
        bool fits;
    } grid[] = {{4e-4, LAMBDA_EACH, true},
                {0.01, LAMBDA_EACH, false},
                {NAN, LAMBDA_EACH, false},
                {1, LAMBDA_ENDS, false}};
    for (int k = 0; k < 4; k++) {
        char folder[8];
        snprintf(folder, sizeof folder, "g%d", k);
        StoredConfig c = make_spectra(folder, &(Spectra){.shift = grid[k].shift, .lambda = grid[k].lambda});
        SpectrumBatch b = read_all(&c, &as_usual);
        for (int64_t i = 0; i < N_ROWS; i++) CU_ASSERT((b.flag[i] == SPECTRUM_BAD_GRID) == (i == 1 && !grid[k].fits));
        CU_ASSERT(grid[k].fits || all_zero(b.flux + GRID_PIXELS, GRID_PIXELS));
    }
}

static void wrong_spectra_are_flagged(void)
{
    static const Spectra wrong[] = {{.pixels = 7000}, {.no_ivar = true}};
    for (int k = 0; k < 2; k++) {
        char folder[8];
        snprintf(folder, sizeof folder, "w%d", k);
        StoredConfig c = make_spectra(folder, &wrong[k]);
        SpectrumBatch b = read_all(&c, &as_usual);
        for (int64_t i = 0; i < N_ROWS; i++) CU_ASSERT_EQUAL(b.flag[i], SPECTRUM_UNREADABLE);
    }
}

/* ---- images ---- */

typedef struct {
    const char *band[N_IMAGE_BANDS];
    bool one_list, no_ivar, no_ids, one_scale, no_scale;
    float scale;  /* of row 2, 0 = 0.262 */
    int64_t side; /* 0 = 160 */
} Images;

static const Images usual = {.band = {"des-g", "des-r", "des-i", "des-z"}};

/* Band g, r, z of the file's k-th band by the place of its name, -1 for i. */
static int64_t band_at(const Images *m, int64_t k)
{
    const char *name = m->band[k], *dash = strrchr(name, '-');
    const char *found = strchr(band_name, dash ? dash[1] | 32 : name[0] | 32);
    return found ? found - band_name : -1;
}

/* The pixel at (row, column) of the middle 152 is pixel_of(object, band, row, column); beyond them it is 0.5. In row 1
   the centre of r has ivar 0. */
static void put_images(H5File *f, const Images *m)
{
    int64_t side = m->side ? m->side : BIG, margin = (side - SIDE) / 2, n = N_ROWS, nb = N_IMAGE_BANDS;
    float *x, *ivar, scale[N_ROWS][N_IMAGE_BANDS], first_scale[N_ROWS];
    char band[N_ROWS][N_IMAGE_BANDS][8] = {{{0}}};
    CHECK_OK(arena_new(&x, &test_arena, n * nb * side * side));
    CHECK_OK(arena_new(&ivar, &test_arena, n * nb * side * side));
    for (int64_t k = 0; k < n * nb * side * side; k++) {
        int64_t column = k % side - margin, row = k / side % side - margin, b = band_at(m, k / side / side % nb);
        bool inside = column >= 0 && column < SIDE && row >= 0 && row < SIDE && b >= 0;
        x[k] = inside ? pixel_of(k / side / side / nb, b, row, column) : 0.5F;
        ivar[k] = k / side / side / nb == 1 && b == 1 && row == 76 && column == 76 ? 0 : 9;
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < nb; k++) {
            scale[i][k] = first_scale[i] = i == 2 && m->scale > 0 ? m->scale : 0.262F;
            snprintf(band[i][k], sizeof band[i][k], "%s", m->band[k]);
        }
    CHECK_OK(h5_put(f, "image_array", H5_F32, 0, x, (int64_t[]){n, nb, side, side}, 4));
    if (!m->no_ivar) CHECK_OK(h5_put(f, "image_ivar", H5_F32, 0, ivar, (int64_t[]){n, nb, side, side}, 4));
    if (m->one_list)
        CHECK_OK(h5_put(f, "image_band", H5_TEXT, 8, band, &nb, 1));
    else
        CHECK_OK(h5_put(f, "image_band", H5_TEXT, 8, band, (int64_t[]){n, nb}, 2));
    if (m->one_scale)
        CHECK_OK(h5_put(f, "image_scale", H5_F32, 0, first_scale, &n, 1));
    else if (!m->no_scale)
        CHECK_OK(h5_put(f, "image_scale", H5_F32, 0, scale, (int64_t[]){n, nb}, 2));
}

static StoredConfig make_images(const char *folder, const Images *m)
{
    H5File f;
    char *root, text[N_ROWS][16] = {{0}};
    double ra[N_ROWS], dec[N_ROWS];
    int64_t release[N_ROWS], brickid[N_ROWS], objid[N_ROWS];
    for (int i = 0; i < N_ROWS; i++) {
        ra[i] = 10 + i;
        dec[i] = -30;
        release[i] = 10000;
        brickid[i] = 500 + i;
        objid[i] = 3 * i;
        snprintf(text[i], sizeof text[i], "0001m300-%d", 3 * i);
    }
    CHECK_OK(arena_text(&root, &test_arena, folder_of(folder)));
    mkdir(in_folder(root, "healpix=9"), 0777);
    CU_ASSERT_FATAL(h5_create(&f, in_folder(root, "healpix=9/001-of-001.hdf5"), NULL) == OK);
    put_column(&f, false, "object_id", H5_TEXT, 16, text);
    put_column(&f, false, "ra", H5_F64, 0, ra);
    put_column(&f, false, "dec", H5_F64, 0, dec);
    if (!m->no_ids) {
        put_column(&f, false, "RELEASE", H5_I64, 0, release);
        put_column(&f, false, "BRICKID", H5_I64, 0, brickid);
        put_column(&f, false, "OBJID", H5_I64, 0, objid);
    }
    put_images(&f, m);
    CHECK_OK(h5_close(&f));
    return (StoredConfig){.root = root};
}

static ImageBatch cut_set(const StoredConfig *c, FileList *files, CatalogRow **row)
{
    ImageBatch b;
    int64_t n;
    CHECK_OK(mmu_images.list_objects(files, c, &test_arena));
    CU_ASSERT_FATAL(files->n == 1);
    *row = objects_of(&mmu_images, c, files->path[0], 0, &n);
    CU_ASSERT_FATAL(n == N_ROWS);
    cut(&b, &mmu_images, c, files, &flag_bands, *row, n);
    return b;
}

/* A set whose images cannot be used: the catalogue refuses it, rows of an earlier catalogue are flagged. */
static void check_refused(const StoredConfig *c)
{
    FileList files;
    ImageBatch b;
    CatalogRow row[N_ROWS];
    int64_t n, skipped[N_REJECTS];
    CHECK_OK(mmu_images.list_objects(&files, c, &test_arena));
    CHECK_FAILS(mmu_images.read_objects(row, &n, skipped, c, files.path[0], 0, N_ROWS, &test_arena), E_INPUT);
    for (int64_t i = 0; i < N_ROWS; i++) row[i] = (CatalogRow){.has_image = 1, .image_row = i};
    cut(&b, &mmu_images, c, &files, &flag_bands, row, N_ROWS);
    for (int64_t i = 0; i < N_ROWS; i++) CU_ASSERT_EQUAL(b.flag[i], IMAGE_UNREADABLE);
}

static void bands_are_found_by_name_and_the_middle_is_cut(void)
{
    Images m[4] = {usual, usual, usual, usual};
    memcpy(m[1].band, (const char *[]){"DES-Z", "DES-G", "DES-I", "DES-R"}, sizeof m[1].band);
    m[1].one_list = m[1].one_scale = true;
    memcpy(m[2].band, (const char *[]){"i", "z", "r", "g"}, sizeof m[2].band);
    m[2].side = 152;
    m[3].side = 200;
    for (int k = 0; k < 4; k++) {
        char folder[8];
        FileList files;
        CatalogRow *row;
        snprintf(folder, sizeof folder, "b%d", k);
        StoredConfig c = make_images(folder, &m[k]);
        ImageBatch b = cut_set(&c, &files, &row);
        for (int64_t i = 0; i < N_ROWS; i++) {
            CU_ASSERT(is_cutout(&b, i, i) && b.flag[i] == (i == 1 ? IMAGE_BAD_PIXELS : 0));
            CU_ASSERT_EQUAL(row[i].targetid, (3 * i) | (500 + i) << 22 | (int64_t)10000 << 42);
            CU_ASSERT(row[i].photsys == 'S' && row[i].ra == 10 + (double)i);
        }
        CU_ASSERT(b.stats[N_IMAGE_STATS + STAT_FRAC_COVERED_R] == (float)(1 - 1.0 / PLANE));
    }
}

static void the_window_can_be_moved(void)
{
    StoredConfig c = make_images("moved", &usual);
    FileList files;
    CatalogRow *row;
    c.crop_shift = -1;
    ImageBatch b = cut_set(&c, &files, &row);
    CU_ASSERT(b.pixels[0] == 0.5F && b.pixels[SIDE + 1] == pixel_of(0, 0, 0, 0));
    CU_ASSERT(b.pixels[CUTOUT - 1] == pixel_of(0, 2, SIDE - 2, SIDE - 2));
    StoredConfig tight = make_images("tight", &(Images){.band = {"g", "r", "i", "z"}, .side = 152});
    tight.crop_shift = -1;
    check_refused(&tight);
}

static void other_scales_and_missing_bands_are_flagged(void)
{
    FileList files;
    CatalogRow *row;
    Images m = usual;
    m.scale = 0.168F;
    m.no_ids = true;
    StoredConfig c = make_images("scale", &m);
    ImageBatch b = cut_set(&c, &files, &row);
    for (int64_t i = 0; i < N_ROWS; i++) {
        CU_ASSERT((b.flag[i] == IMAGE_BAD_SCALE) == (i == 2));
        CU_ASSERT(row[i].targetid > 0 && row[i].targetid >> 62 == 1); /* a hash of its name */
        CU_ASSERT(i == 0 || row[i].targetid != row[i - 1].targetid);
    }
    m = usual;
    m.no_scale = true;
    c = make_images("noscale", &m);
    b = cut_set(&c, &files, &row);
    for (int64_t i = 0; i < N_ROWS; i++) CU_ASSERT_EQUAL(b.flag[i], IMAGE_BAD_SCALE);
    m = usual;
    m.band[1] = "des-y";
    m.no_ivar = true;
    c = make_images("noband", &m);
    b = cut_set(&c, &files, &row);
    for (int64_t i = 0; i < N_ROWS; i++) {
        CU_ASSERT_EQUAL(b.flag[i], IMAGE_MISSING_BAND);
        CU_ASSERT(all_zero(b.pixels + i * CUTOUT + PLANE, PLANE) && b.pixels[i * CUTOUT] == pixel_of(i, 0, 0, 0));
    }
    m = usual;
    m.side = 150;
    c = make_images("small", &m);
    check_refused(&c);
}

static void names_become_identifiers(void)
{
    CU_ASSERT(stored_name_id("39627658495133957") == 39627658495133957 && stored_name_id("-7") == -7);
    CU_ASSERT(stored_name_id("0001m300-12") >> 62 == 1 && stored_name_id("") >> 62 == 1);
    CU_ASSERT(stored_name_id("99999999999999999999") >> 62 == 1); /* no int64 */
    CU_ASSERT(stored_crop(152) == 0 && stored_crop(153) == 0 && stored_crop(155) == 2 && stored_crop(160) == 4);
    CU_ASSERT(stored_crop(151) == -1);
}

TEST_MAIN("mmu", {"files of the pixels are found", files_of_the_pixels_are_found},
          {"rows read the same whatever the capitals and the kind of identifier",
           rows_read_the_same_whatever_the_capitals_and_the_kind_of_identifier},
          {"masked pixels have no information", masked_pixels_have_no_information},
          {"other wavelengths are flagged, and roundings are not", other_wavelengths_are_flagged_and_roundings_are_not},
          {"wrong spectra are flagged", wrong_spectra_are_flagged},
          {"bands are found by name, and the middle is cut", bands_are_found_by_name_and_the_middle_is_cut},
          {"the window can be moved", the_window_can_be_moved},
          {"other scales and missing bands are flagged", other_scales_and_missing_bands_are_flagged},
          {"names become identifiers", names_become_identifiers})
