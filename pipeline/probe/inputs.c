/* inputs.c - the table of inputs, and their rows from embeddings.h5, catalog.h5 or baselines.h5. */
#include "probe/inputs.h"

#include <math.h>
#include <string.h>

const ProbeInputRow probe_inputs[] = {
    {"astroclip", "image", "IMAGE", INPUT_EMBEDDINGS, {SET_IMAGE}, 1, NULL},
    {"astroclip", "spectrum", "SPECTRUM", INPUT_EMBEDDINGS, {SET_SPECTRUM}, 1, NULL},
    {"astroclip", "both", "BOTH", INPUT_EMBEDDINGS, {SET_IMAGE, SET_SPECTRUM}, 2, NULL},
    {"astroclip", "spectrum-to-image", "", INPUT_EMBEDDINGS, {SET_IMAGE}, 1, "spectrum"},
    {"astroclip", "image-to-spectrum", "", INPUT_EMBEDDINGS, {SET_SPECTRUM}, 1, "image"},
    {"astrodino", "image", "", INPUT_EMBEDDINGS, {SET_ASTRODINO}, 1, NULL},
    {"specformer", "spectrum", "", INPUT_EMBEDDINGS, {SET_SPECFORMER}, 1, NULL},
    {"none", "photometry", "", INPUT_PHOTOMETRY, {0}, 0, NULL},
    {"pca_image", "image", "", INPUT_FEATURES, {0}, 0, NULL},
    {"pca_spectrum", "spectrum", "", INPUT_FEATURES, {0}, 0, NULL},
    {"moco", "image", "", INPUT_FEATURES, {0}, 0, NULL},
    {"resnet18", "image", "", INPUT_SUPERVISED, {0}, 0, NULL},
    {"conv_att", "spectrum", "", INPUT_SUPERVISED, {0}, 0, NULL},
    {"photometry_mlp", "photometry", "", INPUT_SUPERVISED, {0}, 0, NULL},
    {NULL, NULL, NULL, INPUT_EMBEDDINGS, {0}, 0, NULL},
};

int64_t probe_input_dim(const ProbeFiles *f, const ProbeInputRow *row)
{
    int64_t dim = 0;
    if (row->kind == INPUT_PHOTOMETRY) return PHOTOMETRY_DIM;
    if (row->kind != INPUT_EMBEDDINGS) return f->baselines ? baselines_dim(f->baselines, row->encoder) : 0;
    for (int s = 0; s < row->n_sets; s++) {
        if (f->embeddings->dim[row->set[s]] == 0) return 0;
        dim += f->embeddings->dim[row->set[s]];
    }
    return dim;
}

static Status read_embeddings(float *out, Embeddings *e, const ProbeInputRow *row, int64_t first, int64_t n,
                              int64_t dim, Arena *scratch)
{
    if (row->n_sets == 1) return embeddings_read(out, e, row->set[0], first, n);
    const Mark mark = arena_mark(scratch);
    for (int s = 0, at = 0; s < row->n_sets; s++) {
        const int64_t width = e->dim[row->set[s]];
        float *part;
        TRY(arena_new(&part, scratch, n * width));
        TRY(embeddings_read(part, e, row->set[s], first, n));
        for (int64_t i = 0; i < n; i++) memcpy(out + i * dim + at, part + i * width, (size_t)width * sizeof *part);
        at += (int)width;
        arena_reset(scratch, mark);
    }
    return OK;
}

void probe_photometry(float out[PHOTOMETRY_DIM], float g, float r, float z)
{
    const float flux[3] = {g, r, z};
    double magnitude[3];
    for (int b = 0; b < 3; b++)
        magnitude[b] = isfinite(flux[b]) && flux[b] > 0 ? 22.5 - 2.5 * log10((double)flux[b]) : NAN;
    const double feature[PHOTOMETRY_DIM] = {magnitude[0] - magnitude[1], magnitude[1] - magnitude[2], magnitude[1],
                                            magnitude[1] * magnitude[1]};
    const bool all = isfinite(magnitude[0] + magnitude[1] + magnitude[2]);
    for (int d = 0; d < PHOTOMETRY_DIM; d++) out[d] = all ? (float)feature[d] : NAN;
}

static Status read_photometry(float *out, Catalog *c, int64_t first, int64_t n, Arena *scratch)
{
    float *flux[3];
    const Mark mark = arena_mark(scratch);
    for (int b = 0; b < 3; b++) TRY(arena_new(&flux[b], scratch, n));
    TRY(catalog_read_fluxes(flux, c, first, n));
    for (int64_t i = 0; i < n; i++) probe_photometry(out + i * PHOTOMETRY_DIM, flux[0][i], flux[1][i], flux[2][i]);
    arena_reset(scratch, mark);
    return OK;
}

Status probe_read_input(float *out, const ProbeFiles *f, const ProbeInputRow *row, int64_t first, int64_t n,
                        Arena *scratch)
{
    switch (row->kind) {
    case INPUT_PHOTOMETRY: return read_photometry(out, f->catalog, first, n, scratch);
    case INPUT_EMBEDDINGS: return read_embeddings(out, f->embeddings, row, first, n, probe_input_dim(f, row), scratch);
    default: return baselines_read(out, f->baselines, row->encoder, first, n);
    }
}

bool probe_usable(const float *x, int64_t dim)
{
    for (int64_t d = 0; d < dim; d++)
        if (!isfinite(x[d])) return false;
    return true;
}
