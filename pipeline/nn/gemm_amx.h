/* gemm_amx.h - what panels.c needs of gemm_amx.c. Private to nn. Local. */
#ifndef NN_GEMM_AMX_H
#define NN_GEMM_AMX_H

#include "amx_product.h"

#ifdef NN_PANELS

/* The right factor of weights (n_out, n_in): the kept one, else one that holds until the next call of this thread. */
const bf16 *gemm_amx_weights(int parts, const real *w, int64_t n_out, int64_t n_in);

/* By as many threads as the provider was told. */
void gemm_amx_multiply(const AmxProduct *p);

#endif
#endif
