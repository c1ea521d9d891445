/* labels.c - reads a label table, a part of it per rank, and turns its columns into the properties of label_table. */
#include "data/labels.h"

#include <math.h>
#include <string.h>

const LabelRow label_table[N_LABELS] = {
    [LABEL_Z] = {"z", "Z", "", "redshift"},
    [LABEL_LOGMSTAR] = {"logmstar", "LOGMSTAR", "", "log10 of the surviving stellar mass in Msun"},
    [LABEL_AGE] = {"age", "TAGE_MW", "Gyr", "mass-weighted stellar age"},
    [LABEL_LOGZ] = {"logz", "LOG_ZMW", "", "log10 of the mass-weighted metallicity"},
    [LABEL_LOGSSFR] = {"logssfr", "LOG_SSFR", "", "log10 of star formation rate / mass in 1/yr"},
};

/* Where each number comes from. A missing column leaves its labels NaN. */
enum { COLUMN_Z, COLUMN_LOGMSTAR, COLUMN_AGE, COLUMN_METALS, COLUMN_SFR, N_COLUMNS };
static const char *const column_name[N_COLUMNS] = {"Z_HP", "PROVABGS_LOGMSTAR_BF", "TAGE_MW", "Z_MW", "AVG_SFR"};

/* The first dataset at the root (by name) that has a TARGETID and at least one property as members. */
static Status find_table(const char **table, int64_t *n, H5File *f, Arena *a)
{
    char **name;
    int64_t n_names;
    TRY(h5_list(&name, &n_names, f, "/", a));
    for (int64_t i = 0; i < n_names; i++) {
        if (!h5_has_member(f, name[i], "TARGETID")) continue;
        bool any = false;
        for (int c = 0; c < N_COLUMNS; c++) any = any || h5_has_member(f, name[i], column_name[c]);
        if (!any) continue;
        H5Shape shape;
        TRY(h5_member_shape(&shape, f, name[i], "TARGETID"));
        if (shape.n_dims != 1) continue;
        *table = name[i];
        *n = shape.dims[0];
        return OK;
    }
    return FAIL(
        E_INPUT,
        "%s: no table of labels: none of its %ld root objects is a one-dimensional compound dataset with TARGETID and "
        "one of Z_HP, PROVABGS_LOGMSTAR_BF, TAGE_MW, Z_MW, AVG_SFR (astropy's Table.write makes such a file)",
        f->path, (long)n_names);
}

/* The share of `part`: [*first, *last) of n rows. */
static void share_rows(int64_t *first, int64_t *last, int64_t n, int part, int n_parts)
{
    int64_t each = n / n_parts, more = n % n_parts;
    *first = part * each + (part < more ? part : more);
    *last = *first + each + (part < more ? 1 : 0);
}

static double positive(double x) { return isfinite(x) && x > 0 ? x : NAN; }
static double log10_positive(double x) { return isfinite(x) && x > 0 ? log10(x) : NAN; }

/* `value`: this row's number of each column, NaN where the column is absent. */
static void fill_labels(double label[N_LABELS], const double value[N_COLUMNS])
{
    label[LABEL_Z] = positive(value[COLUMN_Z]);
    label[LABEL_LOGMSTAR] = positive(value[COLUMN_LOGMSTAR]);
    label[LABEL_AGE] = positive(value[COLUMN_AGE]);
    label[LABEL_LOGZ] = log10_positive(value[COLUMN_METALS]);
    label[LABEL_LOGSSFR] = log10_positive(value[COLUMN_SFR]) - label[LABEL_LOGMSTAR]; /* log10(SFR / M*) [1/yr] */
}

/* Rows [first, last) of a column of one number per row; NaN where the table lacks the column. */
static Status read_column(double *out, H5File *f, const char *table, const char *name, int64_t first, int64_t last)
{
    H5Shape shape;
    if (!h5_has_member(f, table, name)) {
        for (int64_t i = 0; i < last - first; i++) out[i] = NAN;
        return OK;
    }
    TRY(h5_member_shape(&shape, f, table, name));
    if (shape.n_dims != 1)
        return FAIL(E_INPUT, "%s: column %s of %s holds several numbers per row, one expected", f->path, name, table);
    return h5_read_member(out, f, table, name, H5_F64, 0, first, last - first);
}

static Status read_part(LabelEntry **out, int64_t *n, H5File *f, const char *table, int64_t first, int64_t last,
                        Arena *a)
{
    int64_t rows = last - first, kept = 0;
    LabelEntry *entry;
    TRY(arena_new(&entry, a, rows));
    Mark scratch = arena_mark(a);
    int64_t *targetid;
    double *column[N_COLUMNS];
    TRY(arena_new(&targetid, a, rows));
    TRY(h5_read_member(targetid, f, table, "TARGETID", H5_I64, 0, first, rows));
    for (int c = 0; c < N_COLUMNS; c++) {
        TRY(arena_new(&column[c], a, rows));
        TRY(read_column(column[c], f, table, column_name[c], first, last));
    }
    for (int64_t i = 0; i < rows; i++) {
        if (targetid[i] < 0) continue;
        double value[N_COLUMNS];
        for (int c = 0; c < N_COLUMNS; c++) value[c] = column[c][i];
        LabelEntry *e = &entry[kept++];
        e->targetid = targetid[i];
        e->row = first + i;
        fill_labels(e->label, value);
    }
    arena_reset(a, scratch);
    *out = entry;
    *n = kept;
    return OK;
}

Status labels_count(int64_t *n, const char *path)
{
    Status st = OK;
    H5File f = {0};
    Arena scratch = {0};
    const char *table;
    TRY(arena_init(&scratch, "names in a label table", 1 << 24));
    TRY_DONE(h5_open(&f, path, NULL));
    TRY_DONE(find_table(&table, n, &f, &scratch));
done:
    h5_close(&f);
    arena_free(&scratch);
    return st;
}

Status labels_read(LabelEntry **out, int64_t *n, const char *path, int part, int n_parts, Arena *a)
{
    Status st = OK;
    H5File f = {0};
    Arena scratch = {0};
    const char *table;
    int64_t rows, first, last;
    TRY(arena_init(&scratch, "names in a label table", 1 << 24));
    TRY_DONE(h5_open(&f, path, NULL));
    TRY_DONE(find_table(&table, &rows, &f, &scratch));
    share_rows(&first, &last, rows, part, n_parts);
    TRY_DONE(read_part(out, n, &f, table, first, last, a));
done:
    h5_close(&f);
    arena_free(&scratch);
    return st;
}
