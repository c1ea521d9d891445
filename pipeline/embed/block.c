/* block.c - one block of rows from survey files to embeddings, on one rank, without MPI.

   A block is read and encoded `embed.batch` rows at a time, so that its memory does not grow with the block. Spectra are read file by file: rows
   are grouped by the file that holds them. Cutouts group by brick themselves. Then objects go through their encoder, some at a time; an object's
   numbers depend on nothing but its pixels and the weights. */
#include <string.h>

#include "core/clock.h"
#include "data/release_rows.h"
#include "embed/lost_rows.h"

/* No spectrum was read: there is nothing to take statistics of. */
static const int32_t spectrum_unread =
    SPECTRUM_NO_FILE | SPECTRUM_UNREADABLE | SPECTRUM_NO_ROW | SPECTRUM_BAD_GRID | SPECTRUM_NOT_ASKED;

static void fill_nan(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = NAN;
}

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

static bool is_taken(const EmbedBlock *b, Modality m, int64_t i) { return b->taken[m] && b->taken[m][i]; }

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

/* Rows order[0 .. n) of the block. */
static Status embed_spectra(EmbedBlock *b, const FileRow *order, int64_t n, Embedder *e, Arena *a)
{
    Mark mark = arena_mark(a);
    SpectrumBatch batch;
    clock_begin("read spectra");
    Status st = release_read_spectra(&batch, order, n, b->row, e->release, e->spectra, a);
    clock_end("read spectra");
    TRY(st);

    Waiting w;
    TRY(wait_init(&w, n, a));
    for (int64_t k = 0; k < n; k++) {
        int64_t i = order[k].row;
        int32_t *flag = &b->flag[MODALITY_SPECTRUM][i];
        *flag = batch.flag[k] | (b->row[i].has_spectrum ? 0 : SPECTRUM_NOT_ASKED);
        if (!(*flag & spectrum_unread))
            memcpy(b->spectrum_stats + i * N_SPECTRUM_STATS, batch.stats + k * N_SPECTRUM_STATS,
                   N_SPECTRUM_STATS * sizeof(float));
        if (!flags_fatal(MODALITY_SPECTRUM, *flag, false)) wait_add(&w, batch.flux + k * GRID_PIXELS, i);
    }
    clock_begin("encode spectra");
    st = encode(b, e, MODALITY_SPECTRUM, &w, a);
    clock_end("encode spectra");
    arena_reset(a, mark);
    return st;
}

/* Rows order[0 .. n) of the block. */
static Status embed_images(EmbedBlock *b, const int64_t *order, int64_t n, Embedder *e, Arena *a)
{
    Mark mark = arena_mark(a);
    ImageBatch batch;
    clock_begin("read images");
    Status st = release_read_images(&batch, order, n, b->row, e->image_source, e->release, e->images, a);
    clock_end("read images");
    TRY(st);

    bool zero_bands = e->images->missing_band == MISSING_BAND_ZERO;
    int64_t pixels = (int64_t)N_BANDS * CUTOUT_PIXELS * CUTOUT_PIXELS;
    Waiting w;
    TRY(wait_init(&w, n, a));
    for (int64_t k = 0; k < n; k++) {
        int64_t i = order[k];
        memcpy(b->image_stats + i * N_IMAGE_STATS, batch.stats + k * N_IMAGE_STATS, N_IMAGE_STATS * sizeof(float));
        int32_t *flag = &b->flag[MODALITY_IMAGE][i];
        *flag = batch.flag[k];
        if (!flags_fatal(MODALITY_IMAGE, *flag, zero_bands)) wait_add(&w, batch.pixels + k * pixels, i);
    }
    clock_begin("encode images");
    st = encode(b, e, MODALITY_IMAGE, &w, a);
    clock_end("encode images");
    arena_reset(a, mark);
    return st;
}

/* Memory of the results; NaN until something better is known. */
static Status make_room(EmbedBlock *b, const Embedder *e, Arena *a)
{
    TRY(arena_new(&b->row, a, b->n));
    for (int s = 0; s < N_SETS; s++) {
        if (e->dim[s] == 0) continue;
        TRY(arena_new(&b->set[s], a, b->n * e->dim[s]));
        fill_nan(b->set[s], b->n * e->dim[s]);
    }
    for (int m = 0; m < N_MODALITIES; m++) TRY(arena_new(&b->flag[m], a, b->n));
    TRY(arena_new(&b->spectrum_stats, a, b->n * N_SPECTRUM_STATS));
    fill_nan(b->spectrum_stats, b->n * N_SPECTRUM_STATS);
    return arena_new(&b->image_stats, a, b->n * N_IMAGE_STATS);
}

static Status embed_all_spectra(EmbedBlock *b, Embedder *e, Arena *a)
{
    FileRow *order = NULL;
    int64_t batch = e->config->batch, n = 0;
    TRY(arena_new(&order, a, b->n));
    for (int64_t i = 0; i < b->n; i++)
        if (!is_taken(b, MODALITY_SPECTRUM, i)) order[n++].row = i;
    TRY(release_order(order, n, b->row, e->release, &e->catalog->files));
    for (int64_t at = 0; at < n; at += batch) TRY(embed_spectra(b, order + at, least(batch, n - at), e, a));
    return OK;
}

static Status embed_all_images(EmbedBlock *b, Embedder *e, Arena *a)
{
    int64_t *order = NULL, batch = e->config->batch, n = 0;
    TRY(arena_new(&order, a, b->n));
    for (int64_t i = 0; i < b->n; i++)
        if (!is_taken(b, MODALITY_IMAGE, i)) order[n++] = i;
    for (int64_t at = 0; at < n; at += batch) TRY(embed_images(b, order + at, least(batch, n - at), e, a));
    return OK;
}

Status embed_block(EmbedBlock *b, Embedder *e, int64_t first, int64_t n, Arena *a)
{
    *b = (EmbedBlock){.first = first, .n = n};
    TRY(make_room(b, e, a));
    clock_begin("read catalogue");
    Status st = catalog_read(b->row, e->catalog, first, n, a);
    clock_end("read catalogue");
    TRY(st);
    if (e->reuse) {
        clock_begin("take old rows");
        st = reuse_take(b, e->reuse, e, a);
        clock_end("take old rows");
        TRY(st);
    }
    if (e->want[MODALITY_SPECTRUM]) TRY(embed_all_spectra(b, e, a));
    if (e->want[MODALITY_IMAGE]) TRY(embed_all_images(b, e, a));
    for (int64_t i = 0; i < n; i++) {
        if (!e->want[MODALITY_SPECTRUM]) b->flag[MODALITY_SPECTRUM][i] = SPECTRUM_NOT_ASKED;
        if (!e->want[MODALITY_IMAGE]) b->flag[MODALITY_IMAGE][i] = IMAGE_NOT_ASKED;
    }
    if (!e->lost) return OK;
    clock_begin("look at files");
    st = lost_mark_block(b, e->lost, a);
    clock_end("look at files");
    return st;
}
