/* rough.h - inner products of many vectors with many, as fast as the machine has them, and how far off they may be: for
   searches that look at few pairs exactly.

   Where the chosen provider has matrix units for bf16 (amx) numbers are rounded to its 8 bits: a sixth of the work of a product
   of floats. Else products are those of gemm(). Local. */
#ifndef NN_ROUGH_H
#define NN_ROUGH_H

#include "nn/real.h"

/* Vectors (n, dim), one beside the other, in the order in which products read them. */
typedef struct {
    int64_t n, dim;
    const real *x;
    double off; /* the most that rounding takes of a vector, of its length */
} RoughRows;

enum { ROUGH_ROWS = 96 }; /* left vectors start at a multiple of it */

/* Reals of room for n vectors: 64-byte aligned, borrowed as x itself is. */
int64_t rough_reals(int64_t n, int64_t dim);
/* Factors of products. Vectors whose squares floats cannot sum bound nothing: their products are any number. */
void rough_left(RoughRows *out, real *room, const real *x, int64_t n, int64_t dim);
void rough_right(RoughRows *out, real *room, const real *x, int64_t n, int64_t dim);

/* y (rows, right->n): products of the left vectors from `first` on. */
void rough_products(real *y, const RoughRows *left, int64_t first, int64_t rows, const RoughRows *right);

/* e: the product of a and b is off by at most e |a| |b|, and by what floats lose below FLT_MIN. */
double rough_bound(const RoughRows *left, const RoughRows *right);
/* The same for products of gemm(). */
double rough_float_bound(int64_t dim);

#endif
