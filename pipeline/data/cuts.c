/* cuts.c - quality cuts of the catalogue, the choice among duplicates, and the split. Serial, one row at a time. */
#include "data/cuts.h"

#include <math.h>
#include <string.h>

#include "core/hash.h"

const char *const split_name[N_SPLITS + 1] = {"train", "val", "test", NULL};

const char *const target_class_name[N_CLASSES + 1] = {"bgs", "lrg", "elg", "qso", NULL};

const RejectRow reject_table[N_REJECTS] = {
    [REJECT_NEGATIVE_TARGETID] = {"NEGATIVE_TARGETID", "stuck or unassigned fibre, its TARGETID is no key"},
    [REJECT_OBJTYPE] = {"OBJTYPE", "OBJTYPE is not in catalog.objtype (a sky fibre, a bad fibre)"},
    [REJECT_FIBERSTATUS] = {"FIBERSTATUS", "COADD_FIBERSTATUS has bits beyond catalog.fiberstatus_allowed"},
    [REJECT_ZWARN] = {"ZWARN", "ZWARN is not 0 and catalog.good_zwarn is true"},
    [REJECT_SPECTYPE] = {"SPECTYPE", "SPECTYPE is not in catalog.spectype"},
    [REJECT_REDSHIFT] = {"REDSHIFT", "redshift outside catalog.z_min .. catalog.z_max"},
    [REJECT_DELTACHI2] = {"DELTACHI2", "DELTACHI2 below catalog.min_deltachi2"},
    [REJECT_NOT_PRIMARY] = {"NOT_PRIMARY", "not the primary row of its target and catalog.primary_only is true"},
    [REJECT_DUPLICATE] = {"DUPLICATE", "a better row has the same TARGETID, SURVEY and PROGRAM"},
    [REJECT_PROGRAM] = {"PROGRAM", "SURVEY or PROGRAM is not in catalog.survey, catalog.program"},
    [REJECT_UNREADABLE] = {"UNREADABLE", "the row has neither a HEALPix pixel nor a position on the sky"},
    [REJECT_POOR_REDSHIFT] = {"POOR_REDSHIFT",
                              "no class of catalog.good_redshift has it as a target with a good redshift"},
    [REJECT_HAS_SPECTRUM] = {"HAS_SPECTRUM", "the same object is a row with a spectrum"},
    [REJECT_NOT_AN_OBJECT] = {"NOT_AN_OBJECT", "a duplicate entry or not primary in its brick"},
    [REJECT_TYPE] = {"TYPE", "the selection of the image set leaves its TYPE out"},
    [REJECT_MAGNITUDE] = {"MAGNITUDE", "outside the magnitudes that the selection of the image set takes"},
    [REJECT_EXPOSURES] = {"EXPOSURES", "not exposed in all bands"},
    [REJECT_MASKBITS] = {"MASKBITS", "a bit of MASKBITS that the selection of the image set leaves out"},
};

static const ConfigField catalog_fields[] = {
    FIELD_TEXTS(CatalogConfig, objtype, "[TGT]", NULL, RESULT,
                "OBJTYPEs to keep, [] = all (catalogues without the column pass)"),
    FIELD_TEXTS(CatalogConfig, survey, "[]", NULL, RESULT, "SURVEYs to keep (main, sv3, ...), [] = all"),
    FIELD_TEXTS(CatalogConfig, program, "[]", NULL, RESULT, "PROGRAMs to keep (bright, dark, ...), [] = all"),
    FIELD_BOOL(CatalogConfig, good_fiberstatus, "true", RESULT, "reject rows with a bad COADD_FIBERSTATUS"),
    FIELD_INT(CatalogConfig, fiberstatus_allowed, "0", 0, 2147483647, RESULT,
              "bits of COADD_FIBERSTATUS that count as good"),
    FIELD_BOOL(CatalogConfig, good_zwarn, "false", RESULT, "reject rows with ZWARN other than 0"),
    FIELD_TEXTS(CatalogConfig, spectype, "[]", NULL, RESULT, "SPECTYPEs to keep (GALAXY, QSO, STAR), [] = all"),
    FIELD_REAL(CatalogConfig, min_deltachi2, "0", 0, 1e12, RESULT, "smallest DELTACHI2 to keep, 0 = off"),
    FIELD_REAL(CatalogConfig, z_min, "0", -1, 100, RESULT, "smallest redshift to keep; z_min = z_max = 0: off"),
    FIELD_REAL(CatalogConfig, z_max, "0", -1, 100, RESULT, "largest redshift to keep; z_min = z_max = 0: off"),
    FIELD_BOOL(CatalogConfig, primary_only, "false", RESULT,
               "one row per target: ZCAT_PRIMARY, else ZWARN 0, then the deepest"),
    FIELD_TEXTS(CatalogConfig, good_redshift, "[]", target_class_name, RESULT,
                "keep targets of these classes whose redshift passes the class's standard cut; [] = off"),
    FIELD_REAL(CatalogConfig, val_fraction, "0.1", 0, 1, RESULT, "share of targets in the val split"),
    FIELD_REAL(CatalogConfig, test_fraction, "0.2", 0, 1, RESULT, "share of targets in the test split"),
    FIELD_REAL(CatalogConfig, position_match_arcsec, "1.0", 0, 60, RESULT,
               "arcsec: photometry by position where no identifier matches, 0 = never"),
    FIELD_END};

static Status catalog_check(const void *config)
{
    const CatalogConfig *c = config;
    if (c->val_fraction + c->test_fraction > 1)
        return FAIL(E_CONFIG, "catalog: val_fraction + test_fraction is %g, more than 1",
                    c->val_fraction + c->test_fraction);
    bool z_cut = c->z_min != 0 || c->z_max != 0;
    if (z_cut && c->z_max <= c->z_min)
        return FAIL(E_CONFIG, "catalog: z_max (%g) is not above z_min (%g); set both", c->z_max, c->z_min);
    return OK;
}

const ConfigSection catalog_section = {"catalog", "quality cuts, splits and joins of the catalogue", catalog_fields,
                                       sizeof(CatalogConfig), catalog_check};

/* Is the NUL-padded cell one of the names? An empty list allows all. */
static bool listed(const ConfigTexts *list, const char *cell, size_t size)
{
    for (int64_t i = 0; i < list->n; i++)
        if (strlen(list->item[i]) <= size && strncmp(list->item[i], cell, size) == 0) return true;
    return list->n == 0;
}

/* The classes of catalog.good_redshift, as bits. */
static unsigned classes_asked(const CatalogConfig *c)
{
    unsigned bits = 0;
    for (int64_t i = 0; i < c->good_redshift.n; i++)
        for (int k = 0; k < N_CLASSES; k++)
            if (strcmp(c->good_redshift.item[i], target_class_name[k]) == 0) bits |= 1u << k;
    return bits;
}

Status cuts_check_redshift(const CatalogRow *row, const CatalogConfig *c, const char *path)
{
    static const char *const needs[N_CLASSES] = {
        "ZWARN and DELTACHI2", "ZWARN and DELTACHI2", "OII_FLUX and OII_FLUX_IVAR (of emline-* files)",
        "IS_QSO_MGII, IS_QSO_QN_NEW_RR and C_* (of qso_mgii-* and qso_qn-* files)"};
    if (c->good_redshift.n == 0 || !row->has_spectrum) return OK;
    unsigned asked = classes_asked(c);
    if (row->target_class & row->good_z & asked) return OK;
    if (row->unknown_z & UNKNOWN_TARGET)
        return FAIL(E_INPUT,
                    "catalog.good_redshift needs targeting bits, and %s has no DESI_TARGET for SURVEY %.7s; take rows "
                    "from files that have it, or leave catalog.good_redshift empty",
                    path, row->survey);
    unsigned unknown = row->target_class & row->unknown_z & asked;
    for (int k = 0; k < N_CLASSES; k++)
        if (unknown & (1u << k))
            return FAIL(E_INPUT,
                        "catalog.good_redshift lists %s, but %s comes without %s; take rows from redrock files that "
                        "have theirs beside them or from a v2 catalogue with its -extra file, or take %s off the list",
                        target_class_name[k], path, needs[k], target_class_name[k]);
    return OK;
}

bool cuts_pass(Reject *reason, const CatalogRow *row, const CatalogConfig *c)
{
    bool z_cut = c->z_min != 0 || c->z_max != 0, spectrum = row->has_spectrum;
    const bool fails[N_REJECTS] = {
        [REJECT_NEGATIVE_TARGETID] = row->targetid < 0,
        [REJECT_OBJTYPE] = spectrum && row->objtype[0] && !listed(&c->objtype, row->objtype, sizeof row->objtype),
        [REJECT_FIBERSTATUS] = spectrum && c->good_fiberstatus && (row->fiberstatus & ~c->fiberstatus_allowed) != 0,
        [REJECT_ZWARN] = spectrum && c->good_zwarn && row->zwarn != 0,
        [REJECT_SPECTYPE] = spectrum && !listed(&c->spectype, row->spectype, sizeof row->spectype),
        [REJECT_REDSHIFT] = spectrum && z_cut && !(row->z >= c->z_min && row->z <= c->z_max), /* NaN fails */
        [REJECT_DELTACHI2] = spectrum && c->min_deltachi2 > 0 && !(row->deltachi2 >= c->min_deltachi2),
        [REJECT_NOT_PRIMARY] = c->primary_only && row->zcat_primary == 0, /* join_unique decides on PRIMARY_UNKNOWN */
        [REJECT_PROGRAM] = spectrum && (!listed(&c->survey, row->survey, sizeof row->survey) ||
                                        !listed(&c->program, row->program, sizeof row->program)),
        [REJECT_UNREADABLE] = row->healpix < 0 && row->place == 0, /* rows of stored sets lie at a place instead */
        [REJECT_POOR_REDSHIFT] =
            spectrum && c->good_redshift.n > 0 && (row->target_class & row->good_z & classes_asked(c)) == 0,
    };
    for (int i = 0; i < N_REJECTS; i++) {
        if (!fails[i]) continue;
        *reason = (Reject)i;
        return false;
    }
    return true;
}

Split cuts_split(int64_t targetid, int64_t seed, const CatalogConfig *c)
{
    double u = (double)(hash_mix((uint64_t)targetid ^ (uint64_t)seed) >> 11) * 0x1p-53; /* [0, 1) */
    if (u < c->test_fraction) return SPLIT_TEST;
    if (u < c->test_fraction + c->val_fraction) return SPLIT_VAL;
    return SPLIT_TRAIN;
}

/* The larger comes first, NaN last; 0 = as good. */
static int compare_larger(double a, double b)
{
    if (isnan(a)) a = -INFINITY;
    if (isnan(b)) b = -INFINITY;
    return a > b ? -1 : a < b;
}

/* Primary, perhaps primary, not primary. */
static int primary_rank(const CatalogRow *row)
{
    return row->zcat_primary == 1 ? 0 : row->zcat_primary == PRIMARY_UNKNOWN ? 1 : 2;
}

int cuts_compare_quality(const CatalogRow *a, const CatalogRow *b)
{
    int primary = primary_rank(a) - primary_rank(b);
    if (primary != 0) return primary;
    if ((a->zwarn == 0) != (b->zwarn == 0)) return a->zwarn == 0 ? -1 : 1;
    int order = compare_larger(a->tsnr2_lrg, b->tsnr2_lrg);
    if (order == 0) order = compare_larger(a->deltachi2, b->deltachi2);
    if (order != 0) return order;
    if (a->source_file != b->source_file) return a->source_file < b->source_file ? -1 : 1;
    return a->source_row < b->source_row ? -1 : a->source_row > b->source_row;
}

Status reject_add(RejectList *list, const CatalogRow *row, Reject reason)
{
    if (list->n == list->capacity) {
        int64_t capacity = list->capacity ? 2 * list->capacity : 256;
        RejectedRow *bigger;
        TRY(arena_new(&bigger, list->arena, capacity));
        if (list->n) memcpy(bigger, list->row, (size_t)list->n * sizeof *bigger);
        list->row = bigger;
        list->capacity = capacity;
    }
    RejectedRow *rejected = &list->row[list->n++];
    *rejected = (RejectedRow){.targetid = row->targetid,
                              .source_row = row->source_row,
                              .source_file = row->source_file,
                              .reason = (int32_t)reason};
    memcpy(rejected->survey, row->survey, sizeof rejected->survey);
    memcpy(rejected->program, row->program, sizeof rejected->program);
    return OK;
}
