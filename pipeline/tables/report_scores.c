/* report_scores.c - how well the probes predict: a row for each encoder, a column for each property, from scores.csv. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tables/csv.h"
#include "tables/plot.h"
#include "tables/report.h"

enum { MOST_ROWS = 64, MOST_PROPERTIES = 48, NAME = 96 }; /* shown; bytes of a name */

typedef struct {
    int rows, properties;
    char row[MOST_ROWS][NAME]; /* encoder, modality, probe: cells of a table */
    char property[MOST_PROPERTIES][NAME];
    double value[MOST_ROWS][MOST_PROPERTIES]; /* NaN = none */
} Matrix;

/* The place of a name, made where it is new; -1 = there are too many. */
static int place(char names[][NAME], int *n, int most, const char *name)
{
    for (int i = 0; i < *n; i++)
        if (strcmp(names[i], name) == 0) return i;
    if (*n == most) return -1;
    snprintf(names[*n], NAME, "%s", name);
    return (*n)++;
}

static void add(Matrix *m, const Csv *c, const char *measure)
{
    char row[NAME];
    const double value = csv_number(c, measure);
    if (!csv_is(c, "split", "test") || isnan(value)) return;
    snprintf(row, sizeof row, "%.30s\t%.30s\t%.30s", csv_text(c, "encoder"), csv_text(c, "modality"),
             csv_text(c, "probe"));
    const int i = place(m->row, &m->rows, MOST_ROWS, row);
    const int k = place(m->property, &m->properties, MOST_PROPERTIES, csv_text(c, "property"));
    if (i >= 0 && k >= 0) m->value[i][k] = value;
}

/* Of the test rows. A file without such columns is no table of ours: nothing is read. */
static Status read_matrix(Matrix *m, const Report *r, const char *measure)
{
    char *path;
    Csv c;
    memset(m, 0, sizeof *m);
    for (int i = 0; i < MOST_ROWS; i++)
        for (int k = 0; k < MOST_PROPERTIES; k++) m->value[i][k] = NAN;
    TRY(report_path(&path, r, "scores.csv"));
    if (!csv_open(&c, path)) return FAIL(E_INPUT, "%s cannot be read", path);
    while (csv_next(&c)) add(m, &c, measure);
    csv_close(&c);
    return OK;
}

static void show(Page *p, const Matrix *m, const char *caption)
{
    char line[4096];
    size_t at = (size_t)snprintf(line, sizeof line, "encoder\tmodality\tprobe");
    for (int k = 0; k < m->properties; k++)
        at += (size_t)snprintf(line + at, sizeof line - at, "\t%.60s", m->property[k]);
    page_table(p, caption, line);
    for (int i = 0; i < m->rows; i++) {
        at = (size_t)snprintf(line, sizeof line, "%s", m->row[i]);
        for (int k = 0; k < m->properties; k++)
            at +=
                (size_t)snprintf(line + at, sizeof line - at, isnan(m->value[i][k]) ? "\t" : "\t%.3f", m->value[i][k]);
        page_row(p, "%s", line);
    }
    page_table_end(p);
}

/* Bars of all probes would be too many: those of the first one, and of what learnt without embeddings. */
static bool has_bar(const Matrix *m, int row)
{
    const char *probe = strrchr(m->row[row], '\t'), *first = strrchr(m->row[0], '\t');
    return strcmp(probe, first) == 0 || strcmp(probe, "\tsupervised") == 0;
}

/* A group of bars for each property, a bar for each encoder. */
static Status draw(Page *p, const Matrix *m)
{
    FILE *f;
    char head[2048] = "property", commands[1024];
    int bars = 0;
    for (int i = 0; i < m->rows && strlen(head) < sizeof head - NAME - 1; i++) {
        char *name = head + strlen(head);
        if (!has_bar(m, i)) continue;
        bars++;
        snprintf(name, NAME + 1, ",%s", m->row[i]);
        for (; *name; name++)
            if (*name == '\t') *name = ' ';
    }
    TRY(plot_data(&f, p, "scores", head));
    for (int k = 0; k < m->properties; k++) {
        fputs(m->property[k], f);
        for (int i = 0; i < m->rows; i++)
            if (has_bar(m, i)) fprintf(f, isnan(m->value[i][k]) ? "," : ",%.4f", m->value[i][k]);
        fputc('\n', f);
    }
    TRY(plot_data_end(f, p, "scores"));
    snprintf(commands, sizeof commands,
             "set style data histograms\nset style histogram clustered gap 1\n"
             "set style fill solid 1 border rgb '#ffffff'\nset yrange [0:1]\nset ylabel 'R^2'\n"
             "set key outside right top vertical noenhanced\nset xtics noenhanced\n"
             "plot for [c=2:%d] 'scores.csv' using c:xtic(1) title columnheader(c)",
             bars + 1);
    return plot_draw(p, "scores", "scores", PLOT_WIDE, commands,
                     "R\302\262 of the test objects, of the first probe and of supervised networks.",
                     "Bars: how well each encoder's embeddings predict each property");
}

static bool applies(const Report *r) { return report_has(r, "scores.csv"); }

static Status write(Page *p, const Report *r)
{
    Matrix *m;
    const Mark mark = arena_mark(r->arena);
    TRY(arena_new(&m, r->arena, 1));
    page_text(p, "Encoder none, modality photometry, is what two colours and a magnitude tell: the baseline that "
                 "embeddings have to beat. All scores of all splits are in scores.csv of the run.");
    if (report_has(r, "table.csv"))
        TRY(report_csv(p, r, "table.csv", "R\302\262 of the test objects by source, model and method", 100));
    TRY(read_matrix(m, r, "r2"));
    if (m->rows > 0) show(p, m, "R\302\262 of the test objects");
    if (m->rows > 0) TRY(draw(p, m));
    TRY(read_matrix(m, r, "accuracy"));
    if (m->rows > 0) show(p, m, "Accuracy of the test objects");
    arena_reset(r->arena, mark);
    return OK;
}

const ReportSection report_scores = {"Probes", applies, write};
