/* test_operators.c - the backward pass of every operator of nn against difference quotients, with every gemm
   provider. Sizes are no multiples of lanes or panels. */
#include <string.h>

#include "gradcheck.h"
#include "nn/attention.h"
#include "nn/crossentropy.h"
#include "nn/gelu.h"
#include "nn/l2norm.h"
#include "nn/layernorm.h"
#include "nn/linear.h"

typedef struct {
    int64_t rows, n, n_out;
    real *x, *w, *b, *y, *d_y; /* d_y: the fixed weights of the objective */
    real eps;
    Dropout drop;
} Problem;

static double linear_objective(void *problem)
{
    Problem *p = problem;
    linear_forward(p->y, p->x, p->w, p->b, p->rows, p->n_out, p->n);
    return gradcheck_sum(p->d_y, p->y, p->rows * p->n_out);
}

static void linear_has_its_gradient(void)
{
    Problem p = {.rows = 29, .n = 23, .n_out = 37};
    p.x = gradcheck_random(p.rows * p.n);
    p.w = gradcheck_random(p.n_out * p.n);
    p.b = gradcheck_random(p.n_out);
    p.d_y = gradcheck_random(p.rows * p.n_out);
    p.y = gradcheck_array(p.rows * p.n_out);
    GRADCHECK_EACH_PROVIDER
    {
        real *d_x = gradcheck_array(p.rows * p.n), *d_w = gradcheck_array(p.n_out * p.n),
             *d_b = gradcheck_array(p.n_out);
        linear_backward(d_x, d_w, d_b, p.d_y, p.x, p.w, p.rows, p.n_out, p.n);
        gradcheck(&p, linear_objective, p.x, d_x, p.rows * p.n, "linear x");
        gradcheck(&p, linear_objective, p.w, d_w, p.n_out * p.n, "linear w");
        gradcheck(&p, linear_objective, p.b, d_b, p.n_out, "linear b");
    }
}

static double layernorm_objective(void *problem)
{
    Problem *p = problem;
    layernorm_forward(p->y, NULL, NULL, p->x, p->w, p->b, p->rows, p->n, p->eps);
    return gradcheck_sum(p->d_y, p->y, p->rows * p->n);
}

static void layernorm_has_its_gradient(void)
{
    Problem p = {.rows = 7, .n = 53, .eps = (real)1e-5};
    p.x = gradcheck_random(p.rows * p.n);
    p.w = gradcheck_random(p.n);
    p.b = gradcheck_random(p.n);
    p.d_y = gradcheck_random(p.rows * p.n);
    p.y = gradcheck_array(p.rows * p.n);
    real *mean = gradcheck_array(p.rows), *rstd = gradcheck_array(p.rows);
    real *d_x = gradcheck_array(p.rows * p.n), *d_w = gradcheck_array(p.n), *d_b = gradcheck_array(p.n);
    layernorm_forward(p.y, mean, rstd, p.x, p.w, p.b, p.rows, p.n, p.eps);
    layernorm_backward(d_x, d_w, d_b, p.d_y, p.x, mean, rstd, p.w, p.rows, p.n);
    gradcheck(&p, layernorm_objective, p.x, d_x, p.rows * p.n, "layernorm x");
    gradcheck(&p, layernorm_objective, p.w, d_w, p.n, "layernorm w");
    gradcheck(&p, layernorm_objective, p.b, d_b, p.n, "layernorm b");
}

static double gelu_objective(void *problem)
{
    Problem *p = problem;
    gelu_forward(p->y, p->x, p->n);
    return gradcheck_sum(p->d_y, p->y, p->n);
}

static void gelu_has_its_gradient(void)
{
    Problem p = {.n = 401};
    p.x = gradcheck_random(p.n);
    for (int64_t i = 0; i < p.n; i++) p.x[i] *= 5;
    p.d_y = gradcheck_random(p.n);
    p.y = gradcheck_array(p.n);
    real *d_x = gradcheck_array(p.n), *y = gradcheck_array(p.n);
    gelu_both(y, d_x, p.x, p.n);
    gelu_forward(p.y, p.x, p.n);
    CU_ASSERT(memcmp(y, p.y, sizeof *y * (size_t)p.n) == 0);
    for (int64_t i = 0; i < p.n; i++) d_x[i] *= p.d_y[i];
    gradcheck(&p, gelu_objective, p.x, d_x, p.n, "gelu x");
}

static double attention_objective(void *problem)
{
    Problem *p = problem; /* rows = tokens, n = heads, n_out = width */
    CHECK_OK(attention_forward_train(p->y, p->x, p->rows, p->n, p->n_out, &p->drop, &test_arena));
    return gradcheck_sum(p->d_y, p->y, p->rows * p->n * p->n_out);
}

/* More tokens than a block of queries has, and fewer, these with dropout. */
static void attention_has_its_gradient(void)
{
    static const int64_t tokens[] = {211, 5};
    for (int k = 0; k < 2; k++) {
        Problem p = {.rows = tokens[k], .n = 2, .n_out = 9, .drop = {k == 1 ? 0.4 : 0, 11}};
        const int64_t n = p.rows * p.n * p.n_out;
        p.x = gradcheck_random(3 * n);
        for (int64_t i = 0; i < 3 * n; i++) p.x[i] *= 2; /* probabilities far from even */
        p.d_y = gradcheck_random(n);
        p.y = gradcheck_array(n);
        GRADCHECK_EACH_PROVIDER
        {
            real *d_x = gradcheck_array(3 * n);
            CHECK_OK(attention_backward(d_x, p.x, p.d_y, p.rows, p.n, p.n_out, &p.drop, &test_arena));
            gradcheck(&p, attention_objective, p.x, d_x, 3 * n, "attention qkv");
        }
    }
}

static double l2norm_objective(void *problem)
{
    Problem *p = problem;
    l2norm_forward(p->y, NULL, p->x, p->rows, p->n, p->eps);
    return gradcheck_sum(p->d_y, p->y, p->rows * p->n);
}

/* Rows longer than eps, or shorter: eps is chosen above or below all of them. */
static void l2norm_has_its_gradient(void)
{
    static const real eps[] = {(real)1e-3, 100};
    for (int k = 0; k < 2; k++) {
        Problem p = {.rows = 5, .n = 21, .eps = eps[k]};
        p.x = gradcheck_random(p.rows * p.n);
        p.d_y = gradcheck_random(p.rows * p.n);
        p.y = gradcheck_array(p.rows * p.n);
        real *norm = gradcheck_array(p.rows), *d_x = gradcheck_array(p.rows * p.n);
        l2norm_forward(p.y, norm, p.x, p.rows, p.n, p.eps);
        l2norm_backward(d_x, p.d_y, p.y, norm, p.rows, p.n, p.eps);
        gradcheck(&p, l2norm_objective, p.x, d_x, p.rows * p.n, "l2norm x");
    }
}

static const int64_t target[] = {3, 0, 16, 16, 8};

static double crossentropy_objective(void *problem)
{
    Problem *p = problem;
    return (double)p->eps * crossentropy_forward(p->y, p->x, target, p->rows, p->n);
}

static void crossentropy_has_its_gradient(void)
{
    Problem p = {.rows = 5, .n = 17, .eps = (real)0.75};
    p.x = gradcheck_random(p.rows * p.n);
    for (int64_t i = 0; i < p.rows * p.n; i++) p.x[i] *= 4;
    p.y = gradcheck_array(p.rows * p.n);
    real *d_x = gradcheck_array(p.rows * p.n);
    crossentropy_forward(p.y, p.x, target, p.rows, p.n);
    crossentropy_backward(d_x, p.y, target, p.eps, p.rows, p.n);
    gradcheck(&p, crossentropy_objective, p.x, d_x, p.rows * p.n, "crossentropy scores");
}

TEST_MAIN("operator gradients", {"a linear layer has its gradient", linear_has_its_gradient},
          {"layer norm has its gradient", layernorm_has_its_gradient}, {"gelu has its gradient", gelu_has_its_gradient},
          {"attention has its gradient", attention_has_its_gradient},
          {"l2norm has its gradient on both sides of eps", l2norm_has_its_gradient},
          {"cross-entropy has its gradient", crossentropy_has_its_gradient})
