/* resnet18.h - the supervised baseline for images (spec.md 6.8): the residual network of torchvision's resnet18, with its
   names, from an image's planes to n_out numbers. Local.

   In training, batch norms take the moments of the batch; `resnet18_track` moves the running ones, which prediction uses.
   These are parameters by name (running_mean, running_var) that no gradient reaches: resnet18_freeze takes them out of the
   optimiser. */
#ifndef MODEL_RESNET18_H
#define MODEL_RESNET18_H

#include "nn/conv.h"
#include "nn/params.h"

enum { RESNET_BLOCKS = 8, RESNET_PLANES = 3, RESNET_PARAMS = 102 };

typedef struct {
    int64_t width; /* channels of the first layer, 64 as published; then 2, 4, 8 times as many */
    int64_t size;  /* of an image, in pixels */
    int64_t n_out;
} Resnet18Config;

/* A convolution without bias and the batch norm behind it. */
typedef struct {
    Conv conv;
    int64_t kernel, weight, bias, mean, var; /* in the table; mean and var are the running ones */
} ResnetUnit;

typedef struct {
    ResnetUnit first, second, shortcut;
    bool shortens; /* has a shortcut of its own: a 1 x 1 convolution */
} ResnetBlock;

typedef struct {
    Resnet18Config config;
    Params *params; /* borrowed: the table it was declared in */
    ResnetUnit stem;
    ResnetBlock block[RESNET_BLOCKS];
    int64_t fc_weight, fc_bias;
} Resnet18;

/* Declares its parameters behind `prefix`. E_CONFIG when an image is too small for five halvings. */
Status resnet18_declare(Resnet18 *out, const Resnet18Config *c, Params *p, const char *prefix);
void resnet18_freeze(const Resnet18 *m); /* the running moments */
/* First values: kernels normal with variance 2 / (c_out kernel) as torchvision's, the stem and fc as PyTorch's defaults. */
void resnet18_init(const Resnet18 *m, uint64_t seed);

/* out (n, n_out) of images (n, 3, size, size), one by one with the running moments: an image's numbers depend on nothing
   else. */
Status resnet18_predict(real *out, const Resnet18 *m, const real *images, int64_t n, Arena *step);

/* ---- training ---- */

/* What the backward pass needs of a unit. */
typedef struct {
    const real *x;    /* what it was given */
    real *y;          /* (n, height, width, c_out) of the convolution */
    real *mean, *var; /* (c_out) of the batch */
} ResnetUnitTrace;

typedef struct {
    ResnetUnitTrace first, second, shortcut;
    real *middle, *out; /* between the units, and behind the block */
} ResnetBlockTrace;

/* Of one batch, in the step's arena. */
typedef struct {
    int64_t n;
    ResnetUnitTrace stem;
    real *edges;   /* behind the stem, (n, size / 2, size / 2, width) */
    int32_t *from; /* of the max-pool */
    real *pooled;  /* what the blocks begin with */
    ResnetBlockTrace block[RESNET_BLOCKS];
    real *features; /* (n, 8 width): means over what is left of an image */
} Resnet18Trace;

/* out (n, n_out) of a batch. */
Status resnet18_forward_train(real *out, Resnet18Trace *t, const Resnet18 *m, const real *images, int64_t n,
                              Arena *step);
/* Adds to the gradients d_p of the table. */
Status resnet18_backward(real *d_p, const Resnet18Trace *t, const Resnet18 *m, const real *d_out, Arena *step);
/* running = (1 - momentum) running + momentum of the batch. */
void resnet18_track(const Resnet18 *m, const Resnet18Trace *t, double momentum);

/* Numbers of a trace, for plans. */
int64_t resnet18_trace_reals(const Resnet18 *m, int64_t n);

#endif
