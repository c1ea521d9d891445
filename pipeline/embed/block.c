/* block.c - one block of rows from survey files to embeddings, on one rank, without MPI.

   A block is read and encoded `embed.batch` rows at a time, so that its memory does not grow with the block. Objects that
   were read go through their encoder, some at a time; an object's numbers depend on nothing but its pixels and the
   weights. */
#include "embed/block.h"

#include <string.h>

#include "core/clock.h"
#include "embed/lost_rows.h"

/* No spectrum was read: there is nothing to take statistics of. */
static const int32_t spectrum_unread =
    SPECTRUM_NO_FILE | SPECTRUM_UNREADABLE | SPECTRUM_NO_ROW | SPECTRUM_BAD_GRID | SPECTRUM_NOT_ASKED;

static bool all_finite(const float *x, int64_t n)
{
    float probe = 0; /* stays 0 unless something is NaN or Inf */
    for (int64_t i = 0; i < n; i++) probe += x[i] * 0.0f;
    return probe == 0;
}

static float *set_row(const EmbedBlock *b, const Embedder *e, EmbeddingSet set, int64_t i)
{
    return b->set[set] ? b->set[set] + i * e->dim[set] : NULL;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- encoding ---- */

static const EmbeddingSet aligned_set[N_MODALITIES] = {
    [MODALITY_IMAGE] = SET_IMAGE, [MODALITY_SPECTRUM] = SET_SPECTRUM};
static const EmbeddingSet single_set[N_MODALITIES] = {
    [MODALITY_IMAGE] = SET_ASTRODINO, [MODALITY_SPECTRUM] = SET_SPECFORMER};

/* Objects that wait for their encoder: what they are, and to which rows of the block they belong. */
typedef struct {
    const float **input;
    int64_t *row;
    int64_t n;
} Waiting;

static Status wait_init(Waiting *w, int64_t n, Arena *a)
{
    w->n = 0;
    TRY(arena_new(&w->input, a, n));
    return arena_new(&w->row, a, n);
}

static void wait_add(Waiting *w, const float *input, int64_t row)
{
    w->input[w->n] = input;
    w->row[w->n++] = row;
}

/* The encoder's rows [at, at + n) to one set of the block; a row that is not finite becomes NaN and sets `bad`. */
static void keep_rows(EmbedBlock *b, const Embedder *e, EmbeddingSet set, const float *from, const int64_t *row,
                      int64_t n, int32_t *flag, int32_t bad)
{
    for (int64_t k = 0; from && k < n; k++) {
        float *to = set_row(b, e, set, row[k]);
        memcpy(to, from + k * e->dim[set], sizeof *to * (size_t)e->dim[set]);
        if (!all_finite(to, e->dim[set])) flag[row[k]] |= bad;
    }
}

/* Every object that waits, model_batch of them at a time. */
static Status encode(EmbedBlock *b, const Embedder *e, Modality m, const Waiting *w, Arena *a)
{
    const bool image = m == MODALITY_IMAGE;
    const int32_t bad = image ? IMAGE_BAD_EMBEDDING : SPECTRUM_BAD_EMBEDDING;
    const int64_t most = least(model_batch(e->model, image), w->n);
    const EmbeddingSet sets[] = {aligned_set[m], single_set[m]};
    const Mark mark = arena_mark(a);
    float *out[2] = {NULL, NULL};
    for (int k = 0; k < 2; k++)
        if (b->set[sets[k]]) TRY(arena_new(&out[k], a, most * e->dim[sets[k]]));
    for (int64_t at = 0; at < w->n; at += most) {
        const int64_t n = least(most, w->n - at);
        TRY(par_hurry());
        TRY(image ? model_images(out[0], out[1], e->model, w->input + at, n, CUTOUT_PIXELS, a)
                  : model_spectra(out[0], out[1], e->model, w->input + at, n, GRID_PIXELS, a));
        for (int k = 0; k < 2; k++) keep_rows(b, e, sets[k], out[k], w->row + at, n, b->flag[m], bad);
        for (int64_t i = at; i < at + n; i++)
            for (int k = 0; k < 2; k++)
                if (out[k] && (b->flag[m][w->row[i]] & bad))
                    fill_nan(set_row(b, e, sets[k], w->row[i]), e->dim[sets[k]]);
    }
    arena_reset(a, mark);
    return OK;
}

/* ---- what was read ---- */

/* Flag and statistics of the k-th spectrum of a part, and whether it is to be encoded. */
static bool enter_spectrum(const BlockPart *p, int64_t k, int64_t i)
{
    EmbedBlock *b = p->block;
    const int32_t flag = b->flag[MODALITY_SPECTRUM][i] = p->spectra.flag[k];
    if (!(flag & spectrum_unread))
        memcpy(b->spectrum_stats + i * N_SPECTRUM_STATS, p->spectra.stats + k * N_SPECTRUM_STATS,
               N_SPECTRUM_STATS * sizeof(float));
    return !flags_fatal(MODALITY_SPECTRUM, flag, false);
}

static bool enter_image(const BlockPart *p, int64_t k, int64_t i)
{
    EmbedBlock *b = p->block;
    const int32_t flag = b->flag[MODALITY_IMAGE][i] = p->images.flag[k];
    memcpy(b->image_stats + i * N_IMAGE_STATS, p->images.stats + k * N_IMAGE_STATS, N_IMAGE_STATS * sizeof(float));
    return !flags_fatal(MODALITY_IMAGE, flag, p->embedder->images->missing_band == MISSING_BAND_ZERO);
}

Status part_encode(const BlockPart *p, Arena *scratch)
{
    enum { CUTOUT = N_BANDS * CUTOUT_PIXELS * CUTOUT_PIXELS };
    const bool image = p->modality == MODALITY_IMAGE;
    const char *clock = image ? "encode images" : "encode spectra";
    const Mark mark = arena_mark(scratch);
    Waiting w;
    TRY(wait_init(&w, p->n, scratch));
    for (int64_t k = 0; k < p->n; k++) {
        const int64_t i = image ? p->image[k] : p->spectrum[k].row;
        if (image ? enter_image(p, k, i) : enter_spectrum(p, k, i))
            wait_add(&w, image ? p->images.pixels + k * CUTOUT : p->spectra.flux + k * GRID_PIXELS, i);
    }
    clock_begin(clock);
    Status st = encode(p->block, p->embedder, p->modality, &w, scratch);
    clock_end(clock);
    arena_reset(scratch, mark);
    return st;
}

/* ---- a block ---- */

Status block_finish(EmbedBlock *b, Embedder *e, Arena *scratch)
{
    if (!e->lost) return OK;
    clock_begin("look at files");
    Status st = lost_mark_block(b, e->lost, scratch);
    clock_end("look at files");
    return st;
}

Status embed_block(EmbedBlock *b, Embedder *e, int64_t first, int64_t n, Arena *a)
{
    BlockRows rows;
    BlockPart part = {.arena = a, .scratch = a};
    TRY(block_begin(b, &rows, e, first, n, a));
    do {
        const Mark mark = arena_mark(a);
        block_next(&part, &rows, b, e);
        clock_begin(part_clock[part.modality]);
        Status st = part_read(&part);
        clock_end(part_clock[part.modality]);
        TRY(st);
        TRY(part_encode(&part, a));
        arena_reset(a, mark);
    } while (!part.last);
    return block_finish(b, e, a);
}
