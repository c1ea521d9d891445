/* inputs.h - what probes learn from: one table of inputs, each a name and where its numbers are.

   An input is the embeddings of one or two sets side by side, the photometry of the catalogue, or what baselines.h5 has of a
   model: features for a probe, or predictions that are only scored. A crossed input is the embedding of one modality to
   which the fits of the other are applied, as the shared space allows: nothing is learnt from it. */
#ifndef PROBE_INPUTS_H
#define PROBE_INPUTS_H

#include "data/catalog.h"
#include "embed/embeddings.h"
#include "probe/baselines.h"

enum { MAX_PROBE_SETS = 2, PHOTOMETRY_DIM = 4 };

typedef enum { INPUT_EMBEDDINGS, INPUT_PHOTOMETRY, INPUT_FEATURES, INPUT_SUPERVISED } InputKind;

typedef struct {
    const char *encoder;  /* "astroclip", a model of baselines.h5, or "none" */
    const char *modality; /* "image", "both", "spectrum-to-image"            */
    const char *column;   /* "IMAGE": stem of FITS columns; "" = not published in properties.fits */
    InputKind kind;
    EmbeddingSet set[MAX_PROBE_SETS];
    int n_sets;
    const char *taught_by; /* crossed: the modality of the same encoder whose fits are applied; NULL = its own */
} ProbeInputRow;
extern const ProbeInputRow probe_inputs[]; /* ended by encoder NULL; who teaches comes before who is taught */

/* The files that inputs come from; borrowed. */
typedef struct {
    Catalog *catalog;
    Embeddings *embeddings;
    Baselines *baselines; /* NULL = none */
} ProbeFiles;

/* Local. Numbers of a row; 0 when the files lack them. */
int64_t probe_input_dim(const ProbeFiles *f, const ProbeInputRow *row);
/* Local. Rows [first, first + n): (n, dim) float32; NaN in rows without them. */
Status probe_read_input(float *out, const ProbeFiles *f, const ProbeInputRow *row, int64_t first, int64_t n,
                        Arena *scratch);

/* g - r, r - z, r and r^2 of fluxes in nanomaggies (AB magnitudes, as observed: the dust of our Galaxy is left in); all
   NaN unless every flux is positive. */
void probe_photometry(float out[PHOTOMETRY_DIM], float g, float r, float z);

/* Local. True when all values of a row are finite. */
bool probe_usable(const float *x, int64_t dim);

#endif
