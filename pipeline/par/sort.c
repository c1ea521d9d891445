/* sort.c - sample sort, then equal shares. What is sorted are numbers of rows (4 bytes each); a row itself moves twice.

   (1) Each rank finds the order of its rows. (2) Every stride-th row of every rank is a sample, the same stride
   everywhere, so that a rank counts by its rows; n_ranks - 1 of all samples, evenly spaced, are the splitters. (3) Rows
   between two splitters go to one rank, which merges the orders of the sorted runs that arrive. (4) The rows move once
   more, between neighbours mostly, so that the shares are equal to the row.

   Equal rows are told apart by where they come from (rank, then place), in the splitters too: a million equal keys
   still divide evenly, and the whole sort is stable. */
#include <string.h>

#include "par/par.h"

enum {
    RUN = 16,
    SAMPLES_LEAST = 32,
    SAMPLES_MOST = 128
}; /* rows per insertion sort; samples per rank: as many as ranks, within this */

/* Records, and how they compare. */
typedef struct {
    const char *at;
    size_t record; /* bytes */
    int (*compare)(const void *, const void *);
} Rows;

static const char *row_of(const Rows *rows, uint32_t i) { return rows->at + (size_t)i * rows->record; }

static int compare_rows(const Rows *rows, uint32_t x, uint32_t y)
{
    return rows->compare(row_of(rows, x), row_of(rows, y));
}

/* ---- on one rank: merge runs that lie side by side ---- */

static void insertion_sort(uint32_t *order, int64_t n, const Rows *rows)
{
    for (int64_t i = 1; i < n; i++) {
        uint32_t held = order[i];
        int64_t at = i;
        for (; at > 0 && compare_rows(rows, order[at - 1], held) > 0; at--) order[at] = order[at - 1];
        order[at] = held;
    }
}

/* Places [first, middle) and [middle, last) of `from`, each sorted, into [first, last) of `to`; of equal rows the left
   comes first. */
static void merge_two(uint32_t *to, const uint32_t *from, int64_t first, int64_t middle, int64_t last, const Rows *rows)
{
    int64_t left = first, right = middle;
    for (int64_t at = first; at < last; at++) {
        bool take_left = left < middle && (right == last || compare_rows(rows, from[left], from[right]) <= 0);
        to[at] = from[take_left ? left++ : right++];
    }
}

/* The order of rows that lie in n_runs sorted runs; bound (n_runs + 1) is overwritten. In `a`, beside as much scratch. */
static Status merge_runs(uint32_t **out, const Rows *rows, int64_t *bound, int64_t n_runs, uint32_t *order, Arena *a)
{
    uint32_t *spare;
    TRY(arena_new(&spare, a, bound[n_runs]));
    while (n_runs > 1) {
        int64_t n = 0;
        for (int64_t i = 0; i < n_runs; i += 2) {
            int64_t middle = bound[i + 1], last = i + 2 <= n_runs ? bound[i + 2] : middle;
            merge_two(spare, order, bound[i], middle, last, rows);
            bound[n++] = bound[i];
            bound[n] = last;
        }
        n_runs = n;
        uint32_t *swap = order;
        order = spare;
        spare = swap;
    }
    *out = order;
    return OK;
}

static Status count_up(uint32_t **out, int64_t n, Arena *a)
{
    MUST(n <= UINT32_MAX);
    TRY(arena_new(out, a, n));
    for (int64_t i = 0; i < n; i++) (*out)[i] = (uint32_t)i;
    return OK;
}

/* The order of n rows in any order. */
static Status sort_local(uint32_t **out, const Rows *rows, int64_t n, Arena *a)
{
    uint32_t *order;
    int64_t *bound, n_runs = (n + RUN - 1) / RUN;
    TRY(count_up(&order, n, a));
    TRY(arena_new(&bound, a, n_runs + 1));
    for (int64_t i = 0; i < n_runs; i++) {
        bound[i] = i * RUN;
        insertion_sort(order + i * RUN, n - i * RUN < RUN ? n - i * RUN : RUN, rows);
    }
    bound[n_runs] = n;
    return merge_runs(out, rows, bound, n_runs, order, a);
}

/* ---- splitters ---- */

/* A sample is a row, padded to whole words, and where it comes from. */
typedef struct {
    int64_t rank, index;
} Origin;

static size_t sample_bytes(size_t record) { return (record + 7) / 8 * 8 + sizeof(Origin); }

static Origin origin_of(const char *sample, size_t record)
{
    Origin o;
    memcpy(&o, sample + sample_bytes(record) - sizeof o, sizeof o);
    return o;
}

static Status take_samples(char **out, int64_t *n_out, const Par *par, const Rows *rows, const uint32_t *order,
                           int64_t n, int64_t n_all, Arena *a)
{
    const size_t record = rows->record;
    int64_t per_rank = par->n_ranks < SAMPLES_LEAST  ? SAMPLES_LEAST
                       : par->n_ranks > SAMPLES_MOST ? SAMPLES_MOST
                                                     : par->n_ranks;
    int64_t stride = n_all / (per_rank * par->n_ranks) + 1;
    *n_out = (n + stride - 1) / stride;
    TRY(arena_take((void **)out, a, *n_out, sample_bytes(record)));
    for (int64_t i = 0; i < *n_out; i++) {
        int64_t index = i * stride + stride / 2; /* the middle of the rows it stands for */
        Origin o = {par->rank, index < n ? index : n - 1};
        char *sample = *out + (size_t)i * sample_bytes(record);
        memcpy(sample, row_of(rows, order[o.index]), record);
        memcpy(sample + sample_bytes(record) - sizeof o, &o, sizeof o);
    }
    return OK;
}

/* All samples of all ranks and their order: they come as one sorted run per rank, so that merging keeps (row, rank,
   index) order. */
static Status sort_samples(Rows *out, uint32_t **order, int64_t *n_out, const Par *par, const char *mine, int64_t n,
                           const Rows *rows, Arena *a)
{
    int64_t *each, n_each = 0, *bound = NULL;
    char *all;
    uint32_t *first = NULL;
    const size_t bytes = sample_bytes(rows->record);
    TRY(par_allgather((void **)&each, &n_each, par, &n, 1, sizeof n, a));
    TRY(par_allgather((void **)&all, n_out, par, mine, n, bytes, a));
    *out = (Rows){all, bytes, rows->compare};
    Status st = arena_new(&bound, a, n_each + 1);
    for (int64_t r = 0; r < n_each && st == OK; r++) bound[r + 1] = bound[r] + each[r];
    if (st == OK) st = count_up(&first, *n_out, a);
    if (st == OK) st = merge_runs(order, out, bound, n_each, first, a);
    return par_agree(par, st);
}

/* Is the row that is number `index` of this rank's before the splitter, in the order (row, rank, index)? */
static bool is_before(const Par *par, const Rows *rows, uint32_t row, int64_t index, const char *splitter)
{
    int order = rows->compare(row_of(rows, row), splitter);
    if (order != 0) return order < 0;
    Origin o = origin_of(splitter, rows->record);
    return par->rank != o.rank ? par->rank < o.rank : index < o.index;
}

/* n_to[r]: how many of my rows, in order, lie between splitters r - 1 and r. */
static void divide(int64_t *n_to, const Par *par, const Rows *rows, const uint32_t *order, int64_t n,
                   const Rows *samples, const uint32_t *sample_order, int64_t n_samples)
{
    int64_t first = 0;
    for (int r = 0; r < par->n_ranks; r++) {
        int64_t low = first, high = n;
        if (r + 1 < par->n_ranks && n_samples > 0) { /* no samples: nobody has rows */
            const char *splitter = row_of(samples, sample_order[(r + 1) * n_samples / par->n_ranks]);
            while (low < high) {
                int64_t middle = low + (high - low) / 2;
                if (is_before(par, rows, order[middle], middle, splitter))
                    low = middle + 1;
                else
                    high = middle;
            }
        } else {
            low = n;
        }
        n_to[r] = low - first;
        first = low;
    }
}

/* ---- the two exchanges ---- */

/* Rows in any order in; the rows between my two splitters out, and their order. */
static Status move_to_buckets(Rows *out, uint32_t **out_order, int64_t *n_out, const Par *par, const Rows *rows,
                              int64_t n, int64_t n_all, Arena *a)
{
    int64_t *n_to = NULL, *n_from = NULL, *bound = NULL, n_samples = 0, n_mine = 0;
    char *mine = NULL, *bucket = NULL;
    uint32_t *order = NULL, *sample_order = NULL, *arrived = NULL;
    Rows samples;
    Status st = sort_local(&order, rows, n, a);
    if (st == OK) st = take_samples(&mine, &n_mine, par, rows, order, n, n_all, a);
    if (st == OK) st = arena_new(&n_to, a, par->n_ranks);
    if (st == OK) st = arena_new(&n_from, a, par->n_ranks);
    if (st == OK) st = arena_new(&bound, a, par->n_ranks + 1);
    TRY(par_agree(par, st));
    TRY(sort_samples(&samples, &sample_order, &n_samples, par, mine, n_mine, rows, a));
    divide(n_to, par, rows, order, n, &samples, sample_order, n_samples);

    *n_out = par_exchange_counts(n_from, par, n_to);
    TRY(par_agree(par, arena_take((void **)&bucket, a, *n_out, rows->record)));
    TRY(par_exchange_ordered(bucket, par, rows->at, order, n_to, n_from, rows->record, a));
    *out = (Rows){bucket, rows->record, rows->compare};
    for (int r = 0; r < par->n_ranks; r++) bound[r + 1] = bound[r] + n_from[r];
    st = count_up(&arrived, *n_out, a);
    if (st == OK) st = merge_runs(out_order, out, bound, par->n_ranks, arrived, a);
    return par_agree(par, st);
}

/* Globally sorted rows in any shares in; equal shares out. */
static Status even_out(char *out, int64_t n_share, const Par *par, const Rows *rows, const uint32_t *order, int64_t n,
                       int64_t n_all, Arena *a)
{
    int64_t *n_to = NULL, *n_from = NULL, first = par_offset_i64(par, n), last = first + n;
    Status st = arena_new(&n_to, a, par->n_ranks);
    if (st == OK) st = arena_new(&n_from, a, par->n_ranks);
    TRY(par_agree(par, st));
    for (int r = 0; r < par->n_ranks; r++) {
        Par other = {.rank = r, .n_ranks = par->n_ranks};
        int64_t low, high;
        par_share(&low, &high, &other, n_all);
        if (low < first) low = first;
        if (high > last) high = last;
        n_to[r] = high > low ? high - low : 0;
    }
    MUST(par_exchange_counts(n_from, par, n_to) == n_share);
    return par_exchange_ordered(out, par, rows->at, order, n_to, n_from, rows->record, a);
}

Status par_sort(void **out, int64_t *n_out, const Par *par, const void *records, int64_t n, size_t record,
                int (*compare)(const void *, const void *), Arena *a)
{
    const Rows rows = {records, record, compare};
    Rows bucket;
    uint32_t *order = NULL;
    int64_t n_all = n, first, last;
    *out = NULL;
    *n_out = 0;
    par_sum_i64(par, &n_all, 1);
    par_share(&first, &last, par, n_all);

    Status st = arena_take(out, a, last - first, record);
    const Mark m = arena_mark(a); /* only the result stays */
    st = par_agree(par, st);
    if (st == OK && par->n_ranks > 1) {
        st = move_to_buckets(&bucket, &order, &n, par, &rows, n, n_all, a);
        if (st == OK) st = even_out(*out, last - first, par, &bucket, order, n, n_all, a);
    } else if (st == OK) {
        st = sort_local(&order, &rows, n, a);
        for (int64_t i = 0; i < n && st == OK; i++)
            memcpy((char *)*out + (size_t)i * record, row_of(&rows, order[i]), record);
    }
    if (st == OK) *n_out = last - first;
    arena_reset(a, m);
    return st;
}
