/* report_outliers.c - who is least like what probes learnt from, and whose redshift they miss most: to be looked at. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/predictions.h"
#include "tables/objects.h"

enum { CHUNK = 4096 };

static bool applies(const Report *r)
{
    return r->config->outliers > 0 && report_has(r, "catalog.h5") && report_has(r, "predictions.h5");
}

static const struct {
    const char *name, *dataset, *title, *what;
    bool redshift;
} kinds[] = {
    {"ood-image", "astroclip_image/ood", "Images unlike the train split's", "distance to train embeddings", false},
    {"ood-spectrum", "astroclip_spectrum/ood", "Spectra unlike the train split's", "distance to train embeddings",
     false},
    {"z-image", "astroclip_image/ridge/z/value", "Redshifts missed most from images", "predicted z", true},
    {"z-spectrum", "astroclip_spectrum/ridge/z/value", "Redshifts missed most from spectra", "predicted z", true},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

typedef struct {
    double badness, value;
    int64_t number;
} Outlier;

static int by_badness(const void *a, const void *b)
{
    const Outlier *x = a, *y = b;
    if (x->badness != y->badness) return x->badness > y->badness ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* The `most` worst rows; of redshifts, test rows alone: train rows are no test. */
static Status find_worst(Outlier *out, int64_t *n, int64_t most, int kind, Catalog *c, Predictions *q, Arena *a)
{
    const Mark mark = arena_mark(a);
    CatalogRow *row = NULL;
    float *x = NULL;
    *n = 0;
    TRY(arena_new(&row, a, CHUNK));
    TRY(arena_new(&x, a, CHUNK));
    for (int64_t at = 0; at < c->n; at += CHUNK) {
        const int64_t here = c->n - at < CHUNK ? c->n - at : CHUNK;
        const Mark inner = arena_mark(a);
        TRY(catalog_read(row, c, at, here, a));
        TRY(predictions_read(x, q, kinds[kind].dataset, 1, at, here));
        arena_reset(a, inner);
        for (int64_t i = 0; i < here; i++) {
            const double z = row[i].label[LABEL_Z], bad = kinds[kind].redshift ? fabs(x[i] - z) / (1 + z) : x[i];
            if (!isfinite(bad) || (kinds[kind].redshift && row[i].split != SPLIT_TEST)) continue;
            const Outlier one = {bad, x[i], at + i};
            if (*n == most && by_badness(&one, &out[most - 1]) > 0) continue;
            out[*n < most ? (*n)++ : most - 1] = one;
            qsort(out, (size_t)*n, sizeof *out, by_badness);
        }
    }
    arena_reset(a, mark);
    return OK;
}

static Status write_kind(Page *p, const Report *r, int kind, Catalog *c, Predictions *q)
{
    const int64_t most = r->config->outliers;
    const Mark mark = arena_mark(r->arena);
    Outlier *worst = NULL;
    int64_t *number = NULL, n, place[MOST_TRACES];
    char label[MOST_TRACES][48], name[64], caption[160];
    Objects o;
    if (!predictions_have(q, kinds[kind].dataset)) return OK;
    TRY(arena_new(&worst, r->arena, most));
    TRY(arena_new(&number, r->arena, most));
    TRY(find_worst(worst, &n, most, kind, c, q, r->arena));
    if (n == 0) return OK;
    for (int64_t i = 0; i < n; i++) number[i] = worst[i].number;
    TRY(objects_read(&o, p, r, c, number, n));
    page_heading(p, 3, kinds[kind].title);
    snprintf(caption, sizeof caption, "%s%s", kinds[kind].title, kinds[kind].redshift ? ", test split" : "");
    page_strip(p, caption, false);
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = objects_find(&o, worst[i].number);
        snprintf(caption, sizeof caption, "%" PRId64 ": %s", i + 1, objects_redshift(o.row[at].z).text);
        objects_thumb(p, &o, at, caption);
        if (i >= MOST_TRACES) continue;
        place[i] = at;
        snprintf(label[i], sizeof *label, "%" PRId64 "  %s", i + 1, objects_redshift(o.row[at].z).text);
    }
    page_strip_end(p);
    snprintf(name, sizeof name, "outliers-%s", kinds[kind].name);
    snprintf(caption, sizeof caption, "%s: their spectra, the worst on top.", kinds[kind].title);
    TRY(objects_traces(p, &o, place, (const char(*)[48])label, (int)(n < MOST_TRACES ? n : MOST_TRACES), name,
                       caption));
    snprintf(caption, sizeof caption, "TARGETID\tz\tr\t%s\tsurvey program", kinds[kind].what);
    page_table(p, kinds[kind].title, caption);
    for (int64_t i = 0; i < n; i++) {
        const CatalogRow *row = &o.row[objects_find(&o, worst[i].number)];
        char z[24] = "", magnitude[24] = "";
        if (isfinite(row->z)) snprintf(z, sizeof z, "%.4f", row->z);
        if (row->flux[1] > 0) snprintf(magnitude, sizeof magnitude, "%.2f", 22.5 - 2.5 * log10(row->flux[1]));
        page_row(p, "%" PRId64 "\t%s\t%s\t%.4g\t%.8s %.8s", row->targetid, z, magnitude, worst[i].value, row->survey,
                 row->program);
    }
    page_table_end(p);
    arena_reset(r->arena, mark);
    return OK;
}

static Status write(Page *p, const Report *r)
{
    Catalog c = {0};
    Predictions q = {0};
    char *path;
    Status st = OK;
    TRY(report_path(&path, r, "catalog.h5"));
    TRY_DONE(catalog_open(&c, path, NULL, r->arena));
    TRY_DONE(report_path(&path, r, "predictions.h5"));
    TRY_DONE(predictions_open(&q, path, NULL, r->arena));
    if (q.n != c.n) TRY_DONE(FAIL(E_INPUT, "%s has other rows than catalog.h5: run `astroclip probe` again", path));
    for (int k = 0; k < N_KINDS; k++) TRY_DONE(write_kind(p, r, k, &c, &q));
done:
    predictions_close(&q);
    catalog_close(&c);
    return st;
}

const ReportSection report_outliers = {"Outliers", applies, write};
