/* probes.c - probes.h5 and scores.csv. */
#include "probe/probes.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/seal.h"
#include "probe/fit.h"
#include "probe/morphology.h"

/* ---- names in the file ---- */

enum { N_SCORES = 7, BIN_NUMBERS = 7 + CALIBRATION_GRID };
static const char score_columns[] = "n r2 rmse bias sigma_nmad outlier_fraction nll";
static const char bin_columns[] = "edge n std l68 u68 l95 u95 then quantiles 0, 1 %, ... 100 %";

static void input_name(char out[H5_PATH], const ProbeInputRow *row)
{
    snprintf(out, H5_PATH, "%s_%s", row->encoder, row->modality);
}

static void fit_name(char out[H5_PATH], const ProbeInputRow *row, const char *probe, int label)
{
    snprintf(out, H5_PATH, "%s_%s/%s/%s", row->encoder, row->modality, probe, label_table[label].name);
}

/* A member of a group, in one of four rotating buffers. */
static const char *in(const char *group, const char *member)
{
    static char text[4][H5_PATH + 32];
    static int next;
    char *out = text[next++ & 3];
    snprintf(out, sizeof text[0], "%s/%s", group, member);
    return out;
}

/* ---- writing ---- */

static Status put_input(H5File *f, const ProbeInput *p)
{
    char g[H5_PATH];
    input_name(g, p->row);
    TRY(h5_put(f, in(g, "mean"), H5_F64, 0, p->mean, &p->dim, 1));
    TRY(h5_put(f, in(g, "std"), H5_F64, 0, p->std, &p->dim, 1));
    TRY(h5_put_attr_text(f, g, "encoder", p->row->encoder));
    TRY(h5_put_attr_text(f, g, "modality", p->row->modality));
    for (int s = 0; s < p->row->n_sets; s++)
        TRY(h5_put_attr_text(f, g, s == 0 ? "embedding" : "second_embedding", embedding_dataset[p->row->set[s]]));
    TRY(h5_put_attr_i64(f, g, "rows", p->n_rows));
    for (int s = 0; s < N_SPLITS; s++) {
        char name[32];
        snprintf(name, sizeof name, "usable_%s_rows", split_name[s]);
        TRY(h5_put_attr_i64(f, g, name, p->n_usable[s]));
    }
    return h5_put_attr_f64(f, g, "ood_quantile", p->ood_quantile);
}

/* One row per bin of magnitude, after the row of all; an edge is the upper end of its bin. */
static Status put_calibration(H5File *f, const char *g, const Calibration *c)
{
    double table[1 + CALIBRATION_BINS][BIN_NUMBERS];
    const int64_t dims[2] = {1 + c->n_bins, BIN_NUMBERS};
    for (int b = 0; b <= c->n_bins; b++) {
        const CalibrationBin *bin = b == 0 ? &c->all : &c->bin[b - 1];
        const double edge = b == 0 || b == c->n_bins ? NAN : c->edge[b - 1];
        const double row[7] = {edge, (double)bin->n, bin->std, bin->l68, bin->u68, bin->l95, bin->u95};
        memcpy(table[b], row, sizeof row);
        memcpy(table[b] + 7, bin->grid, sizeof bin->grid);
    }
    TRY(h5_put(f, in(g, "calibration"), H5_F64, 0, table, dims, 2));
    return h5_put_attr_text(f, in(g, "calibration"), "columns", bin_columns);
}

static Status put_fit(H5File *f, const ProbeFit *fit, const ProbeInput *p)
{
    char g[H5_PATH];
    double scores[N_SPLITS][N_SCORES];
    const int64_t dims[2] = {N_SPLITS, N_SCORES}, width = fit->n_weights;
    fit_name(g, p->row, fit->probe, fit->label);
    for (int s = 0; s < N_SPLITS; s++) {
        const Scores *c = &fit->score[s];
        const double row[N_SCORES] = {(double)c->n,        c->r2, c->rmse, c->bias, c->sigma_nmad,
                                      c->outlier_fraction, c->nll};
        memcpy(scores[s], row, sizeof row);
    }
    if (width > 0) TRY(h5_put(f, in(g, "weight"), H5_F64, 0, fit->weight, &width, 1));
    TRY(h5_put(f, in(g, "scores"), H5_F64, 0, scores, dims, 2));
    TRY(h5_put_attr_text(f, in(g, "scores"), "columns", score_columns));
    TRY(h5_put_attr_text(f, in(g, "scores"), "rows", "train val test"));
    TRY(h5_put_attr_text(f, g, "property", label_table[fit->label].name));
    TRY(h5_put_attr_text(f, g, "unit", label_table[fit->label].unit));
    TRY(h5_put_attr_text(f, g, "meaning", label_table[fit->label].meaning));
    TRY(h5_put_attr_f64(f, g, "lambda", fit->lambda));
    TRY(h5_put_attr_f64(f, g, "intercept", fit->intercept));
    TRY(h5_put_attr_f64(f, g, "label_min", fit->label_min));
    TRY(h5_put_attr_f64(f, g, "label_max", fit->label_max));
    return put_calibration(f, g, &fit->calibration);
}

enum { N_MORPHOLOGY_SCORES = 4 };
static const char morphology_columns[] = "n accuracy f1 nll";

static void morphology_name(char out[H5_PATH], const ProbeInputRow *row, const char *probe, int question)
{
    snprintf(out, H5_PATH, "%s_%s/morph_%s/%s", row->encoder, row->modality, probe, vote_questions[question].name);
}

static Status put_morphology(H5File *f, const MorphologyFit *fit, const ProbeInput *p)
{
    char g[H5_PATH];
    double scores[N_SPLITS][N_MORPHOLOGY_SCORES];
    const int64_t dims[2] = {N_SPLITS, N_MORPHOLOGY_SCORES}, width = fit->n_weights;
    morphology_name(g, p->row, fit->probe, fit->question);
    for (int s = 0; s < N_SPLITS; s++) {
        const MorphologyScores *c = &fit->score[s];
        const double row[N_MORPHOLOGY_SCORES] = {(double)c->n, c->accuracy, c->f1, c->nll};
        memcpy(scores[s], row, sizeof row);
    }
    if (width > 0) TRY(h5_put(f, in(g, "weight"), H5_F64, 0, fit->weight, &width, 1));
    TRY(h5_put(f, in(g, "scores"), H5_F64, 0, scores, dims, 2));
    TRY(h5_put_attr_text(f, in(g, "scores"), "columns", morphology_columns));
    return h5_put_attr_text(f, in(g, "scores"), "rows", "train val test");
}

static Status write_h5(const char *part, const ProbeSet *p, Arena *a)
{
    Status st = OK;
    H5File f = {0};
    const int64_t rows = p->n_inputs > 0 ? p->input[0].n_rows : 0;
    TRY_DONE(h5_create(&f, part, NULL));
    TRY_DONE(artefact_write(&f, &p->envelope));
    TRY_DONE(h5_put_attr_i64(&f, "/", "rows_in", rows));
    TRY_DONE(h5_put_attr_i64(&f, "/", "rows_out", rows)); /* all are accounted for, by each input in its own way */
    for (int i = 0; i < p->n_inputs; i++) TRY_DONE(put_input(&f, &p->input[i]));
    for (int i = 0; i < p->n_fits; i++) TRY_DONE(put_fit(&f, &p->fit[i], &p->input[p->fit[i].input]));
    for (int i = 0; i < p->n_morphology; i++)
        TRY_DONE(put_morphology(&f, &p->morphology[i], &p->input[p->morphology[i].input]));
    TRY_DONE(h5_close(&f));
    st = seal_file(part, &par_alone, a);
done:
    h5_close(&f);
    return st;
}

/* Empty where undefined. */
static void put_number(FILE *f, double x)
{
    if (isnan(x))
        fputs(",", f);
    else
        fprintf(f, ",%.6g", x);
}

static void put_scores(FILE *f, const ProbeFit *fit, const ProbeInputRow *row, int split)
{
    const Scores *s = &fit->score[split];
    fprintf(f, "%s,%s,%s,%s,%s,%lld", label_table[fit->label].name, row->encoder, row->modality, fit->probe,
            split_name[split], (long long)s->n);
    put_number(f, s->r2);
    put_number(f, s->rmse);
    put_number(f, s->bias);
    put_number(f, s->sigma_nmad);
    put_number(f, s->outlier_fraction);
    fputs(",,", f);
    put_number(f, s->nll);
    fputc('\n', f);
}

static void put_morphology_scores(FILE *f, const MorphologyFit *fit, const ProbeInputRow *row, int split)
{
    const MorphologyScores *s = &fit->score[split];
    fprintf(f, "%s,%s,%s,%s,%s,%lld,,,,,", vote_questions[fit->question].name, row->encoder, row->modality, fit->probe,
            split_name[split], (long long)s->n);
    put_number(f, s->accuracy);
    put_number(f, s->f1);
    put_number(f, s->nll);
    fputc('\n', f);
}

static Status write_csv(const char *part, const ProbeSet *p)
{
    static const int order[N_SPLITS] = {SPLIT_TEST, SPLIT_VAL, SPLIT_TRAIN};
    FILE *f = fopen(part, "w");
    if (!f) return FAIL(E_OUTPUT, "cannot write %s: %s", part, strerror(errno));
    fputs("property,encoder,modality,probe,split,n,r2,rmse,bias,sigma_nmad,outlier_fraction,accuracy,f1,nll\n", f);
    for (int i = 0; i < p->n_fits; i++)
        for (int s = 0; s < N_SPLITS; s++) put_scores(f, &p->fit[i], p->input[p->fit[i].input].row, order[s]);
    for (int i = 0; i < p->n_morphology; i++)
        for (int s = 0; s < N_SPLITS; s++)
            put_morphology_scores(f, &p->morphology[i], p->input[p->morphology[i].input].row, order[s]);
    const bool bad = ferror(f) != 0;
    if (fclose(f) != 0 || bad) return FAIL(E_OUTPUT, "cannot write %s: %s", part, strerror(errno));
    return OK;
}

/* scores.csv first: where probes.h5 has its name, both are there. */
Status probes_write(const char *path, const ProbeSet *p, const Par *par, Arena *a)
{
    const char *slash = strrchr(path, '/');
    const int folder_bytes = slash ? (int)(slash - path) : 1;
    char *folder = NULL, *part = NULL, *csv = NULL, *csv_part = NULL;
    Status st = arena_printf(&folder, a, "%.*s", folder_bytes, slash ? path : ".");
    if (st == OK) st = arena_printf(&part, a, "%s.part", path);
    if (st == OK) st = arena_printf(&csv, a, "%s/scores.csv", folder);
    if (st == OK) st = arena_printf(&csv_part, a, "%s.part", csv);
    TRY(par_agree(par, st));
    TRY(artefact_make_folder(par, folder));
    if (par->rank == 0) {
        st = write_h5(part, p, a);
        if (st == OK) st = write_csv(csv_part, p);
    }
    if (st == OK) st = FAIL_POINT("probe.write");
    TRY_DONE(par_agree(par, st));
    TRY_DONE(artefact_publish(par, csv));
    TRY_DONE(artefact_publish(par, path));
done:
    if (st != OK && par->rank == 0) {
        remove(part);
        remove(csv_part);
    }
    return st;
}

/* ---- reading ---- */

static Status need_f64(double *out, H5File *f, const char *object, const char *name)
{
    if (h5_get_attr_f64(out, f, object, name)) return OK;
    return FAIL(E_INPUT, "%s: '%s' has no number '%s': the file is damaged; run `astroclip probe --force`", f->path,
                object, name);
}

static Status need_i64(int64_t *out, H5File *f, const char *object, const char *name)
{
    if (h5_get_attr_i64(out, f, object, name)) return OK;
    return FAIL(E_INPUT, "%s: '%s' has no whole number '%s': the file is damaged; run `astroclip probe --force`",
                f->path, object, name);
}

static Status get_input(ProbeInput *p, H5File *f, const ProbeInputRow *row, Arena *a)
{
    char g[H5_PATH];
    H5Shape shape;
    const int64_t any = -1;
    input_name(g, row);
    *p = (ProbeInput){.row = row};
    TRY(h5_expect(&shape, f, in(g, "mean"), &any, 1));
    p->dim = shape.dims[0];
    TRY(h5_expect(&shape, f, in(g, "std"), &p->dim, 1));
    TRY(h5_get((void **)&p->mean, NULL, f, in(g, "mean"), H5_F64, a));
    TRY(h5_get((void **)&p->std, NULL, f, in(g, "std"), H5_F64, a));
    TRY(need_i64(&p->n_rows, f, g, "rows"));
    for (int s = 0; s < N_SPLITS; s++) {
        char name[32];
        snprintf(name, sizeof name, "usable_%s_rows", split_name[s]);
        TRY(need_i64(&p->n_usable[s], f, g, name));
    }
    return need_f64(&p->ood_quantile, f, g, "ood_quantile");
}

static int64_t whole(double x) { return x >= 0 && x < 9e15 ? (int64_t)x : 0; }

static Status get_calibration(Calibration *c, H5File *f, const char *g, Arena *a)
{
    H5Shape shape;
    double *table;
    TRY(h5_expect(&shape, f, in(g, "calibration"), (const int64_t[]){-1, BIN_NUMBERS}, 2));
    const int64_t rows = shape.dims[0];
    if (rows < 1 || rows > 1 + CALIBRATION_BINS)
        return FAIL(E_INPUT, "%s: '%s/calibration' has %lld rows: the file is damaged; run `astroclip probe --force`",
                    f->path, g, (long long)rows);
    TRY(h5_get((void **)&table, NULL, f, in(g, "calibration"), H5_F64, a));
    *c = (Calibration){.n_bins = (int)rows - 1};
    for (int b = 0; b < rows; b++) {
        const double *row = table + (int64_t)b * BIN_NUMBERS;
        CalibrationBin *bin = b == 0 ? &c->all : &c->bin[b - 1];
        *bin = (CalibrationBin){whole(row[1]), row[2], row[3], row[4], row[5], row[6], {0}};
        memcpy(bin->grid, row + 7, sizeof bin->grid);
        if (b > 0) c->edge[b - 1] = row[0];
    }
    return OK;
}

static Status get_fit(ProbeFit *fit, H5File *f, const char *g, int64_t dim, Arena *a)
{
    H5Shape shape;
    const int64_t dims[2] = {N_SPLITS, N_SCORES}, any = -1;
    double *scores;
    TRY(h5_expect(&shape, f, in(g, "scores"), dims, 2));
    if (h5_has(f, in(g, "weight"))) {
        TRY(h5_expect(&shape, f, in(g, "weight"), &any, 1));
        fit->n_weights = shape.dims[0];
        TRY(h5_get((void **)&fit->weight, NULL, f, in(g, "weight"), H5_F64, a));
    }
    TRY(h5_get((void **)&scores, NULL, f, in(g, "scores"), H5_F64, a));
    for (int s = 0; s < N_SPLITS; s++) {
        const double *c = scores + s * N_SCORES;
        fit->score[s] = (Scores){whole(c[0]), c[1], c[2], c[3], c[4], c[5], c[6]};
    }
    TRY(need_f64(&fit->lambda, f, g, "lambda"));
    TRY(need_f64(&fit->intercept, f, g, "intercept"));
    if (isfinite(fit->intercept) && fit->n_weights != dim)
        return FAIL(E_INPUT,
                    "%s: '%s' has %lld weights for %lld features: the file is damaged; run `astroclip probe --force`",
                    f->path, g, (long long)fit->n_weights, (long long)dim);
    TRY(need_f64(&fit->label_min, f, g, "label_min"));
    TRY(need_f64(&fit->label_max, f, g, "label_max"));
    return get_calibration(&fit->calibration, f, g, a);
}

static Status get_morphology(MorphologyFit *fit, H5File *f, const char *g, Arena *a)
{
    H5Shape shape;
    const int64_t dims[2] = {N_SPLITS, N_MORPHOLOGY_SCORES}, any = -1;
    double *scores;
    TRY(h5_expect(&shape, f, in(g, "scores"), dims, 2));
    TRY(h5_get((void **)&scores, NULL, f, in(g, "scores"), H5_F64, a));
    for (int s = 0; s < N_SPLITS; s++) {
        const double *c = scores + s * N_MORPHOLOGY_SCORES;
        fit->score[s] = (MorphologyScores){whole(c[0]), c[1], c[2], c[3]};
    }
    if (!h5_has(f, in(g, "weight"))) return OK;
    TRY(h5_expect(&shape, f, in(g, "weight"), &any, 1));
    fit->n_weights = shape.dims[0];
    return h5_get((void **)&fit->weight, NULL, f, in(g, "weight"), H5_F64, a);
}

static Status get_all(ProbeSet *out, H5File *f, Arena *a)
{
    int n_rows = 0, n_kinds = 0;
    while (probe_inputs[n_rows].encoder) n_rows++;
    while (probe_kinds[n_kinds]) n_kinds++;
    TRY(artefact_read(&out->envelope, f, "probes", PROBES_VERSION, "probe", a));
    TRY(seal_check(f, &par_alone, a));
    TRY(arena_new(&out->input, a, n_rows));
    TRY(arena_new(&out->fit, a, (int64_t)n_rows * n_kinds * N_LABELS));
    TRY(arena_new(&out->morphology, a, (int64_t)n_rows * MORPHOLOGY_FITS));
    for (int i = 0; i < n_rows; i++) {
        char g[H5_PATH];
        input_name(g, &probe_inputs[i]);
        if (!h5_has(f, g)) continue;
        ProbeInput *input = &out->input[out->n_inputs];
        TRY(get_input(input, f, &probe_inputs[i], a));
        for (int k = 0; k < n_kinds; k++)
            for (int label = 0; label < N_LABELS; label++) {
                fit_name(g, input->row, probe_kinds[k]->name, label);
                if (!h5_has(f, g)) continue;
                ProbeFit *fit = &out->fit[out->n_fits++];
                *fit = (ProbeFit){.input = out->n_inputs, .label = label, .probe = probe_kinds[k]->name};
                TRY(get_fit(fit, f, g, input->dim, a));
            }
        for (int k = 0; morphology_probes[k]; k++)
            for (int q = 0; q < N_VOTE_QUESTIONS; q++) {
                morphology_name(g, input->row, morphology_probes[k], q);
                if (!h5_has(f, g)) continue;
                MorphologyFit *fit = &out->morphology[out->n_morphology++];
                *fit = (MorphologyFit){.input = out->n_inputs, .question = q, .probe = morphology_probes[k]};
                TRY(get_morphology(fit, f, g, a));
            }
        out->n_inputs++;
    }
    return OK;
}

Status probes_read(ProbeSet *out, const char *path, Arena *a)
{
    H5File f = {0};
    memset(out, 0, sizeof *out);
    TRY(h5_open(&f, path, NULL));
    Status st = get_all(out, &f, a);
    h5_close(&f);
    return st;
}
