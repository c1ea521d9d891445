/* real.h - the number of nn and model: float in the product, double when tests build these two layers a second time
   (-DREAL_DOUBLE). */
#ifndef NN_REAL_H
#define NN_REAL_H

#include <math.h>
#include <stdint.h>

/* R(exp)(x): the libm function of this precision */
#ifdef REAL_DOUBLE
typedef double real;
#define R(name) name
#else
typedef float real;
#define R(name) name##f
#endif

#endif
