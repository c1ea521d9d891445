/* parity.h - comparing nn and model with the golden files: parameters by name, tolerances by precision, every gemm
   provider in turn.

   Tolerances are those of golden/README.md: max |a-b| / max |b| over a dataset. */
#ifndef PARITY_H
#define PARITY_H

#include "golden.h"
#include "nn/gemm.h"
#include "nn/params.h"

/* The tolerance of this build's precision. */
#ifdef REAL_DOUBLE
#define TOLERANCE(f32, f64) (f64)
#define near_real           test_near_f64
#else
#define TOLERANCE(f32, f64) (f32)
#define near_real           test_near_f32
#endif

/* `got` agrees with a dataset of the same size. */
static inline bool parity_near(H5File *f, const char *dataset, const real *got, int64_t n, double tolerance)
{
    return near_real(dataset, got, golden_want(f, dataset, n), n, tolerance);
}

/* Fills every parameter from GROUP/name; shapes must agree. */
static inline void parity_load(Params *p, H5File *f, const char *group)
{
    if (!CHECK_OK(params_allocate(p))) CU_FAIL_FATAL("no memory for parameters");
    for (int64_t i = 0; i < p->n_params; i++) {
        const Param *param = &p->param[i];
        H5Shape shape;
        const real *value = golden_reals(&shape, f, golden_name("%s/%s", group, param->name));
        bool same = shape.n_dims == param->n_dims;
        for (int d = 0; same && d < shape.n_dims; d++) same = shape.dims[d] == param->dims[d];
        if (!same) printf("%s: %s/%s has another shape than the model's\n", f->path, group, param->name);
        CU_ASSERT_FATAL(same);
        memcpy(params_at(p, i), value, sizeof *value * (size_t)param->n);
    }
}

/* A gradient buffer of the table, zeroed. */
static inline real *parity_gradients(const Params *p)
{
    real *d;
    if (!CHECK_OK(arena_new(&d, &test_arena, p->n_d_reals))) CU_FAIL_FATAL("no memory for gradients");
    return d;
}

/* Every gradient agrees with GROUP/name; a parameter that the group lacks must have none. */
static inline void parity_gradients_near(H5File *f, const char *group, const Params *p, const real *d, double tolerance)
{
    for (int64_t i = 0; i < p->n_params; i++) {
        const char *name = golden_name("%s/%s", group, p->param[i].name);
        const real *got = d + p->param[i].d_offset;
        if (h5_has(f, name)) {
            CU_ASSERT(parity_near(f, name, got, p->param[i].n, tolerance));
            continue;
        }
        for (int64_t k = 0; k < p->param[i].n; k++) CU_ASSERT_EQUAL_FATAL(got[k], 0);
    }
}

/* Runs `body` (a statement) with each provider chosen. */
#define FOR_EACH_PROVIDER(body)                                                                                        \
    for (const GemmProvider *const *provider_ = gemm_providers; *provider_; provider_++)                               \
        if ((*provider_)->available() && CHECK_OK(gemm_choose((*provider_)->name, 1))) body

#endif
