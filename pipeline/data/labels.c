/* labels.c - reads a label table, a part of it per rank, and turns its columns into the properties of label_table. */
#include "data/labels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/labeltable.h"
#include "data/provabgs.h"

const LabelRow label_table[N_LABELS] = {
    [LABEL_Z] = {"z", "Z", "", "redshift"},
    [LABEL_LOGMSTAR] = {"logmstar", "LOGMSTAR", "", "log10 of the surviving stellar mass in Msun"},
    [LABEL_AGE] = {"age", "TAGE_MW", "Gyr", "mass-weighted stellar age"},
    [LABEL_LOGZ] = {"logz", "LOG_ZMW", "", "log10 of the mass-weighted metallicity"},
    [LABEL_LOGSSFR] = {"logssfr", "LOG_SSFR", "", "log10 of star formation rate / mass in 1/yr"},
    [LABEL_SSFR_RELEASED] = {"ssfr_released", "SSFR_RELEASED", "", "ln SFR - ln Z, the released code's sSFR"},
};

/* ---- settings ---- */

enum { KIND_AUTO, KIND_PROVABGS, KIND_FASTSPECFIT, KIND_COLUMNS };
enum { ESTIMATE_BEST, ESTIMATE_MEAN };
enum { SCALE_LINEAR, SCALE_LOG10, SCALE_LN, SCALE_LOG10_SOLAR };
static const char *const kinds[] = {"auto", "provabgs", "fastspecfit", "columns", NULL};
static const char *const estimates[] = {"best_fit", "mean", NULL};
static const char *const metallicity_scales[] = {"linear", "log10", "ln", "log10_solar", NULL};
static const char *const sfr_scales[] = {"linear", "log10", "ln", NULL};

static const ConfigField labels_fields[] = {
    FIELD_CHOICE(LabelsConfig, kind, "auto", kinds, RESULT, "whose table it is; auto: by its columns"),
    FIELD_CHOICE(LabelsConfig, estimate, "best_fit", estimates, RESULT,
                 "of PROVABGS without tabulated properties: the best fit's, or means over the posterior's draws"),
    FIELD_TEXT(LabelsConfig, hdu, "", RESULT, "HDU of a FITS table; empty = the first that fits"),
    FIELD_TEXT(LabelsConfig, targetid, "TARGETID", RESULT, "column of kind columns: the identifier"),
    FIELD_TEXT(LabelsConfig, z, "", RESULT, "column of kind columns: redshift; empty = none"),
    FIELD_TEXT(LabelsConfig, logmstar, "", RESULT, "column of kind columns: log10 of the stellar mass in Msun"),
    FIELD_TEXT(LabelsConfig, age, "", RESULT, "column of kind columns: mass-weighted age in Gyr"),
    FIELD_TEXT(LabelsConfig, metallicity, "", RESULT, "column of kind columns: mass-weighted metallicity"),
    FIELD_TEXT(LabelsConfig, sfr, "", RESULT, "column of kind columns: star formation rate in Msun/yr"),
    FIELD_CHOICE(LabelsConfig, metallicity_scale, "linear", metallicity_scales, RESULT,
                 "how that column gives the metallicity; log10_solar: in units of the Sun's"),
    FIELD_CHOICE(LabelsConfig, sfr_scale, "linear", sfr_scales, RESULT, "how that column gives the rate"),
    FIELD_REAL(LabelsConfig, solar, "0.0142", 1e-4, 1, RESULT, "metallicity of the Sun, for ZZSUN and log10_solar"),
    FIELD_REAL(LabelsConfig, min_logmstar, "0", 0, 15, RESULT,
               "rows with a smaller log10 mass have no labels; 0 = off"),
    FIELD_BOOL(LabelsConfig, magnitudes, "true", RESULT,
               "rows without positive MAG_G, MAG_R and MAG_Z have no labels, where the table has these columns"),
    FIELD_END};

static Status check(const void *config)
{
    const LabelsConfig *c = config;
    if (c->kind != KIND_COLUMNS || c->z[0] || c->logmstar[0] || c->age[0] || c->metallicity[0] || c->sfr[0]) return OK;
    return FAIL(E_CONFIG, "labels.kind is columns, but none of labels.z, logmstar, age, metallicity, sfr names one");
}

const ConfigSection labels_section = {"labels", "how the table release.labels is read", labels_fields,
                                      sizeof(LabelsConfig), check};

/* ---- columns ---- */

/* Where each number comes from; a missing column leaves its labels NaN. */
enum { COLUMN_Z, COLUMN_LOGMSTAR, COLUMN_AGE, COLUMN_METALS, COLUMN_SFR, N_PROPERTIES };
enum { COLUMN_G = N_PROPERTIES, COLUMN_R, COLUMN_ZMAG, COLUMN_IVAR, N_COLUMNS = COLUMN_IVAR + N_PROPERTIES };
static const char *const provabgs_columns[] = {"Z_HP", "PROVABGS_LOGMSTAR_BF", "TAGE_MW", "Z_MW", "AVG_SFR", NULL};
static const char *const fastspecfit_columns[] = {"Z", "LOGMSTAR", "AGE", "ZZSUN", "SFR", NULL};
static const char *const magnitude_columns[] = {"MAG_G", "MAG_R", "MAG_Z"};

typedef struct {
    int kind;
    LabelTable table;
    const char *id;
    const char *column[N_COLUMNS]; /* "" = none */
    char ivar[N_PROPERTIES][64];
    int metallicity_scale, sfr_scale;
    bool theta; /* properties are computed from parameters */
} Labels;

/* Opens the table as one of a kind. */
static Status open_kind(Labels *l, int kind, const char *path, const LabelsConfig *c, Arena *a)
{
    const char *own[] = {c->z, c->logmstar, c->age, c->metallicity, c->sfr}, *named[N_PROPERTIES + 1] = {NULL};
    const char *const *name = kind == KIND_PROVABGS      ? provabgs_columns
                              : kind == KIND_FASTSPECFIT ? fastspecfit_columns
                                                         : own;
    int n = 0;
    *l = (Labels){.kind = kind, .id = kind == KIND_COLUMNS ? c->targetid : "TARGETID"};
    for (int k = 0; k < N_PROPERTIES; k++) {
        l->column[k] = name[k];
        if (name[k][0]) named[n++] = name[k];
        snprintf(l->ivar[k], sizeof l->ivar[k], "%s_IVAR", name[k]);
        l->column[COLUMN_IVAR + k] = kind == KIND_FASTSPECFIT && k != COLUMN_Z ? l->ivar[k] : "";
    }
    if (kind == KIND_FASTSPECFIT) memmove(named, named + 1, sizeof named - sizeof *named); /* every table has a Z */
    for (int k = 0; k < 3; k++) l->column[COLUMN_G + k] = magnitude_columns[k];
    l->metallicity_scale = kind == KIND_FASTSPECFIT ? SCALE_LOG10_SOLAR
                           : kind == KIND_COLUMNS   ? c->metallicity_scale
                                                    : SCALE_LINEAR;
    l->sfr_scale = kind == KIND_COLUMNS ? c->sfr_scale : SCALE_LINEAR;
    TRY(labeltable_open(&l->table, path, c->hdu, l->id, named, a));
    l->theta = kind == KIND_PROVABGS && l->table.kind == TABLE_H5_COMPOUND &&
               labeltable_has(&l->table, c->estimate == ESTIMATE_MEAN ? "PROVABGS_MCMC" : "PROVABGS_THETA_BF") &&
               !(labeltable_has(&l->table, "TAGE_MW") && labeltable_has(&l->table, "Z_MW") &&
                 labeltable_has(&l->table, "AVG_SFR"));
    return OK;
}

/* Auto: a FITS table is fastspecfit's unless it says otherwise. */
static Status open_labels(Labels *l, const char *path, const LabelsConfig *c, Arena *a)
{
    if (c->kind != KIND_AUTO) return open_kind(l, c->kind, path, c, a);
    const Status st = open_kind(l, KIND_PROVABGS, path, c, a);
    if (st == OK) return OK;
    const FailRecord first = *fail_record();
    fail_clear();
    if (open_kind(l, KIND_FASTSPECFIT, path, c, a) == OK) return OK;
    fail_clear();
    fail_store(&first);
    return st;
}

/* ---- values ---- */

static double positive(double x) { return isfinite(x) && x > 0 ? x : NAN; }

static double log10_of(double x, int scale, double solar)
{
    switch (scale) {
    case SCALE_LINEAR: return isfinite(x) && x > 0 ? log10(x) : NAN;
    case SCALE_LN: return isfinite(x) ? x / M_LN10 : NAN;
    case SCALE_LOG10_SOLAR: return isfinite(x) ? x + log10(solar) : NAN;
    default: return isfinite(x) ? x : NAN;
    }
}

/* `value`: this row's number of each column, NaN where the column is absent. */
static void fill_labels(double label[N_LABELS], const double value[N_COLUMNS], const Labels *l, const LabelsConfig *c)
{
    const double sfr = log10_of(value[COLUMN_SFR], l->sfr_scale, 1);
    label[LABEL_Z] = positive(value[COLUMN_Z]);
    label[LABEL_LOGMSTAR] = positive(value[COLUMN_LOGMSTAR]);
    label[LABEL_AGE] = positive(value[COLUMN_AGE]);
    label[LABEL_LOGZ] = log10_of(value[COLUMN_METALS], l->metallicity_scale, c->solar);
    label[LABEL_LOGSSFR] = sfr - label[LABEL_LOGMSTAR]; /* log10(SFR / M*) [1/yr] */
    label[LABEL_SSFR_RELEASED] = M_LN10 * (sfr - label[LABEL_LOGZ]);
}

/* Ages, metallicities and rates of PROVABGS's parameters: of the best fit, or means over draws. */
static Status from_theta(double *const column[N_COLUMNS], Labels *l, const LabelsConfig *c, int64_t first, int64_t n,
                         Arena *a)
{
    enum { WIDTH = PROVABGS_PARAMETERS + 1, DRAWS = 100, PIECE = 256 };
    const bool mean = c->estimate == ESTIMATE_MEAN;
    const int64_t draws = mean ? DRAWS : 1, width = draws * WIDTH;
    const Mark mark = arena_mark(a);
    double *theta;
    TRY(arena_new(&theta, a, PIECE * width));
    for (int64_t at = 0; at < n; at += PIECE) {
        const int64_t m = n - at < PIECE ? n - at : PIECE;
        TRY(labeltable_read_wide(theta, &l->table, mean ? "PROVABGS_MCMC" : "PROVABGS_THETA_BF", width, first + at, m));
        for (int64_t i = 0; i < m; i++) {
            double age = 0, metals = 0, sfr = 0;
            for (int64_t d = 0; d < draws; d++) {
                const ProvabgsProperties p =
                    provabgs_properties(theta + i * width + d * WIDTH, column[COLUMN_Z][at + i]);
                age += p.tage_mw / (double)draws;
                metals += p.z_mw / (double)draws;
                sfr += p.avgsfr / (double)draws;
            }
            column[COLUMN_AGE][at + i] = age;
            column[COLUMN_METALS][at + i] = metals;
            column[COLUMN_SFR][at + i] = sfr;
        }
    }
    arena_reset(a, mark);
    return OK;
}

/* Does the row stay? Counts why not. */
static bool passes(LabelCounts *counts, int64_t id, const double value[N_COLUMNS], bool magnitudes,
                   const LabelsConfig *c)
{
    if (id < 0) {
        counts->negative++;
        return false;
    }
    if (magnitudes && !(value[COLUMN_G] > 0 && value[COLUMN_R] > 0 && value[COLUMN_ZMAG] > 0)) {
        counts->no_magnitudes++;
        return false;
    }
    if (c->min_logmstar > 0 && !(value[COLUMN_LOGMSTAR] > c->min_logmstar)) {
        counts->light++;
        return false;
    }
    counts->kept++;
    return true;
}

/* ---- the table ---- */

/* The share of `part`: [*first, *last) of n rows. */
static void share_rows(int64_t *first, int64_t *last, int64_t n, int part, int n_parts)
{
    int64_t each = n / n_parts, more = n % n_parts;
    *first = part * each + (part < more ? part : more);
    *last = *first + each + (part < more ? 1 : 0);
}

static Status read_part(LabelEntry **out, LabelCounts *counts, Labels *l, const LabelsConfig *c, int64_t first,
                        int64_t rows, Arena *a)
{
    LabelEntry *entry;
    int64_t *targetid;
    double *column[N_COLUMNS];
    TRY(arena_new(&entry, a, rows));
    const Mark scratch = arena_mark(a);
    TRY(arena_new(&targetid, a, rows));
    for (int k = 0; k < N_COLUMNS; k++) TRY(arena_new(&column[k], a, rows));
    TRY(labeltable_read_ids(targetid, &l->table, l->id, first, rows));
    TRY(labeltable_read(column, &l->table, l->column, N_COLUMNS, first, rows, a));
    if (l->theta) TRY(from_theta(column, l, c, first, rows, a));
    bool magnitudes = c->magnitudes;
    for (int k = 0; k < 3; k++) magnitudes = magnitudes && labeltable_has(&l->table, magnitude_columns[k]);
    for (int64_t i = 0; i < rows; i++) {
        double value[N_COLUMNS];
        for (int k = 0; k < N_COLUMNS; k++) value[k] = column[k][i];
        for (int k = 0; k < N_PROPERTIES; k++)
            if (value[COLUMN_IVAR + k] == 0) value[k] = NAN; /* not measured */
        LabelEntry *e = &entry[counts->kept];
        if (!passes(counts, targetid[i], value, magnitudes, c)) continue;
        e->targetid = targetid[i];
        e->row = first + i;
        fill_labels(e->label, value, l, c);
    }
    counts->rows = rows;
    arena_reset(a, scratch);
    *out = entry;
    return OK;
}

Status labels_count(int64_t *n, const char *path, const LabelsConfig *c)
{
    Labels l = {0};
    Arena scratch = {0};
    TRY(arena_init(&scratch, "names in a label table", 1 << 24));
    const Status st = open_labels(&l, path, c, &scratch);
    if (st == OK) *n = l.table.n;
    labeltable_close(&l.table);
    arena_free(&scratch);
    return st;
}

Status labels_read(LabelEntry **out, int64_t *n, LabelCounts *counts, const char *path, const LabelsConfig *c, int part,
                   int n_parts, Arena *a)
{
    Labels l = {0};
    Arena scratch = {0};
    int64_t first, last;
    *counts = (LabelCounts){0};
    TRY(arena_init(&scratch, "names in a label table", 1 << 24));
    Status st = open_labels(&l, path, c, &scratch);
    if (st == OK) {
        share_rows(&first, &last, l.table.n, part, n_parts);
        st = read_part(out, counts, &l, c, first, last - first, a);
    }
    *n = counts->kept;
    labeltable_close(&l.table);
    arena_free(&scratch);
    return st;
}
