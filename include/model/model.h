/* model.h - AstroCLIP for inference: image encoder + head, spectrum encoder + head (spec.md 1-5), weights by official
   name.

   An embedding depends on nothing but the object and the weights, not on what else is encoded with it. Local. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "core/config.h"
#include "nn/params.h"

/* The table of encoders (encoders.c): plugin kinds for `model.image` and `model.spectrum`. */
extern const ConfigPlugin *const image_encoders[];    /* "vit"        */
extern const ConfigPlugin *const spectrum_encoders[]; /* "specformer" */

typedef struct {
    int64_t embed_dim;  /* E, 1024 as published */
    int64_t head_heads; /* cross-attention heads, 4 */
    ConfigKind image;   /* vit: image_size 144, patch 12, embed_dim 1024, depth 24, heads 16, block_chunks 4 */
    /* specformer: embed_dim 768, num_layers 6, num_heads 6, max_len 800, slice_section_length 20, slice_overlap 10 */
    ConfigKind spectrum;
} ModelConfig;
extern const ConfigSection model_section; /* "model" */

typedef struct Model Model;

/* Builds the parameter table (official names, prefixes image_encoder. and spectrum_encoder.) and allocates zeroed
   weights in `a`. */
Status model_build(Model **out, const ModelConfig *config, Arena *a);
/* The same for a training with a learned scale: one more parameter `logit_scale` (1), the log of what multiplies the
   cosines, as in CLIP; begins as log(scale). */
Status model_build_scaled(Model **out, const ModelConfig *config, double scale, Arena *a);
/* The table alone, for values in memory of the caller's: params_place (nn/params.h). */
Status model_declare(Model **out, const ModelConfig *config, Arena *a);
Params *model_params(Model *m);
int64_t model_embed_dim(const Model *m);
int64_t model_image_dim(const Model *m);    /* of the single-modal class token  */
int64_t model_spectrum_dim(const Model *m); /* of the single-modal token mean   */
int64_t model_image_size(const Model *m);   /* pixels after the centre crop, 144 */
/* Multiply-adds x 2 for the embeddings asked for of an object, for plans. */
int64_t model_flops(const Model *m, bool image, bool aligned, bool single);

/* Precomputes what depends on weights alone (projected query). Call after the weights are set. */
Status model_prepare(Model *m, Arena *a);

/* The matrices of linear layers in the order in which products read them (gemm_keep), in `room` of model_kept_reals(m) reals
   (0 = the provider has none), 64-byte aligned, the caller's. Choose provider and precision before; the weights do not change
   until gemm_keep_none. */
int64_t model_kept_reals(const Model *m);
void model_keep(const Model *m, real *room, bool fill);

/* Objects that go through an encoder together, so that products are large; and the reals that they need meanwhile, of the
   modality that needs more. */
int64_t model_batch(const Model *m, bool image);
int64_t model_room_reals(const Model *m);

/* `count` objects, model_batch at a time. aligned (count, E) and/or single (count, D) may be NULL. pixels[i] (3, n, n)
   nanomaggies g r z, n = 152: preparation of spec.md 1 included. flux[i] (n_pixels) on the DESI grid. Scratch is taken from
   `step` and given back. */
Status model_images(real *aligned, real *single, const Model *m, const float *const *pixels, int64_t count, int64_t n,
                    Arena *step);
Status model_spectra(real *aligned, real *single, const Model *m, const float *const *flux, int64_t count,
                     int64_t n_pixels, Arena *step);
/* One object. */
Status model_image(real *aligned, real *single, const Model *m, const float *pixels, int64_t n, Arena *step);
Status model_spectrum(real *aligned, real *single, const Model *m, const float *flux, int64_t n_pixels, Arena *step);
/* One image that is prepared already: planes (3, model_image_size, model_image_size) of prepare_image. */
Status model_image_prepared(real *aligned, real *single, const Model *m, const float *planes, Arena *step);

#endif
