/* chunk.c - reads what is known of some rows and turns it into bytes. */
#include "tables/chunk.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "probe/morphology.h"

Status chunk_make(Chunk *c, const PropertySources *s, const PropertyLayout *l, const MorphologyShare *share,
                  int n_shares, int64_t rows, Arena *a)
{
    *c = (Chunk){.s = s, .layout = l, .share = share, .n_shares = n_shares};
    TRY(arena_new(&c->row, a, rows));
    for (int m = 0; m < N_MODALITIES; m++) TRY(arena_new(&c->flag[m], a, rows));
    TRY(arena_new(&c->stats, a, rows * N_SPECTRUM_STATS));
    TRY(arena_new(&c->x, a, rows * MOST_ANSWERS));
    TRY(arena_new(&c->ood, a, rows * s->probes->n_inputs));
    TRY(arena_new(&c->prediction, a, rows * s->probes->n_fits));
    TRY(arena_new(&c->scale, a, rows * s->probes->n_fits));
    TRY(arena_new(&c->shares, a, rows * n_shares));
    for (int t = 0; t < N_ROW_TABLES; t++) TRY(arena_new(&c->bytes[t], a, rows * l[t].row_bytes));
    return OK;
}

/* One column of predictions.h5 as column `k` of `width`. */
static Status read_column(double *out, int k, int width, const char *name, Chunk *c, int64_t first, int64_t n)
{
    TRY(predictions_read(c->x, c->s->predictions, name, 1, first, n));
    for (int64_t i = 0; i < n; i++) out[i * width + k] = (double)c->x[i];
    return OK;
}

static Status read_fit(Chunk *c, int f, int64_t first, int64_t n)
{
    const ProbeSet *p = c->s->probes;
    const ProbeFit *fit = &p->fit[f];
    const ProbeInputRow *row = p->input[fit->input].row;
    char name[H5_PATH];
    for (int64_t i = 0; i < n; i++) c->prediction[i * p->n_fits + f] = NAN, c->scale[i * p->n_fits + f] = 1;
    if (!c->layout[TABLE_PROPERTIES].published[f]) return OK;
    snprintf(name, sizeof name, "%s_%s/%s/%s/value", row->encoder, row->modality, fit->probe,
             label_table[fit->label].name);
    if (!predictions_have(c->s->predictions, name)) return OK; /* a fit that was not made */
    TRY(read_column(c->prediction, f, p->n_fits, name, c, first, n));
    snprintf(name, sizeof name, "%s_%s/%s/%s/scale", row->encoder, row->modality, fit->probe,
             label_table[fit->label].name);
    return predictions_have(c->s->predictions, name) ? read_column(c->scale, f, p->n_fits, name, c, first, n) : OK;
}

static Status read_ood(Chunk *c, int input, int64_t first, int64_t n)
{
    const ProbeSet *p = c->s->probes;
    const ProbeInputRow *row = p->input[input].row;
    char name[H5_PATH];
    if (row->column[0] == '\0') return OK;
    snprintf(name, sizeof name, "%s_%s/ood", row->encoder, row->modality);
    return read_column(c->ood, input, p->n_inputs, name, c, first, n);
}

/* The shares of one question stand side by side in the file and in the layout. */
static Status read_shares(Chunk *c, int64_t first, int64_t n)
{
    const ProbeSet *p = c->s->probes;
    for (int k = 0; k < c->n_shares; k++) {
        const MorphologyFit *m = &p->morphology[c->share[k].fit];
        const ProbeInputRow *row = p->input[m->input].row;
        const int answers = vote_questions[m->question].n_answers;
        char name[H5_PATH];
        if (c->share[k].answer == 0) {
            snprintf(name, sizeof name, "%s_%s/morph_%s/%s/value", row->encoder, row->modality, m->probe,
                     vote_questions[m->question].name);
            TRY(predictions_read(c->x, c->s->predictions, name, answers, first, n));
        }
        for (int64_t i = 0; i < n; i++) c->shares[i * c->n_shares + k] = c->x[i * answers + c->share[k].answer];
    }
    return OK;
}

static Status read_rows(Chunk *c, int64_t first, int64_t n, Arena *a)
{
    Embeddings *e = c->s->embeddings;
    TRY(catalog_read(c->row, c->s->catalog, first, n, a));
    for (int m = 0; m < N_MODALITIES; m++) TRY(embeddings_read_flags(c->flag[m], e, (Modality)m, first, n));
    TRY(embeddings_read_spectrum_stats(c->stats, e, first, n));
    for (int i = 0; i < c->s->probes->n_inputs; i++) TRY(read_ood(c, i, first, n));
    for (int f = 0; f < c->s->probes->n_fits; f++) TRY(read_fit(c, f, first, n));
    return read_shares(c, first, n);
}

/* Bytes of the first n rows. */
static void put_rows(Chunk *c, int64_t n, bool absent)
{
    const ProbeSet *p = c->s->probes;
    for (int64_t i = 0; i < n; i++) {
        const ObjectRow r = {
            .absent = absent,
            .catalog = &c->row[i],
            .flag = {c->flag[MODALITY_IMAGE][i], c->flag[MODALITY_SPECTRUM][i]},
            .stats = c->stats + i * N_SPECTRUM_STATS,
            .ood = c->ood + i * p->n_inputs,
            .prediction = c->prediction + i * p->n_fits,
            .scale = c->scale + i * p->n_fits,
            .share = c->shares + i * c->n_shares,
        };
        for (int t = 0; t < N_ROW_TABLES; t++)
            layout_put_row(c->bytes[t] + i * c->layout[t].row_bytes, &c->layout[t], &r);
    }
}

Status chunk_fill(Chunk *c, int64_t first, int64_t n, Arena *scratch)
{
    clock_begin("read rows");
    const Status st = read_rows(c, first, n, scratch);
    clock_end("read rows");
    TRY(st);
    put_rows(c, n, false);
    return OK;
}

void chunk_fill_missing(Chunk *c, const RowMissing *m, int64_t n)
{
    const ProbeSet *p = c->s->probes;
    for (int64_t i = 0; i < n; i++) {
        catalog_new_row(&c->row[i]);
        c->row[i].targetid = m[i].targetid;
        c->row[i].split = N_SPLITS; /* of none */
        c->row[i].zcat_primary = 0;
        memcpy(c->row[i].survey, m[i].survey, sizeof m[i].survey);
        memcpy(c->row[i].program, m[i].program, sizeof m[i].program);
        for (int k = 0; k < N_MODALITIES; k++) c->flag[k][i] = 0;
        for (int k = 0; k < N_SPECTRUM_STATS; k++) c->stats[i * N_SPECTRUM_STATS + k] = NAN;
        for (int k = 0; k < p->n_inputs; k++) c->ood[i * p->n_inputs + k] = NAN;
        for (int k = 0; k < p->n_fits; k++) c->prediction[i * p->n_fits + k] = NAN, c->scale[i * p->n_fits + k] = 1;
        for (int k = 0; k < c->n_shares; k++) c->shares[i * c->n_shares + k] = NAN;
    }
    put_rows(c, n, true);
}
