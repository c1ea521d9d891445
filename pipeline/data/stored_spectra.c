/* stored_spectra.c - spectra of the wanted rows of one file of a stored set: rows in file order and without repeats, a
   run of neighbours at a time. A row that cannot be had is flagged, and what becomes of a row does not depend on which
   other rows are asked for. */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "data/flags.h"
#include "data/stored.h"

enum { RUN_ROWS = 64 }; /* rows held at a time: 4 MB */

typedef struct {
    SpectrumBatch *out;
    int64_t at;
    const SpectraConfig *options;
    const StoredSpectraFormat *format;
    const CatalogRow *rows;
    int64_t n_flagged; /* rows that could not be read or are not theirs */
    FailRecord why;
    void *layout;
} Reader;

typedef struct {
    int64_t file_row, wanted;
} Place;

static int compare_places(const void *a, const void *b)
{
    const Place *x = a, *y = b;
    if (x->file_row != y->file_row) return x->file_row < y->file_row ? -1 : 1;
    return (x->wanted > y->wanted) - (x->wanted < y->wanted);
}

static void flag_row(Reader *r, int64_t wanted, int32_t flag)
{
    int64_t i = r->at + wanted;
    r->out->flag[i] = flag;
    memset(r->out->flux + i * GRID_PIXELS, 0, GRID_PIXELS * sizeof *r->out->flux);
    memset(r->out->ivar + i * GRID_PIXELS, 0, GRID_PIXELS * sizeof *r->out->ivar);
    memset(r->out->stats + i * N_SPECTRUM_STATS, 0, N_SPECTRUM_STATS * sizeof *r->out->stats);
}

/* Row k of what was read becomes a row of the batch. */
static void take_row(Reader *r, const StoredSpectra *s, int64_t k, int64_t wanted)
{
    int64_t i = r->at + wanted;
    if (s->targetid[k] != r->rows[wanted].targetid || !s->fits[k]) {
        flag_row(r, wanted, s->targetid[k] != r->rows[wanted].targetid ? SPECTRUM_NO_ROW : SPECTRUM_BAD_GRID);
        return;
    }
    spectra_take(r->out, i, s->flux + k * GRID_PIXELS, s->ivar + k * GRID_PIXELS, r->options);
    for (int b = 0; b < N_ARMS && !r->format->has_ivar; b++) /* without errors there is no signal to noise */
        r->out->stats[i * N_SPECTRUM_STATS + STAT_SNR_B + b] = 0;
}

/* Places [0, n) name file rows without gaps, the first one `first`. A run that fails is tried again row by row. */
static Status read_run(Reader *r, H5File *f, StoredSpectra *s, const Place *place, int64_t n, Arena *scratch)
{
    int64_t first = place[0].file_row, last = place[n - 1].file_row;
    Mark mark = arena_mark(scratch);
    Status st = r->format->read(s, r->layout, f, first, last - first + 1, scratch);
    arena_reset(scratch, mark);
    if (st == E_MEMORY) return st;
    if (st != OK && r->why.status == OK) r->why = *fail_record();
    for (int64_t i = 0; i < n; i++) {
        int64_t row = place[i].file_row;
        Status own = OK;
        if (st != OK) {
            own = r->format->read(s, r->layout, f, row, 1, scratch);
            arena_reset(scratch, mark);
            if (own == E_MEMORY) return own;
        }
        if (own == OK) {
            take_row(r, s, st == OK ? row - first : 0, place[i].wanted);
        } else {
            flag_row(r, place[i].wanted, SPECTRUM_UNREADABLE);
            r->n_flagged++;
        }
    }
    fail_clear();
    return OK;
}

static Status new_spectra(StoredSpectra *s, int64_t n, Arena *a)
{
    TRY(arena_new(&s->flux, a, n * GRID_PIXELS));
    TRY(arena_new(&s->ivar, a, n * GRID_PIXELS));
    TRY(arena_new(&s->targetid, a, n));
    return arena_new(&s->fits, a, n);
}

static Status read_file(Reader *r, H5File *f, int64_t n, Arena *a)
{
    Place *place;
    StoredSpectra s;
    int64_t n_file, n_places = 0;
    TRY(arena_take(&r->layout, a, 1, STORED_LAYOUT));
    TRY(r->format->look(r->layout, &n_file, f, a));
    TRY(arena_new(&place, a, n));
    for (int64_t i = 0; i < n; i++) {
        int64_t row = r->rows[i].source_row;
        flag_row(r, i, SPECTRUM_NO_ROW);
        if (row >= 0 && row < n_file) place[n_places++] = (Place){row, i};
    }
    if (n_places > 1) qsort(place, (size_t)n_places, sizeof *place, compare_places);
    TRY(new_spectra(&s, n_places < RUN_ROWS ? n_places : RUN_ROWS, a));
    for (int64_t i = 0, end; i < n_places; i = end) {
        for (end = i + 1; end < n_places; end++)
            if (place[end].file_row > place[end - 1].file_row + 1 ||
                place[end].file_row - place[i].file_row >= RUN_ROWS)
                break;
        TRY(read_run(r, f, &s, place + i, end - i, a));
    }
    if (r->n_flagged > 0) log_rank("%s: %lld rows flagged: %s", f->path, (long long)r->n_flagged, r->why.text);
    return OK;
}

Status stored_read_spectra(SpectrumBatch *out, int64_t at, const StoredSpectraFormat *format,
                           const SpectraConfig *options, const char *path, const CatalogRow *rows, int64_t n,
                           Arena *scratch)
{
    MUST(at >= 0 && n >= 0 && at + n <= out->n);
    Reader r = {.out = out, .at = at, .options = options, .format = format, .rows = rows};
    H5File f = {0};
    char full[2 * STORED_PATH];
    for (int64_t i = 0; i < n; i++) flag_row(&r, i, SPECTRUM_NO_FILE);
    if (!survey_file(full, sizeof full, "", path)) {
        log_rank("%s is missing: %lld rows flagged", path, (long long)n);
        return OK;
    }
    Mark mark = arena_mark(scratch);
    Status st = h5_open(&f, full, NULL);
    if (st == OK) st = read_file(&r, &f, n, scratch);
    h5_close(&f);
    arena_reset(scratch, mark);
    if (st == OK || st == E_MEMORY) return st;
    for (int64_t i = 0; i < n; i++) flag_row(&r, i, SPECTRUM_UNREADABLE);
    log_rank("%s: %lld rows flagged", fail_record()->text, (long long)n);
    fail_clear();
    return OK;
}
