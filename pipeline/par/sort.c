/* sort.c - sample sort, then equal shares.

   (1) Each rank sorts its rows. (2) Every stride-th row of every rank is a sample, the same stride everywhere, so that
   a rank counts by its rows; n_ranks - 1 of all samples, evenly spaced, are the splitters. (3) Rows between two
   splitters go to one rank, which merges the sorted runs that arrive. (4) The rows move once more, between neighbours
   mostly, so that the shares are equal to the row.

   Equal rows are told apart by where they come from (rank, then place), in the splitters too: a million equal keys
   still divide evenly, and the whole sort is stable. */
#include <string.h>

#include "par/par.h"

enum {
    RUN = 16,
    SAMPLES_LEAST = 32,
    SAMPLES_MOST = 128
}; /* rows per insertion sort; samples per rank: as many as ranks, within this */

typedef int (*Compare)(const void *, const void *);

/* ---- on one rank: merge runs that lie side by side ---- */

static void insertion_sort(char *rows, int64_t n, size_t record, Compare compare, char *held)
{
    for (int64_t i = 1; i < n; i++) {
        int64_t at = i;
        while (at > 0 && compare(rows + (size_t)(at - 1) * record, rows + (size_t)i * record) > 0) at--;
        if (at == i) continue;
        memcpy(held, rows + (size_t)i * record, record);
        memmove(rows + (size_t)(at + 1) * record, rows + (size_t)at * record, (size_t)(i - at) * record);
        memcpy(rows + (size_t)at * record, held, record);
    }
}

/* Rows [first, middle) and [middle, last) of `from`, each sorted, into [first, last) of `to`; of equal rows the left
   comes first. */
static void merge_two(char *to, const char *from, int64_t first, int64_t middle, int64_t last, size_t record,
                      Compare compare)
{
    const char *left = from + (size_t)first * record, *left_end = from + (size_t)middle * record;
    const char *right = left_end, *right_end = from + (size_t)last * record;
    char *out = to + (size_t)first * record;
    while (left < left_end && right < right_end) {
        const char **next = compare(left, right) <= 0 ? &left : &right;
        memcpy(out, *next, record);
        *next += record;
        out += record;
    }
    if (left < left_end) memcpy(out, left, (size_t)(left_end - left));
    if (right < right_end) memcpy(out, right, (size_t)(right_end - right));
}

/* Merges n_runs neighbouring runs pairwise until one is left; bound (n_runs + 1) is overwritten. Returns where the rows
   are: rows or spare. */
static char *merge_runs(char *rows, char *spare, int64_t *bound, int64_t n_runs, size_t record, Compare compare)
{
    while (n_runs > 1) {
        int64_t n = 0;
        for (int64_t i = 0; i < n_runs; i += 2) {
            int64_t middle = bound[i + 1], last = i + 2 <= n_runs ? bound[i + 2] : middle;
            merge_two(spare, rows, bound[i], middle, last, record, compare);
            bound[n++] = bound[i];
            bound[n] = last;
        }
        n_runs = n;
        char *swap = rows;
        rows = spare;
        spare = swap;
    }
    return rows;
}

/* A sorted copy of n rows, in `a` together with its scratch. */
static Status sort_local(char **out, const void *records, int64_t n, size_t record, Compare compare, Arena *a)
{
    char *rows, *spare;
    int64_t *bound, n_runs = (n + RUN - 1) / RUN;
    TRY(arena_take((void **)&rows, a, n, record));
    TRY(arena_take((void **)&spare, a, n + 1,
                   record)); /* one row even if there is none: the insertion sort holds one */
    TRY(arena_new(&bound, a, n_runs + 1));
    if (n > 0) memcpy(rows, records, (size_t)n * record);
    for (int64_t i = 0; i < n_runs; i++) {
        int64_t first = i * RUN, count = n - first < RUN ? n - first : RUN;
        insertion_sort(rows + (size_t)first * record, count, record, compare, spare);
        bound[i] = first;
    }
    bound[n_runs] = n;
    *out = merge_runs(rows, spare, bound, n_runs, record, compare);
    return OK;
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

static Status take_samples(char **out, int64_t *n_out, const Par *par, const char *rows, int64_t n, int64_t n_all,
                           size_t record, Arena *a)
{
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
        memcpy(sample, rows + (size_t)o.index * record, record);
        memcpy(sample + sample_bytes(record) - sizeof o, &o, sizeof o);
    }
    return OK;
}

/* All samples of all ranks, sorted: they come as one sorted run per rank, so that merging keeps (row, rank, index)
   order. */
static Status sort_samples(char **out, int64_t *n_out, const Par *par, const char *mine, int64_t n, size_t record,
                           Compare compare, Arena *a)
{
    int64_t *each, n_each = 0, *bound = NULL;
    char *all, *spare = NULL;
    TRY(par_allgather((void **)&each, &n_each, par, &n, 1, sizeof n, a));
    TRY(par_allgather((void **)&all, n_out, par, mine, n, sample_bytes(record), a));
    Status st = arena_take((void **)&spare, a, *n_out, sample_bytes(record));
    if (st == OK) st = arena_new(&bound, a, n_each + 1);
    TRY(par_agree(par, st));
    for (int64_t r = 0; r < n_each; r++) bound[r + 1] = bound[r] + each[r];
    *out = merge_runs(all, spare, bound, n_each, sample_bytes(record), compare);
    return OK;
}

/* Is row `index` of this rank before the splitter, in the order (row, rank, index)? */
static bool is_before(const Par *par, const char *row, int64_t index, const char *splitter, size_t record,
                      Compare compare)
{
    int order = compare(row, splitter);
    if (order != 0) return order < 0;
    Origin o = origin_of(splitter, record);
    return par->rank != o.rank ? par->rank < o.rank : index < o.index;
}

/* n_to[r]: how many of my sorted rows lie between splitters r - 1 and r. */
static void divide(int64_t *n_to, const Par *par, const char *rows, int64_t n, const char *samples, int64_t n_samples,
                   size_t record, Compare compare)
{
    int64_t first = 0;
    for (int r = 0; r < par->n_ranks; r++) {
        int64_t low = first, high = n;
        if (r + 1 < par->n_ranks) {
            const char *splitter = samples + (size_t)((r + 1) * n_samples / par->n_ranks) * sample_bytes(record);
            while (low < high) {
                int64_t middle = low + (high - low) / 2;
                if (is_before(par, rows + (size_t)middle * record, middle, splitter, record, compare))
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

/* Sorted rows of mine in; the rows between my two splitters out, merged. */
static Status move_to_buckets(char **out, int64_t *n_out, const Par *par, const char *rows, int64_t n, int64_t n_all,
                              size_t record, Compare compare, Arena *a)
{
    int64_t *n_to = NULL, *n_from = NULL, *bound = NULL, n_samples = 0, n_mine = 0;
    char *samples = NULL, *mine = NULL, *spare = NULL;
    Status st = take_samples(&mine, &n_mine, par, rows, n, n_all, record, a);
    if (st == OK) st = arena_new(&n_to, a, par->n_ranks);
    if (st == OK) st = arena_new(&n_from, a, par->n_ranks);
    if (st == OK) st = arena_new(&bound, a, par->n_ranks + 1);
    TRY(par_agree(par, st));
    TRY(sort_samples(&samples, &n_samples, par, mine, n_mine, record, compare, a));
    divide(n_to, par, rows, n, samples, n_samples, record, compare);

    TRY(par_exchange_grouped((void **)out, n_out, n_from, par, rows, n_to, record, a));
    TRY(par_agree(par, arena_take((void **)&spare, a, *n_out, record)));
    for (int r = 0; r < par->n_ranks; r++) bound[r + 1] = bound[r] + n_from[r];
    *out = merge_runs(*out, spare, bound, par->n_ranks, record, compare);
    return OK;
}

/* Globally sorted rows in any shares in; equal shares out. */
static Status even_out(char *out, int64_t n_share, const Par *par, const char *rows, int64_t n, int64_t n_all,
                       size_t record, Arena *a)
{
    int64_t *n_to, first = par_offset_i64(par, n), last = first + n, n_got = 0;
    TRY(par_agree(par, arena_new(&n_to, a, par->n_ranks)));
    for (int r = 0; r < par->n_ranks; r++) {
        Par other = {.rank = r, .n_ranks = par->n_ranks};
        int64_t low, high;
        par_share(&low, &high, &other, n_all);
        if (low < first) low = first;
        if (high > last) high = last;
        n_to[r] = high > low ? high - low : 0;
    }
    char *got;
    TRY(par_exchange_grouped((void **)&got, &n_got, NULL, par, rows, n_to, record, a));
    MUST(n_got == n_share);
    if (n_got > 0) memcpy(out, got, (size_t)n_got * record);
    return OK;
}

Status par_sort(void **out, int64_t *n_out, const Par *par, const void *records, int64_t n, size_t record,
                int (*compare)(const void *, const void *), Arena *a)
{
    int64_t n_all = n, first, last;
    *out = NULL;
    *n_out = 0;
    par_sum_i64(par, &n_all, 1);
    par_share(&first, &last, par, n_all);

    char *rows = NULL;
    Status st = arena_take(out, a, last - first, record);
    Mark m = arena_mark(a); /* only the result stays */
    if (st == OK) st = sort_local(&rows, records, n, record, compare, a);
    st = par_agree(par, st);
    if (st == OK && par->n_ranks > 1) {
        st = move_to_buckets(&rows, &n, par, rows, n, n_all, record, compare, a);
        if (st == OK) st = even_out(*out, last - first, par, rows, n, n_all, record, a);
    } else if (st == OK && n > 0) {
        memcpy(*out, rows, (size_t)n * record);
    }
    if (st == OK) *n_out = last - first;
    arena_reset(a, m);
    return st;
}
