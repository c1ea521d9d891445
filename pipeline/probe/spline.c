/* spline.c - a monotone rational-quadratic spline on [-3, 3], the identity outside (spec.md 6.5). */
#include <math.h>
#include <string.h>

#include "probe/flow.h"

static const double bound = 3, least = 0.001,
                    knot_eps = 1e-6; /* of widths, heights and slopes; of the choice of a bin */

/* share = softmax; knot: least + rest of the share, added up. */
static void knots(double knot[FLOW_BINS + 1], double share[FLOW_BINS], const double *raw)
{
    double sum = 0;
    memcpy(share, raw, FLOW_BINS * sizeof *raw);
    net_softmax(share, 1, FLOW_BINS);
    knot[0] = -bound;
    for (int k = 0; k < FLOW_BINS; k++) {
        sum += least + (1 - least * FLOW_BINS) * share[k];
        knot[k + 1] = 2 * bound * sum - bound;
    }
    knot[FLOW_BINS] = bound;
}

static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }

void spline_make(Spline *s, const double *widths, const double *heights, const double *slopes)
{
    knots(s->x, s->width, widths);
    knots(s->y, s->height, heights);
    s->d[0] = s->d[FLOW_BINS] = 1 - least; /* not 1: as released */
    for (int k = 1; k < FLOW_BINS; k++) {
        s->d[k] = least + softplus(slopes[k - 1]);
        s->slope[k - 1] = 1 / (1 + exp(-slopes[k - 1]));
    }
}

static int bin_of(const double knot[FLOW_BINS + 1], double at)
{
    int n = 0;
    for (int k = 0; k <= FLOW_BINS; k++) n += at >= knot[k] + knot_eps;
    return n < 1 ? 0 : n > FLOW_BINS ? FLOW_BINS - 1 : n - 1;
}

/* One bin at relative place th: y = yk + h N / D, dy/dx = s^2 M / D^2. */
typedef struct {
    double w, h, s, d0, d1, th, q, N, D, M;
} Bin;

static Bin bin_at(const Spline *s, int k, double x)
{
    Bin b = {.w = s->x[k + 1] - s->x[k], .h = s->y[k + 1] - s->y[k], .d0 = s->d[k], .d1 = s->d[k + 1]};
    b.s = b.h / b.w;
    b.th = (x - s->x[k]) / b.w;
    b.q = b.th * (1 - b.th);
    b.N = b.s * b.th * b.th + b.d0 * b.q;
    b.D = b.s + (b.d1 + b.d0 - 2 * b.s) * b.q;
    b.M = b.d1 * b.th * b.th + 2 * b.s * b.q + b.d0 * (1 - b.th) * (1 - b.th);
    return b;
}

double spline_forward(const Spline *s, double x)
{
    if (x < -bound || x > bound) return x;
    const int k = bin_of(s->x, x);
    const Bin b = bin_at(s, k, x);
    return s->y[k] + b.h * b.N / b.D;
}

double spline_inverse(double *log_slope, const Spline *s, double y)
{
    *log_slope = 0;
    if (y < -bound || y > bound) return y;
    const int k = bin_of(s->y, y);
    const double w = s->x[k + 1] - s->x[k], h = s->y[k + 1] - s->y[k], d0 = s->d[k], d1 = s->d[k + 1], slope = h / w;
    const double u = y - s->y[k], q = d0 + d1 - 2 * slope;
    const double a = u * q + h * (slope - d0), b = h * d0 - u * q, c = -slope * u;
    const double x = 2 * c / (-b - sqrt(fmax(0, b * b - 4 * a * c))) * w + s->x[k];
    const Bin bin = bin_at(s, k, x);
    *log_slope = 2 * log(bin.s) + log(bin.M) - 2 * log(bin.D);
    return x;
}

/* Gradients of knots to those of what the network said: knots add up shares, shares are a softmax. */
static void knots_backward(double *d_raw, const double d_knot[FLOW_BINS + 1], const double share[FLOW_BINS])
{
    double d_share[FLOW_BINS], above = 0, mean = 0;
    for (int k = FLOW_BINS - 1; k >= 0; k--) {
        d_share[k] = above * 2 * bound * (1 - least * FLOW_BINS); /* the last knot is fixed, the first too */
        above += d_knot[k];
    }
    for (int k = 0; k < FLOW_BINS; k++) mean += d_share[k] * share[k];
    for (int k = 0; k < FLOW_BINS; k++) d_raw[k] += share[k] * (d_share[k] - mean);
}

double spline_inverse_backward(double *d_widths, double *d_heights, double *d_slopes, const Spline *s, double x,
                               double y, double d_x, double d_log_slope)
{
    if (y < -bound || y > bound) return d_x;
    const int k = bin_of(s->y, y);
    const Bin b = bin_at(s, k, x);
    const double th = b.th, q = b.q, dq = 1 - 2 * th, r = b.N / b.D, gL = d_log_slope;
    const double N_th = 2 * b.s * th + b.d0 * dq, D_th = (b.d1 + b.d0 - 2 * b.s) * dq;
    const double M_th = 2 * b.d1 * th + 2 * b.s * dq - 2 * b.d0 * (1 - th), D_s = 1 - 2 * q;
    const double L_th = M_th / b.M - 2 * D_th / b.D, slope = b.s * b.s * b.M / (b.D * b.D);
    /* x is where f(x; knots) = y: dx/dknot = - f_knot / f_x, dx/dy = 1 / f_x */
    const double d_y = (d_x + gL * L_th / b.w) / slope, a = -d_y;
    const double f_th = b.h * (N_th - r * D_th) / b.D, f_s = b.h * (th * th - r * D_s) / b.D;
    const double g_th = a * f_th + gL * L_th;
    const double g_s = a * f_s + gL * (2 / b.s + 2 * q / b.M - 2 * D_s / b.D);
    const double g_d0 = a * b.h * (q - r * q) / b.D + gL * ((1 - th) * (1 - th) / b.M - 2 * q / b.D);
    const double g_d1 = -a * b.h * r * q / b.D + gL * (th * th / b.M - 2 * q / b.D);
    const double g_h = a * r + g_s / b.w, g_w = -g_th * th / b.w - g_s * b.s / b.w;
    double d_kx[FLOW_BINS + 1] = {0}, d_ky[FLOW_BINS + 1] = {0};
    d_kx[k] = -g_th / b.w - g_w;
    d_kx[k + 1] = g_w;
    d_ky[k] = a - g_h;
    d_ky[k + 1] = g_h;
    knots_backward(d_widths, d_kx, s->width);
    knots_backward(d_heights, d_ky, s->height);
    if (k > 0) d_slopes[k - 1] += g_d0 * s->slope[k - 1];
    if (k + 1 < FLOW_BINS) d_slopes[k] += g_d1 * s->slope[k];
    return d_y;
}
