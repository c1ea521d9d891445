/* embedder.h - the parts of the embed stage that a measurement and a search need, too (embed.c). */
#ifndef STAGES_EMBEDDER_H
#define STAGES_EMBEDDER_H

#include "embed/embed.h"
#include "par/nodememory.h"
#include "stages.h"

/* Local. What to embed, from where, with what; everything is borrowed from the run. */
void embedder_set_up(Embedder *e, const Run *run, const Model *model, Catalog *catalog);

/* What the weights of each encoder and its head are. */
typedef struct {
    Fingerprint of[N_MODALITIES];
} WeightSums;

/* Collective. The weights that section `embed` names into a declared model, on each node once; prepared. Before, choose provider and
   precision; afterwards gemm_keep_none and nodememory_close. */
Status embedder_load_weights(NodeMemory *memory, WeightSums *sums, Model *model, const EmbedConfig *c, const Par *par,
                             Arena *a);

/* Local. e->recipe of what is wanted, with these weights. */
Status embedder_make_recipes(Embedder *e, const Run *run, const WeightSums *sums);

/* Local. Opens the image survey; embedder_close_images closes it. Twice-safe. */
Status embedder_open_images(Embedder *e, Arena *a);
void embedder_close_images(Embedder *e);

#endif
