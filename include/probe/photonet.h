/* photonet.h - the supervised baseline for photometry (spec.md 6.8): properties from three magnitudes by a small network,
   3 - 64 - 64 - n. Magnitudes g r z (AB, as observed) are standardised by one mean and one spread of all three. */
#ifndef PROBE_PHOTONET_H
#define PROBE_PHOTONET_H

#include "data/catalog.h"
#include "probe/net.h"

typedef struct {
    int64_t n_out;
    NetConfig net;
    double *p;              /* (net_params) weights */
    double mean, std;       /* of the magnitudes of train rows, std unbiased */
    double *y_mean, *y_std; /* (n_out) of their labels; NaN where fewer than two have one */
    RowReport report;
} PhotoNet;

typedef struct {
    int64_t batch, epochs;
    double lr;
} PhotoNetConfig;

/* Local. The network's shape. */
NetConfig photonet_shape(int64_t n_out);

/* Collective. Learns from the train rows of the catalogue with three positive fluxes and some label; a fifth of them is held
   out and chooses the epoch. The same bits for any number of ranks. E_INPUT when there are under ten. */
Status photonet_train(PhotoNet *out, Catalog *c, const Label *label, int64_t n_out, const PhotoNetConfig *config,
                      uint64_t seed, const Par *par, Arena *a);

/* Local. value (n, n_out), in units of the properties, of rows [first, first + n); NaN without the fluxes. */
Status photonet_predict(float *value, const PhotoNet *net, Catalog *c, int64_t first, int64_t n, Arena *scratch);

#endif
