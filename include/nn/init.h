/* init.h - first values of parameters. Each parameter has a random stream of its own name, so that it starts the same
   whatever else a model has. Local. */
#ifndef NN_INIT_H
#define NN_INIT_H

#include "nn/params.h"

/* All values of parameter `index`: one constant; uniform in -bound .. bound; normal with mean 0; the same with values
   beyond +-limit drawn again. */
void init_constant(Params *p, int64_t index, double value);
void init_uniform(Params *p, int64_t index, double bound, uint64_t seed);
void init_normal(Params *p, int64_t index, double std, uint64_t seed);
void init_truncated(Params *p, int64_t index, double std, double limit, uint64_t seed);

#endif
