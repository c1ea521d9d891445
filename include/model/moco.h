/* moco.h - momentum contrast, version 2 (He et al. 2020, Chen et al. 2020), as Stein et al. (2021, arXiv 2110.13151 and
   2110.00023) train it on galaxies: a residual network says of two views of a galaxy what they are; its answer to the one
   shall be closer to what a slowly following network says of the other than to what that said of other galaxies before.
   Sizes and defaults are those of the released code, github.com/georgestein/ssl-legacysurvey. Local. */
#ifndef MODEL_MOCO_H
#define MODEL_MOCO_H

#include "core/config.h"
#include "model/resnet.h"

/* Section "moco"; names of the released code. */
typedef struct {
    int backbone; /* ResnetName */
    int64_t width, image_size;
    int64_t emb_dim; /* of the projection */
    bool use_mlp;
} MocoConfig;
extern const ConfigSection moco_section;

/* Names begin so; behind it they are torchvision's. */
extern const char moco_prefix[]; /* "encoder_q." */

/* The query encoder in a table of its own, whose values are not allocated yet. */
Status moco_declare(Resnet *out, Params *p, const MocoConfig *c, Arena *a);

/* What a batch of queries says of its keys. */
typedef struct {
    double loss;        /* mean over the queries of -ln softmax of the own key */
    int64_t top1, top5; /* queries whose own key is the most similar one, among the five most similar */
} MocoAnswer;

/* Each of n queries (n, dim), as the network leaves them, shall be more similar (cosine / temperature) to its key (n, dim)
   than to those of the queue (n_queue, dim); keys are directions. d_query (n, dim), unless NULL, is added into. */
Status moco_loss(MocoAnswer *out, real *d_query, const real *query, const real *key, const real *queue, int64_t n,
                 int64_t dim, int64_t n_queue, double temperature, Arena *scratch);
/* Directions of what the network says, in place. */
void moco_directions(real *key, int64_t n, int64_t dim);

#endif
