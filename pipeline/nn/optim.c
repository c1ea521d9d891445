/* optim.c - AdamW with decoupled weight decay, in the order of operations of the released trainings: decay, moments,
   bias-corrected step. The factors that are the same for all elements are made in double. */
#include "nn/optim.h"

void adamw_step(real *p, real *m, real *v, const real *d_p, int64_t n, const AdamW *o, int64_t step)
{
    const real keep = (real)(1 - o->lr * o->weight_decay);
    const real b1 = (real)o->beta1, b2 = (real)o->beta2, c1 = (real)(1 - o->beta1), c2 = (real)(1 - o->beta2);
    const real rate = (real)(o->lr / (1 - pow(o->beta1, (double)step)));
    const real unbias = (real)(1 / sqrt(1 - pow(o->beta2, (double)step))), eps = (real)o->eps;
    for (int64_t i = 0; i < n; i++) {
        const real g = d_p[i];
        m[i] = b1 * m[i] + c1 * g;
        v[i] = b2 * v[i] + c2 * g * g;
        p[i] = p[i] * keep - rate * m[i] / (R(sqrt)(v[i]) * unbias + eps);
    }
}

void sgd_step(real *p, real *m, const real *d_p, int64_t n, const Sgd *o)
{
    const real keep = (real)o->momentum, decay = (real)o->weight_decay, rate = (real)o->lr;
    for (int64_t i = 0; i < n; i++) {
        m[i] = keep * m[i] + (d_p[i] + decay * p[i]);
        p[i] -= rate * m[i];
    }
}

double optim_squares(const real *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

double optim_clip(double norm, double max_norm)
{
    const double factor = max_norm / (norm + 1e-6);
    return factor < 1 ? factor : 1;
}

void optim_scale(real *x, double factor, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] *= (real)factor;
}

void ema_step(real *mean, const real *x, double momentum, int64_t n)
{
    const real keep = (real)momentum, take = (real)(1 - momentum);
    for (int64_t i = 0; i < n; i++) mean[i] = keep * mean[i] + take * x[i];
}
