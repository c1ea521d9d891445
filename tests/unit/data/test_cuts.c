/* Cuts, split, the choice among duplicates, and the match of one row with one brick. */
#include <math.h>
#include <string.h>

#include "data/cuts.h"
#include "data/join.h"
#include "test_main.h"

static const CatalogConfig *configured(const char *text)
{
    static const ConfigSection *const sections[] = {&catalog_section, NULL};
    Config *config = NULL;
    if (!CHECK_OK(config_parse(&config, "test.yaml", text, strlen(text), NULL, 0, sections, NULL, &test_arena)))
        return NULL;
    return config_get(config, &catalog_section);
}

static CatalogRow good_row(void)
{
    CatalogRow r;
    memset(&r, 0, sizeof r);
    r.targetid = 39627784728870929;
    strcpy(r.survey, "main");
    strcpy(r.program, "bright");
    strcpy(r.spectype, "GALAXY");
    strcpy(r.objtype, "TGT");
    r.ra = 0.1;
    r.healpix = 18090;
    r.z = 0.2;
    r.deltachi2 = 100;
    r.zcat_primary = 1;
    r.has_spectrum = 1;
    r.tsnr2_lrg = NAN;
    r.release = 9010;
    r.brickid = 330368;
    r.brick_objid = 17;
    return r;
}

/* The reason, or -1 for a row that passes. */
static int verdict(const CatalogRow *row, const char *text)
{
    Reject reason = N_REJECTS;
    const CatalogConfig *c = configured(text);
    if (!c) return -2;
    return cuts_pass(&reason, row, c) ? -1 : (int)reason;
}

static void the_defaults_keep_good_targets(void)
{
    CatalogRow r = good_row();
    CU_ASSERT_EQUAL(verdict(&r, ""), -1);
    r.zwarn = 4; /* embedded all the same */
    r.deltachi2 = NAN;
    r.z = NAN;
    r.zcat_primary = 0;
    memset(r.objtype, 0, sizeof r.objtype); /* catalogue without the column */
    CU_ASSERT_EQUAL(verdict(&r, ""), -1);
}

static void the_defaults_reject_what_is_no_target(void)
{
    CatalogRow r = good_row();
    r.targetid = -1;
    CU_ASSERT_EQUAL(verdict(&r, ""), REJECT_NEGATIVE_TARGETID);
    r = good_row();
    strcpy(r.objtype, "SKY");
    CU_ASSERT_EQUAL(verdict(&r, ""), REJECT_OBJTYPE);
    r = good_row();
    r.fiberstatus = 1 << 9;
    CU_ASSERT_EQUAL(verdict(&r, ""), REJECT_FIBERSTATUS);
    r.fiberstatus = INT32_MIN;
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {fiberstatus_allowed: 2147483647}"), REJECT_FIBERSTATUS);
    r = good_row();
    r.healpix = -1;
    CU_ASSERT_EQUAL(verdict(&r, ""), REJECT_UNREADABLE);
}

static void each_cut_can_be_set(void)
{
    CatalogRow r = good_row();
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {objtype: [SKY, BAD]}"), REJECT_OBJTYPE);
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {spectype: [QSO, GALAXY]}"), -1);
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {spectype: [QSO]}"), REJECT_SPECTYPE);
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {survey: [sv3]}"), REJECT_PROGRAM);
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {program: [dark]}"), REJECT_PROGRAM);
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {survey: [main], program: [dark, bright]}"), -1);
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {min_deltachi2: 100}"), -1);
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {min_deltachi2: 101}"), REJECT_DELTACHI2);
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {z_min: 0.2, z_max: 0.3}"), -1);
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {z_min: 0.21, z_max: 0.3}"), REJECT_REDSHIFT);
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {good_zwarn: true}"), -1);
    r.zwarn = 4;
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {good_zwarn: true}"), REJECT_ZWARN);
    r.zcat_primary = 0;
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {primary_only: true}"), REJECT_NOT_PRIMARY);
    r.fiberstatus = 6;
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {fiberstatus_allowed: 4}"), REJECT_FIBERSTATUS);
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {fiberstatus_allowed: 6}"), -1);
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {good_fiberstatus: false}"), -1);
}

static void nan_fails_a_cut_that_is_on(void)
{
    CatalogRow r = good_row();
    r.z = r.deltachi2 = NAN;
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {z_min: 0, z_max: 1}"), REJECT_REDSHIFT);
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {min_deltachi2: 1}"), REJECT_DELTACHI2);
}

static void unknown_primaries_pass(void)
{
    CatalogRow r = good_row();
    r.zcat_primary = PRIMARY_UNKNOWN; /* join_unique decides, when it sees all rows of the target */
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {primary_only: true}"), -1);
}

static void cuts_of_spectra_leave_images_alone(void)
{
    CatalogRow r = good_row();
    strcpy(r.objtype, "SKY");
    strcpy(r.spectype, "STAR");
    r.fiberstatus = 1;
    r.zwarn = 4;
    r.z = r.deltachi2 = NAN;
    r.has_spectrum = 0;
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {good_zwarn: true, spectype: [GALAXY], z_min: 0, z_max: 1, min_deltachi2: 9, "
                                "survey: [sv3], program: [dark], good_redshift: [lrg]}"),
                    -1);
    r.healpix = -1; /* nowhere on the sky */
    CU_ASSERT_EQUAL(verdict(&r, ""), REJECT_UNREADABLE);
    r.place = 1; /* but in a stored set, where rows have places instead */
    CU_ASSERT_EQUAL(verdict(&r, ""), -1);
}

static void good_redshifts_are_good_by_the_cut_of_their_own_class(void)
{
    CatalogRow r = good_row();
    r.target_class = 1 << CLASS_LRG | 1 << CLASS_ELG;
    r.good_z = 1 << CLASS_ELG | 1 << CLASS_BGS; /* BGS would be good, but it is no target of BGS */
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {good_redshift: []}"), -1);
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {good_redshift: [elg]}"), -1);
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {good_redshift: [qso, elg]}"), -1);
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {good_redshift: [lrg]}"), REJECT_POOR_REDSHIFT);
    CU_ASSERT_EQUAL(verdict(&r, "catalog: {good_redshift: [bgs, lrg, qso]}"), REJECT_POOR_REDSHIFT);
}

static void what_a_file_cannot_tell_is_an_input_error(void)
{
    CatalogRow r = good_row();
    const CatalogConfig *elg = configured("catalog: {good_redshift: [elg, lrg]}"), *off = configured("");
    if (!elg || !off) return;
    r.target_class = 1 << CLASS_ELG;
    CHECK_OK(cuts_check_redshift(&r, elg, "x.fits")); /* poor, and known to be */
    r.unknown_z = 1 << CLASS_ELG;
    CHECK_OK(cuts_check_redshift(&r, off, "x.fits"));
    CU_ASSERT_EQUAL(cuts_check_redshift(&r, elg, "zpix-main-dark.fits"), E_INPUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "zpix-main-dark.fits"));
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "OII_FLUX"));
    fail_clear();
    r.target_class = 1 << CLASS_BGS; /* not asked for */
    CHECK_OK(cuts_check_redshift(&r, elg, "x.fits"));
    r.unknown_z = UNKNOWN_ALL;
    CHECK_FAILS(cuts_check_redshift(&r, elg, "x.fits"), E_INPUT); /* no targeting bits */
}

static void impossible_settings_are_refused(void)
{
    static const ConfigSection *const sections[] = {&catalog_section, NULL};
    static const char *const text[] = {"catalog: {val_fraction: 0.6, test_fraction: 0.5}", "catalog: {z_min: 0.5}",
                                       "catalog: {objtypes: [TGT]}", "catalog: {good_redshift: [elgs]}"};
    for (int i = 0; i < 4; i++) {
        Config *config = NULL;
        CHECK_FAILS(config_parse(&config, "test.yaml", text[i], strlen(text[i]), NULL, 0, sections, NULL, &test_arena),
                    E_CONFIG);
    }
}

static void every_reason_has_a_name_and_a_sentence(void)
{
    for (int r = 0; r < N_REJECTS; r++) {
        CU_ASSERT_FATAL(reject_table[r].name != NULL && reject_table[r].sentence != NULL);
        for (int q = 0; q < r; q++) CU_ASSERT(strcmp(reject_table[r].name, reject_table[q].name) != 0);
    }
}

static void splits_have_the_shares_asked_for(void)
{
    enum { N = 20000 };
    const CatalogConfig *c = configured("catalog: {val_fraction: 0.1, test_fraction: 0.25}");
    int64_t count[N_SPLITS] = {0}, moved = 0;
    if (!c) return;
    for (int64_t i = 0; i < N; i++) {
        Split s = cuts_split(39627784728870929 + i, 42, c);
        count[s]++;
        CU_ASSERT_EQUAL(s, cuts_split(39627784728870929 + i, 42, c));
        moved += s != cuts_split(39627784728870929 + i, 43, c);
    }
    CU_ASSERT_DOUBLE_EQUAL(count[SPLIT_TEST], 0.25 * N, 5 * sqrt(N * 0.25 * 0.75)); /* 5 standard deviations */
    CU_ASSERT_DOUBLE_EQUAL(count[SPLIT_VAL], 0.10 * N, 5 * sqrt(N * 0.1 * 0.9));
    CU_ASSERT(moved > N / 4); /* the seed matters */
}

static void the_best_of_duplicates_comes_first(void)
{
    CatalogRow a = good_row(), b = good_row();
    b.source_row = 1;
    CU_ASSERT(cuts_compare_quality(&a, &b) < 0 && cuts_compare_quality(&b, &a) > 0);
    b.deltachi2 = 101;
    CU_ASSERT(cuts_compare_quality(&a, &b) > 0);
    b.zwarn = 1;
    CU_ASSERT(cuts_compare_quality(&a, &b) < 0);
    a.zcat_primary = 0;
    CU_ASSERT(cuts_compare_quality(&a, &b) > 0);
    a.zcat_primary = PRIMARY_UNKNOWN; /* before one that is known not to be */
    CU_ASSERT(cuts_compare_quality(&a, &b) > 0);
    b.zcat_primary = 0;
    CU_ASSERT(cuts_compare_quality(&a, &b) < 0 && cuts_compare_quality(&b, &a) > 0);
    a = b;
    a.deltachi2 = NAN;
    CU_ASSERT(cuts_compare_quality(&a, &b) > 0 && cuts_compare_quality(&b, &a) < 0);
    a.tsnr2_lrg = 90; /* deeper counts before DELTACHI2, and any depth before an unknown one */
    CU_ASSERT(cuts_compare_quality(&a, &b) < 0 && cuts_compare_quality(&b, &a) > 0);
    b.tsnr2_lrg = 91;
    CU_ASSERT(cuts_compare_quality(&a, &b) > 0);
}

static void separations_are_right_everywhere(void)
{
    CU_ASSERT_DOUBLE_EQUAL(join_separation(10, 0, 10, 1), 3600, 1e-8);
    CU_ASSERT_DOUBLE_EQUAL(join_separation(359.9999, 60, 0.0001, 60), 0.36, 1e-6); /* across RA 0, cos(60 deg) = 1/2 */
    CU_ASSERT_DOUBLE_EQUAL(join_separation(0, 90, 180, 90), 0, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(join_separation(0, -90, 0, 90), 180 * 3600.0, 1e-3);
    CU_ASSERT(isnan(join_separation(NAN, 0, 0, 0)));
}

static void identifiers_match_before_positions(void)
{
    CatalogRow table[3] = {good_row(), good_row(), good_row()}, r = good_row();
    const double arcsec = 1.0 / 3600;
    Match how;
    table[0].brick_objid = 1; /* at the very position */
    table[1].ra += 20 * arcsec;
    table[2].brickid++;
    CU_ASSERT_EQUAL(join_match(&how, &r, table, 3, 1.0), 1);
    CU_ASSERT_EQUAL(how, MATCH_ID);
    r.release = 9012; /* a brick that was processed again */
    CU_ASSERT_EQUAL(join_match(&how, &r, table, 3, 1.0), 0);
    CU_ASSERT_EQUAL(how, MATCH_POSITION);
    CU_ASSERT_EQUAL(join_match(&how, &r, table, 3, 0), -1); /* off */
    CU_ASSERT_EQUAL(how, MATCH_NONE);
}

static void the_nearest_within_reach_matches(void)
{
    CatalogRow table[3] = {good_row(), good_row(), good_row()}, r = good_row();
    const double arcsec = 1.0 / 3600;
    Match how;
    r.release = 0; /* no identifiers: 0, 0, 0 must not match anything by them */
    r.brickid = r.brick_objid = 0;
    table[0].dec = 0.9 * arcsec;
    table[1].dec = -0.5 * arcsec;
    table[2].dec = 0.5 * arcsec;
    table[1].brick_objid = 8;
    table[2].brick_objid = 7; /* as near: the lower number wins */
    CU_ASSERT_EQUAL(join_match(&how, &r, table, 3, 1.0), 2);
    CU_ASSERT_EQUAL(how, MATCH_POSITION);
    CU_ASSERT_EQUAL(join_match(&how, &r, table, 3, 0.4), -1);
    r.ra = NAN;
    CU_ASSERT_EQUAL(join_match(&how, &r, table, 3, 1.0), -1);
    CU_ASSERT_EQUAL(join_match(&how, &r, table, 0, 1.0), -1);
}

TEST_MAIN("cuts", {"the defaults keep good targets", the_defaults_keep_good_targets},
          {"the defaults reject what is no target", the_defaults_reject_what_is_no_target},
          {"each cut can be set", each_cut_can_be_set}, {"NaN fails a cut that is on", nan_fails_a_cut_that_is_on},
          {"unknown primaries pass", unknown_primaries_pass},
          {"cuts of spectra leave images alone", cuts_of_spectra_leave_images_alone},
          {"good redshifts are good by the cut of their own class",
           good_redshifts_are_good_by_the_cut_of_their_own_class},
          {"what a file cannot tell is an input error", what_a_file_cannot_tell_is_an_input_error},
          {"impossible settings are refused", impossible_settings_are_refused},
          {"every reason has a name and a sentence", every_reason_has_a_name_and_a_sentence},
          {"splits have the shares asked for", splits_have_the_shares_asked_for},
          {"the best of duplicates comes first", the_best_of_duplicates_comes_first},
          {"separations are right everywhere", separations_are_right_everywhere},
          {"identifiers match before positions", identifiers_match_before_positions},
          {"the nearest within reach matches", the_nearest_within_reach_matches})
