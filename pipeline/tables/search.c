/* search.c - the parallel driver: shares of the catalogue, batches of queries, joining what the ranks found, rows into the file.

   How many rows a query will have follows from which embeddings are there, so the file is laid out before anything is compared, and batches
   are done in their order: a search that was cut off goes on after the last batch that it saved, on any ranks, in batches of any size. */
#include "search_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "io/fitssum.h"

const DirectionRow direction_table[N_DIRECTIONS] = {
    {"image-image", MODALITY_IMAGE, MODALITY_IMAGE},
    {"spectrum-spectrum", MODALITY_SPECTRUM, MODALITY_SPECTRUM},
    {"image-spectrum", MODALITY_IMAGE, MODALITY_SPECTRUM},
    {"spectrum-image", MODALITY_SPECTRUM, MODALITY_IMAGE},
};

bool search_goes(const SearchConfig *c, int direction)
{
    return config_lists(&c->directions, direction_table[direction].name);
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
    if (!w->queries.query) return embeddings_read(out, w->s->embeddings, embedding_aligned[m], first, n);
    for (int64_t i = 0; i < n; i++) {
        const Query *q = &w->queries.query[first + i];
        float *to = out + i * w->dim;
        if (q->fresh >= 0)
            memcpy(to, w->s->fresh->x[m] + q->fresh * w->dim, (size_t)w->dim * sizeof *to);
        else if (q->key.row >= 0)
            TRY(embeddings_read(to, w->s->embeddings, embedding_aligned[m], q->key.row, 1));
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
    const bool indexed = w->config->index != INDEX_EXACT;
    st = indexed ? index_compare(&s, w, d->to) : share_compare(&s, w, d->to);
    clock_end("compare");
    TRY(par_agree(w->par, st));
    if (indexed) TRY(index_measure(w, direction, first, &s));
    clock_begin("join and write");
    st = search_join(w, direction, first, &s);
    clock_end("join and write");
    arena_reset(w->arena, mark);
    return st;
}

/* An index gets its queries in groups that do not depend on the batch. */
static int64_t batch_of(const SearchConfig *c)
{
    return c->index == INDEX_EXACT ? c->batch : (c->batch + INDEX_GROUP - 1) / INDEX_GROUP * INDEX_GROUP;
}

/* Collective. Is it time to save? Rank 0's clock counts. */
static Status save_in_time(Search *w, const Fingerprint *fingerprint)
{
    int64_t due = log_elapsed() - w->saved_at >= 60 * w->config->save_minutes;
    par_bcast(w->par, &due, sizeof due, 0);
    if (!due) return OK;
    TRY(saved_write(w, fingerprint));
    return par_agree(w->par, FAIL_POINT("search.saved"));
}

/* Collective. */
static Status run_directions(SearchTold *out, Search *w, const Fingerprint *fingerprint)
{
    Progress progress;
    int64_t done = 0, passes = 0;
    const double start = clock_now();
    for (int d = 0; d < N_DIRECTIONS; d++) passes += search_goes(w->config, d);
    progress_start(&progress, "search", "queries x directions", passes * w->queries.n);
    for (int d = 0; d < N_DIRECTIONS; d++) {
        if (!search_goes(w->config, d)) continue;
        int64_t at = d < w->done.direction ? w->queries.n : d == w->done.direction ? w->done.queries : 0;
        done += at;
        for (int64_t n; at < w->queries.n; at += n) {
            n = least(batch_of(w->config), w->queries.n - at);
            TRY(run_batch(w, d, at, n));
            w->done = (SearchDone){d, at + n, w->written, w->sum[TABLE_MATCHES], {{0, 0}}};
            memcpy(w->done.recall, w->recall, sizeof w->recall);
            out->products += (double)n * (double)w->target[direction_table[d].to].total;
            progress_set(&progress, done += n);
            TRY(save_in_time(w, fingerprint));
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
    if (!w->queries.query) first = w->keys.first, last = first + w->keys.n;
    told->queries = w->queries.n;
    TRY(arena_new(&bytes, w->arena, least(SEARCH_PIECE, last - first) * QUERY_BYTES));
    for (int64_t at = first; at < last; at += SEARCH_PIECE) {
        const int64_t n = least(SEARCH_PIECE, last - at), offset = at * QUERY_BYTES;
        for (int64_t i = 0; i < n; i++) {
            Query q = {.asked = "row of the catalogue", .offset = NAN, .fresh = -1};
            if (w->queries.query) {
                q = w->queries.query[at + i];
            } else {
                q.key = w->keys.key[at + i - first];
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

/* Collective. The file of a run that was cut off, or a new one. */
static Status open_file(Search *w, const Envelope *e)
{
    Status st = FAIL_POINT("search.header");
    TRY(par_agree(w->par, st));
    if (!w->s->again) TRY(saved_load(w, &e->fingerprint));
    w->begun = true;
    if (!w->saved && w->par->rank == 0) saved_remove(w);
    if (!w->saved && w->par->rank == 0)
        st = matches_create(w->span, w->part, e, &w->s->catalog->envelope.fingerprint,
                            &w->s->embeddings->envelope.fingerprint, w->config, w->n_matches, w->queries.n);
    TRY(par_agree(w->par, st));
    par_bcast(w->par, w->span, sizeof w->span, 0);
    w->saved_at = log_elapsed();
    w->fd = open(w->part, O_WRONLY | O_CLOEXEC);
    if (w->fd < 0) st = FAIL(E_OUTPUT, "%s: cannot be opened for its rows: %s", w->part, strerror(errno));
    return par_agree(w->par, st);
}

/* Share of what the exact search finds for the sampled queries; 1 where it finds nothing. */
static void search_recall(double out[N_DIRECTIONS], const Search *w)
{
    for (int d = 0; d < N_DIRECTIONS; d++)
        out[d] = w->recall[d].all > 0 ? (double)w->recall[d].hits / (double)w->recall[d].all : 1;
}

/* Collective. */
static Status close_file(Search *w, const char *path)
{
    const Status st = rowbytes_close(w->fd, w->part, OK);
    w->fd = -1;
    TRY(par_agree(w->par, st));
    par_sum_i64(w->par, w->sum, N_MATCH_TABLES);
    double recall[N_DIRECTIONS];
    search_recall(recall, w);
    const uint32_t sum[] = {fitssum_fold((uint64_t)w->sum[0]), fitssum_fold((uint64_t)w->sum[1])};
    TRY(par_agree(w->par, w->par->rank == 0 ? matches_close(w->part, w->config, sum, recall) : OK));
    if (w->par->rank == 0) saved_remove(w);
    return artefact_publish(w->par, path);
}

static int64_t count_missing(const Queries *q)
{
    int64_t n = 0;
    for (int64_t i = 0; q->query && i < q->n; i++) n += (q->query[i].flag & QUERY_NOT_FOUND) != 0;
    return n;
}

/* Collective. A search that is asked to stop leaves what it has done. */
static Status leave(Search *w, const Fingerprint *fingerprint)
{
    if (w->done.queries == 0) return OK;
    par_hold_stop(true);
    const Status st = saved_write(w, fingerprint);
    par_hold_stop(false);
    if (st == OK)
        log_info("search: %lld of %lld matches are saved; run the stage again to go on", (long long)w->done.written,
                 (long long)w->n_matches);
    return st;
}

Status search_run(SearchTold *out, const char *path, const Envelope *e, const SearchSources *s, const Par *par,
                  Arena *a)
{
    Search w = {.s = s, .config = s->config, .par = par, .arena = a, .fd = -1};
    char part[H5_PATH + 8];
    Status st = OK;
    snprintf(part, sizeof part, "%s.part", path);
    snprintf(w.state, sizeof w.state, SEARCH_STATE, path);
    w.part = part;
    *out = (SearchTold){0};
    clock_begin("read embeddings");
    st = share_read(&w);
    clock_end("read embeddings");
    TRY_DONE(par_agree(par, st));
    const uint8_t *const usable[N_MODALITIES] = {w.target[0].usable, w.target[1].usable};
    TRY_DONE(queries_find(&w.queries, s->config, s->fresh, &w.keys, usable, s->catalog->n, par, a));
    TRY_DONE(flag_queries(&w));
    count_matches(&w);
    TRY_DONE(open_file(&w, e));
    TRY_DONE(run_directions(out, &w, &e->fingerprint));
    TRY_DONE(par_agree(par, write_queries(&w, out)));
    TRY_DONE(par_agree(par, FAIL_POINT("search.publish")));
    TRY_DONE(close_file(&w, path));
    out->not_found = count_missing(&w.queries);
    out->matches = w.written;
    search_recall(out->recall, &w);
done:
    if (st == E_INTERRUPTED && w.fd >= 0) {
        const Status left = leave(&w, &e->fingerprint);
        if (left != OK) st = left;
    }
    if (w.fd >= 0) close(w.fd);
    index_free(&w);
    if (st != OK && w.begun && !w.saved && par->rank == 0) remove(part);
    return st;
}

/* ---- what it takes ---- */

/* Of a rank besides what it asks for: HDF5 and messages; pieces of the catalogue while that is checked and read. Measured
   (tests/bench/memory.sh). */
static const double reading_bytes = 12e6, catalog_bytes = 6e6;

/* Queries as far as the configuration tells; a table or files may hold any number. */
int64_t search_count_queries(const SearchConfig *c, int64_t rows)
{
    const int64_t named = c->targetids.n + c->positions.n;
    if (c->all) return rows;
    if (c->objects[0] || c->spectra.n > 0 || c->cutouts.n > 0) return named + c->batch;
    return named > 0 ? named : c->sample;
}

/* Vectors twice, ours and FAISS's; of a block that is being indexed, unit vectors and FAISS's sample of them. A rank holds whole
   blocks: up to one more than its part. */
static void add_indices(SearchBytes *out, const SearchConfig *c, int64_t dim, int64_t rows, int modalities)
{
    const AnnKind kind = c->index == INDEX_HNSW ? ANN_HNSW : ANN_IVF;
    const int64_t block = least(c->index_rows, rows);
    out->kept += modalities * ann_bytes(kind, rows, dim);
    out->rank += 8.0 * (double)(block * dim) + modalities * (ann_bytes(kind, block, dim) + 4.0 * (double)(block * dim));
}

void search_bytes(SearchBytes *out, const SearchConfig *c, int64_t dim, int64_t rows)
{
    bool wants[N_MODALITIES] = {false}, among[N_MODALITIES] = {false};
    const double n = (double)least(c->batch, search_count_queries(c, rows)), vector = 4.0 * (double)dim;
    const double piece = vector * (double)least(SEARCH_PIECE, rows);
    const double batch =
        n * (vector + 8 + search_join_bytes(c->neighbours)) + cosine_bytes(c->neighbours, dim, (int64_t)n);
    for (int d = 0; d < N_DIRECTIONS; d++) {
        if (!search_goes(c, d)) continue;
        wants[direction_table[d].from] = wants[direction_table[d].to] = among[direction_table[d].to] = true;
    }
    *out = (SearchBytes){.share = (double)rows * sizeof(SearchKey)};
    for (int m = 0; m < N_MODALITIES; m++) {
        out->share += (double)rows * (wants[m] ? 25 : 1);
        out->kept += among[m] ? vector * (double)rows : 0;
    }
    out->share += n * vector; /* of a batch each rank reads its part */
    out->rank = reading_bytes + fmax(fmax(batch, piece), catalog_bytes);
    out->again = batch + piece - fmax(batch, piece);
    if (c->index != INDEX_EXACT) add_indices(out, c, dim, rows, among[0] + among[1]);
}
