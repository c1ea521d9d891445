/* reports.c - what is gathered of each fit, and the CSV files of it. */
#include "probe/reports.h"

#include <errno.h>
#include <math.h>
#include <string.h>

Status reports_open(ProbeReports *r, int most, Arena *a)
{
    *r = (ProbeReports){.most = most * 2 * N_SPLITS}; /* no more than one joint row per fit */
    TRY(arena_new(&r->posterior, a, r->most));
    return arena_new(&r->fit, a, most);
}

/* Collective. */
static Status add_photoz(FitReport *out, const ProbeFit *fit, const double *truth, const double *value,
                         const ProbeTask *t, Arena *a)
{
    const Calibration *c = &fit->calibration;
    for (int b = 0; b < c->n_bins && c->n_bins > 1; b++)
        TRY(photoz_measure(&out->magnitude[out->n_magnitude++], b == 0 ? -INFINITY : c->edge[b - 1],
                           b == c->n_bins - 1 ? INFINITY : c->edge[b], t->rows->magnitude, truth, value, t->rows->n,
                           t->par, a));
    for (int k = 0; k + 1 < PHOTOZ_Z_EDGES; k++)
        TRY(photoz_measure(&out->redshift[out->n_redshift++], photoz_edge(k), photoz_edge(k + 1), truth, truth, value,
                           t->rows->n, t->par, a));
    return OK;
}

Status reports_add(ProbeReports *r, int index, const ProbeFit *fit, const RowPredictions *p, const ProbeTask *t,
                   Arena *a)
{
    const Mark mark = arena_mark(a);
    FitReport *out = &r->fit[r->n++];
    double *truth = NULL;
    *out = (FitReport){.fit = index};
    TRY(par_agree(t->par, arena_new(&truth, a, t->rows->n)));
    for (int64_t i = 0; i < t->rows->n; i++)
        truth[i] = t->rows->split[i] == SPLIT_TEST ? t->rows->label[fit->label][i] : NAN;
    const CalibrationRows rows = {t->rows->n, truth, p->value, p->scale, t->rows->magnitude};
    TRY(coverage_measure(out->coverage, &out->n_coverage, &fit->calibration, &rows, t->par, a));
    if (fit->label == LABEL_Z) TRY(add_photoz(out, fit, truth, p->value, t, a));
    arena_reset(a, mark);
    return OK;
}

void reports_add_posterior(ProbeReports *r, const ProbeInputRow *input, const char *property, int split,
                           const double *sum, int64_t members)
{
    double squares = 0, mean = 0;
    const double n = sum[0];
    MUST(r->n_posterior < r->most);
    for (int64_t k = 0; k < members; k++) mean += sum[2 + k] / n / (double)members;
    for (int64_t k = 0; k < members; k++) squares += (sum[2 + k] / n - mean) * (sum[2 + k] / n - mean);
    r->posterior[r->n_posterior++] =
        (PosteriorRow){input, property, split, (int64_t)n, mean, sqrt(squares / (double)(members - 1)), sum[1] / n};
}

/* ---- CSV ---- */

/* Empty where undefined or without an end. */
static void put_number(FILE *f, double x)
{
    if (isfinite(x))
        fprintf(f, ",%.6g", x);
    else
        fputc(',', f);
}

static void put_key(FILE *f, const ProbeSet *set, int fit)
{
    const ProbeFit *b = &set->fit[fit];
    const ProbeInputRow *row = set->input[b->input].row;
    fprintf(f, "%s,%s,%s,%s", label_table[b->label].name, row->encoder, row->modality, b->probe);
}

static double share(int64_t n, int64_t of) { return of > 0 ? (double)n / (double)of : NAN; }

static void put_coverage(FILE *f, const ProbeReports *r, const ProbeSet *set)
{
    fputs("property,encoder,modality,probe,mag_low,mag_high,n,coverage68,coverage95,width68,ks\n", f);
    for (int i = 0; i < r->n; i++)
        for (int b = 0; b < r->fit[i].n_coverage; b++) {
            const Coverage *c = &r->fit[i].coverage[b];
            put_key(f, set, r->fit[i].fit);
            put_number(f, c->low);
            put_number(f, c->high);
            fprintf(f, ",%lld", (long long)c->n);
            put_number(f, share(c->within68, c->n));
            put_number(f, share(c->within95, c->n));
            put_number(f, c->width68);
            put_number(f, coverage_ks(c));
            fputc('\n', f);
        }
}

static void put_pit(FILE *f, const ProbeReports *r, const ProbeSet *set)
{
    fputs("property,encoder,modality,probe,pit_low,pit_high,n\n", f);
    for (int i = 0; i < r->n; i++)
        for (int b = 0; b < PIT_BINS; b++) {
            put_key(f, set, r->fit[i].fit);
            fprintf(f, ",%.2f,%.2f,%lld\n", (double)b / PIT_BINS, (b + 1.0) / PIT_BINS,
                    (long long)r->fit[i].coverage[0].pit[b]);
        }
}

static void put_photoz_bins(FILE *f, const ProbeSet *set, int fit, const char *by, const PhotozBin *bin, int n)
{
    for (int b = 0; b < n; b++) {
        put_key(f, set, fit);
        fprintf(f, ",%s", by);
        put_number(f, bin[b].low);
        put_number(f, bin[b].high);
        fprintf(f, ",%lld", (long long)bin[b].n);
        put_number(f, bin[b].bias);
        put_number(f, bin[b].median);
        put_number(f, bin[b].std);
        put_number(f, bin[b].sigma_nmad);
        put_number(f, bin[b].sigma68);
        put_number(f, share(bin[b].outliers, bin[b].n));
        fputc('\n', f);
    }
}

static void put_photoz(FILE *f, const ProbeReports *r, const ProbeSet *set)
{
    fputs("property,encoder,modality,probe,by,low,high,n,bias,median,std,sigma_nmad,sigma68,outlier_fraction\n", f);
    for (int i = 0; i < r->n; i++) {
        put_photoz_bins(f, set, r->fit[i].fit, "r", r->fit[i].magnitude, r->fit[i].n_magnitude);
        put_photoz_bins(f, set, r->fit[i].fit, "z", r->fit[i].redshift, r->fit[i].n_redshift);
    }
}

static void put_posterior(FILE *f, const ProbeReports *r, const ProbeSet *set)
{
    (void)set;
    fputs("property,encoder,modality,split,n,nll_mean,nll_std,nll_mixture\n", f);
    for (int i = 0; i < r->n_posterior; i++) {
        const PosteriorRow *p = &r->posterior[i];
        fprintf(f, "%s,%s,%s,%s,%lld", p->property, p->input->encoder, p->input->modality, split_name[p->split],
                (long long)p->n);
        put_number(f, p->mean);
        put_number(f, p->std);
        put_number(f, p->mixture);
        fputc('\n', f);
    }
}

static void put_table(FILE *f, const ProbeReports *r, const ProbeSet *set)
{
    (void)r;
    reports_table(f, set, true);
}

static const struct {
    const char *name;
    void (*put)(FILE *f, const ProbeReports *r, const ProbeSet *set);
} files[] = {{"posterior.csv", put_posterior},
             {"coverage.csv", put_coverage},
             {"pit.csv", put_pit},
             {"photoz.csv", put_photoz},
             {"table.csv", put_table}};

Status reports_write(const char *folder, const ProbeReports *r, const ProbeSet *set, const Par *par, Arena *a)
{
    for (unsigned k = 0; k < sizeof files / sizeof *files; k++) {
        char *path = NULL, *part = NULL;
        Status st = arena_printf(&path, a, "%s/%s", folder, files[k].name);
        if (st == OK) st = arena_printf(&part, a, "%s.part", path);
        TRY(par_agree(par, st));
        if (par->rank == 0) {
            FILE *f = fopen(part, "w");
            if (f) files[k].put(f, r, set);
            const bool bad = !f || ferror(f) != 0;
            if ((f && fclose(f) != 0) || bad) st = FAIL(E_OUTPUT, "cannot write %s: %s", part, strerror(errno));
        }
        if (st == OK) st = FAIL_POINT("probe.reports");
        st = par_agree(par, st);
        if (st != OK && par->rank == 0) remove(part);
        TRY(st);
        TRY(artefact_publish(par, path));
    }
    return OK;
}
