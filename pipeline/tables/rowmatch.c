/* rowmatch.c - rows of the catalogue to rows of a redshift catalogue: both meet on the rank that the TARGETID's hash names, answers go to
   the owners of the catalogue's rows. */
#include "tables/rowmatch.h"

#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "io/fitsfile.h"

typedef struct {
    int64_t targetid, row; /* row of the catalogue or of the table */
    char survey[8], program[8];
    int64_t of_table; /* 0, 1: the catalogue's rows come first */
} Key;

typedef struct {
    int64_t row, at;
} Answer;

static int compare(const void *a, const void *b)
{
    const Key *x = a, *y = b;
    if (x->targetid != y->targetid) return x->targetid < y->targetid ? -1 : 1;
    int order = strncmp(x->survey, y->survey, sizeof x->survey);
    if (order == 0) order = strncmp(x->program, y->program, sizeof x->program);
    if (order != 0) return order;
    if (x->of_table != y->of_table) return x->of_table < y->of_table ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static bool same(const Key *x, const Key *y)
{
    return x->targetid == y->targetid && strncmp(x->survey, y->survey, sizeof x->survey) == 0 &&
           strncmp(x->program, y->program, sizeof x->program) == 0;
}

/* ---- the rows of both sides that this rank reads ---- */

static Status read_catalog(Key *key, Catalog *catalog, int64_t first, int64_t n, Arena *a)
{
    enum { PIECE = 4096 };
    for (int64_t at = 0; at < n; at += PIECE) {
        const Mark mark = arena_mark(a);
        const int64_t m = n - at < PIECE ? n - at : PIECE;
        CatalogRow *row;
        TRY(arena_new(&row, a, m));
        TRY(catalog_read(row, catalog, first + at, m, a));
        for (int64_t i = 0; i < m; i++) {
            Key *k = &key[at + i];
            *k = (Key){.targetid = row[i].targetid, .row = first + at + i};
            memcpy(k->survey, row[i].survey, sizeof k->survey);
            memcpy(k->program, row[i].program, sizeof k->program);
        }
        arena_reset(a, mark);
    }
    return OK;
}

/* The HDU ZCATALOG, else the first with a TARGETID. */
static Status find_table(FitsFile *f)
{
    if (fitsfile_has(f, "ZCATALOG")) return fitsfile_goto(f, "ZCATALOG");
    for (int k = 1; fitsfile_goto_number(f, k) == OK; k++)
        if (fitsfile_has_column(f, "TARGETID")) return OK;
    fail_clear();
    return FAIL(E_INPUT, "%s: no HDU has a column TARGETID: tables.match names a redshift catalogue", f->path);
}

static Status read_text(char *out, FitsFile *f, const char *column, int64_t first, int64_t n)
{
    return fitsfile_has_column(f, column) ? fitsfile_read_text(out, 8, f, column, first, n) : OK;
}

static Status read_table(Key **out, int64_t *n, int64_t *total, const char *path, const Par *par, Arena *a)
{
    FitsFile f = {0};
    int64_t first, last, *id;
    char(*survey)[8], (*program)[8];
    TRY(fitsfile_open(&f, path));
    Status st = find_table(&f);
    if (st == OK) st = fitsfile_rows(total, &f);
    if (st == OK) {
        par_share(&first, &last, par, *total);
        *n = last - first;
        st = arena_new(out, a, *n);
        if (st == OK) st = arena_new(&id, a, *n);
        if (st == OK) st = arena_new(&survey, a, *n);
        if (st == OK) st = arena_new(&program, a, *n);
        if (st == OK) st = fitsfile_read_column(id, &f, "TARGETID", FITS_I64, first, *n);
        if (st == OK) st = read_text((char *)survey, &f, "SURVEY", first, *n);
        if (st == OK) st = read_text((char *)program, &f, "PROGRAM", first, *n);
        for (int64_t i = 0; st == OK && i < *n; i++) {
            Key *k = &(*out)[i];
            *k = (Key){.targetid = id[i], .row = first + i, .of_table = 1};
            memcpy(k->survey, survey[i], sizeof k->survey);
            memcpy(k->program, program[i], sizeof k->program);
        }
    }
    fitsfile_close(&f);
    return st;
}

/* ---- meeting ---- */

static Status meet(Key **out, int64_t *n, const Key *ours, int64_t n_ours, const Key *theirs, int64_t n_theirs,
                   const Par *par, Arena *a)
{
    Key *all = NULL;
    int *dest = NULL;
    Status st = arena_new(&all, a, n_ours + n_theirs);
    if (st == OK) st = arena_new(&dest, a, n_ours + n_theirs);
    TRY(par_agree(par, st));
    memcpy(all, ours, (size_t)n_ours * sizeof *all);
    memcpy(all + n_ours, theirs, (size_t)n_theirs * sizeof *all);
    for (int64_t i = 0; i < n_ours + n_theirs; i++)
        dest[i] = (int)(hash_mix((uint64_t)all[i].targetid) % (uint64_t)par->n_ranks);
    TRY(par_exchange((void **)out, n, par, all, dest, n_ours + n_theirs, sizeof *all, a));
    qsort(*out, (size_t)*n, sizeof **out, compare);
    return OK;
}

static int owner_of(int64_t row, int64_t total, const Par *par)
{
    int low = 0, high = par->n_ranks - 1;
    while (low < high) { /* the first rank whose share ends behind the row */
        Par other = *par;
        int64_t first, last;
        other.rank = (low + high) / 2;
        par_share(&first, &last, &other, total);
        if (last > row)
            high = other.rank;
        else
            low = other.rank + 1;
    }
    return low;
}

Status rowmatch(RowMatch *out, int64_t *at, const char *path, Catalog *catalog, int64_t first, int64_t n,
                const Par *par, Arena *a)
{
    Key *ours = NULL, *theirs = NULL, *key = NULL;
    Answer *answer = NULL, *mine = NULL;
    int *dest = NULL;
    int64_t n_theirs = 0, n_keys = 0, n_answers = 0, n_mine = 0;
    *out = (RowMatch){0};
    Status st = arena_new(&ours, a, n);
    if (st == OK) st = read_catalog(ours, catalog, first, n, a);
    if (st == OK) st = read_table(&theirs, &n_theirs, &out->rows, path, par, a);
    TRY(par_agree(par, st));
    TRY(meet(&key, &n_keys, ours, n, theirs, n_theirs, par, a));
    st = arena_new(&answer, a, n_keys);
    if (st == OK) st = arena_new(&dest, a, n_keys);
    if (st == OK) st = arena_new(&out->missing, a, n_keys);
    TRY(par_agree(par, st));
    for (int64_t i = 0; i < n_keys; i++) {
        if (!key[i].of_table) continue;
        if (i > 0 && !key[i - 1].of_table && same(&key[i - 1], &key[i])) {
            dest[n_answers] = owner_of(key[i - 1].row, catalog->n, par);
            answer[n_answers++] = (Answer){key[i - 1].row, key[i].row};
        } else {
            RowMissing *m = &out->missing[out->n_missing++];
            *m = (RowMissing){.targetid = key[i].targetid, .at = key[i].row};
            memcpy(m->survey, key[i].survey, sizeof m->survey);
            memcpy(m->program, key[i].program, sizeof m->program);
        }
    }
    TRY(par_exchange((void **)&mine, &n_mine, par, answer, dest, n_answers, sizeof *answer, a));
    for (int64_t i = 0; i < n; i++) at[i] = -1;
    for (int64_t i = 0; i < n_mine; i++) at[mine[i].row - first] = mine[i].at;
    out->matched = n_mine;
    par_sum_i64(par, &out->matched, 1);
    return OK;
}
