/* gemm_parts.h - a product by threads of our own, which split the rows of the result in whole panels. Local. */
#ifndef NN_GEMM_PARTS_H
#define NN_GEMM_PARTS_H

#include <stdint.h>

/* Calls multiply(product, from, to) for parts of [0, rows), one of them by the caller; row_work multiplications a row. */
void gemm_parts(int n_threads, int64_t rows, int64_t row_work,
                void (*multiply)(const void *product, int64_t from, int64_t to), const void *product);

#endif
