/* cuts.c - quality cuts of the catalogue, the choice among duplicates, and the split. Serial, one row at a time. */
#include "data/cuts.h"

#include <math.h>
#include <string.h>

#include "core/hash.h"

const char *const split_name[N_SPLITS + 1] = {"train", "val", "test", NULL};

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
    FIELD_BOOL(CatalogConfig, primary_only, "false", RESULT, "keep only ZCAT_PRIMARY rows: one per target"),
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

bool cuts_pass(Reject *reason, const CatalogRow *row, const CatalogConfig *c)
{
    bool z_cut = c->z_min != 0 || c->z_max != 0;
    const bool fails[N_REJECTS] = {
        [REJECT_NEGATIVE_TARGETID] = row->targetid < 0,
        [REJECT_OBJTYPE] = row->objtype[0] && !listed(&c->objtype, row->objtype, sizeof row->objtype),
        [REJECT_FIBERSTATUS] = c->good_fiberstatus && (row->fiberstatus & ~c->fiberstatus_allowed) != 0,
        [REJECT_ZWARN] = c->good_zwarn && row->zwarn != 0,
        [REJECT_SPECTYPE] = !listed(&c->spectype, row->spectype, sizeof row->spectype),
        [REJECT_REDSHIFT] = z_cut && !(row->z >= c->z_min && row->z <= c->z_max), /* NaN fails */
        [REJECT_DELTACHI2] = c->min_deltachi2 > 0 && !(row->deltachi2 >= c->min_deltachi2),
        [REJECT_NOT_PRIMARY] = c->primary_only && !row->zcat_primary,
        [REJECT_PROGRAM] = !listed(&c->survey, row->survey, sizeof row->survey) ||
                           !listed(&c->program, row->program, sizeof row->program),
        [REJECT_UNREADABLE] = row->healpix < 0,
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

int cuts_compare_quality(const CatalogRow *a, const CatalogRow *b)
{
    if (a->zcat_primary != b->zcat_primary) return a->zcat_primary ? -1 : 1;
    if ((a->zwarn == 0) != (b->zwarn == 0)) return a->zwarn == 0 ? -1 : 1;
    double chi_a = isnan(a->deltachi2) ? -INFINITY : a->deltachi2,
           chi_b = isnan(b->deltachi2) ? -INFINITY : b->deltachi2;
    if (chi_a != chi_b) return chi_a > chi_b ? -1 : 1;
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
    list->row[list->n].row = *row;
    list->row[list->n].reason = (int32_t)reason;
    list->n++;
    return OK;
}
