/* search_join.c - what the ranks found goes to the owners of the queries, who join it and write their rows at their places of the
   file. A rank owns a contiguous part of each batch. */
#include "search_impl.h"

#include <stdlib.h>

#include "data/join.h"
#include "io/fitssum.h"

static int by_query(const void *a, const void *b)
{
    const Sent *x = a, *y = b;
    if (x->query != y->query) return x->query < y->query ? -1 : 1;
    return cosine_compare(&x->match, &y->match);
}

/* Local. */
static Status pack_found(Sent **sent, int **dest, int64_t *n_sent, const CosineSearch *s, const Search *w)
{
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++) n += s->found[i];
    TRY(arena_new(sent, w->arena, n));
    TRY(arena_new(dest, w->arena, n));
    *n_sent = 0;
    for (int owner = 0; owner < w->par->n_ranks; owner++) {
        int64_t begin, end;
        const Par that = {.rank = owner, .n_ranks = w->par->n_ranks};
        par_share(&begin, &end, &that, s->n);
        for (int64_t i = begin; i < end; i++)
            for (int64_t j = 0; j < s->found[i]; j++) {
                const CosineMatch *m = &s->best[i * s->k + j];
                (*dest)[*n_sent] = owner;
                (*sent)[(*n_sent)++] = (Sent){i, *m, w->keys.key[m->row - w->keys.first]};
            }
    }
    return OK;
}

/* Local. The best of each query that this rank owns, as bytes. */
static Status write_rows(Search *w, int direction, int64_t first, Sent *got, int64_t n_got, const SearchKey *asking,
                         int64_t begin, int64_t place)
{
    unsigned char *bytes = NULL;
    int64_t n = 0, rank = 0;
    TRY(arena_new(&bytes, w->arena, n_got * MATCH_BYTES));
    for (int64_t i = 0; i < n_got; i++) {
        rank = i > 0 && got[i].query == got[i - 1].query ? rank + 1 : 1;
        if (rank > w->config->neighbours) continue;
        const SearchKey *who = asking ? &asking[got[i].query - begin] : &w->queries.query[first + got[i].query].key;
        const MatchRow row = {.direction = direction,
                              .query = first + got[i].query,
                              .query_targetid = who->targetid,
                              .rank = rank,
                              .score = got[i].match.score,
                              .key = got[i].key,
                              .separation = join_separation(who->ra, who->dec, got[i].key.ra, got[i].key.dec)};
        matches_put(bytes + n++ * MATCH_BYTES, &row);
    }
    const int64_t offset = place * MATCH_BYTES;
    w->sum[TABLE_MATCHES] = fitssum_add((uint32_t)w->sum[TABLE_MATCHES], bytes, n * MATCH_BYTES, offset);
    return rowbytes_write(w->fd, w->part, bytes, n * MATCH_BYTES, w->span[TABLE_MATCHES].start + offset);
}

/* Rows that a rank will write of what it got. */
static int64_t count_rows(const Sent *got, int64_t n, int64_t k)
{
    int64_t rows = 0, rank = 0;
    for (int64_t i = 0; i < n; i++) {
        rank = i > 0 && got[i].query == got[i - 1].query ? rank + 1 : 1;
        rows += rank <= k;
    }
    return rows;
}

/* Collective. Keys of the batch's queries where they are rows of the catalogue, of all of it: this rank's part of them. */
static Status read_asking(SearchKey **out, Search *w, int64_t first, int64_t n)
{
    int64_t begin, end, n_out, n_mine = 0;
    SearchKey *mine = NULL;
    int *dest = NULL;
    if (w->queries.query) {
        *out = NULL;
        return OK;
    }
    const int64_t low = first > w->keys.first ? first : w->keys.first;
    const int64_t high = least(first + n, w->keys.first + w->keys.n);
    Status st = arena_new(&mine, w->arena, high > low ? high - low : 0);
    if (st == OK) st = arena_new(&dest, w->arena, high > low ? high - low : 0);
    TRY(par_agree(w->par, st));
    for (int owner = 0; owner < w->par->n_ranks; owner++) {
        const Par that = {.rank = owner, .n_ranks = w->par->n_ranks};
        par_share(&begin, &end, &that, n);
        for (int64_t row = first + begin; row < first + end; row++) {
            if (row < low || row >= high) continue;
            dest[n_mine] = owner;
            mine[n_mine++] = w->keys.key[row - w->keys.first];
        }
    }
    return par_exchange((void **)out, &n_out, w->par, mine, dest, n_mine, sizeof *mine, w->arena); /* by rank: by row */
}

Status search_gather(Sent **got, int64_t *n_got, const Search *w, const CosineSearch *s)
{
    Sent *sent = NULL;
    int *dest = NULL;
    int64_t n_sent = 0;
    TRY(par_agree(w->par, pack_found(&sent, &dest, &n_sent, s, w)));
    TRY(par_exchange((void **)got, n_got, w->par, sent, dest, n_sent, sizeof *sent, w->arena));
    qsort(*got, (size_t)*n_got, sizeof **got, by_query);
    return OK;
}

Status search_join(Search *w, int direction, int64_t first, const CosineSearch *s)
{
    Sent *got = NULL;
    SearchKey *asking = NULL;
    int64_t n_got, begin, end;
    TRY(search_gather(&got, &n_got, w, s));
    TRY(read_asking(&asking, w, first, s->n));
    par_share(&begin, &end, w->par, s->n);
    int64_t rows = count_rows(got, n_got, w->config->neighbours);
    const int64_t place = w->written + par_offset_i64(w->par, rows);
    Status st = FAIL_POINT("search.rows");
    if (st == OK) st = write_rows(w, direction, first, got, n_got, asking, begin, place);
    par_sum_i64(w->par, &rows, 1);
    w->written += rows;
    return par_agree(w->par, st);
}

/* As they are sent, on their way, as they come, and as rows of the file. */
double search_join_bytes(int64_t neighbours)
{
    return (double)neighbours * (double)(3 * sizeof(Sent) + sizeof(int) + MATCH_BYTES);
}
