/* test_maps.c - the backward passes of operators on maps against difference quotients, with every gemm provider; what does
   not depend on the batch. Maps are not square, kernels reach beyond their borders, channels are no multiples of lanes. */
#include "gradcheck.h"
#include "nn/channelnorm.h"
#include "nn/conv.h"
#include "nn/maxpool.h"
#include "nn/relu.h"

enum { MAPS = 2 };

typedef struct {
    Conv conv;
    MaxPool pool;
    int64_t rows, channels, n; /* n: numbers of y */
    real *x, *w, *b, *y, *d_y; /* d_y: the fixed weights of the objective */
} Problem;

static double conv_objective(void *problem)
{
    Problem *p = problem;
    CHECK_OK(conv_forward(p->y, &p->conv, p->x, p->w, p->b, MAPS, &test_arena));
    return gradcheck_sum(p->d_y, p->y, p->n);
}

static void convolutions_have_their_gradients(void)
{
    static const Conv shapes[] = {{9, 11, 3, 5, 3, 3, 1, 1, 2},
                                  {6, 7, 4, 9, 1, 1, 0, 0, 2},
                                  {5, 3, 6, 7, 1, 1, 0, 0, 1},
                                  {1, 37, 2, 3, 1, 10, 0, 5, 1},
                                  {5, 4, 1, 2, 7, 7, 3, 3, 1}};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        Problem p = {.conv = shapes[k]};
        const Conv *c = &p.conv;
        const int64_t n_x = MAPS * c->height * c->width * c->c_in, n_w = c->c_out * c->c_in * c->kernel_h * c->kernel_w;
        p.n = MAPS * conv_height(c) * conv_width(c) * c->c_out;
        p.x = gradcheck_random(n_x);
        p.w = gradcheck_random(n_w);
        p.b = gradcheck_random(c->c_out);
        p.d_y = gradcheck_random(p.n);
        p.y = gradcheck_array(p.n);
        GRADCHECK_EACH_PROVIDER
        {
            real *d_x = gradcheck_array(n_x), *d_w = gradcheck_array(n_w), *d_b = gradcheck_array(c->c_out);
            CHECK_OK(conv_backward(d_x, d_w, d_b, c, p.d_y, p.x, p.w, MAPS, &test_arena));
            gradcheck(&p, conv_objective, p.x, d_x, n_x, "conv x");
            gradcheck(&p, conv_objective, p.w, d_w, n_w, "conv w");
            gradcheck(&p, conv_objective, p.b, d_b, c->c_out, "conv b");
        }
    }
}

/* Maps of few positions go through products together, of a last group fewer. */
static void a_map_has_its_bits_in_any_batch(void)
{
    static const Conv shapes[] = {{9, 11, 3, 5, 3, 3, 1, 1, 1},
                                  {3, 3, 40, 24, 3, 3, 1, 1, 1},
                                  {4, 2, 31, 18, 1, 1, 0, 0, 1}};
    enum { MANY = 100 };
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        const Conv *c = &shapes[k];
        const int64_t n_x = c->height * c->width * c->c_in, n_y = conv_height(c) * conv_width(c) * c->c_out;
        const int64_t n_w = c->c_out * c->c_in * c->kernel_h * c->kernel_w;
        const real *x = gradcheck_random(MANY * n_x), *w = gradcheck_random(n_w), *d_y = gradcheck_random(MANY * n_y);
        real *y = gradcheck_array(MANY * n_y), *one = gradcheck_array(n_y);
        GRADCHECK_EACH_PROVIDER
        {
            real *d_x = gradcheck_array(MANY * n_x);
            CHECK_OK(conv_forward(y, c, x, w, NULL, MANY, &test_arena));
            CHECK_OK(conv_backward(d_x, NULL, NULL, c, d_y, x, w, MANY, &test_arena));
            for (int64_t i = 0; i < MANY; i++) {
                real *d_one = gradcheck_array(n_x);
                CHECK_OK(conv_forward(one, c, x + i * n_x, w, NULL, 1, &test_arena));
                CHECK_OK(conv_backward(d_one, NULL, NULL, c, d_y + i * n_y, x + i * n_x, w, 1, &test_arena));
                CU_ASSERT_EQUAL(memcmp(one, y + i * n_y, sizeof *y * (size_t)n_y), 0);
                CU_ASSERT_EQUAL(memcmp(d_one, d_x + i * n_x, sizeof *d_x * (size_t)n_x), 0);
            }
        }
    }
}

static double pool_objective(void *problem)
{
    Problem *p = problem;
    maxpool_forward(p->y, NULL, &p->pool, p->x, MAPS);
    return gradcheck_sum(p->d_y, p->y, p->n);
}

static double mean_objective(void *problem)
{
    Problem *p = problem;
    meanpool_forward(p->y, p->x, MAPS, p->rows, p->channels);
    return gradcheck_sum(p->d_y, p->y, MAPS * p->channels);
}

/* Numbers that lie further apart than the steps of the quotient: the largest stays the largest. */
static void fill_apart(real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = (real)((i * 7919) % n) / 8;
}

static void pools_have_their_gradients(void)
{
    static const MaxPool shapes[] = {{9, 8, 5, 3, 3, 1, 1, 2}, {1, 31, 3, 1, 5, 0, 2, 5}};
    for (int k = 0; k < 2; k++) {
        Problem p = {.pool = shapes[k]};
        const MaxPool *m = &p.pool;
        const int64_t n_x = MAPS * m->height * m->width * m->channels;
        p.n = MAPS * maxpool_height(m) * maxpool_width(m) * m->channels;
        p.rows = m->height * m->width;
        p.channels = m->channels;
        p.x = gradcheck_array(n_x);
        fill_apart(p.x, n_x);
        p.d_y = gradcheck_random(p.n);
        p.y = gradcheck_array(p.n);
        int32_t *from;
        CHECK_OK(arena_new(&from, &test_arena, p.n));
        real *d_x = gradcheck_array(n_x), *d_mean = gradcheck_array(n_x);
        maxpool_forward(p.y, from, m, p.x, MAPS);
        maxpool_backward(d_x, m, p.d_y, from, MAPS);
        gradcheck(&p, pool_objective, p.x, d_x, n_x, "maxpool x");
        gradcheck_fill(p.x, n_x);
        meanpool_backward(d_mean, p.d_y, MAPS, p.rows, p.channels);
        gradcheck(&p, mean_objective, p.x, d_mean, n_x, "meanpool x");
    }
}

static double norm_objective(void *problem)
{
    Problem *p = problem;
    real mean[32], var[32];
    channelnorm_moments(mean, var, p->x, p->rows, p->channels);
    channelnorm_apply(p->y, mean, var, p->x, p->w, p->b, p->rows, p->channels, (real)1e-5);
    return gradcheck_sum(p->d_y, p->y, p->n);
}

static void channel_norms_have_their_gradients(void)
{
    for (int k = 0; k < 2; k++) { /* with weights, as batch norm; without, as instance norm */
        Problem p = {.rows = 41, .channels = 13};
        real mean[32], var[32];
        p.n = p.rows * p.channels;
        p.x = gradcheck_random(p.n);
        p.d_y = gradcheck_random(p.n);
        p.y = gradcheck_array(p.n);
        p.w = k == 0 ? gradcheck_random(p.channels) : NULL;
        p.b = k == 0 ? gradcheck_random(p.channels) : NULL;
        real *d_x = gradcheck_array(p.n), *d_w = gradcheck_array(p.channels), *d_b = gradcheck_array(p.channels);
        channelnorm_moments(mean, var, p.x, p.rows, p.channels);
        channelnorm_backward(d_x, k == 0 ? d_w : NULL, k == 0 ? d_b : NULL, p.d_y, mean, var, p.x, p.w, p.rows,
                             p.channels, (real)1e-5);
        gradcheck(&p, norm_objective, p.x, d_x, p.n, "channel norm x");
        if (k > 0) continue;
        gradcheck(&p, norm_objective, p.w, d_w, p.channels, "channel norm w");
        gradcheck(&p, norm_objective, p.b, d_b, p.channels, "channel norm b");
    }
}

static double prelu_objective(void *problem)
{
    Problem *p = problem;
    prelu_forward(p->y, p->x, p->w, p->rows, p->channels);
    return gradcheck_sum(p->d_y, p->y, p->n);
}

static void prelu_has_its_gradient(void)
{
    Problem p = {.rows = 19, .channels = 13};
    p.n = p.rows * p.channels;
    p.x = gradcheck_array(p.n);
    fill_apart(p.x, p.n);
    for (int64_t i = 0; i < p.n; i++) p.x[i] -= (real)p.n / 16; /* both signs, none near 0: n is odd */
    p.w = gradcheck_random(p.channels);
    p.d_y = gradcheck_random(p.n);
    p.y = gradcheck_array(p.n);
    real *d_x = gradcheck_array(p.n), *d_w = gradcheck_array(p.channels);
    prelu_backward(d_x, d_w, p.d_y, p.x, p.w, p.rows, p.channels);
    gradcheck(&p, prelu_objective, p.x, d_x, p.n, "prelu x");
    gradcheck(&p, prelu_objective, p.w, d_w, p.channels, "prelu slope");
}

TEST_MAIN("maps", {"convolutions have their gradients", convolutions_have_their_gradients},
          {"a map has its bits in any batch", a_map_has_its_bits_in_any_batch},
          {"pools have their gradients", pools_have_their_gradients},
          {"channel norms have their gradients", channel_norms_have_their_gradients},
          {"PReLU has its gradient", prelu_has_its_gradient})
