/* newcomers.h - spectra and cutouts that are in no catalogue, from their files through the encoders of a run: queries of a
   search. Embedded as `embed` embeds: same preparation, same weights, same products. */
#ifndef STAGES_NEWCOMERS_H
#define STAGES_NEWCOMERS_H

#include "stages.h"
#include "tables/queries.h"

/* Collective. Every spectrum of search.spectra and every cutout of search.cutouts, shared over the ranks while they are encoded;
   those that cannot be embedded are NaN, and the log says why. E_INPUT when a file is not there, or when `e` was made with
   other weights or options than the run file names now. */
Status newcomers_embed(FreshObjects *out, const Run *run, const SearchConfig *c, Embeddings *e);

#endif
