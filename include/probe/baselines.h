/* baselines.h - baselines.h5: what models without AstroCLIP say of every row of the catalogue: predictions of supervised
   networks, and for probes principal components of raw pixels and raw flux and features of MoCo v2. No other module reads or writes it.

   The file: MODEL/values (N, dim) float32, NaN where a row lacks the modality or is not in dataset.h5; attributes of MODEL:
   kind "supervised" (its columns are properties: an attribute by the name of each says which column) or "features". Models: resnet18
   (image), conv_att (spectrum), photometry_mlp (photometry), pca_image, pca_spectrum, moco (image). */
#ifndef PROBE_BASELINES_H
#define PROBE_BASELINES_H

#include "data/catalog.h"
#include "io/artefact.h"

enum { BASELINES_VERSION = 1 };

typedef struct {
    H5File file;
    Envelope envelope;
    int64_t n;         /* rows */
    char *path, *part; /* while it is written */
} Baselines;

/* Collective. PATH.part, then model after model, of each rows [first, first + mine) of `dim` numbers from this rank, then
   PATH; or nothing. `label` (dim) for a supervised model, else NULL: features. put: at once; new, then write (Local, rows
   first ... in pieces), then agree. */
Status baselines_create(Baselines *out, const char *path, const Envelope *e, int64_t n, const Par *par, Arena *a);
Status baselines_put(Baselines *b, const char *model, const Label *label, const float *x, int64_t dim, int64_t first,
                     int64_t mine, const Par *par);
Status baselines_new(Baselines *b, const char *model, const Label *label, int64_t dim, const Par *par);
Status baselines_write(Baselines *b, const char *model, const float *x, int64_t first, int64_t n);
Status baselines_publish(Baselines *b, const Par *par, Arena *a);

/* Local with par = NULL, else Collective. */
Status baselines_open(Baselines *out, const char *path, const Par *par, Arena *a);
void baselines_close(Baselines *b); /* twice-safe; of a file that was not published nothing stays */
/* Local. Numbers of a row; 0 when the file lacks the model. */
int64_t baselines_dim(Baselines *b, const char *model);
/* Local. The column of a supervised model that predicts this property; -1 = none. */
int baselines_column(Baselines *b, const char *model, Label label);
/* Local. Rows [first, first + n): (n, dim). */
Status baselines_read(float *out, Baselines *b, const char *model, int64_t first, int64_t n);

#endif
