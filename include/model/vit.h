/* vit.h - the image encoder: AstroDINO's vision transformer (spec.md 4.1). Images are float32 planes R, G, B as
   prepare_image makes them. Local. */
#ifndef MODEL_VIT_H
#define MODEL_VIT_H

#include "model/block.h"

typedef struct {
    int64_t image_size;   /* 144 pixels: what the position embedding is made for */
    int64_t patch_size;   /* 12 pixels */
    int64_t embed_dim;    /* D, 1024 as published */
    int64_t depth;        /* 24 */
    int64_t num_heads;    /* 16 */
    int64_t block_chunks; /* 4; 0 = blocks named without a chunk number */
} VitConfig;

typedef struct {
    VitConfig config;
    const Params *params; /* borrowed: the table it was declared in */
    int64_t cls_token, pos_embed, mask_token;
    LinearParams patch_embed, norm;
    Block *block; /* (depth) */
} Vit;

/* What goes through the blocks. */
typedef enum {
    VIT_PATCHES, /* the bare patches, without class token and positions: what AstroCLIP's image head reads (spec.md 5.1) */
    VIT_CLASS, /* class token, then patches, with positions: AstroDINO itself */
} VitTokens;

int64_t vit_n_params(const VitConfig *c);
/* Tokens for an image of `size` pixels. */
int64_t vit_tokens(const VitConfig *c, int64_t size, VitTokens which);

/* Declares its parameters under official names behind `prefix`; tables in `a`. */
Status vit_declare(Vit *out, const VitConfig *c, Params *p, const char *prefix, Arena *a);

/* First values (spec.md 4.2) into `p`, the table it was declared in. */
void vit_init(const Vit *v, Params *p, uint64_t seed);

/* out (count, tokens, D): after the final norm; with VIT_CLASS row 0 of an image is the class token. image (count, 3, size,
   size), size a multiple of the patch, else E_INPUT. mask (count, patches) or NULL: patches that the mask token replaces.
   count > 1 needs gemm_row_unit() == 1; then an image's tokens are the same bits in whatever company. */
Status vit_forward(real *out, const Vit *v, const float *image, int64_t count, int64_t size, VitTokens which,
                   const uint8_t *mask, Arena *step);

/* out (count, patches, D): the embedded patches, row by row, before anything else. Exactly these rows are written. */
Status vit_patches(real *out, const Vit *v, const float *image, int64_t count, int64_t size, Arena *step);

/* out (1 + side * side, D): the position embedding for side x side patches, resampled where that is not its own
   size. */
void vit_positions(real *out, const Vit *v, int64_t side);

/* ---- training ---- */

/* Stochastic depth: of each block (depth), which images of the batch keep the attention branch and the MLP branch. */
typedef struct {
    const BranchDrop *attention, *mlp;
} VitDrop;

/* Images of one size, which pass together with those of another. */
typedef struct {
    const float *image; /* (count, 3, size, size) borrowed */
    int64_t count, size;
    const uint8_t *mask; /* (count, patches) or NULL, borrowed */
    const VitDrop *drop; /* NULL = nothing is dropped */
} VitImages;
enum { VIT_SETS = BLOCK_GROUPS };

/* What the backward pass needs of such sets, in the step's arena: about 12 reals per token, block and dimension, or one with
   `recompute`. */
typedef struct {
    VitTokens which;
    VitImages set[VIT_SETS];
    int n_sets;
    int64_t rows;             /* tokens of all images */
    BlockTrace *block;        /* (depth) */
    real *x, *mean, *rstd;    /* before the final norm (rows, D), and its statistics (rows) */
    const GradientHook *hook; /* of the backward pass, borrowed; NULL unless the caller sets it */
} VitTrace;

/* out (rows, D): the tokens of each image, set after set. As vit_forward, to rounding, while nothing is dropped. recompute: keep the
   inputs of the blocks alone. Of more than one image the bits are those of this batch. */
Status vit_forward_train(real *out, VitTrace *t, const Vit *v, const VitImages *set, int n_sets, VitTokens which,
                         bool recompute, Arena *step);

/* Adds to the gradients d_p of the table; d_out as out. With VIT_PATCHES the class token and the positions, without a mask the
   mask token get nothing. */
Status vit_backward(real *d_p, const VitTrace *t, const Vit *v, const real *d_out, Arena *step);

/* d_position (the table's pos_embed) += the transpose of vit_positions; d_out (1 + side * side, D). */
void vit_positions_backward(real *d_position, const Vit *v, const real *d_out, int64_t side);

/* Multiply-adds x 2 for one image of the own size. */
int64_t vit_flops(const VitConfig *c, VitTokens which);

#endif
