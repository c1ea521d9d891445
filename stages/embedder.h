/* embedder.h - the parts of the embed stage that a measurement needs, too (embed.c). */
#ifndef STAGES_EMBEDDER_H
#define STAGES_EMBEDDER_H

#include "embed/embed.h"
#include "stages.h"

/* Local. What to embed, from where, with what; everything is borrowed from the run. */
void embedder_set_up(Embedder *e, const Run *run, const Model *model, Catalog *catalog);

/* Local. Opens the image survey; embedder_close_images closes it. Twice-safe. */
Status embedder_open_images(Embedder *e, Arena *a);
void embedder_close_images(Embedder *e);

#endif
