/* search.c - the parallel driver: shares of the catalogue, batches of queries, joining what the ranks found, rows into the file.

   How many rows a query will have follows from which embeddings are there, so the file is laid out before anything is compared. */
#include "tables/search.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "data/join.h"
#include "io/fitssum.h"
#include "probe/cosine.h"
#include "tables/matches.h"

const DirectionRow direction_table[N_DIRECTIONS] = {
    {"image-image", MODALITY_IMAGE, MODALITY_IMAGE},
    {"spectrum-spectrum", MODALITY_SPECTRUM, MODALITY_SPECTRUM},
    {"image-spectrum", MODALITY_IMAGE, MODALITY_SPECTRUM},
    {"spectrum-image", MODALITY_SPECTRUM, MODALITY_IMAGE},
};
static const EmbeddingSet set_of[N_MODALITIES] = {[MODALITY_IMAGE] = SET_IMAGE, [MODALITY_SPECTRUM] = SET_SPECTRUM};

enum { PIECE = 4096 }; /* rows read at a time */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

bool search_goes(const SearchConfig *c, int direction)
{
    return config_lists(&c->directions, direction_table[direction].name);
}

/* This rank's share of one modality: the rows that have an embedding, closed up. */
typedef struct {
    int64_t n, total; /* here; on all ranks */
    int64_t *row, *targetid;
    double *norm;
    uint8_t *usable; /* (n of the share) */
    float *x;        /* (n, dim); NULL = is read again for each batch */
} Targets;

typedef struct {
    const SearchSources *s;
    const SearchConfig *config;
    const Par *par;
    Arena *arena;
    int64_t dim;
    bool wants[N_MODALITIES], among[N_MODALITIES]; /* is compared at all; is what is found */
    SearchKeys keys;
    Targets target[N_MODALITIES];
    Queries queries;
    /* the file */
    const char *part;
    int fd;
    RowSpan span[N_MATCH_TABLES];
    int64_t sum[N_MATCH_TABLES]; /* of this rank's bytes, then of all */
    int64_t n_matches, written;
} Search;

/* ---- the share ---- */

static bool keeps(const Search *w)
{
    double bytes = 0;
    for (int m = 0; m < N_MODALITIES; m++) bytes += w->among[m] ? 4.0 * (double)(w->keys.n * w->dim) : 0;
    return bytes <= 1e9 * w->config->keep_gb;
}

/* Local. Lengths of all rows of the share, and the embeddings themselves where they are kept. */
static Status read_targets(Search *w, Modality m, bool keep)
{
    Targets *t = &w->target[m];
    const int64_t dim = w->dim, n = w->keys.n;
    float *piece = NULL;
    TRY(arena_new(&t->row, w->arena, n));
    TRY(arena_new(&t->targetid, w->arena, n));
    TRY(arena_new(&t->norm, w->arena, n));
    TRY(arena_new(&t->usable, w->arena, n));
    if (keep) TRY(arena_new(&t->x, w->arena, n * dim));
    const Mark mark = arena_mark(w->arena);
    TRY(arena_new(&piece, w->arena, least(PIECE, n) * dim));
    for (int64_t at = 0; at < n; at += PIECE) {
        const int64_t here = least(PIECE, n - at);
        TRY(par_continue());
        TRY(embeddings_read(piece, w->s->embeddings, set_of[m], w->keys.first + at, here));
        for (int64_t i = 0; i < here; i++) {
            const double norm = cosine_norm(piece + i * dim, dim);
            if (norm == 0) continue;
            if (keep) memcpy(t->x + t->n * dim, piece + i * dim, (size_t)dim * sizeof *piece);
            t->usable[at + i] = 1;
            t->norm[t->n] = norm;
            t->row[t->n] = w->keys.first + at + i;
            t->targetid[t->n++] = w->keys.key[at + i].targetid;
        }
    }
    arena_reset(w->arena, mark);
    return OK;
}

/* Local. The same rows in both files: checked by TARGETID. */
static Status check_rows(const Search *w)
{
    const Mark mark = arena_mark(w->arena);
    int64_t *id = NULL;
    if (w->s->embeddings->n != w->s->catalog->n)
        return FAIL(E_INPUT, "%s has %lld rows, %s has %lld: run `astroclip embed` again", w->s->embeddings->file.path,
                    (long long)w->s->embeddings->n, w->s->catalog->file.path, (long long)w->s->catalog->n);
    TRY(arena_new(&id, w->arena, w->keys.n));
    TRY(embeddings_read_targets(id, w->s->embeddings, w->keys.first, w->keys.n));
    for (int64_t i = 0; i < w->keys.n; i++)
        if (id[i] != w->keys.key[i].targetid)
            return FAIL(E_INPUT, "row %lld is TARGETID %lld in %s and %lld in %s: run `astroclip embed` again",
                        (long long)(w->keys.first + i), (long long)w->keys.key[i].targetid, w->s->catalog->file.path,
                        (long long)id[i], w->s->embeddings->file.path);
    arena_reset(w->arena, mark);
    return OK;
}

static Status choose_sets(Search *w)
{
    const Embeddings *e = w->s->embeddings;
    for (int d = 0; d < N_DIRECTIONS; d++) {
        if (!search_goes(w->config, d)) continue;
        w->wants[direction_table[d].from] = w->wants[direction_table[d].to] = true;
        w->among[direction_table[d].to] = true;
    }
    for (int m = 0; m < N_MODALITIES; m++) {
        if (!w->wants[m]) continue;
        if (e->dim[set_of[m]] == 0)
            return FAIL(E_INPUT,
                        "%s has no %s: leave their directions out of search.directions, or embed with them "
                        "(embed.sets, embed.modalities)",
                        e->file.path, embedding_dataset[set_of[m]]);
        w->dim = e->dim[set_of[m]];
    }
    if (w->wants[0] && w->wants[1] && e->dim[set_of[0]] != e->dim[set_of[1]])
        return FAIL(E_INPUT, "%s: embeddings of images and spectra have other lengths", e->file.path);
    return OK;
}

static Status read_share(Search *w)
{
    TRY(FAIL_POINT("search.read"));
    TRY(choose_sets(w));
    TRY(search_keys_read(&w->keys, w->s->catalog, w->par, w->arena));
    TRY(check_rows(w));
    const bool keep = keeps(w);
    for (int m = 0; m < N_MODALITIES; m++) {
        if (w->wants[m]) {
            TRY(read_targets(w, (Modality)m, keep && w->among[m]));
        } else { /* nobody asks */
            TRY(arena_new(&w->target[m].usable, w->arena, w->keys.n));
            memset(w->target[m].usable, 1, (size_t)w->keys.n);
        }
    }
    return OK;
}

/* ---- the queries ---- */

static const int32_t lacks[N_MODALITIES] = {[MODALITY_IMAGE] = QUERY_NO_IMAGE, [MODALITY_SPECTRUM] = QUERY_NO_SPECTRUM};

/* Collective. Flags of what has no embedding: of rows their ranks know. */
static Status flag_queries(Search *w)
{
    Queries *q = &w->queries;
    const Mark mark = arena_mark(w->arena);
    int64_t *has = NULL;
    if (!q->query) return OK;
    TRY(par_agree(w->par, arena_new(&has, w->arena, q->n)));
    for (int m = 0; m < N_MODALITIES; m++) {
        if (!w->wants[m]) continue;
        for (int64_t i = 0; i < q->n; i++) {
            const int64_t at = q->query[i].key.row - w->keys.first, f = q->query[i].fresh;
            if (f >= 0)
                has[i] = w->par->rank == 0 && cosine_norm(w->s->fresh->x[m] + f * w->dim, w->dim) > 0;
            else
                has[i] = q->query[i].key.row >= 0 && at >= 0 && at < w->keys.n && w->target[m].usable[at];
        }
        par_sum_i64(w->par, has, q->n);
        for (int64_t i = 0; i < q->n; i++)
            if (!has[i]) q->query[i].flag |= lacks[m];
    }
    arena_reset(w->arena, mark);
    return OK;
}

/* Does the row count among its own matches? */
static bool bars_itself(const Search *w, const DirectionRow *d) { return d->from == d->to && !w->config->self; }

static int64_t rows_of_query(const Search *w, const DirectionRow *d, int64_t barred)
{
    return least(w->config->neighbours, w->target[d->to].total - barred);
}

/* Collective. */
static void count_matches(Search *w)
{
    for (int m = 0; m < N_MODALITIES; m++) {
        w->target[m].total = w->target[m].n;
        par_sum_i64(w->par, &w->target[m].total, 1);
    }
    for (int k = 0; k < N_DIRECTIONS; k++) {
        const DirectionRow *d = &direction_table[k];
        if (!search_goes(w->config, k)) continue;
        if (!w->queries.query) {
            w->n_matches += w->target[d->from].total * rows_of_query(w, d, bars_itself(w, d));
            continue;
        }
        for (int64_t i = 0; i < w->queries.n; i++)
            if (!(w->queries.query[i].flag & lacks[d->from]))
                w->n_matches += rows_of_query(w, d, bars_itself(w, d) && w->queries.query[i].fresh < 0);
    }
}

static int64_t row_of_query(const Search *w, int64_t i) { return w->queries.query ? w->queries.query[i].key.row : i; }

/* Local. Embeddings of the queries [first, first + n). */
static Status read_vectors(float *out, const Search *w, Modality m, int64_t first, int64_t n)
{
    if (!w->queries.query) return embeddings_read(out, w->s->embeddings, set_of[m], first, n);
    for (int64_t i = 0; i < n; i++) {
        const Query *q = &w->queries.query[first + i];
        float *to = out + i * w->dim;
        if (q->fresh >= 0)
            memcpy(to, w->s->fresh->x[m] + q->fresh * w->dim, (size_t)w->dim * sizeof *to);
        else if (q->key.row >= 0)
            TRY(embeddings_read(to, w->s->embeddings, set_of[m], q->key.row, 1));
        else
            for (int64_t d = 0; d < w->dim; d++) to[d] = NAN;
    }
    return OK;
}

/* Collective. Each rank reads a part of the batch. */
static Status share_vectors(float **out, const Search *w, Modality m, int64_t first, int64_t n)
{
    int64_t begin, end, n_all;
    float *mine = NULL;
    par_share(&begin, &end, w->par, n);
    Status st = arena_new(&mine, w->arena, (end - begin) * w->dim);
    if (st == OK) st = read_vectors(mine, w, m, first + begin, end - begin);
    TRY(par_agree(w->par, st));
    return par_allgather((void **)out, &n_all, w->par, mine, end - begin, (size_t)w->dim * sizeof *mine, w->arena);
}

/* ---- comparing ---- */

/* Local. A batch of queries against this rank's share. */
static Status compare(CosineSearch *s, const Search *w, Modality m)
{
    const Targets *t = &w->target[m];
    const Mark mark = arena_mark(w->arena);
    float *piece = NULL;
    if (!t->x) TRY(arena_new(&piece, w->arena, least(PIECE, w->keys.n) * w->dim));
    for (int64_t at = 0, done = 0; at < (t->x ? t->n : w->keys.n); at += PIECE) {
        TRY(par_continue());
        if (t->x) {
            cosine_add(s, t->x + at * w->dim, t->norm + at, t->targetid + at, t->row + at, least(PIECE, t->n - at));
            continue;
        }
        const int64_t here = least(PIECE, w->keys.n - at);
        int64_t n = 0;
        TRY(embeddings_read(piece, w->s->embeddings, set_of[m], w->keys.first + at, here));
        for (int64_t i = 0; i < here; i++)
            if (t->usable[at + i]) memmove(piece + n++ * w->dim, piece + i * w->dim, (size_t)w->dim * sizeof *piece);
        cosine_add(s, piece, t->norm + done, t->targetid + done, t->row + done, n);
        done += n;
    }
    arena_reset(w->arena, mark);
    return OK;
}

/* A match on its way to the owner of its query. */
typedef struct {
    int64_t query; /* of the batch */
    CosineMatch match;
    SearchKey key;
} Sent;

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

/* Collective. What all ranks found, joined by the owners of the queries, into the file. */
static Status join_batch(Search *w, int direction, int64_t first, const CosineSearch *s)
{
    Sent *sent = NULL, *got = NULL;
    SearchKey *asking = NULL;
    int *dest = NULL;
    int64_t n_sent = 0, n_got, begin, end;
    TRY(par_agree(w->par, pack_found(&sent, &dest, &n_sent, s, w)));
    TRY(par_exchange((void **)&got, &n_got, w->par, sent, dest, n_sent, sizeof *sent, w->arena));
    TRY(read_asking(&asking, w, first, s->n));
    par_share(&begin, &end, w->par, s->n);
    qsort(got, (size_t)n_got, sizeof *got, by_query);
    int64_t rows = count_rows(got, n_got, w->config->neighbours);
    const int64_t place = w->written + par_offset_i64(w->par, rows);
    Status st = FAIL_POINT("search.rows");
    if (st == OK) st = write_rows(w, direction, first, got, n_got, asking, begin, place);
    par_sum_i64(w->par, &rows, 1);
    w->written += rows;
    return par_agree(w->par, st);
}

/* Collective. */
static Status run_batch(Search *w, int direction, int64_t first, int64_t n)
{
    const DirectionRow *d = &direction_table[direction];
    const Mark mark = arena_mark(w->arena);
    float *x = NULL;
    int64_t *self = NULL;
    CosineSearch s;
    clock_begin("read queries");
    Status st = share_vectors(&x, w, d->from, first, n);
    clock_end("read queries");
    TRY(st);
    st = cosine_open(&s, w->config->neighbours, w->dim, x, n, w->arena);
    if (st == OK) st = arena_new(&self, w->arena, n);
    TRY(par_agree(w->par, st));
    for (int64_t i = 0; i < n && bars_itself(w, d); i++) self[i] = row_of_query(w, first + i);
    if (bars_itself(w, d)) s.self = self;
    clock_begin("compare");
    st = compare(&s, w, d->to);
    clock_end("compare");
    TRY(par_agree(w->par, st));
    clock_begin("join and write");
    st = join_batch(w, direction, first, &s);
    clock_end("join and write");
    arena_reset(w->arena, mark);
    return st;
}

/* Collective. */
static Status run_directions(SearchTold *out, Search *w)
{
    Progress progress;
    int64_t done = 0, passes = 0;
    const double start = clock_now();
    for (int d = 0; d < N_DIRECTIONS; d++) passes += search_goes(w->config, d);
    progress_start(&progress, "search", "queries x directions", passes * w->queries.n);
    for (int d = 0; d < N_DIRECTIONS; d++) {
        if (!search_goes(w->config, d)) continue;
        for (int64_t at = 0; at < w->queries.n; at += w->config->batch) {
            const int64_t n = least(w->config->batch, w->queries.n - at);
            TRY(run_batch(w, d, at, n));
            out->products += (double)n * (double)w->target[direction_table[d].to].total;
            progress_set(&progress, done += n);
        }
    }
    progress_stop(&progress);
    out->seconds = clock_now() - start;
    MUST(w->written == w->n_matches);
    return OK;
}

/* Local. This rank's rows of QUERIES. */
static Status write_queries(Search *w, SearchTold *told)
{
    int64_t first, last;
    unsigned char *bytes = NULL;
    const Mark mark = arena_mark(w->arena);
    par_share(&first, &last, w->par, w->queries.n);
    told->queries = w->queries.n;
    TRY(arena_new(&bytes, w->arena, least(PIECE, last - first) * QUERY_BYTES));
    for (int64_t at = first; at < last; at += PIECE) {
        const int64_t n = least(PIECE, last - at), offset = at * QUERY_BYTES;
        for (int64_t i = 0; i < n; i++) {
            Query q = {.asked = "row of the catalogue", .offset = NAN, .fresh = -1};
            if (w->queries.query) {
                q = w->queries.query[at + i];
            } else {
                q.key = w->keys.key[at + i - first]; /* both are shares of the catalogue */
                for (int m = 0; m < N_MODALITIES; m++)
                    if (w->wants[m] && !w->target[m].usable[at + i - first]) q.flag |= lacks[m];
            }
            matches_put_query(bytes + i * QUERY_BYTES, &q);
        }
        w->sum[TABLE_QUERIES] = fitssum_add((uint32_t)w->sum[TABLE_QUERIES], bytes, n * QUERY_BYTES, offset);
        TRY(rowbytes_write(w->fd, w->part, bytes, n * QUERY_BYTES, w->span[TABLE_QUERIES].start + offset));
    }
    arena_reset(w->arena, mark);
    return OK;
}

/* ---- the file ---- */

/* Collective. */
static Status open_file(Search *w, const Envelope *e)
{
    Status st = FAIL_POINT("search.header");
    if (st == OK && w->par->rank == 0)
        st = matches_create(w->span, w->part, e, &w->s->catalog->envelope.fingerprint,
                            &w->s->embeddings->envelope.fingerprint, w->n_matches, w->queries.n);
    TRY(par_agree(w->par, st));
    par_bcast(w->par, w->span, sizeof w->span, 0);
    w->fd = open(w->part, O_WRONLY | O_CLOEXEC);
    if (w->fd < 0) st = FAIL(E_OUTPUT, "%s: cannot be opened for its rows: %s", w->part, strerror(errno));
    return par_agree(w->par, st);
}

/* Collective. */
static Status close_file(Search *w, const char *path)
{
    const Status st = rowbytes_close(w->fd, w->part, OK);
    w->fd = -1;
    TRY(par_agree(w->par, st));
    par_sum_i64(w->par, w->sum, N_MATCH_TABLES);
    const uint32_t sum[] = {fitssum_fold((uint64_t)w->sum[0]), fitssum_fold((uint64_t)w->sum[1])};
    TRY(par_agree(w->par, w->par->rank == 0 ? matches_close(w->part, sum) : OK));
    return artefact_publish(w->par, path);
}

static int64_t count_missing(const Queries *q)
{
    int64_t n = 0;
    for (int64_t i = 0; q->query && i < q->n; i++) n += (q->query[i].flag & QUERY_NOT_FOUND) != 0;
    return n;
}

Status search_run(SearchTold *out, const char *path, const Envelope *e, const SearchSources *s, const Par *par,
                  Arena *a)
{
    Search w = {.s = s, .config = s->config, .par = par, .arena = a, .fd = -1};
    char part[H5_PATH + 8];
    Status st = OK;
    snprintf(part, sizeof part, "%s.part", path);
    w.part = part;
    *out = (SearchTold){0};
    clock_begin("read embeddings");
    st = read_share(&w);
    clock_end("read embeddings");
    TRY(par_agree(par, st));
    const uint8_t *const usable[N_MODALITIES] = {w.target[0].usable, w.target[1].usable};
    TRY(queries_find(&w.queries, s->config, s->fresh, &w.keys, usable, s->catalog->n, par, a));
    TRY(flag_queries(&w));
    count_matches(&w);
    TRY_DONE(open_file(&w, e));
    TRY_DONE(run_directions(out, &w));
    TRY_DONE(par_agree(par, write_queries(&w, out)));
    TRY_DONE(par_agree(par, FAIL_POINT("search.publish")));
    TRY_DONE(close_file(&w, path));
    out->not_found = count_missing(&w.queries);
    out->matches = w.written;
done:
    if (w.fd >= 0) close(w.fd);
    if (st != OK && par->rank == 0) remove(part);
    return st;
}

double search_memory(const SearchConfig *c, int64_t dim)
{
    const double n = (double)c->batch, piece = 4.0 * PIECE * (double)dim;
    return cosine_bytes(c->neighbours, dim, c->batch) + 8 * n + 4 * n * (double)dim + piece +
           2 * n * (double)c->neighbours * (double)(sizeof(Sent) + 4);
}

double search_row_bytes(const SearchConfig *c, int64_t dim)
{
    bool among[N_MODALITIES] = {false};
    double bytes = sizeof(SearchKey);
    for (int d = 0; d < N_DIRECTIONS; d++)
        if (search_goes(c, d)) among[direction_table[d].to] = true;
    for (int m = 0; m < N_MODALITIES; m++) bytes += 25 + (among[m] ? 4.0 * (double)dim : 0);
    return bytes;
}
