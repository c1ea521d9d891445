/* params.h - parameters by name: {name, shape, offset} over one flat buffer. Names are those of the PyTorch twin.
   Gradients and optimiser moments are flat buffers of the same layout, without the frozen parameters. Local. */
#ifndef NN_PARAMS_H
#define NN_PARAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/arena.h"
#include "nn/real.h"

enum {
    PARAM_NAME = 128,
    PARAM_DIMS = 4,
    PARAM_ALIGN = 16, /* each parameter begins at a multiple of this many reals */
};

typedef struct {
    char name[PARAM_NAME]; /* "image_encoder.backbone.blocks.0.3.attn.qkv.weight" */
    int n_dims;
    int64_t dims[PARAM_DIMS];
    bool linear;       /* the matrix of a linear layer, (dims[0], n / dims[0]) */
    int64_t n, offset; /* reals */
    int64_t d_offset;  /* reals into a gradient buffer; -1 = frozen: it has no gradient */
} Param;

typedef struct {
    int64_t n_params, max_params;
    Param *param;
    int64_t n_reals;
    int64_t n_d_reals; /* reals of a gradient buffer; n_reals while nothing is frozen */
    real *value;       /* (n_reals), after params_allocate */
    Arena *arena;      /* borrowed: where the table and the values live */
} Params;

/* Told by a backward pass, which goes from the end of a table to its beginning: gradients at offsets >= d_offset are
   final. */
typedef struct {
    void (*ready)(void *self, int64_t d_offset);
    void *self;
} GradientHook;

Status params_init(Params *p, int64_t max_params, Arena *a);
/* Declares prefix + name; *index is its handle. */
Status params_declare(int64_t *index, Params *p, const char *prefix, const char *name, int n_dims, const int64_t *dims);
Status params_allocate(Params *p);          /* one 64-byte-aligned slab, zeroed */
void params_place(Params *p, real *values); /* the same in memory of the caller's: (n_reals) */
real *params_at(const Params *p, int64_t index);
/* Where a parameter's gradient is in `d` (n_d_reals); NULL if it is frozen. */
real *params_d_at(const Params *p, real *d, int64_t index);
/* Where the gradients of this parameter and of all declared behind it begin: the d_offset of the first that is not frozen. */
int64_t params_d_from(const Params *p, int64_t index);
/* Freezes the parameters whose names start with `prefix`; returns how many. Gradient buffers made before are void. */
int64_t params_freeze(Params *p, const char *prefix);
const Param *params_find(const Params *p, const char *name); /* NULL if absent */
/* spec.md section 8: every value a function of (name, seed). */
void params_deterministic(Params *p, uint64_t seed);
double params_deterministic_value(const char *name, int n_dims, const int64_t *dims, int64_t i, uint64_t seed);

#endif
