/* branch.h - the two halves of the model, for trainings that take them apart. Local. */
#ifndef MODEL_BRANCH_H
#define MODEL_BRANCH_H

#include "model/encoders.h"
#include "model/head.h"

typedef struct {
    const char *prefix; /* "image_encoder.": of its parameters' names */
    const Encoder *encoder;
    const void *config; /* of the encoder, borrowed from the ModelConfig */
    void *state;        /* of the encoder */
    Head head;
    int64_t input;         /* what `n` is to the encoder: pixels of a side, or of a spectrum on DESI's grid */
    int64_t n_inputs;      /* floats of one object's input: 3 input^2, or input */
    int64_t n_tokens, dim; /* tokens of one object, and their width */
} Branch;

/* The image's or the spectrum's. */
const Branch *model_branch(const Model *m, bool image);

/* First values of spec.md 3.4, 4.2 and 5.3 for the parts whose names begin with `prefix` ("" = all): the parts are
   image_encoder.backbone., image_encoder.head., spectrum_encoder.backbone. and spectrum_encoder.head. */
void model_init(Model *m, uint64_t seed, const char *prefix);

/* What multiplies the cosines: exp of the parameter logit_scale; `fixed` where the model has none. */
double model_scale(const Params *p, double fixed);
/* Adds its gradient to that of the parameter; nothing where there is none or it is frozen. */
void model_scale_backward(real *d_p, const Params *p, double d_scale);

/* Adds the beginnings of the names that no token of the branch depends on, and the whole encoder's if `frozen`, to
   `prefix` from *n on. At most BRANCH_FREEZES. */
enum { BRANCH_FREEZES = 4 };
Status branch_freeze(const char **prefix, int64_t *n, const Branch *b, bool frozen, Arena *a);

#endif
