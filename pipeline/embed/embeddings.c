/* embeddings.c - reading embeddings.h5: the aligned sets, the encoders' own, the flags. */
#include "embed/embeddings.h"

#include <string.h>

#include "data/images.h"
#include "data/spectra.h"

const char *const embedding_dataset[N_SETS] = {"image_embeddings", "spectrum_embeddings", "astrodino_embeddings",
                                               "specformer_embeddings"};
const EmbeddingSet embedding_aligned[N_MODALITIES] = {[MODALITY_IMAGE] = SET_IMAGE, [MODALITY_SPECTRUM] = SET_SPECTRUM};

Status embeddings_open(Embeddings *e, const char *path, const Par *par, Arena *a)
{
    memset(e, 0, sizeof *e);
    TRY(h5_open(&e->file, path, par));
    Status st = artefact_read(&e->envelope, &e->file, "embeddings", EMBEDDINGS_VERSION, "embed", a);
    H5Shape shape;
    if (st == OK) st = h5_shape(&shape, &e->file, "object_id");
    if (st == OK) e->n = shape.dims[0];
    for (int s = 0; s < N_SETS && st == OK; s++) {
        if (!h5_has(&e->file, embedding_dataset[s])) continue;
        st = h5_shape(&shape, &e->file, embedding_dataset[s]);
        if (st == OK && (shape.n_dims != 2 || shape.dims[0] != e->n))
            st = FAIL(E_INPUT, "%s: %s has %lld rows, object_id has %lld", path, embedding_dataset[s],
                      (long long)shape.dims[0], (long long)e->n);
        e->dim[s] = st == OK ? shape.dims[1] : 0;
    }
    if (st != OK) embeddings_close(e);
    return st;
}

void embeddings_close(Embeddings *e)
{
    if (h5_close(&e->file) != OK) fail_note("closing embeddings"); /* read only: nothing is lost */
}

Status embeddings_read(float *out, Embeddings *e, EmbeddingSet set, int64_t first, int64_t n)
{
    return h5_read_rows(out, &e->file, embedding_dataset[set], H5_F32, 0, first, n);
}

Status embeddings_read_targets(int64_t *targetid, Embeddings *e, int64_t first, int64_t n)
{
    return h5_read_rows(targetid, &e->file, "object_id", H5_I64, 0, first, n);
}

Status embeddings_read_flags(int32_t *out, Embeddings *e, Modality m, int64_t first, int64_t n)
{
    return h5_read_rows(out, &e->file, m == MODALITY_IMAGE ? "image_flag" : "spectrum_flag", H5_I32, 0, first, n);
}

static Status read_stats(float *out, Embeddings *e, const char *dataset, int64_t columns, int64_t first, int64_t n)
{
    const int64_t dims[] = {e->n, columns};
    H5Shape shape;
    TRY(h5_expect(&shape, &e->file, dataset, dims, 2));
    return h5_read_rows(out, &e->file, dataset, H5_F32, 0, first, n);
}

Status embeddings_read_spectrum_stats(float *out, Embeddings *e, int64_t first, int64_t n)
{
    return read_stats(out, e, "spectrum_stats", N_SPECTRUM_STATS, first, n);
}

Status embeddings_read_image_stats(float *out, Embeddings *e, int64_t first, int64_t n)
{
    return read_stats(out, e, "image_stats", N_IMAGE_STATS, first, n);
}
