/* block_read.c - the rows of a block, what is to be read of them, and its reading. Spectra are read file by file: rows are
   grouped by the file that holds them. Cutouts group by brick themselves. */
#include <string.h>

#include "core/clock.h"
#include "embed/block.h"

const char *const part_clock[N_MODALITIES] = {[MODALITY_IMAGE] = "read images", [MODALITY_SPECTRUM] = "read spectra"};

void fill_nan(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = NAN;
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

/* Is there something of the row to read? Where nothing is asked for, the flag says so. */
static bool is_wanted(EmbedBlock *b, const Embedder *e, Modality m, int64_t i)
{
    static const int32_t not_asked[N_MODALITIES] = {IMAGE_NOT_ASKED, SPECTRUM_NOT_ASKED};
    const bool has = m == MODALITY_IMAGE ? b->row[i].has_image : b->row[i].has_spectrum;
    if (e->want[m] && b->taken[m] && b->taken[m][i]) return false;
    if (!e->want[m] || !has) b->flag[m][i] = not_asked[m];
    return e->want[m] && has;
}

static Status find_rows(BlockRows *r, EmbedBlock *b, const Embedder *e, Arena *a)
{
    TRY(arena_new(&r->spectrum, a, b->n));
    TRY(arena_new(&r->image, a, b->n));
    for (int64_t i = 0; i < b->n; i++) {
        if (is_wanted(b, e, MODALITY_SPECTRUM, i)) r->spectrum[r->n[MODALITY_SPECTRUM]++].row = i;
        if (is_wanted(b, e, MODALITY_IMAGE, i)) r->image[r->n[MODALITY_IMAGE]++] = i;
    }
    return release_order(r->spectrum, r->n[MODALITY_SPECTRUM], b->row, e->release, &e->catalog->files);
}

Status block_begin(EmbedBlock *b, BlockRows *rows, Embedder *e, int64_t first, int64_t n, Arena *a)
{
    *b = (EmbedBlock){.first = first, .n = n};
    *rows = (BlockRows){0};
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
    return find_rows(rows, b, e, a);
}

void block_next(BlockPart *out, BlockRows *r, EmbedBlock *b, Embedder *e)
{
    const Modality m = r->given[MODALITY_SPECTRUM] < r->n[MODALITY_SPECTRUM] ? MODALITY_SPECTRUM : MODALITY_IMAGE;
    const int64_t at = r->given[m], left = r->n[m] - at;
    out->block = b;
    out->embedder = e;
    out->modality = m;
    out->spectrum = r->spectrum + at;
    out->image = r->image + at;
    out->n = left < e->config->batch ? left : e->config->batch;
    r->given[m] += out->n;
    out->last =
        r->given[MODALITY_SPECTRUM] == r->n[MODALITY_SPECTRUM] && r->given[MODALITY_IMAGE] == r->n[MODALITY_IMAGE];
}

bool part_may_be_beside(const BlockPart *p)
{
    const ReleaseConfig *r = p->embedder->release;
    return p->modality == MODALITY_IMAGE ? release_images(r)->beside : release_spectra(r)->beside;
}

Status part_read(BlockPart *p)
{
    const Embedder *e = p->embedder;
    const CatalogRow *row = p->block->row;
    TRY(FAIL_POINT("embed.read"));
    if (p->modality == MODALITY_SPECTRUM) {
        TRY(spectra_batch(&p->spectra, p->n, p->arena));
        return release_read_spectra(&p->spectra, p->spectrum, p->n, row, e->release, e->spectra, p->scratch);
    }
    TRY(images_batch(&p->images, p->n, p->arena));
    return release_read_images(&p->images, p->image, p->n, row, e->image_source, e->release, e->images, p->scratch);
}
