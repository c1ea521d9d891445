/* What the manifest says of a file. */
#include <stdio.h>
#include <string.h>

#include "data/manifest.h"
#include "test_main.h"

static void put_bytes(const char *name, const char *bytes)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    FILE *f = fopen(path, "wb");
    CU_ASSERT_FATAL(f != NULL);
    fputs(bytes, f);
    fclose(f);
}

/* A FITS table whose DATASUM follows from its rows. */
static void put_fits(const char *name, int64_t value)
{
    const FitsColumn column[] = {{"TARGETID", "K", "", ""}};
    char path[1024];
    FitsFile f = {0};
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    CHECK_OK(fitsfile_create(&f, path));
    CHECK_OK(fitsfile_new_table(&f, "T", column, 1, 1));
    CHECK_OK(fitsfile_write_column(&f, "TARGETID", FITS_I64, &value, 0, 1));
    CHECK_OK(fitsfile_put_checksum(&f));
    CHECK_OK(fitsfile_finish(&f));
}

static ManifestRow look(const char *role, const char *path)
{
    const ManifestRoots roots = {.spectra = test_folder(), .images = test_folder(), .labels = test_folder()};
    ManifestRow row = {.size = 99, .datasum = 99};
    snprintf(row.role, sizeof row.role, "%s", role);
    snprintf(row.path, sizeof row.path, "%s", path);
    manifest_look(&row, &roots);
    return row;
}

static void absent_files_have_size_minus_one(void)
{
    ManifestRow r = look(ROLE_SPECTRA, "nowhere.fits");
    CU_ASSERT(r.size == -1 && r.datasum == 0);
    r = look(ROLE_SPECTRA, "."); /* a folder is no file */
    CU_ASSERT_EQUAL(r.size, -1);
}

static void fits_files_show_their_datasum(void)
{
    put_fits("one.fits", 1);
    put_fits("two.fits", 2);
    put_fits("again.fits", 1);
    ManifestRow one = look(ROLE_TRACTOR, "one.fits"), two = look(ROLE_TRACTOR, "two.fits"),
                again = look(ROLE_TRACTOR, "again.fits");
    CU_ASSERT(one.size > 0 && one.size == two.size);
    CU_ASSERT_EQUAL(one.datasum, 1); /* one row of 8 bytes: the 32-bit words 0 and 1 */
    CU_ASSERT_EQUAL(two.datasum, 2);
    CU_ASSERT_EQUAL(again.datasum, one.datasum);
}

/* FIBERMAP first, as in a spectrum file, then another HDU. */
static void put_two_tables(const char *name, int64_t second, bool sums)
{
    const FitsColumn column[] = {{"TARGETID", "K", "", ""}};
    char path[1024];
    FitsFile f = {0};
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    CHECK_OK(fitsfile_create(&f, path));
    for (int64_t hdu = 0, value = 1; hdu < 2; hdu++, value = second) {
        CHECK_OK(fitsfile_new_table(&f, hdu ? "FLUX" : "FIBERMAP", column, 1, 1));
        CHECK_OK(fitsfile_write_column(&f, "TARGETID", FITS_I64, &value, 0, 1));
        if (sums || hdu == 0) CHECK_OK(fitsfile_put_checksum(&f));
    }
    CHECK_OK(fitsfile_finish(&f));
}

static void a_change_in_any_hdu_changes_the_sum(void)
{
    for (int sums = 0; sums < 2; sums++) { /* with DATASUM in every HDU, and without it in the second */
        put_two_tables("before.fits", 5, sums);
        put_two_tables("after.fits", 6, sums);
        put_two_tables("same.fits", 5, sums);
        ManifestRow before = look(ROLE_SPECTRA, "before.fits"), after = look(ROLE_SPECTRA, "after.fits");
        CU_ASSERT(before.size == after.size && before.datasum != after.datasum);
        if (sums) CU_ASSERT_EQUAL(look(ROLE_SPECTRA, "same.fits").datasum, before.datasum);
    }
}

static void other_files_show_a_checksum_of_their_bytes(void)
{
    put_bytes("labels.hdf5", "some bytes");
    put_bytes("others.hdf5", "same sizes");
    ManifestRow a = look(ROLE_LABELS, "labels.hdf5"), b = look(ROLE_LABELS, "others.hdf5");
    CU_ASSERT(a.size == 10 && b.size == 10 && a.datasum != 0 && a.datasum != b.datasum);
    put_bytes("broken.fits", "no FITS at all");
    ManifestRow broken = look(ROLE_IMAGE, "broken.fits");
    CU_ASSERT(broken.size == 14 && broken.datasum != 0);
    CU_ASSERT_EQUAL(fail_record()->status, OK); /* looking leaves no failure behind */
}

static void compressed_twins_are_found(void)
{
    put_bytes("twin.fits.gz", "not really gzip");
    CU_ASSERT_EQUAL(look(ROLE_SPECTRA, "twin.fits").size, 15);
}

static void paths_are_listed_once(void)
{
    ManifestList *list = NULL;
    ManifestRow *row = NULL;
    const ManifestRoots roots = {.spectra = test_folder(), .images = test_folder(), .labels = test_folder()};
    int64_t n = 0;
    char path[64];
    CHECK_OK(arena_new(&list, &test_arena, 1));
    list->arena = &test_arena;
    for (int i = 0; i < 3000; i++) {
        snprintf(path, sizeof path, "f%d.fits", i * 7 % 1000);
        CHECK_OK(manifest_add(list, i % 2 ? ROLE_IMAGE : ROLE_SPECTRA, path));
    }
    CHECK_OK(manifest_measure(&row, &n, list, &roots, &test_par, &test_arena));
    CU_ASSERT_EQUAL_FATAL(n, 1000); /* i * 7 is even when i is: each file keeps one role */
    for (int64_t i = 1; i < n; i++) CU_ASSERT(manifest_compare(&row[i - 1], &row[i]) < 0);
    char longest[600];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    CHECK_FAILS(manifest_add(list, ROLE_IMAGE, longest), E_INPUT);
}

static void set_hashes_forget_order_only(void)
{
    SetHash a = {0}, b = {0}, c = {0};
    sethash_add(&a, "one", 3);
    sethash_add(&a, "two", 3);
    sethash_add(&b, "two", 3);
    sethash_add(&b, "one", 3);
    sethash_add(&c, "one", 3);
    Fingerprint x = sethash_finish(&a, &test_par), y = sethash_finish(&b, &test_par), z = sethash_finish(&c, &test_par);
    CU_ASSERT_STRING_EQUAL(x.text, y.text);
    CU_ASSERT_STRING_NOT_EQUAL(x.text, z.text);
    CU_ASSERT_EQUAL(strlen(x.text), FINGERPRINT_TEXT - 1);
}

TEST_MAIN("manifest", {"absent files have size -1", absent_files_have_size_minus_one},
          {"FITS files show their DATASUM", fits_files_show_their_datasum},
          {"a change in any HDU changes the sum", a_change_in_any_hdu_changes_the_sum},
          {"other files show a checksum of their bytes", other_files_show_a_checksum_of_their_bytes},
          {"compressed twins are found", compressed_twins_are_found}, {"paths are listed once", paths_are_listed_once},
          {"set hashes forget the order only", set_hashes_forget_order_only})
