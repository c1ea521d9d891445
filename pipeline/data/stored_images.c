/* stored_images.c - cutouts that published sets hold: wanted rows grouped by file and sorted by row, so that reads are
   runs of neighbours; the last file stays open, because blocks follow the order of files. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/flags.h"
#include "data/stored.h"
#include "data/window.h"

enum { RUN_ROWS = 16, CUTOUT = N_BANDS * WINDOW_PIXELS }; /* 9 MB at a time */

typedef struct {
    H5File file;
    int64_t number; /* in the catalogue's /files; -1 = none */
    int32_t flag;   /* why it cannot be used, 0 = it can */
    int64_t n_rows;
    _Alignas(16) char layout[STORED_LAYOUT];
} OpenFile;

typedef struct {
    int64_t file, file_row, wanted;
} Place;

typedef struct {
    ImageBatch *out;
    int64_t at;
    ImageSource *source;
    const StoredImageFormat *format;
    const ImagesConfig *options;
    Arena *scratch;
    StoredImages images; /* of a run */
    uint8_t *shown;
} Job;

int64_t stored_crop(int64_t size)
{
    return size < CUTOUT_PIXELS ? -1 : (int64_t)rint((double)(size - CUTOUT_PIXELS) / 2);
}

Status stored_images_open(ImageSource *s, Arena *a)
{
    OpenFile *open;
    TRY(arena_new(&open, a, 1));
    open->number = -1;
    s->state = open;
    return OK;
}

void stored_images_close(ImageSource *s)
{
    OpenFile *open = s->state;
    if (open) h5_close(&open->file);
    if (open) open->number = -1;
}

/* ---- rows ---- */

static void clear_row(const Job *j, int64_t wanted, int32_t flag)
{
    int64_t i = j->at + wanted;
    memset(j->out->pixels + i * CUTOUT, 0, CUTOUT * sizeof *j->out->pixels);
    for (int s = 0; s < N_IMAGE_STATS; s++) j->out->stats[i * N_IMAGE_STATS + s] = 0;
    j->out->flag[i] = flag;
}

/* Row k of what was read becomes a row of the batch. */
static void take_row(const Job *j, int64_t k, int64_t wanted)
{
    int64_t i = j->at + wanted;
    uint64_t lacking[WINDOW_WORDS] = {0};
    clear_row(j, wanted, j->images.good_scale[k] ? 0 : IMAGE_BAD_SCALE);
    if (!j->images.good_scale[k]) return;
    for (int b = 0; b < N_BANDS; b++) {
        float *to = j->out->pixels + i * CUTOUT + b * WINDOW_PIXELS;
        const float *from = j->images.pixels + k * CUTOUT + b * WINDOW_PIXELS;
        float *ivar = j->images.ivar + k * CUTOUT + b * WINDOW_PIXELS;
        if (!(j->images.bands[k] >> b & 1)) {
            j->out->flag[i] |= IMAGE_MISSING_BAND;
            continue;
        }
        memcpy(to, from, WINDOW_PIXELS * sizeof *to);
        for (int64_t p = 0; p < WINDOW_PIXELS && !j->format->has_ivar; p++) ivar[p] = to[p] != 0;
        j->out->flag[i] |=
            window_finish(&j->out->stats[i * N_IMAGE_STATS + b], lacking, to, ivar, j->shown, j->options);
    }
    j->out->flag[i] |= window_judge(lacking, j->options);
}

/* Places [0, n) name rows of one open file without gaps. A run that fails is tried again row by row; a row that cannot
   be read is flagged and its file reported. */
static Status read_run(Job *j, OpenFile *open, const Place *place, int64_t n)
{
    int64_t first = place[0].file_row, last = place[n - 1].file_row;
    Mark mark = arena_mark(j->scratch);
    Status st = j->format->read(&j->images, open->layout, &open->file, first, last - first + 1, j->scratch);
    arena_reset(j->scratch, mark);
    for (int64_t i = 0; i < n && st != E_MEMORY; i++) {
        Status own = OK;
        if (st != OK) {
            own = j->format->read(&j->images, open->layout, &open->file, place[i].file_row, 1, j->scratch);
            arena_reset(j->scratch, mark);
        }
        if (own == E_MEMORY) return own;
        if (own == OK) {
            take_row(j, st == OK ? place[i].file_row - first : 0, place[i].wanted);
        } else {
            source_report(j->source, open->file.path, fail_record()->text);
            clear_row(j, place[i].wanted, IMAGE_UNREADABLE);
        }
    }
    if (st == E_MEMORY) return st;
    fail_clear();
    return OK;
}

/* ---- files ---- */

/* Opens a file of the catalogue unless it is the one that is open. What is wrong with it is told once. */
static Status use_file(OpenFile *open, Job *j, int64_t number)
{
    if (open->number == number) return OK;
    h5_close(&open->file);
    open->number = number;
    open->flag = IMAGE_NO_BRICK;
    if (number < 0 || !j->source->files || number >= j->source->files->n) return OK;
    char path[2 * STORED_PATH];
    const char *name = j->source->files->path[number];
    if (!survey_file(path, sizeof path, stored_root(j->source->config), name)) {
        source_report(j->source, path, "absent");
        return OK;
    }
    Mark mark = arena_mark(j->scratch);
    memset(open->layout, 0, sizeof open->layout);
    Status st = h5_open(&open->file, path, NULL);
    if (st == OK) st = j->format->look(open->layout, &open->n_rows, &open->file, j->source->config, j->scratch);
    arena_reset(j->scratch, mark);
    open->flag = st == OK ? 0 : IMAGE_UNREADABLE;
    if (st == OK) return OK;
    h5_close(&open->file);
    if (st == E_MEMORY) {
        open->number = -1;
        return st;
    }
    source_report(j->source, path, fail_record()->text);
    fail_clear();
    return OK;
}

static int compare_places(const void *a, const void *b)
{
    const Place *x = a, *y = b;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    if (x->file_row != y->file_row) return x->file_row < y->file_row ? -1 : 1;
    return (x->wanted > y->wanted) - (x->wanted < y->wanted);
}

/* Does the place continue the run that ends before it? */
static bool continues(const OpenFile *open, const Place *start, const Place *place)
{
    return place->file == start->file && place->file_row <= place[-1].file_row + 1 &&
           place->file_row - start->file_row < RUN_ROWS && place->file_row < open->n_rows;
}

/* Places in order of file and row; runs are cut where rows are not neighbours. */
static Status read_places(Job *j, const Place *place, int64_t n)
{
    OpenFile *open = j->source->state;
    for (int64_t i = 0, end; i < n; i = end) {
        TRY(use_file(open, j, place[i].file));
        bool beyond = !open->flag && (place[i].file_row < 0 || place[i].file_row >= open->n_rows);
        end = i + 1;
        if (beyond) source_report(j->source, open->file.path, "has fewer rows than when the catalogue was made");
        if (open->flag || beyond) {
            clear_row(j, place[i].wanted, beyond ? IMAGE_UNREADABLE : open->flag);
            continue;
        }
        while (end < n && continues(open, &place[i], &place[end])) end++;
        TRY(read_run(j, open, place + i, end - i));
    }
    return OK;
}

Status stored_cutouts(ImageBatch *out, int64_t at, ImageSource *s, const StoredImageFormat *format,
                      const ImagesConfig *options, const CatalogRow *rows, int64_t n, Arena *scratch)
{
    MUST(s->state && at >= 0 && n >= 0 && at + n <= out->n);
    Status st = OK;
    Mark start = arena_mark(scratch);
    Job j = {.out = out, .at = at, .source = s, .format = format, .options = options, .scratch = scratch};
    Place *place;
    int64_t n_places = 0;
    TRY_DONE(arena_new(&place, scratch, n));
    for (int64_t i = 0; i < n; i++) {
        clear_row(&j, i, rows[i].has_image ? 0 : IMAGE_NOT_ASKED);
        if (rows[i].has_image) place[n_places++] = (Place){rows[i].image_file, rows[i].image_row, i};
    }
    if (n_places > 1) qsort(place, (size_t)n_places, sizeof *place, compare_places);
    int64_t held = n_places < RUN_ROWS ? n_places : RUN_ROWS;
    TRY_DONE(arena_new(&j.images.pixels, scratch, held * CUTOUT));
    TRY_DONE(arena_new(&j.images.ivar, scratch, held * CUTOUT));
    TRY_DONE(arena_new(&j.images.bands, scratch, held));
    TRY_DONE(arena_new(&j.images.good_scale, scratch, held));
    TRY_DONE(arena_new(&j.shown, scratch, WINDOW_PIXELS));
    memset(j.shown, 1, WINDOW_PIXELS);
    TRY_DONE(read_places(&j, place, n_places));
done:
    arena_reset(scratch, start);
    return st;
}
