/* paper_table.c - R2 on the test split by source, model and method, as in the table of Parker et al. 2024. */
#include <math.h>
#include <string.h>

#include "probe/morphology.h"
#include "probe/reports.h"

/* Names that people know. */
static const char *const models[][2] = {{"astroclip", "AstroCLIP"},
                                        {"astrodino", "AstroDINO"},
                                        {"specformer", "SpecFormer"},
                                        {"none", "photometry"},
                                        {"pca_image", "PCA"},
                                        {"pca_spectrum", "PCA"},
                                        {"resnet18", "ResNet18"},
                                        {"conv_att", "conv+att"},
                                        {"photometry_mlp", "MLP"},
                                        {"moco", "MoCo v2 (Stein et al.)"},
                                        {NULL, NULL}};
static const char *const methods[][2] = {
    {"knn", "zero-shot kNN"}, {"mlp", "few-shot MLP"}, {"ridge", "linear"}, {"flow", "flow posterior"}, {NULL, NULL}};

static const char *known_as(const char *const table[][2], const char *name)
{
    for (int i = 0; table[i][0]; i++)
        if (strcmp(table[i][0], name) == 0) return table[i][1];
    return name;
}

typedef struct {
    int input;
    const char *probe;
    double r2[N_LABELS], mean; /* mean: of the properties but redshift */
    double accuracy, f1;       /* means over the questions of morphology */
} Row;

/* The morphology probe that goes with a probe of properties: linear with linear, MLP with MLP. */
static const char *partner(const char *probe)
{
    return strcmp(probe, "ridge") == 0 ? "logistic" : strcmp(probe, "mlp") == 0 ? "mlp" : "";
}

static void add_morphology(Row *row, const ProbeSet *set)
{
    int n = 0;
    row->accuracy = row->f1 = 0;
    for (int i = 0; i < set->n_morphology; i++) {
        const MorphologyFit *m = &set->morphology[i];
        const MorphologyScores *s = &m->score[SPLIT_TEST];
        if (m->input != row->input || strcmp(m->probe, partner(row->probe)) != 0 || isnan(s->accuracy)) continue;
        row->accuracy += s->accuracy;
        row->f1 += s->f1;
        n++;
    }
    row->accuracy = n > 0 ? row->accuracy / n : NAN;
    row->f1 = n > 0 ? row->f1 / n : NAN;
}

/* The next fits of one input and probe; returns where the ones after them begin. */
static int gather(Row *out, const ProbeSet *set, int first)
{
    int f = first, n = 0;
    *out = (Row){.input = set->fit[first].input, .probe = set->fit[first].probe, .mean = 0};
    for (int l = 0; l < N_LABELS; l++) out->r2[l] = NAN;
    for (; f < set->n_fits && set->fit[f].input == out->input && set->fit[f].probe == out->probe; f++) {
        const double r2 = set->fit[f].score[SPLIT_TEST].r2;
        out->r2[set->fit[f].label] = r2;
        if (set->fit[f].label == LABEL_Z || set->fit[f].label > LABEL_LOGSSFR || isnan(r2)) continue;
        out->mean += r2;
        n++;
    }
    out->mean = n > 0 ? out->mean / n : NAN;
    add_morphology(out, set);
    return f;
}

static void put_cell(FILE *out, double x, bool csv)
{
    if (csv && isfinite(x))
        fprintf(out, ",%.4f", x);
    else if (csv)
        fputc(',', out);
    else if (isfinite(x))
        fprintf(out, " %8.3f", x);
    else
        fprintf(out, " %8s", "");
}

void reports_table(FILE *out, const ProbeSet *set, bool csv)
{
    const char *const column = csv ? ",%s" : " %8s";
    fprintf(out, csv ? "%s,%s,%s" : "  %-17s %-22s %-14s", "source", "model", "method");
    for (int l = 0; l <= LABEL_LOGSSFR; l++) fprintf(out, column, label_table[l].name);
    fprintf(out, column, "mean");
    fprintf(out, column, csv ? "morphology_accuracy" : "morph");
    fprintf(out, column, csv ? "morphology_f1" : "F1");
    fputc('\n', out);
    for (int f = 0; f < set->n_fits;) {
        Row row;
        f = gather(&row, set, f);
        const ProbeInputRow *input = set->input[row.input].row;
        fprintf(out, csv ? "%s,%s,%s" : "  %-17s %-22s %-14s", input->modality, known_as(models, input->encoder),
                known_as(methods, row.probe));
        for (int l = 0; l <= LABEL_LOGSSFR; l++) put_cell(out, row.r2[l], csv);
        put_cell(out, row.mean, csv);
        put_cell(out, row.accuracy, csv);
        put_cell(out, row.f1, csv);
        fputc('\n', out);
    }
}
