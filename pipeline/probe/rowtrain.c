/* rowtrain.c - rows go to the ranks of their parts; then every step is a sum over the tree of parts and the same Adam
   step on all ranks. */
#include "probe/rowtrain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/hash.h"
#include "core/rng.h"
#include "core/treesum.h"

enum { VAL_ROWS = 512 }; /* of a part at a time */

/* Rows of one part, by id. */
typedef struct {
    int64_t n;
    double *x, *y, *weight; /* (n, dim_x), (n, dim_y), (n) running sums of the chances */
    int64_t *id, *order;    /* order (n): the rows of this epoch */
} Part;

typedef struct {
    const RowModel *model;
    const RowTraining *config;
    uint64_t seed;
    const Par *par;
    int64_t first, last; /* this rank's parts */
    Part *train, *val;   /* (last - first) */
    bool weighted;
    int64_t n_train, n_val; /* of all ranks */
    Arena *arena;
} Training;

/* ---- rows to parts ---- */

static size_t record_bytes(const RowModel *m)
{
    return sizeof(int64_t) + (size_t)(1 + m->dim_x + m->dim_y) * sizeof(double);
}

static int part_of(int64_t id, const Training *t)
{
    return (int)(hash_mix((uint64_t)id ^ hash_fnv1a("rowtrain.part")) % (uint64_t)t->config->parts);
}

static bool is_val(int64_t id, const Training *t)
{
    Rng g = rng_stream(t->seed, "rowtrain.val", id, 0);
    return rng_uniform(&g) < t->config->val_fraction;
}

static int owner_of(int part, const Training *t)
{
    for (int r = 0; r < t->par->n_ranks; r++) {
        Par other = *t->par;
        int64_t first, last;
        other.rank = r;
        par_share(&first, &last, &other, t->config->parts);
        if (part >= first && part < last) return r;
    }
    return 0;
}

/* A record: id, weight, x, y. */
static Status pack(char **out, int **dest, const RowSet *rows, const Training *t)
{
    const RowModel *m = t->model;
    const size_t bytes = record_bytes(m);
    int *owner;
    TRY(arena_take((void **)out, t->arena, rows->n, bytes));
    TRY(arena_new(dest, t->arena, rows->n));
    TRY(arena_new(&owner, t->arena, t->config->parts));
    for (int p = 0; p < (int)t->config->parts; p++) owner[p] = owner_of(p, t);
    for (int64_t i = 0; i < rows->n; i++) {
        char *to = *out + (size_t)i * bytes;
        double *number = (double *)(void *)(to + sizeof(int64_t));
        memcpy(to, &rows->id[i], sizeof(int64_t));
        *number++ = rows->weight ? rows->weight[i] : 1;
        for (int64_t d = 0; d < m->dim_x; d++) *number++ = (double)rows->x[i * m->dim_x + d];
        memcpy(number, rows->y + i * m->dim_y, (size_t)m->dim_y * sizeof *number);
        (*dest)[i] = owner[part_of(rows->id[i], t)];
    }
    return OK;
}

static int by_id(const void *a, const void *b)
{
    int64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static Status new_part(Part *p, int64_t n, const Training *t)
{
    p->n = 0;
    TRY(arena_new(&p->x, t->arena, n * t->model->dim_x));
    TRY(arena_new(&p->y, t->arena, n * t->model->dim_y));
    TRY(arena_new(&p->weight, t->arena, n));
    TRY(arena_new(&p->id, t->arena, n));
    return arena_new(&p->order, t->arena, n);
}

static void put_row(Part *p, const char *record, const Training *t)
{
    const int64_t dim_x = t->model->dim_x, dim_y = t->model->dim_y;
    const double *number = (const double *)(const void *)(record + sizeof(int64_t));
    memcpy(&p->id[p->n], record, sizeof(int64_t));
    p->weight[p->n] = number[0] + (p->n > 0 ? p->weight[p->n - 1] : 0);
    memcpy(p->x + p->n * dim_x, number + 1, (size_t)dim_x * sizeof *number);
    memcpy(p->y + p->n * dim_y, number + 1 + dim_x, (size_t)dim_y * sizeof *number);
    p->n++;
}

/* Local. `record` (n) are the rows of this rank's parts. */
static Status fill_parts(Training *t, char *record, int64_t n)
{
    const size_t bytes = record_bytes(t->model);
    const int64_t mine = t->last - t->first;
    int64_t *count;
    qsort(record, (size_t)n, bytes, by_id);
    TRY(arena_new(&t->train, t->arena, mine));
    TRY(arena_new(&t->val, t->arena, mine));
    TRY(arena_new(&count, t->arena, 2 * mine));
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < n; i++) {
            int64_t id;
            memcpy(&id, record + (size_t)i * bytes, sizeof id);
            const int64_t p = part_of(id, t) - t->first;
            const bool val = is_val(id, t);
            if (pass == 0)
                count[2 * p + val]++;
            else
                put_row(val ? &t->val[p] : &t->train[p], record + (size_t)i * bytes, t);
        }
        for (int64_t p = 0; p < mine && pass == 0; p++) {
            TRY(new_part(&t->train[p], count[2 * p], t));
            TRY(new_part(&t->val[p], count[2 * p + 1], t));
            t->n_train += count[2 * p];
            t->n_val += count[2 * p + 1];
        }
    }
    return OK;
}

/* Collective. */
static Status deal(Training *t, const RowSet *rows)
{
    char *mine = NULL, *all = NULL;
    int *dest = NULL;
    int64_t n = 0;
    par_share(&t->first, &t->last, t->par, t->config->parts);
    TRY(par_agree(t->par, pack(&mine, &dest, rows, t)));
    TRY(par_exchange((void **)&all, &n, t->par, mine, dest, rows->n, record_bytes(t->model), t->arena));
    TRY(par_agree(t->par, fill_parts(t, all, n)));
    int64_t total[2] = {t->n_train, t->n_val};
    par_sum_i64(t->par, total, 2);
    t->n_train = total[0];
    t->n_val = total[1];
    return OK;
}

/* ---- an epoch's rows ---- */

typedef struct {
    uint64_t key;
    int64_t row;
} Shuffled;

static int by_key(const void *a, const void *b)
{
    const Shuffled *x = a, *y = b;
    return x->key != y->key ? (x->key < y->key ? -1 : 1) : (x->row > y->row) - (x->row < y->row);
}

static Status shuffle(Part *p, int64_t epoch, const Training *t)
{
    const Mark mark = arena_mark(t->arena);
    Shuffled *s;
    TRY(arena_new(&s, t->arena, p->n));
    for (int64_t i = 0; i < p->n; i++) {
        Rng g = rng_stream(t->seed, "rowtrain.order", p->id[i], (uint32_t)epoch);
        s[i] = (Shuffled){rng_u64(&g), i};
    }
    qsort(s, (size_t)p->n, sizeof *s, by_key);
    for (int64_t i = 0; i < p->n; i++) p->order[i] = s[i].row;
    arena_reset(t->arena, mark);
    return OK;
}

/* With replacement, by the running sums of the chances. */
static void draw(Part *p, int64_t epoch, int64_t part, const Training *t)
{
    Rng g = rng_stream(t->seed, "rowtrain.draw", part, (uint32_t)epoch);
    for (int64_t i = 0; i < p->n; i++) {
        const double at = rng_uniform(&g) * p->weight[p->n - 1];
        int64_t low = 0, high = p->n - 1;
        while (low < high) {
            const int64_t middle = (low + high) / 2;
            if (p->weight[middle] > at)
                high = middle;
            else
                low = middle + 1;
        }
        p->order[i] = low;
    }
}

/* ---- sums over parts ---- */

/* Adds rows order[from .. to) of a part; leaf: gradient, loss, rows. Without order: the rows as they lie, no gradient. */
static Status add_rows(double *leaf, const Part *p, const int64_t *order, int64_t from, int64_t to, const double *w,
                       uint64_t seed, const Training *t)
{
    const RowModel *m = t->model;
    const int64_t n = to - from;
    const Mark mark = arena_mark(t->arena);
    double *x, *y;
    int64_t *id;
    if (n <= 0) return OK;
    TRY(arena_new(&x, t->arena, n * m->dim_x));
    TRY(arena_new(&y, t->arena, n * m->dim_y));
    TRY(arena_new(&id, t->arena, n));
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = order ? order[from + i] : from + i;
        memcpy(x + i * m->dim_x, p->x + row * m->dim_x, (size_t)m->dim_x * sizeof *x);
        memcpy(y + i * m->dim_y, p->y + row * m->dim_y, (size_t)m->dim_y * sizeof *y);
        id[i] = p->id[row];
    }
    TRY(m->loss(&leaf[m->n_params], order ? leaf : NULL, m->self, w, x, y, id, n, seed, t->arena));
    leaf[m->n_params + 1] += (double)n;
    arena_reset(t->arena, mark);
    return OK;
}

/* Local. This rank's parts of step `step` of `steps`; step < 0: the val rows. */
static Status sum_parts(TreeSum *tree, double *leaf, const double *w, int64_t step, int64_t steps, uint64_t seed,
                        const Training *t)
{
    const int64_t size = t->model->n_params + 2;
    TRY(treesum_init(tree, size, t->config->parts, t->arena));
    for (int64_t k = 0; k < t->last - t->first; k++) {
        const Part *p = step >= 0 ? &t->train[k] : &t->val[k];
        memset(leaf, 0, (size_t)size * sizeof *leaf);
        if (step >= 0) TRY(add_rows(leaf, p, p->order, step * p->n / steps, (step + 1) * p->n / steps, w, seed, t));
        for (int64_t from = 0; step < 0 && from < p->n; from += VAL_ROWS)
            TRY(add_rows(leaf, p, NULL, from, from + VAL_ROWS < p->n ? from + VAL_ROWS : p->n, w, seed, t));
        treesum_push(tree, t->first + k, leaf);
    }
    return par_continue();
}

/* Collective. out (n_params + 2) */
static Status sum_step(double *out, double *leaf, const double *w, int64_t step, int64_t steps, uint64_t seed,
                       const Training *t)
{
    const Mark mark = arena_mark(t->arena);
    TreeSum tree;
    TRY(par_agree(t->par, sum_parts(&tree, leaf, w, step, steps, seed, t)));
    TRY(par_tree_finish(out, &tree, t->par, t->arena));
    arena_reset(t->arena, mark);
    clock_tick();
    return OK;
}

/* ---- the loop ---- */

void rows_adam(double *w, double *m, double *v, const double *g, double scale, int64_t n, double lr, int64_t step)
{
    const double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
    const double c1 = 1 - pow(beta1, (double)step), c2 = 1 - pow(beta2, (double)step);
    for (int64_t i = 0; i < n; i++) {
        const double d = g[i] * scale;
        m[i] = beta1 * m[i] + (1 - beta1) * d;
        v[i] = beta2 * v[i] + (1 - beta2) * d * d;
        w[i] -= lr / c1 * m[i] / (sqrt(v[i]) / sqrt(c2) + eps);
    }
}

static double rate(const RowTraining *c, int64_t epoch)
{
    return c->lr_last + 0.5 * (c->lr - c->lr_last) * (1 + cos(M_PI * (double)epoch / (double)c->epochs));
}

typedef struct {
    double *m, *v, *sum, *leaf, *best, *val;
    int64_t step;
    double best_loss;
} State;

static Status new_state(State *s, const Training *t)
{
    const int64_t n = t->model->n_params;
    *s = (State){.best_loss = INFINITY};
    TRY(arena_new(&s->m, t->arena, n));
    TRY(arena_new(&s->v, t->arena, n));
    TRY(arena_new(&s->sum, t->arena, n + 2));
    TRY(arena_new(&s->leaf, t->arena, n + 2));
    TRY(arena_new(&s->best, t->arena, n));
    return arena_new(&s->val, t->arena, t->config->epochs);
}

/* Collective. */
static Status train_epoch(double *w, double *loss, State *s, int64_t epoch, const Training *t)
{
    const int64_t n = t->model->n_params, steps = (t->n_train + t->config->batch - 1) / t->config->batch;
    double sum = 0;
    Status st = OK;
    for (int64_t k = 0; k < t->last - t->first && st == OK; k++)
        if (t->weighted)
            draw(&t->train[k], epoch, t->first + k, t);
        else
            st = shuffle(&t->train[k], epoch, t);
    TRY(par_agree(t->par, st));
    for (int64_t step = 0; step < steps; step++) {
        const uint64_t seed = hash_mix(t->seed ^ hash_mix((uint64_t)(epoch * steps + step)));
        TRY(sum_step(s->sum, s->leaf, w, step, steps, seed, t));
        if (!isfinite(s->sum[n]))
            return FAIL(E_NUMERIC, "the loss is no finite number in epoch %lld: a smaller learning rate may do",
                        (long long)epoch);
        sum += s->sum[n];
        if (s->sum[n + 1] > 0)
            rows_adam(w, s->m, s->v, s->sum, 1 / s->sum[n + 1], n, rate(t->config, epoch), ++s->step);
    }
    *loss = sum / (double)t->n_train;
    return OK;
}

static bool shall_stop(const State *s, int64_t epoch, const RowTraining *c)
{
    double mean = 0;
    if (c->stop_after <= 0 || epoch < c->stop_after || epoch < c->stop_window) return false;
    for (int64_t k = 1; k <= c->stop_window; k++) mean += s->val[epoch - k] / (double)c->stop_window;
    return s->val[epoch] > mean;
}

/* Collective. */
static Status train(RowReport *out, double *w, const Training *t)
{
    const int64_t n = t->model->n_params;
    State s;
    TRY(par_agree(t->par, new_state(&s, t)));
    for (int64_t epoch = 0; epoch < t->config->epochs && t->n_train > 0; epoch++) {
        TRY(train_epoch(w, &out->loss, &s, epoch, t));
        out->epochs = epoch + 1;
        if (t->n_val == 0) continue;
        TRY(sum_step(s.sum, s.leaf, w, -1, 1, 0, t));
        out->val_loss = s.val[epoch] = s.sum[n] / s.sum[n + 1];
        if (s.val[epoch] < s.best_loss) {
            s.best_loss = s.val[epoch];
            out->best_epoch = epoch;
            memcpy(s.best, w, (size_t)n * sizeof *w);
        }
        if (shall_stop(&s, epoch, t->config)) break;
    }
    if (t->config->keep_best && isfinite(s.best_loss)) memcpy(w, s.best, (size_t)n * sizeof *w);
    return OK;
}

Status rows_train(RowReport *out, double *p, const RowModel *model, const RowSet *rows, const RowTraining *c,
                  uint64_t seed, const Par *par, Arena *a)
{
    const Mark mark = arena_mark(a);
    Training t = {.model = model, .config = c, .seed = seed, .par = par, .weighted = rows->weight != NULL, .arena = a};
    int64_t weighted = t.weighted;
    par_max_i64(par, &weighted, 1); /* a rank without rows may have no array */
    t.weighted = weighted != 0;
    *out = (RowReport){.best_epoch = -1, .loss = NAN, .val_loss = NAN};
    TRY(deal(&t, rows));
    out->n_train = t.n_train;
    out->n_val = t.n_val;
    TRY(train(out, p, &t));
    arena_reset(a, mark);
    return OK;
}
