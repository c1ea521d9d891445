/* The columns of PROPERTIES: names, room for comments, and rows of bytes that mean what the header says. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tables/columns.h"
#include "test_main.h"

/* Three published inputs and one that is not; every property of each, redshift from images twice (another probe). */
static const ProbeInputRow rows[] = {
    {"astroclip", "image", "IMAGE", INPUT_EMBEDDINGS, {SET_IMAGE}, 1, NULL},
    {"astroclip", "spectrum", "SPECTRUM", INPUT_EMBEDDINGS, {SET_SPECTRUM}, 1, NULL},
    {"astroclip", "both", "BOTH", INPUT_EMBEDDINGS, {SET_IMAGE, SET_SPECTRUM}, 2, NULL},
    {"astrodino", "image", "", INPUT_EMBEDDINGS, {SET_ASTRODINO}, 1, NULL}};
enum { N_INPUTS = 4, N_FITS = N_INPUTS * N_LABELS + 1 };

static void make_probes(ProbeSet *p)
{
    *p = (ProbeSet){.n_inputs = N_INPUTS};
    CHECK_OK(arena_new(&p->input, &test_arena, N_INPUTS));
    CHECK_OK(arena_new(&p->fit, &test_arena, N_FITS));
    for (int i = 0; i < N_INPUTS; i++) {
        p->input[i] = (ProbeInput){.row = &rows[i], .ood_quantile = 1.5};
        for (int k = 0; k < N_LABELS; k++)
            p->fit[p->n_fits++] = (ProbeFit){.input = i,
                                             .label = k,
                                             .probe = "ridge",
                                             .label_min = -100,
                                             .label_max = 100,
                                             .calibration.all = {100, 0.5, -0.25, 0.75, -1, 2, {0}}};
    }
    p->fit[p->n_fits++] = (ProbeFit){.input = 0, .label = LABEL_Z, .probe = "mlp"};
}

static PropertyLayout make_layout(ProbeSet *p, KeyWidths widths)
{
    PropertyLayout l = {0};
    make_probes(p);
    CHECK_OK(layout_make(&l, p, "ridge", &widths, &test_arena));
    return l;
}

static int find(const PropertyLayout *l, const char *name)
{
    int found = -1;
    for (int c = 0; c < l->n; c++)
        if (strcmp(l->fits[c].name, name) == 0) found = c;
    return found;
}

static void names_are_unique_and_z_is_the_spectroscopic_redshift(void)
{
    ProbeSet p;
    PropertyLayout l = make_layout(&p, (KeyWidths){{0}});
    static const char *const expected[] = {
        "TARGETID",     "TARGET_RA", "ZPRED_IMAGE",  "ZPRED_BOTH_L68", "LOGMSTAR_SPECTRUM_STD",
        "TAGE_MW_BOTH", "OOD_IMAGE", "OOD_SPECTRUM", "OOD_BOTH",       "PRED_FLAG",
        "SNR_Z"};
    for (int a = 0; a < l.n; a++) {
        CU_ASSERT_EQUAL(strspn(l.fits[a].name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"), strlen(l.fits[a].name));
        CU_ASSERT_EQUAL(find(&l, l.fits[a].name), a);
        if (strncmp(l.fits[a].name, "Z_", 2) == 0) CU_FAIL("a prediction under the bare name Z");
    }
    for (unsigned i = 0; i < sizeof expected / sizeof expected[0]; i++) CU_ASSERT(find(&l, expected[i]) >= 0);
    CU_ASSERT_EQUAL(l.column[find(&l, "Z")].source, FROM_CATALOG);
    CU_ASSERT_STRING_EQUAL(l.fits[find(&l, "TAGE_MW_IMAGE_STD")].unit, "Gyr");
    CU_ASSERT_EQUAL(l.n, 14 + 4 + N_SPECTRUM_STATS + 3 + 6 * 3 * N_LABELS);
}

static void columns_fill_the_row_without_gaps(void)
{
    ProbeSet p;
    PropertyLayout l = make_layout(&p, (KeyWidths){{0}});
    int64_t at = 0;
    for (int c = 0; c < l.n; c++) {
        CU_ASSERT_EQUAL(l.column[c].offset, at);
        at += l.column[c].bytes;
    }
    CU_ASSERT_EQUAL(l.row_bytes, at);
}

/* A header card has 80 characters; cfitsio cuts what does not fit, and the rules of DESI allow 46. */
static void every_comment_fits_its_card(void)
{
    ProbeSet p;
    PropertyLayout l = make_layout(&p, (KeyWidths){{0}});
    char path[256], *cards = NULL;
    int n_cards = 0;
    FitsFile f;
    snprintf(path, sizeof path, "%s/columns.fits", test_folder());
    CHECK_OK(fitsfile_create(&f, path));
    CHECK_OK(fitsfile_new_table(&f, "PROPERTIES", l.fits, l.n, 0));
    CHECK_OK(fitsfile_header(&cards, &n_cards, &f, &test_arena));
    CHECK_OK(fitsfile_finish(&f));
    for (int c = 0; c < l.n; c++) {
        char key[24], card[81] = "", comment[64];
        snprintf(key, sizeof key, "TTYPE%-3d=", c + 1);
        snprintf(comment, sizeof comment, "/ %s", l.fits[c].comment);
        for (int k = 0; k < n_cards; k++)
            if (strncmp(cards + 80 * k, key, strlen(key)) == 0) memcpy(card, cards + 80 * k, 80);
        CU_ASSERT(l.fits[c].comment[0] != '\0' && strlen(l.fits[c].comment) <= 46);
        if (!strstr(card, comment)) printf("comment of %s is cut: %s\n", l.fits[c].name, l.fits[c].comment);
        CU_ASSERT_PTR_NOT_NULL(strstr(card, comment));
    }
}

static void texts_are_as_wide_as_desi_makes_them_or_as_the_catalogue_needs(void)
{
    ProbeSet p;
    KeyWidths widths = {{0}};
    CatalogRow row[2] = {{.survey = "sv3", .program = "dark", .spectype = "GALAXY"},
                         {.survey = "main", .program = {'b', 'r', 'i', 'g', 'h', 't', '1', 'b'}, .spectype = "QSO"}};
    key_widths_add(&widths, row, 1);
    PropertyLayout l = make_layout(&p, widths);
    CU_ASSERT_STRING_EQUAL(l.fits[find(&l, "SURVEY")].format, "7A");
    CU_ASSERT_STRING_EQUAL(l.fits[find(&l, "PROGRAM")].format, "6A");
    CU_ASSERT_STRING_EQUAL(l.fits[find(&l, "SPECTYPE")].format, "6A");
    key_widths_add(&widths, row, 2);
    l = make_layout(&p, widths);
    CU_ASSERT_STRING_EQUAL(l.fits[find(&l, "SURVEY")].format, "7A");
    CU_ASSERT_STRING_EQUAL(l.fits[find(&l, "PROGRAM")].format, "8A");
}

/* Big-endian bytes of a row, read by hand. */
static uint64_t bits_of(const unsigned char *row, const PropertyLayout *l, const char *name)
{
    const PropertyColumn *c = &l->column[find(l, name)];
    uint64_t bits = 0;
    for (int64_t i = 0; i < c->bytes; i++) bits = bits << 8 | row[c->offset + i];
    return bits;
}
static float f32_of(const unsigned char *row, const PropertyLayout *l, const char *name)
{
    uint32_t bits = (uint32_t)bits_of(row, l, name);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static bool text_is(const unsigned char *row, const PropertyLayout *l, const char *name, const char *text)
{
    const PropertyColumn *c = &l->column[find(l, name)];
    return (int64_t)strlen(text) == c->bytes && memcmp(row + c->offset, text, (size_t)c->bytes) == 0;
}

static void a_row_holds_the_object(void)
{
    ProbeSet p;
    PropertyLayout l = make_layout(&p, (KeyWidths){{0}});
    unsigned char *out = NULL;
    float stats[N_SPECTRUM_STATS] = {0.125f, 0, 0, 3.5f, 0, 7.25f};
    double ood[N_INPUTS] = {1.25, 1.75, NAN, 99}, y[N_FITS];
    CatalogRow row = {.targetid = 0x123456789abcdef0,
                      .survey = "main",
                      .program = "dark",
                      .ra = 150.5,
                      .dec = -2.25,
                      .healpix = -7,
                      .release = -9,
                      .brickid = 300000,
                      .photsys = 'S',
                      .z = 0.5,
                      .zwarn = 4,
                      .spectype = "GAL\xff",
                      .split = SPLIT_VAL,
                      .zcat_primary = 1};
    for (int f = 0; f < N_FITS; f++) y[f] = p.fit[f].input == 2 ? NAN : 1.0 + f;
    double scale[N_FITS];
    for (int f = 0; f < N_FITS; f++) scale[f] = 1;
    ObjectRow r = {false, &row, {IMAGE_PADDED, SPECTRUM_MISSING_ARM}, stats, ood, y, scale, NULL};
    CHECK_OK(arena_new(&out, &test_arena, l.row_bytes));
    layout_put_row(out, &l, &r);
    CU_ASSERT_EQUAL(bits_of(out, &l, "TARGETID"), 0x123456789abcdef0u);
    CU_ASSERT_EQUAL(bits_of(out, &l, "HEALPIX"), 0xfffffff9u);
    CU_ASSERT_EQUAL(bits_of(out, &l, "RELEASE"), 0xfff7u);
    CU_ASSERT_EQUAL(bits_of(out, &l, "BRICKID"), 300000u);
    CU_ASSERT_EQUAL(bits_of(out, &l, "ZWARN"), 4u);
    CU_ASSERT_EQUAL(bits_of(out, &l, "Z"), 0x3fe0000000000000u);          /* 0.5 */
    CU_ASSERT_EQUAL(bits_of(out, &l, "TARGET_DEC"), 0xc002000000000000u); /* -2.25 */
    CU_ASSERT_EQUAL(bits_of(out, &l, "IMAGE_FLAG"), IMAGE_PADDED);
    CU_ASSERT_EQUAL(bits_of(out, &l, "SPECTRUM_FLAG"), SPECTRUM_MISSING_ARM);
    CU_ASSERT(text_is(out, &l, "SURVEY", "main   ") && text_is(out, &l, "PROGRAM", "dark  "));
    CU_ASSERT(text_is(out, &l, "SPECTYPE", "GAL?  ") && text_is(out, &l, "PHOTSYS", "S"));
    CU_ASSERT(text_is(out, &l, "SPLIT", "val  ") && text_is(out, &l, "ZCAT_PRIMARY", "T"));
    CU_ASSERT(f32_of(out, &l, "FRAC_MASKED_B") == 0.125f && f32_of(out, &l, "SNR_Z") == 7.25f);
    CU_ASSERT(f32_of(out, &l, "OOD_IMAGE") == 1.25f && f32_of(out, &l, "OOD_SPECTRUM") == 1.75f);
    CU_ASSERT_EQUAL(bits_of(out, &l, "OOD_BOTH"), 0x7fc00000u);
    CU_ASSERT(f32_of(out, &l, "ZPRED_IMAGE") == 1.0f &&
              f32_of(out, &l, "ZPRED_IMAGE_STD") == 0.5f); /* the first fit's */
    CU_ASSERT(f32_of(out, &l, "ZPRED_IMAGE_L68") == 0.75f && f32_of(out, &l, "ZPRED_IMAGE_U68") == 1.75f);
    CU_ASSERT(f32_of(out, &l, "LOG_SSFR_SPECTRUM") == (float)(1 + N_LABELS + LABEL_LOGSSFR));
    CU_ASSERT_EQUAL(bits_of(out, &l, "ZPRED_BOTH"), 0x7fc00000u); /* no embedding, no value and no error */
    CU_ASSERT_EQUAL(bits_of(out, &l, "ZPRED_BOTH_STD"), 0x7fc00000u);
    CU_ASSERT_EQUAL(bits_of(out, &l, "ZPRED_BOTH_U68"), 0x7fc00000u);
    CU_ASSERT_EQUAL(bits_of(out, &l, "PRED_FLAG"), PRED_OOD_SPECTRUM);
}

static void statistics_that_are_nan_stay_nan(void)
{
    ProbeSet p;
    PropertyLayout l = make_layout(&p, (KeyWidths){{0}});
    unsigned char *out = NULL;
    float stats[N_SPECTRUM_STATS] = {NAN, NAN, NAN, NAN, NAN, NAN};
    double ood[N_INPUTS] = {1, NAN, NAN, NAN}, y[N_FITS] = {0}, scale[N_FITS] = {0};
    CatalogRow row = {.split = SPLIT_TEST};
    ObjectRow r = {false, &row, {0, SPECTRUM_NO_FILE}, stats, ood, y, scale, NULL};
    CHECK_OK(arena_new(&out, &test_arena, l.row_bytes));
    layout_put_row(out, &l, &r);
    for (int s = 0; s < N_SPECTRUM_STATS; s++) CU_ASSERT(isnan(f32_of(out, &l, spectrum_stat_name[s])));
}

static void prediction_flags_say_what_is_missing_far_or_known(void)
{
    ProbeSet p;
    const PropertyLayout l = make_layout(&p, (KeyWidths){{0}});
    double ood[N_INPUTS] = {NAN, NAN, NAN, 1}, y[N_FITS] = {0};
    CatalogRow row = {.split = SPLIT_TEST};
    ObjectRow r = {.catalog = &row, .ood = ood, .prediction = y};
    CU_ASSERT_EQUAL(pred_flag(&l, &r), PRED_NO_IMAGE | PRED_NO_SPECTRUM);
    ood[0] = 1.5; /* at the limit is not beyond it */
    CU_ASSERT_EQUAL(pred_flag(&l, &r), PRED_NO_SPECTRUM);
    ood[0] = 1.6;
    CU_ASSERT_EQUAL(pred_flag(&l, &r), PRED_NO_SPECTRUM | PRED_OOD_IMAGE);
    ood[0] = ood[1] = 1;
    ood[2] = 2;
    row.split = SPLIT_TRAIN;
    CU_ASSERT_EQUAL(pred_flag(&l, &r), PRED_OOD_BOTH | PRED_TRAINING);
    p.input[2].ood_quantile = NAN; /* no val rows: no limit */
    CU_ASSERT_EQUAL(pred_flag(&l, &r), PRED_TRAINING);
    y[0] = 100.5; /* the labels end at 100 */
    CU_ASSERT_EQUAL(pred_flag(&l, &r), PRED_TRAINING | PRED_EXTRAPOLATED);
    y[0] = NAN;
    y[N_FITS - 1] = 1e6; /* not published */
    CU_ASSERT_EQUAL(pred_flag(&l, &r), PRED_TRAINING);
}

TEST_MAIN("columns",
          {"names are unique and Z is the spectroscopic redshift",
           names_are_unique_and_z_is_the_spectroscopic_redshift},
          {"columns fill the row without gaps", columns_fill_the_row_without_gaps},
          {"every comment fits its card", every_comment_fits_its_card},
          {"texts are as wide as DESI makes them, or as the catalogue needs",
           texts_are_as_wide_as_desi_makes_them_or_as_the_catalogue_needs},
          {"a row holds the object", a_row_holds_the_object},
          {"statistics that are NaN stay NaN", statistics_that_are_nan_stay_nan},
          {"prediction flags say what is missing, far or known", prediction_flags_say_what_is_missing_far_or_known})
