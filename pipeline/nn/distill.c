/* distill.c - rows of many thousand classes: exponentials and sums in `real`, vectorised; what is summed over rows, in
   double. */
#include "nn/distill.h"

#include "nn/softmax.h"
#include "nn/vector.h"

static const real log2_e = (real)1.44269504088896340736;

void distill_targets(real *p, const real *logits, const double *offset, double temp, int64_t rows, int64_t n)
{
    const double scale = 1 / temp;
    for (int64_t r = 0; r < rows; r++) {
        real *row = p + r * n;
        for (int64_t k = 0; k < n; k++) row[k] = (real)(scale * (double)logits[r * n + k] + (offset ? offset[k] : 0));
        softmax_forward(row, n, n);
    }
}

/* out = exp(scale x - most); returns their sum. */
static real exponentials(real *out, const real *x, real scale, real most, int64_t n)
{
    real lane[LANES] = {0}, tail = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) {
            out[i + l] = vector_exp2((scale * x[i + l] - most) * log2_e);
            lane[l] += out[i + l];
        }
    for (; i < n; i++) tail += out[i] = vector_exp2((scale * x[i] - most) * log2_e);
    return vector_fold(lane) + tail;
}

static real sum_of_exponentials(const real *x, real scale, real most, int64_t n)
{
    real lane[LANES] = {0}, tail = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] += vector_exp2((scale * x[i + l] - most) * log2_e);
    for (; i < n; i++) tail += vector_exp2((scale * x[i] - most) * log2_e);
    return vector_fold(lane) + tail;
}

double distill_loss(real *d_logits, const real *target, const real *logits, const double *weight, double temp,
                    int64_t rows, int64_t n)
{
    const real scale = (real)(1 / temp);
    double loss = 0;
    for (int64_t r = 0; r < rows; r++) {
        const real *t = target + r * n, *s = logits + r * n;
        const real most = scale * vector_max(s, n), all = vector_sum(t, n), along = vector_dot(t, s, n);
        real *d = d_logits ? d_logits + r * n : NULL;
        const real sum = d ? exponentials(d, s, scale, most, n) : sum_of_exponentials(s, scale, most, n);
        loss += weight[r] * ((double)all * ((double)most + log((double)sum)) - (double)scale * (double)along);
        const real share = all / sum, factor = (real)weight[r] * scale;
        for (int64_t k = 0; d && k < n; k++) d[k] = factor * (share * d[k] - t[k]);
    }
    return loss;
}

/* ---- Sinkhorn-Knopp ---- */

double distill_most(const real *logits, double temp, int64_t n) { return (double)vector_max(logits, n) / temp; }

void distill_sinkhorn(double *sum, const real *logits, const double *factor, double most, double temp, int64_t rows,
                      int64_t n)
{
    for (int64_t r = 0; r < rows; r++) {
        const real *x = logits + r * n;
        const double own = distill_most(x, temp, n);
        double row = exp(own - most), all = 0;
        for (int64_t k = 0; factor && k < n; k++)
            all += factor[k] * (double)vector_exp2((real)((double)x[k] / temp - own) * log2_e);
        if (factor) row = 1 / all;
        for (int64_t k = 0; k < n; k++) sum[k] += row * (double)vector_exp2((real)((double)x[k] / temp - own) * log2_e);
    }
}
