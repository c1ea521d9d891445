/* The table of surveys and the section that chooses from it; where a survey's file lies. */
#include "test_main.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "data/desi.h"
#include "data/survey.h"

static void release_section_chooses_surveys(void)
{
    static const char text[] = "release:\n"
                               "  spectra:\n"
                               "    kind: desi\n"
                               "    root: here\n"
                               "    specprod: fuji\n"
                               "    redshifts: redrock\n"
                               "    programs: [sv3/bright, sv3/dark]\n"
                               "  images:\n"
                               "    kind: legacy\n"
                               "  labels: labels.hdf5\n";
    const ConfigSection *sections[] = {&release_section, NULL};
    Config *config;
    if (!CHECK_OK(config_parse(&config, "run.yaml", text, sizeof text - 1, NULL, 0, sections, NULL, &test_arena)))
        return;
    const ReleaseConfig *r = config_get(config, &release_section);
    const DesiConfig *desi = r->spectra.config;
    CU_ASSERT_PTR_EQUAL(release_spectra(r), &desi_survey);
    CU_ASSERT_PTR_EQUAL(release_images(r), &legacy_survey);
    CU_ASSERT_STRING_EQUAL(r->labels, "labels.hdf5");
    CU_ASSERT_STRING_EQUAL(desi_survey.root(desi), "here");
    CU_ASSERT_STRING_EQUAL(desi_survey.specprod(desi), "fuji");
    CU_ASSERT(desi->redshifts == REDSHIFTS_REDROCK && desi->programs.n == 2 && desi->zcatalog.n == 0);
}

static void cross_field_rules_are_checked(void)
{
    const ConfigSection *sections[] = {&release_section, NULL};
    const char *const overrides[] = {"release.spectra.programs=[main/bright, main]"};
    Config *config;
    CHECK_FAILS(config_parse(&config, "run.yaml", "", 0, overrides, 1, sections, NULL, &test_arena), E_CONFIG);
}

static void every_survey_is_whole(void)
{
    for (int k = 0; spectrum_surveys[k]; k++) {
        const SpectrumSurvey *s = (const SpectrumSurvey *)spectrum_surveys[k];
        CU_ASSERT(s->root && s->specprod && s->spectrum_file && s->read_spectra);
        CU_ASSERT(!s->list_redshifts == !s->read_redshifts && !s->list_redshifts == !s->count_redshifts);
    }
    for (int k = 0; image_surveys[k]; k++) {
        const ImageSurvey *s = (const ImageSurvey *)image_surveys[k];
        CU_ASSERT(s->root && s->image_release && s->cutouts);
        CU_ASSERT(!s->list_objects == !s->read_objects && !s->list_objects == !s->count_objects);
        CU_ASSERT(!s->locate == !s->photometry_file && !s->locate == !s->read_photometry &&
                  !s->locate == !s->image_files);
        CU_ASSERT(!(s->stored && s->locate)); /* a tree of bricks or a stored set */
    }
}

static void write_empty(const char *folder, const char *name)
{
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fclose(f);
}

static void files_are_found_plain_or_zipped(void)
{
    const char *root = test_folder();
    char out[2048], expected[2048];
    write_empty(root, "a.fits");
    write_empty(root, "a.fits.gz");
    write_empty(root, "b.fits.gz");
    snprintf(expected, sizeof expected, "%s/a.fits", root);
    CU_ASSERT_TRUE(survey_file(out, sizeof out, root, "a.fits"));
    CU_ASSERT_STRING_EQUAL(out, expected);                               /* plain before zipped */
    CU_ASSERT_TRUE(survey_file(out, sizeof out, "elsewhere", expected)); /* absolute */
    snprintf(expected, sizeof expected, "%s/b.fits.gz", root);
    CU_ASSERT_TRUE(survey_file(out, sizeof out, root, "b.fits"));
    CU_ASSERT_STRING_EQUAL(out, expected);
    snprintf(expected, sizeof expected, "%s/c.fits", root);
    CU_ASSERT_FALSE(survey_file(out, sizeof out, root, "c.fits"));
    CU_ASSERT_STRING_EQUAL(out, expected);
    CU_ASSERT_FALSE(survey_file(out, 8, root, "a.fits"));
}

TEST_MAIN("survey", {"the release section chooses surveys", release_section_chooses_surveys},
          {"cross-field rules are checked", cross_field_rules_are_checked},
          {"every survey is whole", every_survey_is_whole},
          {"files are found, plain or zipped", files_are_found_plain_or_zipped})
