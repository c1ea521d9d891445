/* dino_rates.c - rates by layer (spec.md 4.9). */
#include <string.h>

#include "model/dino.h"

static void set_pair(double *scale, LinearParams l, double value) { scale[l.weight] = scale[l.bias] = value; }

/* Tokens and patches are layer 0, block i is layer i + 1, the final norm is the last. */
void dino_lr_scale(double *scale, const Dino *d, const Params *p, double layer_decay, double patch_embed, bool frozen)
{
    const Vit *v = d->vit;
    const double first = pow(layer_decay, (double)(v->config.depth + 1));
    for (int64_t i = 0; i < p->n_params; i++) scale[i] = 1;
    scale[v->cls_token] = scale[v->pos_embed] = scale[v->mask_token] = first;
    set_pair(scale, v->patch_embed, first * patch_embed);
    for (int64_t i = 0; i < v->config.depth; i++) {
        const Block *b = &v->block[i];
        const LinearParams pair[] = {b->norm1, b->qkv, b->proj, b->norm2, b->up, b->down};
        const double own = pow(layer_decay, (double)(v->config.depth - i));
        for (size_t k = 0; k < sizeof pair / sizeof *pair; k++) set_pair(scale, pair[k], own);
        scale[b->gamma1] = scale[b->gamma2] = own;
    }
    if (frozen) scale[d->head.weight_g] = scale[d->head.weight_v] = 0;
}

void dino_decay_scale(double *scale, const Params *p)
{
    static const char bias[] = ".bias";
    for (int64_t i = 0; i < p->n_params; i++) {
        const char *name = p->param[i].name;
        const size_t n = strlen(name);
        const bool is_bias = n >= sizeof bias && strcmp(name + n - (sizeof bias - 1), bias) == 0;
        scale[i] = is_bias || strstr(name, "norm") || strstr(name, "gamma") ? 0 : 1;
    }
}
