/* amx_product.h - a product of two factors in panels (amx.h) and what becomes of its sums. Private to nn. Local. */
#ifndef NN_AMX_PRODUCT_H
#define NN_AMX_PRODUCT_H

#include "amx.h"

#ifdef NN_PANELS

/* With s the sums plus the bias: */
typedef enum {
    END_STORE, /* y = s */
    END_ADD,   /* y += gamma s */
    END_ROUND, /* out = s, rounded, in panels, as a left factor has them */
    END_GELU,  /* out = gelu(s), the same */
} AmxEnd;

typedef struct {
    const bf16 *left, *right; /* panels of rows, of columns */
    int parts;                /* 1 or 3, of both and of `out` */
    int64_t rows, columns, deep;
    const float *bias, *gamma; /* (columns) or NULL = 0, 1 */
    AmxEnd end;
    float *y; /* (rows, columns), rows y_row apart */
    int64_t y_row;
    bf16 *out; /* panels of (rows, columns) */
} AmxProduct;

/* Steps of one part that a sum of floats takes in at once; longer ones are added to the result piece by piece. */
enum { AMX_DEEP = 64 };

/* Rows [from, to), from a multiple of PANEL. */
void amx_multiply(const AmxProduct *p, int64_t from, int64_t to);

#endif
#endif
