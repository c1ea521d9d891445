/* Real files of SDSS and BOSS (ASTROCLIP_SHARED/data/sdss): redshifts and resampled pixels. Expected numbers come from
   astropy and numpy, by another way: cumulative integrals of flux and of good width, interpolated at the edges of the
   DESI pixels (edges of SDSS pixels half way between float32 loglam, and_mask != 0 is bad), and the variance through
   the dense matrix of overlaps. */
#include "test_main.h"

#include <math.h>

#include "data/flags.h"
#include "data/sdss.h"

static const SpectraConfig preset = {MERGE_LEGACY_2022, BAD_PIXELS_ZERO, 0.5, EXTINCTION_NONE};
static SdssConfig any_bit = {.run2d = "", .catalog = "", .mask_bits = 4294967295};

typedef struct {
    const char *file;
    int64_t plate, mjd, fiber;
    int64_t good, first;                     /* pixels with information, the first of them */
    double flux, ivar, flux_4000, ivar_4000; /* sums; pixel 4000: 6800 Angstrom */
    double z;
} Real;

static const Real real[] = {
    {"spec-0266-51602-0013.fits", 266, 51602, 13, 2914, 255, 40995.5667, 2285.5605, 0, 0, 0.12131637},
    {"spec-0266-51602-0162.fits", 266, 51602, 162, 6689, 240, 331308.449, 3916.21394, 54.8817139, 0.669718325,
     0.06331611},
    {"spec-0266-51602-0573.fits", 266, 51602, 573, 6277, 266, 34941.6107, 10871.5069, 7.29669189, 2.85917401,
     0.2618579},
    {"spec-0266-51602-0614.fits", 266, 51602, 614, 6692, 278, 378265.321, 2857.3, 65.9494476, 0.453337729, 0.062017735},
    {"spec-0266-51630-0461.fits", 266, 51630, 461, 6757, 250, 629437.279, 2033.31406, 98.0815582, 0.292239964,
     0.03617733},
    {"spec-0390-51900-0282.fits", 390, 51900, 282, 6339, 273, 73513.1007, 24190.3681, 10.9143543, 5.32408381,
     0.018027008},
    {"spec-0548-51986-0001.fits", 548, 51986, 1, 6190, 267, 17894.5437, 51572.5984, 3.93570924, 12.0216513, 0.36957657},
    {"spec-0854-52373-0369.fits", 854, 52373, 369, 6564, 266, 153150.191, 7980.94935, 40.2405548, 1.03789556,
     0.036544666},
    {"spec-1045-52725-0628.fits", 1045, 52725, 628, 6558, 278, 125183.491, 7438.8761, 32.1756439, 1.01124609,
     0.031966865},
    {"spec-1372-53062-0072.fits", 1372, 53062, 72, 6330, 250, 59205.4366, 13531.2481, 11.2250557, 3.37996173,
     0.04190066},
    {"spec-4055-55359-0006.fits", 4055, 55359, 6, 7442, 0, 117059.714, 23689.1291, 18.5109177, 2.96783614, 0.21377261},
};
enum { N_REAL = sizeof real / sizeof *real };

static bool have_files(void)
{
    static char root[1024];
    snprintf(root, sizeof root, "%s", test_shared("data/sdss"));
    any_bit.root = root;
    return test_needs_file(test_shared("data/sdss/spec-0266-51602-0013.fits"));
}

static void redshifts_and_names(void)
{
    FileList list = {0};
    if (!have_files() || !CHECK_OK(sdss_list_redshifts(&list, &any_bit, &test_arena))) return;
    CU_ASSERT_EQUAL_FATAL(list.n, N_REAL);
    for (int64_t i = 0; i < N_REAL; i++) {
        CatalogRow row;
        SdssName name;
        CU_ASSERT_STRING_EQUAL(list.path[i], real[i].file);
        if (!CHECK_OK(sdss_read_redshifts(&row, &any_bit, list.path[i], 0, 1, &test_arena))) return;
        CU_ASSERT(sdss_identity(&name, row.targetid) && name.plate == real[i].plate && name.mjd == real[i].mjd &&
                  name.fiber == real[i].fiber);
        CU_ASSERT(fabs(row.z - real[i].z) < 1e-7); /* a float32 written with 8 digits */
        CU_ASSERT(row.zerr > 0 && row.zwarn == 0 && row.ra > 0 && fabs(row.dec) < 60);
        CU_ASSERT_STRING_EQUAL(row.spectype, "GALAXY");
        bool boss = real[i].plate == 4055;
        CU_ASSERT_STRING_EQUAL(row.survey, boss ? "boss" : "sdss");
        CU_ASSERT_STRING_EQUAL(row.program, boss ? "v5_10_0" : "26");
        CU_ASSERT(boss ? fabs((double)row.ebv - 0.12012) < 1e-4 : isnan(row.ebv)); /* EXTINCTION[0] 0.5092 / 4.239 */
        CU_ASSERT_EQUAL(row.zcat_primary, real[i].mjd != 51602 || real[i].plate != 266);
    }
}

static bool close_to(double a, double b, double relative) { return fabs(a - b) <= relative * fabs(b); }

static void pixels_agree_with_numpy(void)
{
    if (!have_files()) return;
    for (int64_t i = 0; i < N_REAL; i++) {
        const Real *r = &real[i];
        SpectrumBatch b;
        CatalogRow row;
        char path[1200];
        catalog_new_row(&row);
        CU_ASSERT_TRUE(sdss_targetid(&row.targetid, &(SdssName){r->plate, r->mjd, r->fiber}));
        CHECK_OK(spectra_batch(&b, 1, &test_arena));
        snprintf(path, sizeof path, "%s/%s", any_bit.root, r->file);
        if (!CHECK_OK(sdss_read_spectra(&b, 0, &any_bit, &preset, path, &row, 1, &test_arena))) return;
        int64_t good = 0, first = -1;
        double flux = 0, ivar = 0;
        for (int64_t p = 0; p < GRID_PIXELS; p++) {
            good += b.ivar[p] > 0;
            if (b.ivar[p] > 0 && first < 0) first = p;
            flux += (double)b.flux[p], ivar += (double)b.ivar[p];
        }
        CU_ASSERT(good == r->good && first == r->first);
        /* float32 pixels against double: 6e-8 each; numpy's differences of cumulative sums lose 1e-9 of the pixel */
        CU_ASSERT(close_to(flux, r->flux, 1e-7) && close_to(ivar, r->ivar, 1e-7));
        CU_ASSERT(close_to(b.flux[4000], r->flux_4000, 1e-7) && close_to(b.ivar[4000], r->ivar_4000, 1e-7));
        int32_t flag = SPECTRUM_BAD_PIXELS; /* the first file: MANYBADCOLUMNS on 1755 pixels, none left for arm Z */
        CU_ASSERT_EQUAL(b.flag[0], i == 0 ? flag | SPECTRUM_MASKED | SPECTRUM_MISSING_ARM : flag);
    }
}

static void trusting_ivar_alone_keeps_the_fibre(void)
{
    if (!have_files()) return;
    SdssConfig config = any_bit;
    SpectrumBatch b;
    CatalogRow row;
    char path[1200];
    config.mask_bits = 0;
    catalog_new_row(&row);
    sdss_targetid(&row.targetid, &(SdssName){266, 51602, 13});
    CHECK_OK(spectra_batch(&b, 1, &test_arena));
    snprintf(path, sizeof path, "%s/%s", any_bit.root, real[0].file);
    if (!CHECK_OK(sdss_read_spectra(&b, 0, &config, &preset, path, &row, 1, &test_arena))) return;
    CU_ASSERT_EQUAL(b.flag[0], SPECTRUM_BAD_PIXELS); /* 3800 .. 9200 Angstrom only */
}

TEST_MAIN("sdss_real", {"redshifts, names and positions are those of HDU 2", redshifts_and_names},
          {"resampled pixels agree with numpy", pixels_agree_with_numpy},
          {"mask_bits 0 keeps a fibre with many bad columns", trusting_ivar_alone_keeps_the_fibre})
