/* net.h - small multilayer perceptrons in double: Linear, ReLU, dropout for each hidden layer, then Linear (spec.md 6.3, 6.6,
   6.8). Serial.

   Parameters lie one layer after the other, weight (n_out, n_in) then bias (n_out), as PyTorch lists them. Dropout before or
   behind ReLU is the same thing: its factors are never negative. */
#ifndef PROBE_NET_H
#define PROBE_NET_H

#include "probe/rowtrain.h"

enum { NET_HIDDEN = 8 };

typedef enum {
    NET_MSE,          /* mean over outputs of (output - y)^2                                                     */
    NET_GAUSSIAN,     /* outputs are means and then log variances: mean over y of -ln of the density at y       */
    NET_SHARES,       /* cross-entropy of softmax(outputs) against shares y                                     */
    NET_SHARES_TWICE, /* the same of softmax(softmax(outputs)), as the released morphology code has it          */
} NetLoss;

typedef struct {
    int64_t n_in, n_out;
    int n_hidden;
    int64_t hidden[NET_HIDDEN]; /* widths; none = a linear model */
    double dropout;
    NetLoss loss;
    double decay; /* added to the loss of each row: decay / 2 * sum of squares of the weights, without biases */
} NetConfig;

int64_t net_params(const NetConfig *c);
/* PyTorch's first values: weights and biases uniform within 1 / sqrt(n_in); one stream per layer. */
void net_init(double *p, const NetConfig *c, uint64_t seed);

/* ---- with what a backward pass needs ---- */
typedef struct {
    const NetConfig *config;
    const double *p, *x; /* borrowed */
    int64_t n;
    double *h[NET_HIDDEN + 1]; /* what each layer hands on; the last one is the output (n, n_out) */
} NetTrace;
/* id NULL = without dropout. */
Status net_forward_train(NetTrace *out, const NetConfig *c, const double *p, const double *x, const int64_t *id,
                         int64_t n, uint64_t seed, Arena *a);
/* d_p (net_params) += the gradient; d_out (n, n_out). */
Status net_backward(double *d_p, const NetTrace *t, const double *d_out, Arena *scratch);

/* out (n, n_out) of x (n, n_in). */
Status net_forward(double *out, const NetConfig *c, const double *p, const double *x, int64_t n, Arena *scratch);
/* out (n, n_out) becomes its softmax, row by row. */
void net_softmax(double *out, int64_t n, int64_t n_out);

/* As a RowModel (rowtrain.h); `c` is borrowed. y has n_out numbers, half of that for NET_GAUSSIAN. */
RowModel net_model(const NetConfig *c);

#endif
