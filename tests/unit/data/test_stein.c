/* The image set of Stein et al.: files of north/ and south/, identifiers, what is not known, pixels as they stand. */
#include "data/brick.h"
#include "stored_files.h"

enum { N_ROWS = 20 }; /* more than are read at a time */

typedef struct {
    bool no_dec, numbers_for_types;
    int64_t side; /* 0 = 152 */
    int64_t ebv;  /* rows, 0 = all */
} Spoil;

/* Object 2 has no z band, object 3 NaN in one pixel of r, object 4 half its g band unobserved and half its r band. */
static void put_images(H5File *f, int64_t side)
{
    float *x;
    CHECK_OK(arena_new(&x, &test_arena, N_ROWS * N_BANDS * side * side));
    for (int64_t i = 0; i < N_ROWS; i++)
        for (int64_t k = 0; k < N_BANDS * side * side; k++) {
            int64_t b = k / (side * side), row = k / side % side, column = k % side;
            x[i * N_BANDS * side * side + k] = pixel_of(i, b, row, column);
            if ((i == 2 && b == 2) || (i == 4 && b == 0 && row < side / 2) || (i == 4 && b == 1 && row >= side / 2))
                x[i * N_BANDS * side * side + k] = 0;
        }
    if (side == SIDE) x[3 * CUTOUT + PLANE + 5] = NAN;
    CHECK_OK(h5_put(f, "images", H5_F32, 0, x, (int64_t[]){N_ROWS, N_BANDS, side, side}, 4));
}

static void write_set(const char *path, int64_t release, const Spoil *s)
{
    H5File f;
    double ra[N_ROWS], dec[N_ROWS];
    float flux[N_ROWS][3], z_spec[N_ROWS], z_phot[N_ROWS], z_std[N_ROWS], ebv[N_ROWS];
    int64_t releases[N_ROWS], brickid[N_ROWS], objid[N_ROWS], mask[N_ROWS];
    const int64_t n = N_ROWS, n_ebv = s->ebv ? s->ebv : N_ROWS;
    for (int i = 0; i < N_ROWS; i++) {
        ra[i] = 10 + i;
        dec[i] = -5 + 0.5 * i;
        for (int b = 0; b < 3; b++) flux[i][b] = (float)(10 * b + i);
        z_spec[i] = i == 1 ? 0.25F : -99;
        z_phot[i] = i == 0 ? -99 : 0.5F;
        z_std[i] = i == 0 ? -99 : 0.125F;
        ebv[i] = 0.5F * (float)i;
        releases[i] = release;
        brickid[i] = i == 5 ? 1 << 20 : 1000 + i; /* one that no TARGETID holds */
        objid[i] = 7 * i;
        mask[i] = i == 6 ? 1 << 12 : 0;
    }
    CU_ASSERT_FATAL(h5_create(&f, path, NULL) == OK);
    put_images(&f, s->side ? s->side : SIDE);
    CHECK_OK(h5_put(&f, "ra", H5_F64, 0, ra, &n, 1));
    if (!s->no_dec) CHECK_OK(h5_put(&f, "dec", H5_F64, 0, dec, &n, 1));
    CHECK_OK(h5_put(&f, "release", H5_I64, 0, releases, &n, 1));
    CHECK_OK(h5_put(&f, "brickid", H5_I64, 0, brickid, &n, 1));
    CHECK_OK(h5_put(&f, "objid", H5_I64, 0, objid, (int64_t[]){n, 1}, 2));
    CHECK_OK(h5_put(&f, "maskbits", H5_I64, 0, mask, &n, 1));
    CHECK_OK(h5_put(&f, "flux", H5_F32, 0, flux, (int64_t[]){n, 3}, 2));
    CHECK_OK(h5_put(&f, "ebv", H5_F32, 0, ebv, &n_ebv, 1));
    CHECK_OK(h5_put(&f, "z_spec", H5_F32, 0, z_spec, &n, 1));
    CHECK_OK(h5_put(&f, "z_phot_mean", H5_F32, 0, z_phot, &n, 1));
    CHECK_OK(h5_put(&f, "z_phot_std", H5_F32, 0, z_std, &n, 1));
    if (s->numbers_for_types)
        CHECK_OK(h5_put(&f, "source_type", H5_I64, 0, objid, &n, 1));
    else
        CHECK_OK(h5_put(&f, "source_type", H5_TEXT, 3, "REXDEVSERREXDEVSERREXDEVSERREXDEVSERREXDEVSERREXDEVSERREXDEV",
                        &n, 1));
    CHECK_OK(h5_close(&f));
}

static StoredConfig make_set(const char *folder, const Spoil *s)
{
    char *root;
    CHECK_OK(arena_text(&root, &test_arena, folder_of(folder)));
    mkdir(in_folder(root, "north"), 0777);
    mkdir(in_folder(root, "south"), 0777);
    mkdir(in_folder(root, "south-train"), 0777);
    write_set(in_folder(root, "south/images_npix152_000000000_001000000.h5"), 9010, s);
    write_set(in_folder(root, "north/images_npix152_000000000_001000000.h5"), 9011, s);
    write_set(in_folder(root, "south-train/images_npix152_000000000_003500000.h5"), 9010, s); /* copies of the others */
    fclose(fopen(in_folder(root, "north/images_npix152_notes.txt"), "w"));
    return (StoredConfig){.root = root};
}

static void files_of_north_and_south_are_found(void)
{
    StoredConfig c = make_set("list", &(Spoil){0});
    FileList files;
    CHECK_OK(stein_images.list_objects(&files, &c, &test_arena));
    CU_ASSERT_FATAL(files.n == 2);
    CU_ASSERT_STRING_EQUAL(files.path[0], "north/images_npix152_000000000_001000000.h5");
    CU_ASSERT_STRING_EQUAL(files.path[1], "south/images_npix152_000000000_001000000.h5");
    c.files = (ConfigTexts){2, (const char *[]){"south/b.h5", "north/a.h5"}};
    CHECK_OK(stein_images.list_objects(&files, &c, &test_arena));
    CU_ASSERT(files.n == 2 && strcmp(files.path[0], "north/a.h5") == 0); /* sorted, whether there or not */
    c = (StoredConfig){.root = folder_of("empty")};
    CHECK_FAILS(stein_images.list_objects(&files, &c, &test_arena), E_INPUT);
}

static void objects_have_their_identifiers_and_photometry(void)
{
    StoredConfig c = make_set("rows", &(Spoil){0});
    FileList files;
    CHECK_OK(stein_images.list_objects(&files, &c, &test_arena));
    for (int k = 0; k < 2; k++) {
        int64_t n, release = k == 0 ? 9011 : 9010;
        CatalogRow *row = objects_of(&stein_images, &c, files.path[k], k, &n);
        CU_ASSERT_FATAL(n == N_ROWS);
        for (int64_t i = 0; i < n; i++) {
            int64_t id = (7 * i) | (1000 + i) << 22 | release << 42;
            CU_ASSERT_EQUAL(row[i].targetid, i == 5 ? -1 : id);
            CU_ASSERT(row[i].release == release && row[i].brick_objid == 7 * i);
            CU_ASSERT(row[i].photsys == (k == 0 ? 'N' : 'S') && row[i].healpix == -1);
            CU_ASSERT(row[i].ra == 10 + (double)i && row[i].dec == -5 + 0.5 * (double)i);
            for (int b = 0; b < N_BANDS; b++) CU_ASSERT(row[i].flux[b] == (float)(10 * b + i));
            CU_ASSERT(row[i].ebv == 0.5F * (float)i && row[i].maskbits == (i == 6 ? 1 << 12 : 0));
            CU_ASSERT(i == 1 ? row[i].z == 0.25 : isnan(row[i].z));
            CU_ASSERT(i == 0 ? isnan(row[i].z_phot) && isnan(row[i].z_phot_std)
                             : row[i].z_phot == 0.5F && row[i].z_phot_std == 0.125F);
        }
        CU_ASSERT(strcmp(row[0].morphtype, "REX") == 0 && strcmp(row[1].morphtype, "DEV") == 0);
        Brick b;
        CU_ASSERT(brick_with_id(&b, 1000) && strcmp(row[0].brickname, b.name) == 0 && row[5].brickname[0] == '\0');
    }
}

static void pixels_are_as_they_stand_and_what_was_not_observed_is_told(void)
{
    StoredConfig c = make_set("pixels", &(Spoil){0});
    FileList files;
    ImageBatch b;
    int64_t n;
    CHECK_OK(stein_images.list_objects(&files, &c, &test_arena));
    CatalogRow *row = objects_of(&stein_images, &c, files.path[1], 1, &n);
    cut(&b, &stein_images, &c, &files, &flag_bands, row, n);
    for (int64_t i = 0; i < n; i++) {
        int32_t flag = i == 2   ? IMAGE_NO_COVERAGE | IMAGE_BAD_PIXELS
                       : i == 3 ? IMAGE_NONFINITE
                       : i == 4 ? IMAGE_BAD_PIXELS | IMAGE_MASKED
                                : 0;
        CU_ASSERT_EQUAL(b.flag[i], flag);
        CU_ASSERT(flag || is_cutout(&b, i, i));
    }
    CU_ASSERT(b.pixels[3 * CUTOUT + PLANE + 5] == 0 && b.pixels[3 * CUTOUT + PLANE + 6] == pixel_of(3, 1, 0, 6));
    CU_ASSERT(b.stats[2 * N_IMAGE_STATS + STAT_FRAC_COVERED_Z] == 0);
    CU_ASSERT(b.stats[4 * N_IMAGE_STATS + STAT_FRAC_COVERED_G] == 0.5F);
    CU_ASSERT(b.stats[3 * N_IMAGE_STATS + STAT_FRAC_COVERED_R] == (float)(1 - 1.0 / PLANE));
}

static void rows_of_several_files_come_in_the_order_asked_for(void)
{
    StoredConfig c = make_set("mixed", &(Spoil){0});
    FileList files;
    ImageBatch b;
    CatalogRow row[2 * N_ROWS];
    CHECK_OK(stein_images.list_objects(&files, &c, &test_arena));
    for (int64_t i = 0; i < 2 * N_ROWS; i++) { /* from both files in turn, backwards, one row twice */
        int64_t of = i == 9 ? N_ROWS - 1 : N_ROWS - 1 - i / 2;
        row[i] = (CatalogRow){.has_image = 1, .image_file = (int32_t)(i % 2), .image_row = of};
    }
    cut(&b, &stein_images, &c, &files, &flag_bands, row, 2 * N_ROWS);
    for (int64_t i = 0; i < 2 * N_ROWS; i++)
        CU_ASSERT((row[i].image_row >= 2 && row[i].image_row <= 4) || is_cutout(&b, i, row[i].image_row));
    CU_ASSERT(remove(in_folder(c.root, files.path[0])) == 0);
    cut(&b, &stein_images, &c, &files, &flag_bands, row, 2 * N_ROWS);
    for (int64_t i = 0; i < 2 * N_ROWS; i++) {
        bool absent = i % 2 == 0, spoiled = row[i].image_row >= 2 && row[i].image_row <= 4;
        CU_ASSERT(absent ? b.flag[i] == IMAGE_NO_BRICK
                         : spoiled || (b.flag[i] == 0 && is_cutout(&b, i, row[i].image_row)));
    }
}

static void wrong_files_are_named_and_their_rows_flagged(void)
{
    static const struct {
        const char *folder, *says;
        bool objects, images; /* what cannot be read */
        Spoil spoil;
    } wrong[] = {{"w0", "'dec'", true, false, {.no_dec = true}},
                 {"w1", "(20, 3, 150, 150)", true, true, {.side = 150}},
                 {"w2", "'ebv'", true, false, {.ebv = 19}},
                 {"w3", "", false, false, {.numbers_for_types = true}}};
    for (int k = 0; k < 4; k++) {
        StoredConfig c = make_set(wrong[k].folder, &wrong[k].spoil);
        FileList files;
        ImageBatch b;
        CatalogRow row[N_ROWS], place = {.has_image = 1};
        int64_t skipped[N_REJECTS], n;
        CHECK_OK(stein_images.list_objects(&files, &c, &test_arena));
        CU_ASSERT(stein_images.read_objects(row, &n, skipped, &c, files.path[0], 0, N_ROWS, &test_arena) ==
                  (wrong[k].objects ? E_INPUT : OK));
        CU_ASSERT(!wrong[k].objects || (says(wrong[k].says) && says(files.path[0])));
        CU_ASSERT(wrong[k].objects || row[0].morphtype[0] == (wrong[k].spoil.numbers_for_types ? '\0' : 'R'));
        fail_clear();
        cut(&b, &stein_images, &c, &files, &flag_bands, &place, 1);
        CU_ASSERT_EQUAL(b.flag[0], wrong[k].images ? IMAGE_UNREADABLE : 0);
    }
}

TEST_MAIN("stein", {"files of north and south are found", files_of_north_and_south_are_found},
          {"objects have their identifiers and photometry", objects_have_their_identifiers_and_photometry},
          {"pixels are as they stand, and what was not observed is told",
           pixels_are_as_they_stand_and_what_was_not_observed_is_told},
          {"rows of several files come in the order asked for", rows_of_several_files_come_in_the_order_asked_for},
          {"wrong files are named and their rows flagged", wrong_files_are_named_and_their_rows_flagged})
