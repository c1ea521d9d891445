/* dino_impl.h - what dino.c and dino_teacher.c share. */
#ifndef MODEL_DINO_IMPL_H
#define MODEL_DINO_IMPL_H

#include "model/dino.h"

/* Rows whose logits are in memory at a time: six panels, 38 MB of 65536 prototypes. */
enum { DINO_PIECE = 144 };

/* logits (rows, prototypes) of directions z. */
void dino_logits(real *logits, const real *z, const real *w, int64_t rows, const DinoHead *h);

#endif
