/* report_predictions.c - predicted against true of the test split, and residuals by magnitude and by redshift. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "probe/predictions.h"
#include "tables/plot.h"
#include "tables/report.h"

enum { MOST = 4000, CHUNK = 4096, BINS = 10, LEAST = 20 }; /* objects in a plot; a bin has so many at least */

static const char *const probe_names[] = {"ridge", "mlp", "knn", "flow", NULL}; /* the first that is there */
static const char *const modality_input[] = {"image", "spectrum", "both"};
enum { N_INPUTS = sizeof modality_input / sizeof *modality_input };

static bool applies(const Report *r) { return report_has(r, "catalog.h5") && report_has(r, "predictions.h5"); }

/* Test rows that have the label. */
typedef struct {
    int64_t n;
    double *truth, *magnitude, *z;
    float *value[N_INPUTS]; /* NaN = none; NULL = not predicted */
} Sample;

static Status make_sample(Sample *s, Arena *a)
{
    TRY(arena_new(&s->truth, a, MOST));
    TRY(arena_new(&s->magnitude, a, MOST));
    TRY(arena_new(&s->z, a, MOST));
    for (int k = 0; k < N_INPUTS; k++) TRY(arena_new(&s->value[k], a, MOST));
    return OK;
}

static void name_of(char out[96], int input, const char *probe, int label)
{
    snprintf(out, 96, "astroclip_%s/%s/%s/value", modality_input[input], probe, label_table[label].name);
}

/* The first MOST test rows of the catalogue. */
static Status read_sample(Sample *s, const Report *r, Catalog *c, Predictions *q, int label, const char *probe)
{
    CatalogRow *row = NULL;
    float *x[N_INPUTS] = {NULL};
    char name[96];
    s->n = 0;
    const Mark mark = arena_mark(r->arena);
    TRY(arena_new(&row, r->arena, CHUNK));
    for (int k = 0; k < N_INPUTS; k++) {
        name_of(name, k, probe, label);
        if (predictions_have(q, name)) TRY(arena_new(&x[k], r->arena, CHUNK));
    }
    for (int64_t at = 0; at < c->n && s->n < MOST; at += CHUNK) {
        const int64_t n = c->n - at < CHUNK ? c->n - at : CHUNK;
        const Mark inner = arena_mark(r->arena);
        TRY(catalog_read(row, c, at, n, r->arena));
        arena_reset(r->arena, inner);
        for (int k = 0; k < N_INPUTS; k++) {
            name_of(name, k, probe, label);
            if (x[k]) TRY(predictions_read(x[k], q, name, 1, at, n));
        }
        for (int64_t i = 0; i < n && s->n < MOST; i++) {
            if (row[i].split != SPLIT_TEST || isnan(row[i].label[label])) continue;
            s->truth[s->n] = row[i].label[label];
            s->magnitude[s->n] = row[i].flux[1] > 0 ? 22.5 - 2.5 * log10(row[i].flux[1]) : NAN;
            s->z[s->n] = row[i].z;
            for (int k = 0; k < N_INPUTS; k++) s->value[k][s->n] = x[k] ? x[k][i] : NAN;
            s->n++;
        }
    }
    arena_reset(r->arena, mark);
    return OK;
}

static double residual(const Sample *s, int input, int64_t i, int label)
{
    const double off = s->value[input][i] - s->truth[i];
    return label == LABEL_Z ? off / (1 + s->truth[i]) : off;
}

/* ---- residuals in bins ---- */

typedef struct {
    double x, residual;
} Point;

static int by_x(const void *a, const void *b)
{
    const Point *p = a, *q = b;
    return p->x < q->x ? -1 : p->x > q->x;
}
static int by_residual(const void *a, const void *b)
{
    const Point *p = a, *q = b;
    return p->residual < q->residual ? -1 : p->residual > q->residual;
}

/* Median and 16 and 84 % quantiles, in bins of as many objects each. */
static void write_bins(FILE *f, Point *point, int64_t n, const char *by, int input)
{
    const int64_t bins = n / LEAST < BINS ? n / LEAST : BINS;
    qsort(point, (size_t)n, sizeof *point, by_x);
    for (int64_t b = 0; b < bins; b++) {
        Point *first = point + b * n / bins;
        const int64_t m = (b + 1) * n / bins - b * n / bins;
        const double middle = first[m / 2].x;
        qsort(first, (size_t)m, sizeof *first, by_residual);
        fprintf(f, "%s,%s,%.4f,%.5g,%.5g,%.5g,%" PRId64 "\n", by, modality_input[input], middle, first[m / 2].residual,
                first[m * 16 / 100].residual, first[m * 84 / 100].residual, m);
    }
}

static Status write_residuals(const Page *p, const char *name, const Sample *s, int label, Arena *a)
{
    const Mark mark = arena_mark(a);
    Point *point = NULL;
    FILE *f;
    TRY(arena_new(&point, a, s->n));
    TRY(plot_data(&f, p, name, "by,modality,middle,median,p16,p84,n"));
    for (int by = 0; by < 2; by++)
        for (int k = 0; k < N_INPUTS; k++) {
            int64_t n = 0;
            for (int64_t i = 0; i < s->n; i++) {
                const Point one = {by == 0 ? s->magnitude[i] : s->z[i], residual(s, k, i, label)};
                if (isfinite(one.x) && isfinite(one.residual)) point[n++] = one;
            }
            write_bins(f, point, n, by == 0 ? "r" : "z", k);
        }
    arena_reset(a, mark);
    return plot_data_end(f, p, name);
}

/* ---- plots ---- */

static int present(const Sample *s, int input)
{
    int n = 0;
    for (int64_t i = 0; i < s->n; i++) n += isfinite(s->value[input][i]) != 0;
    return n;
}

static const char *const colour[N_INPUTS] = {"#e0902a", "#2f6db3", "#3f9d6b"};

/* Of about four tics: 1, 2 or 5 times a power of ten. */
static double tic_step(double range)
{
    const double about = range / 4, power = pow(10, floor(log10(about)));
    return power * (about < 1.5 * power ? 1 : about < 3.5 * power ? 2 : 5);
}

static Status draw_scatter(Page *p, const Sample *s, int label, const char *probe)
{
    char name[64], commands[2048], caption[200], alt[200];
    double low = INFINITY, high = -INFINITY;
    FILE *f;
    int panels = 0;
    snprintf(name, sizeof name, "predicted-%s", label_table[label].name);
    TRY(plot_data(&f, p, name, "true,image,spectrum,both,r,z"));
    for (int64_t i = 0; i < s->n; i++) {
        low = fmin(low, s->truth[i]), high = fmax(high, s->truth[i]);
        fprintf(f, "%.6g", s->truth[i]);
        for (int k = 0; k < N_INPUTS; k++) fprintf(f, isfinite(s->value[k][i]) ? ",%.6g" : ",", (double)s->value[k][i]);
        fprintf(f, isfinite(s->magnitude[i]) ? ",%.3f" : ",", s->magnitude[i]);
        fprintf(f, isfinite(s->z[i]) ? ",%.5f\n" : ",\n", s->z[i]);
    }
    TRY(plot_data_end(f, p, name));
    for (int k = 0; k < N_INPUTS; k++) panels += present(s, k) > 0;
    if (panels == 0 || !(high > low)) return OK;
    size_t at =
        (size_t)snprintf(commands, sizeof commands,
                         "set multiplot layout 1,%d\nunset key\nset xtics %g\nset xrange [%g:%g]\nset yrange "
                         "[%g:%g]\nset xlabel 'true'\n"
                         "set ylabel 'predicted'\n",
                         panels, tic_step(high - low), low, high, low - 0.1 * (high - low), high + 0.1 * (high - low));
    for (int k = 0; k < N_INPUTS; k++)
        if (present(s, k) > 0)
            at += (size_t)
                snprintf(commands + at, sizeof commands - at,
                         "set title 'from %s'\nplot '%s.csv' skip 1 using 1:%d with points pt 7 ps 0.3 lc rgb '%s', x "
                         "with lines lc rgb '#5b6570' dt 2\n",
                         modality_input[k], name, k + 2, colour[k]);
    snprintf(commands + at, sizeof commands - at, "unset multiplot");
    snprintf(caption, sizeof caption, "%s (%s%s%s): predicted by %s against true, test split.", label_table[label].name,
             label_table[label].meaning, label_table[label].unit[0] ? ", " : "", label_table[label].unit, probe);
    snprintf(alt, sizeof alt, "Scatter plots of predicted against true %s, one panel a modality",
             label_table[label].name);
    return plot_draw(p, name, name, PLOT_WIDE, commands, caption, alt);
}

static Status draw_residuals(Page *p, const Report *r, const Sample *s, int label)
{
    static const char *const by[2][2] = {{"r", "r magnitude"}, {"z", "redshift"}};
    char name[64], commands[4096], caption[200], alt[200];
    snprintf(name, sizeof name, "residual-%s", label_table[label].name);
    TRY(write_residuals(p, name, s, label, r->arena));
    size_t at = (size_t)snprintf(commands, sizeof commands, "set multiplot layout 1,2\nset ylabel '%s'\n",
                                 label == LABEL_Z ? "(z_{pred} - z) / (1 + z)" : "predicted - true");
    for (int b = 0; b < 2; b++) {
        at += (size_t)snprintf(commands + at, sizeof commands - at,
                               "set xlabel '%s'\nplot 0 with lines lc rgb '#5b6570' dt 2 notitle", by[b][1]);
        for (int k = 0; k < N_INPUTS; k++)
            if (present(s, k) >= LEAST)
                at += (size_t)snprintf(commands + at, sizeof commands - at,
                                       ", '%s.csv' skip 1 using (strcol(1) eq '%s' && strcol(2) eq '%s' ? $3%+.3f "
                                       ": NaN):4:5:6 with yerrorbars "
                                       "pt 7 ps 0.5 lc rgb '%s' title '%s'",
                                       name, by[b][0], modality_input[k], (k - 1) * (b == 0 ? 0.03 : 0.004), colour[k],
                                       modality_input[k]);
        at += (size_t)snprintf(commands + at, sizeof commands - at, "\n");
    }
    snprintf(commands + at, sizeof commands - at, "unset multiplot");
    snprintf(caption, sizeof caption,
             "%s: median residual and its central 68 %% by magnitude and by redshift, test split.",
             label_table[label].name);
    snprintf(alt, sizeof alt, "Residuals of %s in bins of magnitude and of redshift", label_table[label].name);
    return plot_draw(p, name, name, PLOT_WIDE, commands, caption, alt);
}

static const char *probe_of(Predictions *q, int label)
{
    char name[96];
    for (int i = 0; probe_names[i]; i++)
        for (int k = 0; k < N_INPUTS; k++) {
            name_of(name, k, probe_names[i], label);
            if (predictions_have(q, name)) return probe_names[i];
        }
    return NULL;
}

static Status write(Page *p, const Report *r)
{
    Catalog c = {0};
    Predictions q = {0};
    Sample s;
    char *path;
    Status st = OK;
    TRY(make_sample(&s, r->arena));
    TRY(report_path(&path, r, "catalog.h5"));
    TRY_DONE(catalog_open(&c, path, NULL, r->arena));
    TRY_DONE(report_path(&path, r, "predictions.h5"));
    TRY_DONE(predictions_open(&q, path, NULL, r->arena));
    if (q.n != c.n) TRY_DONE(FAIL(E_INPUT, "%s has other rows than catalog.h5: run `astroclip probe` again", path));
    for (int label = 0; label < N_LABELS; label++) {
        const char *probe = probe_of(&q, label);
        if (!probe) continue;
        TRY_DONE(read_sample(&s, r, &c, &q, label, probe));
        if (s.n < 2) continue;
        page_heading(p, 3, label_table[label].name);
        TRY_DONE(draw_scatter(p, &s, label, probe));
        if (s.n >= LEAST) TRY_DONE(draw_residuals(p, r, &s, label));
    }
done:
    predictions_close(&q);
    catalog_close(&c);
    return st;
}

const ReportSection report_predictions = {"Predicted and true", applies, write};
