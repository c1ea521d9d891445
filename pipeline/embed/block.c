/* block.c - one block of rows from survey files to embeddings, on one rank, without MPI.

   A block is read and encoded `embed.batch` rows at a time, so that its memory does not grow with the block. Spectra are read file by file: rows
   are grouped by the file that holds them. Cutouts group by brick themselves. Then each object goes through its encoder alone, so that its
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

/* Encodes one object into rows of its two sets; sets `bad` when a result is not finite. */
static void keep_or_void(float *aligned, int64_t n_aligned, float *single, int64_t n_single, int32_t *flag, int32_t bad)
{
    bool fine = (!aligned || all_finite(aligned, n_aligned)) && (!single || all_finite(single, n_single));
    if (fine) return;
    *flag |= bad;
    if (aligned) fill_nan(aligned, n_aligned);
    if (single) fill_nan(single, n_single);
}

static float *set_row(const EmbedBlock *b, const Embedder *e, EmbeddingSet set, int64_t i)
{
    return b->set[set] ? b->set[set] + i * e->dim[set] : NULL;
}

static bool is_taken(const EmbedBlock *b, Modality m, int64_t i) { return b->taken[m] && b->taken[m][i]; }

/* Rows order[0 .. n) of the block. */
static Status embed_spectra(EmbedBlock *b, const FileRow *order, int64_t n, Embedder *e, Arena *a)
{
    Mark mark = arena_mark(a);
    SpectrumBatch batch;
    clock_begin("read spectra");
    Status st = release_read_spectra(&batch, order, n, b->row, e->release, e->spectra, a);
    clock_end("read spectra");
    TRY(st);

    clock_begin("encode spectra");
    for (int64_t k = 0; k < n && st == OK; k++) {
        int64_t i = order[k].row;
        int32_t *flag = &b->flag[MODALITY_SPECTRUM][i];
        *flag = batch.flag[k] | (b->row[i].has_spectrum ? 0 : SPECTRUM_NOT_ASKED);
        if (!(*flag & spectrum_unread))
            memcpy(b->spectrum_stats + i * N_SPECTRUM_STATS, batch.stats + k * N_SPECTRUM_STATS,
                   N_SPECTRUM_STATS * sizeof(float));
        if (flags_fatal(MODALITY_SPECTRUM, *flag, false)) continue;
        float *aligned = set_row(b, e, SET_SPECTRUM, i), *single = set_row(b, e, SET_SPECFORMER, i);
        st = par_hurry();
        if (st == OK) st = model_spectrum(aligned, single, e->model, batch.flux + k * GRID_PIXELS, GRID_PIXELS, a);
        if (st == OK)
            keep_or_void(aligned, e->dim[SET_SPECTRUM], single, e->dim[SET_SPECFORMER], flag, SPECTRUM_BAD_EMBEDDING);
    }
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
    clock_begin("encode images");
    for (int64_t k = 0; k < n && st == OK; k++) {
        int64_t i = order[k];
        memcpy(b->image_stats + i * N_IMAGE_STATS, batch.stats + k * N_IMAGE_STATS, N_IMAGE_STATS * sizeof(float));
        int32_t *flag = &b->flag[MODALITY_IMAGE][i];
        *flag = batch.flag[k];
        if (flags_fatal(MODALITY_IMAGE, *flag, zero_bands)) continue;
        float *aligned = set_row(b, e, SET_IMAGE, i), *single = set_row(b, e, SET_ASTRODINO, i);
        st = par_hurry();
        if (st == OK) st = model_image(aligned, single, e->model, batch.pixels + k * pixels, CUTOUT_PIXELS, a);
        if (st == OK)
            keep_or_void(aligned, e->dim[SET_IMAGE], single, e->dim[SET_ASTRODINO], flag, IMAGE_BAD_EMBEDDING);
    }
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

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

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
