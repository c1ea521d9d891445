/* reuse.h - embeddings that an earlier run computed already (`embed.reuse: FOLDER`): rows whose embedding would come out
   the same bits are copied, all others are computed. Each modality is decided by itself: new spectra with the old images
   cost the spectra only.

   A row is taken when the earlier run has its key (TARGETID, SURVEY, PROGRAM), and for the modality
     - the recipe is the same: stage revision, weights, model, options, survey, provider and instruction set;
     - what leads to its data is the same: pixel, tile, night, petal, position, PHOTSYS, row of a stored set, E(B-V)
       where extinction is on;
     - every file it is read from stands in both manifests with the same size and sum (DATASUM of all HDUs; of files
       without it a sum of samples, which may miss a change within a large file: data/manifest.h);
     - its flags do not say that other files or luck had a part (neighbouring bricks, reading errors).

   The recipe stands as attribute `image_recipe` / `spectrum_recipe` in embeddings.h5, lines key=value; `inputs` there
   names the catalogue it was made from. Which old row belongs to which new one is worked out once by all ranks
   (distributed by key, no rank holds more than its share) and kept in FOLDER/embeddings/reuse.h5 while the stage runs. */
#ifndef EMBED_REUSE_H
#define EMBED_REUSE_H

#include "data/catalog.h"
#include "data/flags.h"

/* What becomes of a row and modality. */
typedef enum {
    REUSE_TAKEN,
    REUSE_NO_DATA,      /* the row has none: nothing to compute */
    REUSE_OTHER_RECIPE, /* nothing of the modality can be taken */
    REUSE_NEW_ROW,
    REUSE_OTHER_PLACE, /* position, pixel, tile, ... differ */
    REUSE_OTHER_FILE,  /* an input file is new or changed */
    REUSE_UNSURE,      /* by its flags */
    REUSE_NOT_THERE,   /* the earlier run's files do not hold it */
    N_REUSE
} ReuseWhy;
extern const char *const reuse_sentence[N_REUSE]; /* "with changed input files" */

/* One row's plan. */
typedef struct {
    int64_t old_row; /* -1 = none */
    uint8_t why[N_MODALITIES];
    uint8_t zero[6];
} ReusePlan;

typedef struct Reuse Reuse;
struct Embedder;
struct EmbedBlock;

/* Collective. Opens the earlier run and makes the plan; `folder` is this run's. *out = NULL when nothing can be taken:
   the log says why. E_INPUT when the folder holds no run, E_CONFIG when it is this run's own. */
Status reuse_open(Reuse **out, const struct Embedder *e, const char *old, const char *folder, const Par *par, Arena *a);

/* Local. Fills rows of the block that the earlier run has and says so in block->taken; counts in block->reuse. */
Status reuse_take(struct EmbedBlock *block, Reuse *r, const struct Embedder *e, Arena *a);

/* Collective. Closes, removes the plan. NULL-safe. */
void reuse_close(Reuse *r, const Par *par);

/* Rank 0 says what was taken and why the rest was not. */
void reuse_log(const Reuse *r, const struct Embedder *e, int64_t count[N_MODALITIES][N_REUSE]);

/* ---- parts of it, for tests ---- */

/* Local. The first line of `here` that `there` lacks or has otherwise: "weights is ... here and ... there" (no more than
   `size` characters); false when the recipes are the same. */
bool reuse_recipe_differs(char *out, size_t size, const char *here, const char *there);

/* Collective. plan[i] of this rank's share of the new catalogue; *n_changed: files of spectra and images that are in both
   manifests and differ. usable[m]: the recipe of the modality is the same. */
Status reuse_plan(ReusePlan **plan, int64_t *n_changed, const struct Embedder *e, Catalog *old,
                  const bool usable[N_MODALITIES], const Par *par, Arena *a);

#endif
