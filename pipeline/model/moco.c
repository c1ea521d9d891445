/* moco.c - the network of MoCo v2 and its loss, InfoNCE: a softmax over the own key, first, and those of the queue. */
#include "model/moco.h"

#include <string.h>

#include "nn/crossentropy.h"
#include "nn/gemm.h"
#include "nn/l2norm.h"
#include "nn/vector.h"

static const real eps = (real)1e-12; /* of directions, as PyTorch's */

static const ConfigField fields[] = {
    FIELD_CHOICE(MocoConfig, backbone, "resnet50", resnet_names, RESULT, "residual network"),
    FIELD_INT(MocoConfig, width, "64", 1, 4096, RESULT, "channels of its first layer"),
    FIELD_INT(MocoConfig, image_size, "96", 32, 152, RESULT, "pixels of the centre of a cutout that it sees"),
    FIELD_INT(MocoConfig, emb_dim, "128", 1, 65536, RESULT, "width of the projection in which views are compared"),
    FIELD_BOOL(MocoConfig, use_mlp, "true", RESULT, "project by two linear layers with a ReLU between, not by one"),
    FIELD_END};

const ConfigSection moco_section = {"moco", "sizes of the encoder of MoCo v2 (Stein et al. 2021)", fields,
                                    sizeof(MocoConfig), NULL};

const char moco_prefix[] = "encoder_q.";

Status moco_declare(Resnet *m, Params *p, const MocoConfig *c, Arena *a)
{
    ResnetConfig net = {.width = c->width, .size = c->image_size, .n_out = c->emb_dim, .mlp = c->use_mlp};
    resnet_shape(&net, (ResnetName)c->backbone);
    TRY(params_init(p, resnet_n_params(&net), a));
    return resnet_declare(m, &net, p, moco_prefix, a);
}

/* ---- the loss ---- */

void moco_directions(real *key, int64_t n, int64_t dim) { l2norm_forward(key, NULL, key, n, dim, eps); }

/* How many keys of others are more similar than the own one. */
static int64_t place_of(const real *score, int64_t n)
{
    int64_t before = 0;
    for (int64_t i = 1; i < n; i++) before += score[i] > score[0];
    return before;
}

/* The way back; p (n, 1 + n_queue) probabilities, `negative` (n, n_queue) is used up. */
static Status loss_backward(real *d_query, const real *q, const real *norm, const real *p, const int64_t *target,
                            real *negative, const real *key, const real *queue, int64_t n, int64_t dim, int64_t n_queue,
                            double temperature, Arena *scratch)
{
    const int64_t width = 1 + n_queue;
    real *d_score, *d_q;
    TRY(arena_new(&d_score, scratch, n * width));
    TRY(arena_new(&d_q, scratch, n * dim));
    crossentropy_backward(d_score, p, target, (real)(1 / ((double)n * temperature)), n, width);
    for (int64_t i = 0; i < n; i++) {
        memcpy(negative + i * n_queue, d_score + i * width + 1, sizeof *negative * (size_t)n_queue);
        for (int64_t k = 0; k < dim; k++) d_q[i * dim + k] = d_score[i * width] * key[i * dim + k];
    }
    gemm()->backward_x(d_q, negative, queue, n, n_queue, dim);
    l2norm_backward(d_query, d_q, q, norm, n, dim, eps);
    return OK;
}

Status moco_loss(MocoAnswer *out, real *d_query, const real *query, const real *key, const real *queue, int64_t n,
                 int64_t dim, int64_t n_queue, double temperature, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    const int64_t width = 1 + n_queue;
    real *q, *norm, *negative, *score;
    int64_t *target;
    TRY(arena_new(&q, scratch, n * dim));
    TRY(arena_new(&norm, scratch, n));
    TRY(arena_new(&negative, scratch, n * n_queue));
    TRY(arena_new(&score, scratch, n * width));
    TRY(arena_new(&target, scratch, n)); /* the first, of all */
    *out = (MocoAnswer){0};
    l2norm_forward(q, norm, query, n, dim, eps);
    gemm()->forward(negative, q, queue, NULL, n, n_queue, dim);
    for (int64_t i = 0; i < n; i++) {
        real *row = score + i * width;
        row[0] = vector_dot(q + i * dim, key + i * dim, dim);
        memcpy(row + 1, negative + i * n_queue, sizeof *row * (size_t)n_queue);
        for (int64_t k = 0; k < width; k++) row[k] /= (real)temperature;
        const int64_t before = place_of(row, width);
        out->top1 += before < 1;
        out->top5 += before < 5;
    }
    out->loss = crossentropy_forward(score, score, target, n, width) / (double)n;
    if (d_query)
        TRY(loss_backward(d_query, q, norm, score, target, negative, key, queue, n, dim, n_queue, temperature,
                          scratch));
    arena_reset(scratch, mark);
    return OK;
}
