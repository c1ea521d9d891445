/* search_index.c - the approximate search. Every `index_rows` rows of the catalogue have an index of their own, so that who holds them makes no
   difference; it gets queries in groups that begin at fixed numbers. What it proposes is scored as in the exact search; where it proposes
   too few, the whole block is compared, so that a query has as many matches as ever.

   How good that is, is measured: some queries are compared with everybody, too. */
#include "search_impl.h"

#include <string.h>

#include "core/clock.h"

enum {
    SPARE = 8,     /* candidates beyond the neighbours asked for: an index compares in float */
    SAMPLED = 1024 /* queries, about, whose recall is measured */
};

/* ---- the indices ---- */

static void divide(float *to, const float *x, double norm, int64_t dim)
{
    for (int64_t d = 0; d < dim; d++) to[d] = (float)((double)x[d] / norm);
}

static Status build_block(Ann **out, const Search *w, const Targets *t, int64_t first, int64_t n)
{
    const Mark mark = arena_mark(w->arena);
    const AnnKind kind = w->config->index == INDEX_HNSW ? ANN_HNSW : ANN_IVF;
    float *unit = NULL;
    if (n == 0) return OK;
    TRY(par_continue());
    TRY(arena_new(&unit, w->arena, n * w->dim));
    for (int64_t i = 0; i < n; i++) divide(unit + i * w->dim, t->x + (first + i) * w->dim, t->norm[first + i], w->dim);
    TRY(ann_build(out, kind, unit, n, w->dim, w->config->probes));
    arena_reset(w->arena, mark);
    return OK;
}

Status index_build(Search *w, Modality m)
{
    Targets *t = &w->target[m];
    const int64_t rows = w->config->index_rows;
    const int64_t n_blocks = (w->keys.n + rows - 1) / rows; /* the share begins where a block does */
    TRY(arena_new(&t->block, w->arena, n_blocks + 1));
    TRY(arena_new(&t->index, w->arena, n_blocks));
    memset(t->index, 0, (size_t)n_blocks * sizeof *t->index);
    t->n_blocks = n_blocks;
    for (int64_t b = 0, at = 0; b <= n_blocks; b++) {
        t->block[b] = at;
        while (at < t->n && t->row[at] < w->keys.first + (b + 1) * rows) at++;
    }
    clock_begin("build indices");
    Status st = OK;
    for (int64_t b = 0; b < n_blocks && st == OK; b++)
        st = build_block(&t->index[b], w, t, t->block[b], t->block[b + 1] - t->block[b]);
    clock_end("build indices");
    return st;
}

void index_free(Search *w)
{
    for (int m = 0; m < N_MODALITIES; m++) {
        for (int64_t b = 0; w->target[m].index && b < w->target[m].n_blocks; b++) ann_free(w->target[m].index[b]);
        w->target[m].n_blocks = 0;
    }
}

/* ---- who is compared ---- */

/* Queries [first, first + n) of the batch with one block. */
static Status compare_group(CosineSearch *s, const Search *w, const Targets *t, int64_t b, int64_t first, int64_t n,
                            const float *unit, int64_t *found)
{
    const int64_t begin = t->block[b], members = t->block[b + 1] - begin;
    const int64_t k = least(s->k + 1 + SPARE, members),
                  enough = least(s->k + 1, members); /* the query itself may be one */
    TRY(ann_find(found, t->index[b], unit, n, k));
    for (int64_t i = 0; i < n; i++) {
        int64_t proposed = 0;
        for (int64_t j = 0; j < k; j++) proposed += found[i * k + j] >= 0;
        for (int64_t j = 0; j < (proposed < enough ? members : k); j++) {
            const int64_t at = begin + (proposed < enough ? j : found[i * k + j]);
            if (at >= begin) cosine_offer(s, first + i, t->x + at * w->dim, t->norm[at], t->targetid[at], t->row[at]);
        }
    }
    return OK;
}

Status index_compare(CosineSearch *s, const Search *w, Modality m)
{
    const Targets *t = &w->target[m];
    const Mark mark = arena_mark(w->arena);
    float *unit = NULL;
    int64_t *found = NULL;
    TRY(arena_new(&unit, w->arena, INDEX_GROUP * w->dim));
    TRY(arena_new(&found, w->arena, INDEX_GROUP * (s->k + 1 + SPARE)));
    for (int64_t at = 0; at < s->n; at += INDEX_GROUP) {
        const int64_t n = least(INDEX_GROUP, s->n - at);
        TRY(par_continue());
        for (int64_t i = 0; i < n; i++) /* who has no embedding asks nothing, but takes its place in the group */
            if (s->norm[at + i] > 0)
                divide(unit + i * w->dim, s->query + (at + i) * w->dim, s->norm[at + i], w->dim);
            else
                memset(unit + i * w->dim, 0, (size_t)w->dim * sizeof *unit);
        for (int64_t b = 0; b < t->n_blocks; b++)
            if (t->index[b]) TRY(compare_group(s, w, t, b, at, n, unit, found));
    }
    arena_reset(w->arena, mark);
    return OK;
}

/* ---- how good it is ---- */

/* Queries of the batch that are sampled, and what was found for them: their vectors and matches side by side. */
static Status sample(CosineSearch *out, const Search *w, const CosineSearch *s, int64_t first)
{
    const int64_t stride = w->queries.n / SAMPLED + 1;
    float *x = NULL;
    int64_t *self = NULL;
    *out = (CosineSearch){.k = s->k, .dim = s->dim};
    TRY(arena_new(&x, w->arena, (s->n / stride + 1) * s->dim));
    TRY(arena_new(&self, w->arena, s->n / stride + 1));
    TRY(arena_new(&out->best, w->arena, (s->n / stride + 1) * s->k));
    TRY(arena_new(&out->found, w->arena, s->n / stride + 1));
    for (int64_t i = 0; i < s->n; i++) {
        if ((first + i) % stride != 0) continue;
        memcpy(x + out->n * s->dim, s->query + i * s->dim, (size_t)s->dim * sizeof *x);
        memcpy(out->best + out->n * s->k, s->best + i * s->k, (size_t)s->k * sizeof *s->best);
        self[out->n] = s->self ? s->self[i] : -1;
        out->found[out->n++] = s->found[i];
    }
    out->query = x;
    out->self = self;
    return OK;
}

/* Of lists sorted by query and match: how many of the first k of each query of `exact` are among the first k of `near`. */
static void count_hits(SearchRecall *r, const Sent *exact, int64_t n_exact, const Sent *near, int64_t n_near, int64_t k)
{
    int64_t rank = 0, begin = 0;
    for (int64_t i = 0; i < n_exact; i++) {
        rank = i > 0 && exact[i].query == exact[i - 1].query ? rank + 1 : 1;
        if (rank > k) continue;
        while (begin < n_near && near[begin].query < exact[i].query) begin++;
        r->all++;
        for (int64_t j = begin; j < n_near && j < begin + k && near[j].query == exact[i].query; j++)
            r->hits += near[j].match.row == exact[i].match.row;
    }
}

Status index_measure(Search *w, int direction, int64_t first, const CosineSearch *s)
{
    const Mark mark = arena_mark(w->arena);
    CosineSearch near, exact;
    Sent *of_near = NULL, *of_exact = NULL;
    int64_t n_near, n_exact;
    SearchRecall r = {0, 0};
    Status st = sample(&near, w, s, first);
    if (st == OK) st = cosine_open(&exact, s->k, s->dim, near.query, near.n, w->arena);
    if (st == OK) exact.self = near.self;
    clock_begin("measure recall");
    if (st == OK) st = share_compare(&exact, w, direction_table[direction].to);
    clock_end("measure recall");
    TRY(par_agree(w->par, st));
    TRY(search_gather(&of_near, &n_near, w, &near));
    TRY(search_gather(&of_exact, &n_exact, w, &exact));
    count_hits(&r, of_exact, n_exact, of_near, n_near, s->k);
    int64_t sum[] = {r.hits, r.all};
    par_sum_i64(w->par, sum, 2);
    w->recall[direction].hits += sum[0];
    w->recall[direction].all += sum[1];
    arena_reset(w->arena, mark);
    return OK;
}
