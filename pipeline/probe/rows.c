/* rows.c - this rank's rows, read once; features, read block by block as often as they are needed; their mean and
   spread. */
#include "probe/rows.h"

#include <math.h>
#include <string.h>

/* Small surveys get small blocks, so that several ranks have work; large ones get few large blocks, so that the tree
   stays low. */
static int64_t block_rows_of(int64_t total)
{
    int64_t rows = 256;
    while (rows < 4096 && total / rows > 4096) rows *= 2;
    return rows;
}

Status probe_rows_init(ProbeRows *r, int64_t total, const Par *par, Arena *a)
{
    memset(r, 0, sizeof *r);
    r->total = total;
    r->block_rows = block_rows_of(total);
    r->n_blocks = (total + r->block_rows - 1) / r->block_rows;
    par_share(&r->first_block, &r->last_block, par, r->n_blocks);
    r->first = r->first_block * r->block_rows;
    int64_t last = r->last_block * r->block_rows;
    if (r->first > total) r->first = total;
    if (last > total) last = total;
    r->n = last - r->first;
    TRY(arena_new(&r->targetid, a, r->n));
    TRY(arena_new(&r->split, a, r->n));
    for (int l = 0; l < N_LABELS; l++) TRY(arena_new(&r->label[l], a, r->n));
    return arena_new(&r->magnitude, a, r->n);
}

static Status check_same_rows(const ProbeRows *r, int64_t at, int64_t n, const int64_t *targetid, const Catalog *c,
                              const Embeddings *e)
{
    for (int64_t i = 0; i < n; i++)
        if (targetid[i] != r->targetid[at + i])
            return FAIL(E_INPUT,
                        "row %lld is TARGETID %lld in %s and %lld in %s: the embeddings are of another catalogue; run "
                        "`astroclip embed` again",
                        (long long)(r->first + at + i), (long long)targetid[i], e->file.path,
                        (long long)r->targetid[at + i], c->file.path);
    return OK;
}

/* Rows [at, at + n) of the rank. */
static Status read_rows(ProbeRows *r, int64_t at, int64_t n, Catalog *c, Embeddings *e, Arena *scratch)
{
    CatalogRow *row;
    int64_t *targetid;
    TRY(arena_new(&row, scratch, n));
    TRY(arena_new(&targetid, scratch, n));
    TRY(catalog_read(row, c, r->first + at, n, scratch));
    for (int64_t i = 0; i < n; i++) {
        if (row[i].split >= N_SPLITS)
            return FAIL(E_INPUT,
                        "%s: SPLIT of row %lld is %d, not 0 to %d: the file is damaged; remove it and run `astroclip "
                        "catalog` again",
                        c->file.path, (long long)(r->first + at + i), row[i].split, N_SPLITS - 1);
        r->targetid[at + i] = row[i].targetid;
        r->split[at + i] = row[i].split;
        r->magnitude[at + i] =
            row[i].flux[1] > 0 && isfinite(row[i].flux[1]) ? 22.5 - 2.5 * log10(row[i].flux[1]) : NAN;
        for (int l = 0; l < N_LABELS; l++) r->label[l][at + i] = isfinite(row[i].label[l]) ? row[i].label[l] : NAN;
    }
    TRY(embeddings_read_targets(targetid, e, r->first + at, n));
    return check_same_rows(r, at, n, targetid, c, e);
}

Status probe_rows_read(ProbeRows *r, Catalog *c, Embeddings *e, const Par *par, Arena *a)
{
    if (c->n != e->n)
        return FAIL(
            E_INPUT,
            "%s has %lld rows, %s has %lld: the embeddings are of another catalogue; run `astroclip embed` again",
            e->file.path, (long long)e->n, c->file.path, (long long)c->n);
    TRY(probe_rows_init(r, c->n, par, a));
    TRY(FAIL_POINT("probe.rows"));
    for (int64_t at = 0; at < r->n; at += 16384) {
        const Mark mark = arena_mark(a);
        TRY(par_continue());
        TRY(read_rows(r, at, r->n - at < 16384 ? r->n - at : 16384, c, e, a));
        arena_reset(a, mark);
    }
    return OK;
}

/* ---- blocks ---- */

Status probe_block_open(ProbeBlock *b, const ProbeRows *rows, const ProbeFeatures *features, Arena *scratch)
{
    *b = (ProbeBlock){.rows = rows, .features = features, .scratch = scratch, .block = rows->first_block - 1};
    return arena_new(&b->x, scratch, rows->block_rows * features->dim);
}

bool probe_block_next(ProbeBlock *b)
{
    const ProbeRows *r = b->rows;
    if (b->status != OK || ++b->block >= r->last_block) return false;
    const int64_t first = b->block * r->block_rows;
    b->at = first - r->first;
    b->n = r->total - first < r->block_rows ? r->total - first : r->block_rows;
    b->status = FAIL_POINT("probe.block");
    if (b->status == OK) b->status = par_continue();
    if (b->status == OK) b->status = b->features->read(b->x, b->features->source, first, b->n, b->scratch);
    return b->status == OK;
}

/* ---- mean and spread ---- */

/* Collective. The first usable train row of all: near the middle of the data compared with their spread, so that sums
   about it lose no digits. All zero when there is none. */
static Status find_pivot(float *pivot, const ProbeRows *rows, const ProbeFeatures *features, const Par *par,
                         Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    const int64_t dim = features->dim;
    int64_t first = INT64_MIN, mine = INT64_MIN; /* negative row numbers: the greatest is the first row */
    ProbeBlock b;
    Status st = probe_block_open(&b, rows, features, scratch);
    while (st == OK && mine == INT64_MIN && probe_block_next(&b))
        for (int64_t i = 0; i < b.n && mine == INT64_MIN; i++) {
            if (rows->split[b.at + i] != SPLIT_TRAIN || !probe_usable(b.x + i * dim, dim)) continue;
            memcpy(pivot, b.x + i * dim, (size_t)dim * sizeof *pivot);
            mine = -(rows->first + b.at + i);
        }
    if (st == OK) st = b.status;
    TRY(par_agree(par, st));
    first = mine;
    par_max_i64(par, &first, 1);
    int64_t owner = first != INT64_MIN && first == mine ? par->rank : 0;
    par_max_i64(par, &owner, 1);
    par_bcast(par, pivot, dim * (int64_t)sizeof *pivot, (int)owner);
    arena_reset(scratch, mark);
    return OK;
}

/* Leaf of a block: number of usable train rows, sums of x - pivot, sums of their squares. Also fills `usable` and
   counts by split. */
static void add_block(double *leaf, uint8_t *usable, int64_t *n_usable, const ProbeBlock *b, const float *pivot)
{
    const int64_t dim = b->features->dim;
    double *sum = leaf + 1, *square = sum + dim;
    memset(leaf, 0, (size_t)(1 + 2 * dim) * sizeof *leaf);
    for (int64_t i = 0; i < b->n; i++) {
        const float *x = b->x + i * dim;
        const int split = b->rows->split[b->at + i];
        usable[b->at + i] = probe_usable(x, dim);
        if (!usable[b->at + i]) continue;
        n_usable[split]++;
        if (split != SPLIT_TRAIN) continue;
        leaf[0] += 1;
        for (int64_t d = 0; d < dim; d++) {
            const double off = (double)x[d] - (double)pivot[d];
            sum[d] += off;
            square[d] += off * off;
        }
    }
}

/* Local. Everything up to the sum over ranks. */
static Status sum_blocks(TreeSum *tree, uint8_t *usable, int64_t *n_usable, const ProbeRows *rows,
                         const ProbeFeatures *features, const float *pivot, Arena *scratch)
{
    ProbeBlock b;
    double *leaf;
    TRY(treesum_init(tree, 1 + 2 * features->dim, rows->n_blocks, scratch));
    TRY(arena_new(&leaf, scratch, tree->n));
    TRY(probe_block_open(&b, rows, features, scratch));
    while (probe_block_next(&b)) {
        add_block(leaf, usable, n_usable, &b, pivot);
        treesum_push(tree, b.block, leaf);
    }
    return b.status;
}

Status probe_standardise(ProbeInput *out, uint8_t *usable, const ProbeRows *rows, const ProbeFeatures *features,
                         const Par *par, Arena *a)
{
    const int64_t dim = features->dim;
    float *pivot = NULL;
    double *total = NULL;
    TreeSum tree;
    out->dim = dim;
    out->n_rows = rows->total;
    memset(out->n_usable, 0, sizeof out->n_usable);
    Status st = arena_new(&out->mean, a, dim);
    if (st == OK) st = arena_new(&out->std, a, dim);
    const Mark mark = arena_mark(a);
    if (st == OK) st = arena_new(&pivot, a, dim);
    if (st == OK) st = arena_new(&total, a, 1 + 2 * dim);
    TRY(par_agree(par, st));
    TRY(find_pivot(pivot, rows, features, par, a));
    st = sum_blocks(&tree, usable, out->n_usable, rows, features, pivot, a);
    TRY(par_agree(par, st));
    TRY(par_tree_finish(total, &tree, par, a));
    par_sum_i64(par, out->n_usable, N_SPLITS);
    const double n = total[0];
    for (int64_t d = 0; d < dim; d++) {
        const double off = total[1 + d] / n, variance = total[1 + dim + d] / n - off * off;
        out->mean[d] = n > 0 ? (double)pivot[d] + off : NAN;
        out->std[d] = variance > 0 ? sqrt(variance) : n > 0 ? 1 : NAN;
    }
    arena_reset(a, mark);
    return OK;
}

void probe_count(int64_t n[N_SPLITS], const ProbeRows *rows, const uint8_t *usable, int label, const Par *par)
{
    memset(n, 0, N_SPLITS * sizeof *n);
    for (int64_t i = 0; i < rows->n; i++) n[rows->split[i]] += usable[i] && isfinite(rows->label[label][i]);
    par_sum_i64(par, n, N_SPLITS);
}
