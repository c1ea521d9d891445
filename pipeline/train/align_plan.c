/* align_plan.c - what an alignment will take: disk for cached tokens, memory for a step. */
#include "model/branch.h"
#include "train/objective.h"

static bool is_frozen(const AlignConfig *c, int m)
{
    return m == MODALITY_IMAGE ? c->freeze_image : c->freeze_spectrum;
}

static const Branch *branch_of(const Model *model, int m) { return model_branch(model, m == MODALITY_IMAGE); }

void align_cache_bytes(double *bytes, const AlignConfig *c, const Model *model, int64_t n_pairs)
{
    *bytes = 0;
    for (int m = 0; m < N_MODALITIES; m++) {
        const Branch *b = branch_of(model, m);
        const int64_t each = b->n_tokens * b->dim * (int64_t)sizeof(float) + 16; /* entry, checksum */
        if (is_frozen(c, m)) *bytes += (double)n_pairs * (double)each;
    }
}

/* Reals that a pair keeps between its forward and its backward pass. */
static double kept(const AlignConfig *c, const Branch *b, bool trained)
{
    const HeadConfig *h = &b->head.config;
    const double tokens = (double)(b->n_tokens * b->dim);
    const double head = (double)(h->heads * (b->n_tokens + h->token_dim) + (6 + MLP_RATIO) * h->embed_dim);
    const double trace = trained && !c->recompute ? (double)b->encoder->trace_reals(b->config, b->input) : 0;
    return tokens + head + trace + (trained ? (double)b->n_inputs : 0);
}

/* Reals while a batch goes backward through a branch, or an object through a frozen encoder. */
static double passing(const AlignConfig *c, const Branch *b, bool trained, int64_t batch)
{
    const HeadConfig *h = &b->head.config;
    const double trace = (double)b->encoder->trace_reals(b->config, b->input);
    const double head = (double)(batch * ((3 + 3 * MLP_RATIO) * h->embed_dim + h->heads * h->token_dim));
    const double pass = (double)block_pass_reals(b->n_tokens, b->dim);
    if (!trained) return head > pass ? head : pass;
    return head + (double)(batch * b->n_tokens * b->dim) + pass + (c->recompute ? trace : 0);
}

double align_step_bytes(const AlignConfig *c, const Model *model, int64_t n_replicas, int64_t n_mine, int64_t batch)
{
    const double e = (double)model_embed_dim(model), rows = (double)(n_replicas * batch);
    const bool global = c->negatives == NEGATIVES_GLOBAL;
    double together = 0, most = 0;
    for (int m = 0; m < N_MODALITIES; m++) {
        const Branch *b = branch_of(model, m);
        const bool trained = !is_frozen(c, m);
        const double pass = passing(c, b, trained, batch);
        together += (double)(batch * (global ? n_mine : 1)) * kept(c, b, trained);
        if (pass > most) most = pass;
    }
    const double among = global ? rows : (double)batch; /* rows that a replica is compared with */
    const double scores = 5 * (double)batch * among + 4 * among * e;
    const double said = global ? 2 * rows * e * (double)(n_mine + 1) : 2 * (double)batch * e;
    return (together + most + scores + said) * sizeof(real);
}
