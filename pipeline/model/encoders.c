/* encoders.c - the encoders there are, with their configuration: the vision transformer for images, SpecFormer for
   spectra. */
#include "model/encoders.h"

#include <string.h>

#include "model/prepare_spectrum.h"
#include "model/specformer.h"
#include "model/vit.h"

static Status check_heads(const char *section, int64_t dim, int64_t heads)
{
    if (dim % heads != 0)
        return FAIL(E_CONFIG, "%s.embed_dim = %lld cannot be divided among %s.num_heads = %lld", section,
                    (long long)dim, section, (long long)heads);
    return OK;
}

/* ---- vit ---- */

static const ConfigField vit_fields[] = {
    FIELD_INT(VitConfig, image_size, "144", 1, 4096, RESULT, "pixels of the centre crop; cutouts have 152"),
    FIELD_INT(VitConfig, patch_size, "12", 1, 512, RESULT, "pixels of a patch"),
    FIELD_INT(VitConfig, embed_dim, "1024", 1, 16384, RESULT, "width of a token"),
    FIELD_INT(VitConfig, depth, "24", 1, 256, RESULT, "transformer blocks"),
    FIELD_INT(VitConfig, num_heads, "16", 1, 256, RESULT, "attention heads"),
    FIELD_INT(VitConfig, block_chunks, "4", 0, 256, RESULT,
              "chunks in the names of blocks: blocks.CHUNK.BLOCK; 0 = blocks.BLOCK"),
    FIELD_END};

static Status vit_check(const void *config)
{
    enum { CUTOUT = 152 }; /* pixels of a cutout, from which the crop is taken */
    const VitConfig *c = config;
    TRY(check_heads("model.image", c->embed_dim, c->num_heads));
    if (c->image_size % c->patch_size != 0)
        return FAIL(E_CONFIG, "model.image.image_size = %lld is not a multiple of model.image.patch_size = %lld",
                    (long long)c->image_size, (long long)c->patch_size);
    if (c->image_size > CUTOUT)
        return FAIL(E_CONFIG, "model.image.image_size = %lld is larger than the cutouts (%d pixels)",
                    (long long)c->image_size, CUTOUT);
    if (c->block_chunks > c->depth)
        return FAIL(E_CONFIG, "model.image.block_chunks = %lld is more than model.image.depth = %lld",
                    (long long)c->block_chunks, (long long)c->depth);
    return OK;
}

static int64_t vit_plugin_n_params(const void *config) { return vit_n_params(config); }
static int64_t vit_plugin_dim(const void *config) { return ((const VitConfig *)config)->embed_dim; }
static int64_t vit_plugin_input(const void *config) { return ((const VitConfig *)config)->image_size; }
static int64_t vit_plugin_tokens(const void *config, int64_t n) { return vit_tokens(config, n, VIT_PATCHES); }

static int64_t vit_plugin_flops(const void *config, int64_t n, bool tokens, bool single)
{
    (void)n; /* images come cropped to the own size */
    return (tokens ? vit_flops(config, VIT_PATCHES) : 0) + (single ? vit_flops(config, VIT_CLASS) : 0);
}

static Status vit_plugin_build(void **encoder, const void *config, Params *p, const char *prefix, Arena *a)
{
    Vit *v;
    TRY(arena_new(&v, a, 1));
    *encoder = v;
    return vit_declare(v, config, p, prefix, a);
}

/* Two passes where both are asked for: AstroCLIP's head reads bare patches, AstroDINO's own embedding is the class
   token. */
static Status vit_plugin_encode(real *tokens, real *single, const void *encoder, const float *input, int64_t count,
                                int64_t n, Arena *step)
{
    const Vit *v = encoder;
    const int64_t dim = v->config.embed_dim, each = vit_tokens(&v->config, n, VIT_CLASS) * dim;
    if (tokens) TRY(vit_forward(tokens, v, input, count, n, VIT_PATCHES, NULL, step));
    if (!single) return OK;
    const Mark mark = arena_mark(step);
    real *all;
    TRY(arena_new(&all, step, count * each));
    TRY(vit_forward(all, v, input, count, n, VIT_CLASS, NULL, step));
    for (int64_t k = 0; k < count; k++) memcpy(single + k * dim, all + k * each, sizeof *single * (size_t)dim);
    arena_reset(step, mark);
    return OK;
}

static void vit_plugin_init(const void *encoder, Params *p, uint64_t seed) { vit_init(encoder, p, seed); }

static Status vit_plugin_forward_train(real *tokens, void **trace, const void *encoder, const float *input, int64_t n,
                                       Arena *step)
{
    VitTrace *t;
    TRY(arena_new(&t, step, 1));
    *trace = t;
    return vit_forward_train(tokens, t, encoder, &(VitImages){input, 1, n, NULL, NULL}, 1, VIT_PATCHES, false, step);
}

static Status vit_plugin_backward(real *d_p, void *trace, const void *encoder, const real *d_tokens,
                                  const GradientHook *hook, Arena *step)
{
    VitTrace *t = trace;
    t->hook = hook;
    return vit_backward(d_p, t, encoder, d_tokens, step);
}

static int64_t vit_plugin_trace_reals(const void *config, int64_t n)
{
    const VitConfig *c = config;
    const int64_t tokens = vit_plugin_tokens(c, n);
    return c->depth * block_trace_reals(tokens, c->embed_dim, true) + tokens * c->embed_dim;
}

static const char *const vit_unfelt[] = {"cls_token", "pos_embed", "mask_token", NULL};

static const Encoder vit = {
    {"vit", "vision transformer (AstroDINO; ViT-L/12 as published)", vit_fields, sizeof(VitConfig), vit_check},
    vit_plugin_n_params,
    vit_plugin_dim,
    vit_plugin_input,
    vit_plugin_tokens,
    vit_plugin_flops,
    vit_plugin_build,
    vit_plugin_encode,
    vit_plugin_init,
    vit_plugin_forward_train,
    vit_plugin_backward,
    vit_plugin_trace_reals,
    vit_unfelt,
};

/* ---- specformer ---- */

static const ConfigField specformer_fields[] = {
    FIELD_INT(SpecformerConfig, embed_dim, "768", 1, 16384, RESULT, "width of a token"),
    FIELD_INT(SpecformerConfig, num_layers, "6", 1, 256, RESULT, "transformer blocks"),
    FIELD_INT(SpecformerConfig, num_heads, "6", 1, 256, RESULT, "attention heads"),
    FIELD_INT(SpecformerConfig, max_len, "800", 2, 65536, RESULT, "longest sequence of tokens"),
    FIELD_INT(SpecformerConfig, slice_section_length, "20", 1, 4096, RESULT, "pixels of a section (one token)"),
    FIELD_INT(SpecformerConfig, slice_overlap, "10", 0, 4095, RESULT, "pixels that neighbouring sections share"),
    FIELD_END};

static Status specformer_check(const void *config)
{
    const SpecformerConfig *c = config;
    TRY(check_heads("model.spectrum", c->embed_dim, c->num_heads));
    if (c->slice_overlap >= c->slice_section_length)
        return FAIL(E_CONFIG,
                    "model.spectrum.slice_overlap = %lld must be less than model.spectrum.slice_section_length = %lld",
                    (long long)c->slice_overlap, (long long)c->slice_section_length);
    const int64_t tokens = prepare_spectrum_tokens(DESI_PIXELS, c->slice_section_length, c->slice_overlap);
    if (tokens > c->max_len || tokens < 2)
        return FAIL(E_CONFIG,
                    "a DESI spectrum of %d pixels makes %lld tokens; model.spectrum.max_len = %lld allows 2 to %lld",
                    DESI_PIXELS, (long long)tokens, (long long)c->max_len, (long long)c->max_len);
    return OK;
}

static int64_t specformer_plugin_n_params(const void *config) { return specformer_n_params(config); }
static int64_t specformer_plugin_dim(const void *config) { return ((const SpecformerConfig *)config)->embed_dim; }

static int64_t specformer_plugin_input(const void *config)
{
    (void)config;
    return 0;
}

static int64_t specformer_plugin_tokens(const void *config, int64_t n)
{
    const SpecformerConfig *c = config;
    return prepare_spectrum_tokens(n, c->slice_section_length, c->slice_overlap);
}

static int64_t specformer_plugin_flops(const void *config, int64_t n, bool tokens, bool single)
{
    if (!tokens && !single) return 0;
    return specformer_flops(config, specformer_plugin_tokens(config, n));
}

static Status specformer_plugin_build(void **encoder, const void *config, Params *p, const char *prefix, Arena *a)
{
    Specformer *s;
    TRY(arena_new(&s, a, 1));
    *encoder = s;
    return specformer_declare(s, config, p, prefix, a);
}

/* The single-modal embedding is the mean over all tokens, the one with mean and scatter included. */
static void token_mean(real *single, const real *embedding, int64_t n_tokens, int64_t dim)
{
    for (int64_t i = 0; i < dim; i++) {
        double sum = 0;
        for (int64_t t = 0; t < n_tokens; t++) sum += (double)embedding[t * dim + i];
        single[i] = (real)(sum / (double)n_tokens);
    }
}

static Status specformer_plugin_encode(real *tokens, real *single, const void *encoder, const float *input,
                                       int64_t count, int64_t n, Arena *step)
{
    const Specformer *s = encoder;
    const SpecformerConfig *c = &s->config;
    const int64_t n_tokens = specformer_plugin_tokens(c, n), dim = c->embed_dim;
    const int64_t each = (n_tokens > 0 ? n_tokens : 0) * specformer_input_dim(c);
    const Mark mark = arena_mark(step);
    real *sections, *own;
    TRY(arena_new(&sections, step, count * each));
    for (int64_t k = 0; k < count; k++)
        TRY(prepare_spectrum(sections + k * each, NULL, NULL, input + k * n, n, c->slice_section_length,
                             c->slice_overlap));
    TRY(arena_new(&own, step, tokens ? 0 : count * n_tokens * dim));
    real *embedding = tokens ? tokens : own;
    TRY(specformer_forward(embedding, NULL, s, sections, count, n_tokens, step));
    for (int64_t k = 0; single && k < count; k++)
        token_mean(single + k * dim, embedding + k * n_tokens * dim, n_tokens, dim);
    arena_reset(step, mark);
    return OK;
}

static void specformer_plugin_init(const void *encoder, Params *p, uint64_t seed) { specformer_init(encoder, p, seed); }

static Status specformer_plugin_forward_train(real *tokens, void **trace, const void *encoder, const float *input,
                                              int64_t n, Arena *step)
{
    const Specformer *s = encoder;
    const SpecformerConfig *c = &s->config;
    const int64_t n_tokens = specformer_plugin_tokens(c, n);
    SpecformerTrace *t;
    real *sections;
    TRY(arena_new(&t, step, 1));
    TRY(arena_new(&sections, step, (n_tokens > 0 ? n_tokens : 0) * specformer_input_dim(c)));
    TRY(prepare_spectrum(sections, NULL, NULL, input, n, c->slice_section_length, c->slice_overlap));
    *trace = t;
    return specformer_forward_train(tokens, NULL, t, s, sections, n_tokens, &(SpecformerTraining){0}, step);
}

static Status specformer_plugin_backward(real *d_p, void *trace, const void *encoder, const real *d_tokens,
                                         const GradientHook *hook, Arena *step)
{
    SpecformerTrace *t = trace;
    t->hook = hook;
    return specformer_backward(d_p, t, encoder, d_tokens, NULL, step);
}

static int64_t specformer_plugin_trace_reals(const void *config, int64_t n)
{
    const SpecformerConfig *c = config;
    const int64_t tokens = specformer_plugin_tokens(c, n);
    return c->num_layers * block_trace_reals(tokens, c->embed_dim, false) +
           tokens * (2 * c->embed_dim + specformer_input_dim(c));
}

static const char *const specformer_unfelt[] = {"head.", NULL};

static const Encoder specformer = {
    {"specformer", "SpecFormer (768 x 6 as published)", specformer_fields, sizeof(SpecformerConfig), specformer_check},
    specformer_plugin_n_params,
    specformer_plugin_dim,
    specformer_plugin_input,
    specformer_plugin_tokens,
    specformer_plugin_flops,
    specformer_plugin_build,
    specformer_plugin_encode,
    specformer_plugin_init,
    specformer_plugin_forward_train,
    specformer_plugin_backward,
    specformer_plugin_trace_reals,
    specformer_unfelt,
};

const ConfigPlugin *const image_encoders[] = {&vit.plugin, NULL};
const ConfigPlugin *const spectrum_encoders[] = {&specformer.plugin, NULL};
