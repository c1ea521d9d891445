/* search_saved.c - how far a search came, in PATH.state.part: what was looked for, where the tables of PATH.part begin, how many rows of
   MATCHES are there, and the sum of their bytes, which the next run adds up again before it believes them. */
#include "search_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/hash.h"
#include "core/log.h"
#include "io/fitssum.h"

enum { CHUNK = 1 << 20 }; /* bytes read at a time */
static const char magic[] = "astroclip-search-1";

/* Whole numbers only: they are written one a line. */
typedef struct {
    int64_t n_matches, n_queries;
    RowSpan span[N_MATCH_TABLES];
    SearchDone done;
} State;
enum { N_NUMBERS = sizeof(State) / sizeof(int64_t) };

/* Of the numbers: what was not written to its end, or is damaged, is not believed. */
static Fingerprint seal_of(const int64_t number[N_NUMBERS])
{
    HashState *h = hash_open();
    hash_add(h, number, N_NUMBERS * sizeof *number);
    return hash_close(h);
}

/* print: the fingerprint that the state bears. */
static bool read_state(State *s, char print[64], const char *path)
{
    char kind[32] = "", seal[64] = "";
    int64_t number[N_NUMBERS];
    FILE *f = fopen(path, "r");
    if (!f) return false;
    bool good = fscanf(f, "%31s %63s", kind, print) == 2 && strcmp(kind, magic) == 0;
    for (int i = 0; i < N_NUMBERS; i++) good = good && fscanf(f, "%" SCNd64, &number[i]) == 1;
    good = good && fscanf(f, "%63s", seal) == 1 && strcmp(seal, seal_of(number).text) == 0;
    fclose(f);
    if (good) memcpy(s, number, sizeof *s);
    return good;
}

static Status write_state(const State *s, const char *path, const Fingerprint *fingerprint)
{
    char part[H5_PATH + 32];
    int64_t number[N_NUMBERS];
    memcpy(number, s, sizeof number);
    snprintf(part, sizeof part, "%s.part", path);
    FILE *f = fopen(part, "w");
    bool good = f && fprintf(f, "%s\n%s\n", magic, fingerprint->text) > 0;
    for (int i = 0; i < N_NUMBERS; i++) good = good && fprintf(f, "%" PRId64 "\n", number[i]) > 0;
    good = good && fprintf(f, "%s\n", seal_of(number).text) > 0;
    if (f && fclose(f) != 0) good = false;
    return good ? OK : FAIL(E_OUTPUT, "%s cannot be written: %s", part, strerror(errno));
}

/* ---- are the rows what they were? ---- */

/* Local. The sum of this rank's part of the first `rows` rows of MATCHES. */
static Status sum_rows(int64_t *sum, const Search *w, const RowSpan *span, int64_t rows)
{
    int64_t begin, end;
    unsigned char *bytes = NULL;
    uint32_t s = 0;
    const Mark mark = arena_mark(w->arena);
    FILE *f = fopen(w->part, "r");
    Status st = f ? arena_new(&bytes, w->arena, CHUNK) : FAIL(E_INPUT, "%s cannot be read", w->part);
    par_share(&begin, &end, w->par, rows * MATCH_BYTES);
    for (int64_t at = begin; at < end && st == OK; at += CHUNK) {
        const int64_t n = least(CHUNK, end - at);
        if (fseeko(f, span->start + at, SEEK_SET) != 0 || fread(bytes, 1, (size_t)n, f) != (size_t)n)
            st = FAIL(E_INPUT, "%s cannot be read", w->part);
        else
            s = fitssum_add(s, bytes, n, at);
    }
    if (f) fclose(f);
    arena_reset(w->arena, mark);
    *sum = s;
    return st;
}

Status saved_load(Search *w, const Fingerprint *fingerprint)
{
    State s = {0};
    char print[64];
    int64_t sum = 0;
    int64_t found = w->par->rank == 0 && read_state(&s, print, w->state) && strcmp(print, fingerprint->text) == 0 &&
                    s.n_matches == w->n_matches && s.n_queries == w->queries.n && s.done.written >= 0 &&
                    s.done.written <= s.n_matches;
    par_bcast(w->par, &found, sizeof found, 0);
    if (!found) return OK;
    par_bcast(w->par, &s, sizeof s, 0);
    clock_begin("read saved rows");
    int64_t bad = sum_rows(&sum, w, &s.span[TABLE_MATCHES], s.done.written) != OK;
    clock_end("read saved rows");
    fail_clear(); /* what cannot be read is made again */
    par_sum_i64(w->par, &bad, 1);
    par_sum_i64(w->par, &sum, 1);
    if (bad || fitssum_fold((uint64_t)sum) != s.done.sum) {
        log_warn("search: %s is not what an earlier run left: begins anew", w->part);
        return OK;
    }
    memcpy(w->span, s.span, sizeof w->span);
    w->done = s.done;
    w->written = s.done.written;
    memcpy(w->recall, s.done.recall, sizeof w->recall);
    w->sum[TABLE_MATCHES] = w->done.sum = w->par->rank == 0 ? s.done.sum : 0;
    w->saved = true;
    log_info("search: %lld of %lld matches are there from an earlier run", (long long)w->written,
             (long long)w->n_matches);
    return OK;
}

Status saved_write(Search *w, const Fingerprint *fingerprint)
{
    State s = {w->n_matches, w->queries.n, {w->span[0], w->span[1]}, w->done};
    clock_begin("save");
    Status st = fsync(w->fd) != 0 && errno != EINVAL
                    ? FAIL(E_OUTPUT, "%s: cannot be synced to disk: %s", w->part, strerror(errno))
                    : OK;
    st = par_agree(w->par, st);
    par_sum_i64(w->par, &s.done.sum, 1);
    s.done.sum = fitssum_fold((uint64_t)s.done.sum);
    if (st == OK) st = par_agree(w->par, w->par->rank == 0 ? write_state(&s, w->state, fingerprint) : OK);
    if (st == OK) st = artefact_publish(w->par, w->state);
    clock_end("save");
    if (st == OK) w->saved = true;
    w->saved_at = log_elapsed();
    return st;
}

int64_t search_count_saved(const char *path)
{
    State s;
    char state[H5_PATH + 16], print[64];
    snprintf(state, sizeof state, SEARCH_STATE, path);
    return read_state(&s, print, state) ? s.done.written : 0;
}

void saved_remove(const Search *w) { remove(w->state); }
