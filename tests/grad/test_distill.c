/* test_distill.c - gradients of self-distillation's operators against difference quotients, and the signs of collapse by
   what they mean. */
#include "gradcheck.h"
#include "nn/collapse.h"
#include "nn/distill.h"
#include "nn/koleo.h"
#include "nn/weightnorm.h"

enum { ROWS = 7, N = 37 };

typedef struct {
    real *x, *y, *w, *g; /* w: fixed weights, or targets */
    double *weight;
    double temp;
} Problem;

static double distill_objective(void *problem)
{
    const Problem *p = problem;
    return distill_loss(NULL, p->w, p->x, p->weight, p->temp, ROWS, N);
}

static void soft_cross_entropy_has_its_gradient(void)
{
    double weight[ROWS];
    Problem p = {.x = gradcheck_random(ROWS * N), .w = gradcheck_random(ROWS * N), .weight = weight, .temp = 0.7};
    real *d = gradcheck_array(ROWS * N);
    for (int i = 0; i < ROWS; i++) weight[i] = 0.3 + 0.1 * i;
    for (int64_t i = 0; i < ROWS * N; i++) p.w[i] = R(fabs)(p.w[i]); /* they need not add up to 1 */
    distill_loss(d, p.w, p.x, weight, p.temp, ROWS, N);
    gradcheck(&p, distill_objective, p.x, d, ROWS * N, "logits");
}

static double weightnorm_objective(void *problem)
{
    const Problem *p = problem;
    real norm[ROWS];
    weightnorm_forward(p->y, norm, p->g, p->x, ROWS, N);
    return gradcheck_sum(p->w, p->y, ROWS * N);
}

static void weight_norm_has_its_gradient(void)
{
    Problem p = {gradcheck_random(ROWS * N),
                 gradcheck_array(ROWS * N),
                 gradcheck_random(ROWS * N),
                 gradcheck_random(ROWS),
                 NULL,
                 0};
    real *d_v = gradcheck_array(ROWS * N), *d_g = gradcheck_array(ROWS), norm[ROWS];
    weightnorm_forward(p.y, norm, p.g, p.x, ROWS, N);
    weightnorm_backward(d_g, d_v, p.w, norm, p.g, p.x, ROWS, N);
    gradcheck(&p, weightnorm_objective, p.x, d_v, ROWS * N, "weight_v");
    gradcheck(&p, weightnorm_objective, p.g, d_g, ROWS, "weight_g");
}

static double koleo_objective(void *problem)
{
    double loss;
    CHECK_OK(koleo_loss(&loss, NULL, ((Problem *)problem)->x, 1, ROWS, N, &test_arena));
    return loss;
}

static void koleo_has_its_gradient(void)
{
    Problem p = {.x = gradcheck_random(ROWS * N)};
    real *d = gradcheck_array(ROWS * N);
    double loss;
    CHECK_OK(koleo_loss(&loss, d, p.x, 1, ROWS, N, &test_arena));
    gradcheck(&p, koleo_objective, p.x, d, ROWS * N, "koleo");
}

static void collapse_is_seen(void)
{
    real p[ROWS * N] = {0}, x[ROWS * N] = {0};
    double entropy, rank;
    for (int i = 0; i < ROWS; i++) p[i * N + 3] = 1;
    CHECK_OK(collapse_entropy(&entropy, p, ROWS, N, &test_arena));
    CHECK_OK(collapse_rank(&rank, x, ROWS, N, &test_arena));
    CU_ASSERT_EQUAL(entropy, 0);
    CU_ASSERT_EQUAL(rank, 0);
    for (int i = 0; i < ROWS; i++) { /* each row a class; all on a line */
        p[i * N + 3] = 0;
        p[i * N + i] = 1;
        for (int k = 0; k < N; k++) x[i * N + k] = (real)(1 + i * (k + 1));
    }
    CHECK_OK(collapse_entropy(&entropy, p, ROWS, N, &test_arena));
    CHECK_OK(collapse_rank(&rank, x, ROWS, N, &test_arena));
    CU_ASSERT_DOUBLE_EQUAL(entropy, log(ROWS), 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(rank, 1, 1e-9);
    CHECK_OK(collapse_rank(&rank, p, ROWS, N, &test_arena)); /* a simplex: all directions alike */
    CU_ASSERT_DOUBLE_EQUAL(rank, ROWS - 1, 1e-9);
}

TEST_MAIN("gradients of self-distillation",
          {"soft cross-entropy has its gradient", soft_cross_entropy_has_its_gradient},
          {"weight norm has its gradient", weight_norm_has_its_gradient},
          {"KoLeo has its gradient", koleo_has_its_gradient}, {"collapse is seen", collapse_is_seen})
