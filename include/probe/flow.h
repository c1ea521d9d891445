/* flow.h - conditional density of a few properties given a context: element-wise rational-quadratic splines whose
   knots a small network draws from the context (spec.md 6.5; Durkan et al. 2019). The dimensions are independent of each
   other given the context. Double, serial.

   A flow is n_splines transforms one after the other, from a standard normal to y. Parameters: one network (net.h) per
   transform, Linear ReLU three times and Linear to widths (D, bins), heights (D, bins), slopes (D, bins - 1). */
#ifndef PROBE_FLOW_H
#define PROBE_FLOW_H

#include "probe/net.h"

enum { FLOW_BINS = 8, FLOW_DIMS = 16, FLOW_SPLINES = 4, FLOW_RAW = 3 * FLOW_BINS - 1 };

typedef struct {
    int64_t n_context, n_dims, n_splines, hidden;
} FlowConfig;

NetConfig flow_net(const FlowConfig *c); /* of one transform */
int64_t flow_params(const FlowConfig *c);
void flow_init(double *p, const FlowConfig *c, uint64_t seed);

/* log_p (n, n_dims) of y (n, n_dims) given x (n, n_context); base (n, n_dims), what the splines lead back to, or NULL. */
Status flow_log_density(double *log_p, double *base, const FlowConfig *c, const double *p, const double *x,
                        const double *y, int64_t n, Arena *scratch);
/* y (n, draws, n_dims) of base draws z (draws, n_dims), the same for each row. */
Status flow_transform(double *y, const FlowConfig *c, const double *p, const double *x, int64_t n, const double *z,
                      int64_t draws, Arena *scratch);

/* As a RowModel (rowtrain.h): loss of a row = - mean over dimensions of ln p, the released loss. `c` is borrowed. */
RowModel flow_model(const FlowConfig *c);

/* ---- one spline of one dimension (spline.c) ---- */

typedef struct {
    double x[FLOW_BINS + 1], y[FLOW_BINS + 1], d[FLOW_BINS + 1];
    double width[FLOW_BINS], height[FLOW_BINS], slope[FLOW_BINS]; /* softmax and sigmoid of what the network says */
} Spline;

/* widths (FLOW_BINS), heights (FLOW_BINS), slopes (FLOW_BINS - 1) as the network says. */
void spline_make(Spline *s, const double *widths, const double *heights, const double *slopes);
double spline_forward(const Spline *s, double x);
/* The x that leads to y; *log_slope = ln dy/dx there. */
double spline_inverse(double *log_slope, const Spline *s, double y);
/* Of inverse: returns d_y; adds to what the network said. d_x, d_log_slope: gradients of its results at x. */
double spline_inverse_backward(double *d_widths, double *d_heights, double *d_slopes, const Spline *s, double x,
                               double y, double d_x, double d_log_slope);

#endif
