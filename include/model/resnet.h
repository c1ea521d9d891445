/* resnet.h - residual networks for images (He et al. 2016) as torchvision builds them, with its names: from an image's
   planes to n_out numbers. resnet18 is the supervised baseline (spec.md 6.8), resnet50 the encoder of MoCo v2. Local.

   In training, batch norms take the moments of the batch; `resnet_track` moves the running ones, which prediction uses.
   These are parameters by name (running_mean, running_var) that no gradient reaches: resnet_freeze takes them out of the
   optimiser. */
#ifndef MODEL_RESNET_H
#define MODEL_RESNET_H

#include "nn/conv.h"
#include "nn/params.h"

enum { RESNET_LAYERS = 4, RESNET_UNITS = 3, RESNET_WIDER = 4, RESNET_PLANES = 3 };

typedef struct {
    int64_t
        width; /* channels of the stem and of the first layer's 3 x 3 kernels, 64 as published; then 2, 4, 8 times as many */
    int64_t size; /* of an image, in pixels */
    int64_t n_out;
    int64_t blocks[RESNET_LAYERS];
    bool
        bottleneck; /* blocks of 1 x 1, 3 x 3, 1 x 1 kernels, RESNET_WIDER times as wide behind the last; else of two 3 x 3 */
    bool mlp; /* fc is two linear layers with a ReLU between, fc.0 and fc.2, as wide as the features; else one, fc */
} ResnetConfig;

/* torchvision's networks: blocks and bottleneck of resnet_names[which]. */
typedef enum { RESNET18, RESNET34, RESNET50, RESNET101, RESNET152 } ResnetName;
extern const char *const resnet_names[]; /* "resnet18", ..., NULL */
void resnet_shape(ResnetConfig *c, ResnetName which);

/* A convolution without bias and the batch norm behind it. */
typedef struct {
    Conv conv;
    int64_t kernel, weight, bias, mean, var; /* in the table; mean and var are the running ones */
} ResnetUnit;

/* Its units lie side by side; behind them, where it shortens, a 1 x 1 convolution that is its shortcut. */
typedef struct {
    int64_t first; /* of the units of the network */
    int n_units;
    bool shortens;
} ResnetBlock;

typedef struct {
    ResnetConfig config;
    Params *params; /* borrowed: the table it was declared in */
    int64_t n_units, n_blocks;
    ResnetUnit *unit;                 /* (n_units) the stem, then those of the blocks */
    ResnetBlock *block;               /* (n_blocks) */
    int64_t n_features;               /* channels behind the last block */
    int64_t fc_weight[2], fc_bias[2]; /* of the linear layers: [1] the last, [0] the one before it, with mlp */
} Resnet;

int64_t resnet_n_params(const ResnetConfig *c);
/* Declares its parameters behind `prefix`; its units live in `a`. E_CONFIG when an image is too small for five halvings. */
Status resnet_declare(Resnet *out, const ResnetConfig *c, Params *p, const char *prefix, Arena *a);
void resnet_freeze(const Resnet *m); /* the running moments */
/* First values as torchvision's: kernels normal with variance 2 / (c_out kernel), linear layers as PyTorch's default. */
void resnet_init(const Resnet *m, uint64_t seed);

/* out (n, n_features): means over what is left of images (n, 3, size, size), one by one with the running moments: an
   image's numbers depend on nothing else. predict: out (n, n_out) of fc. */
Status resnet_features(real *out, const Resnet *m, const real *images, int64_t n, Arena *step);
Status resnet_predict(real *out, const Resnet *m, const real *images, int64_t n, Arena *step);

/* ---- training ---- */

/* What the backward pass needs of a unit. */
typedef struct {
    const real *x;    /* what it was given */
    real *y;          /* (n, height, width, c_out) of the convolution */
    real *mean, *var; /* (c_out) of the batch */
    real *out;        /* (n, height, width, c_out) what goes on; of a block's last unit, what leaves the block */
} ResnetUnitTrace;

/* Of one batch, in the step's arena. */
typedef struct {
    int64_t n;
    ResnetUnitTrace *unit; /* (n_units) */
    int32_t *from;         /* of the max-pool */
    real *pooled;          /* what the blocks begin with */
    real *features;        /* (n, n_features) */
    real *hidden;          /* (n, n_features) between the layers of an mlp */
} ResnetTrace;

/* out (n, n_out) of a batch. */
Status resnet_forward_train(real *out, ResnetTrace *t, const Resnet *m, const real *images, int64_t n, Arena *step);
/* Adds to the gradients d_p of the table. */
Status resnet_backward(real *d_p, const ResnetTrace *t, const Resnet *m, const real *d_out, Arena *step);
/* running = (1 - momentum) running + momentum of the batch. */
void resnet_track(const Resnet *m, const ResnetTrace *t, double momentum);

/* Multiplications and additions of one image, once forth. */
double resnet_operations(const Resnet *m);
/* Numbers of a step's memory, for plans: of a trace of n images, and what a backward pass takes besides. */
int64_t resnet_step_reals(const Resnet *m, int64_t n);

#endif
