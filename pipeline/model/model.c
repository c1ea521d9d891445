/* model.c - AstroCLIP: an encoder and a head per modality over one table of parameters. Encoders come from the
   tables of encoders.c. */
#include "model/branch.h"

#include <string.h>

#include "model/prepare_image.h"

static const ConfigField model_fields[] = {
    FIELD_INT(ModelConfig, embed_dim, "1024", 1, 16384, RESULT, "width of the aligned embeddings"),
    FIELD_INT(ModelConfig, head_heads, "4", 1, 256, RESULT, "cross-attention heads of the two alignment heads"),
    FIELD_KIND(ModelConfig, image, "vit", image_encoders, "image encoder"),
    FIELD_KIND(ModelConfig, spectrum, "specformer", spectrum_encoders, "spectrum encoder"), FIELD_END};

static Status model_check(const void *config)
{
    const ModelConfig *c = config;
    if (c->embed_dim % c->head_heads != 0)
        return FAIL(E_CONFIG, "model.embed_dim = %lld cannot be divided among model.head_heads = %lld",
                    (long long)c->embed_dim, (long long)c->head_heads);
    return OK;
}

const ConfigSection model_section = {"model", "sizes of the encoders and of the aligned space", model_fields,
                                     sizeof(ModelConfig), model_check};

struct Model {
    Params params;
    int64_t embed_dim;
    Branch image, spectrum;
};

static Status build_branch(Branch *b, Model *m, const ModelConfig *config, const ConfigKind *kind, const char *prefix,
                           bool residual, Arena *a)
{
    char backbone[PARAM_NAME];
    b->prefix = prefix;
    b->encoder = encoder_of(kind);
    b->config = kind->config;
    const int64_t side = b->encoder->input(b->config);
    b->input = side > 0 ? side : DESI_PIXELS;
    b->n_inputs = side > 0 ? 3 * side * side : DESI_PIXELS;
    b->n_tokens = b->encoder->tokens(b->config, b->input);
    b->dim = b->encoder->dim(b->config);
    snprintf(backbone, sizeof backbone, "%sbackbone.", prefix);
    TRY(b->encoder->build(&b->state, b->config, &m->params, backbone, a));
    const HeadConfig head = {config->embed_dim, config->head_heads, b->dim, residual};
    return head_declare(&b->head, &head, &m->params, prefix);
}

static Status declare_scale(Model *m)
{
    int64_t index;
    return params_declare(&index, &m->params, "", "logit_scale", 1, (const int64_t[]){1});
}

/* scale 0 = without a learned one. */
static Status build(Model **out, const ModelConfig *config, double scale, Arena *a)
{
    Model *m;
    TRY(arena_new(&m, a, 1));
    m->embed_dim = config->embed_dim;
    const int64_t n_params = encoder_of(&config->image)->n_params(config->image.config) +
                             encoder_of(&config->spectrum)->n_params(config->spectrum.config) + 2 * HEAD_PARAMS + 1;
    TRY(params_init(&m->params, n_params, a));
    TRY(build_branch(&m->image, m, config, &config->image, "image_encoder.", false, a));
    TRY(build_branch(&m->spectrum, m, config, &config->spectrum, "spectrum_encoder.", true, a));
    if (scale > 0) TRY(declare_scale(m));
    TRY(params_allocate(&m->params));
    if (scale > 0) *params_at(&m->params, m->params.n_params - 1) = (real)log(scale);
    *out = m;
    return OK;
}

Status model_build(Model **out, const ModelConfig *config, Arena *a) { return build(out, config, 0, a); }

Status model_build_scaled(Model **out, const ModelConfig *config, double scale, Arena *a)
{
    MUST(scale > 0);
    return build(out, config, scale, a);
}

const Branch *model_branch(const Model *m, bool image) { return image ? &m->image : &m->spectrum; }

Params *model_params(Model *m) { return &m->params; }
int64_t model_embed_dim(const Model *m) { return m->embed_dim; }
int64_t model_image_dim(const Model *m) { return m->image.encoder->dim(m->image.config); }
int64_t model_spectrum_dim(const Model *m) { return m->spectrum.encoder->dim(m->spectrum.config); }
int64_t model_image_size(const Model *m) { return m->image.encoder->input(m->image.config); }

int64_t model_flops(const Model *m, bool image)
{
    const Branch *b = image ? &m->image : &m->spectrum;
    return b->encoder->flops(b->config, b->input) + head_flops(&b->head.config, b->n_tokens);
}

Status model_prepare(Model *m, Arena *a)
{
    TRY(head_prepare(&m->image.head, a));
    return head_prepare(&m->spectrum.head, a);
}

static Status encode(real *aligned, real *single, const Branch *b, const float *input, int64_t n, Arena *step)
{
    const int64_t n_tokens = b->encoder->tokens(b->config, n);
    real *tokens = NULL;
    if (aligned) TRY(arena_new(&tokens, step, (n_tokens > 0 ? n_tokens : 0) * b->encoder->dim(b->config)));
    TRY(b->encoder->encode(tokens, single, b->state, input, n, step));
    return aligned ? head_forward(aligned, NULL, NULL, &b->head, tokens, n_tokens, step) : OK;
}

Status model_image_prepared(real *aligned, real *single, const Model *m, const float *planes, Arena *step)
{
    const Mark mark = arena_mark(step);
    TRY(encode(aligned, single, &m->image, planes, model_image_size(m), step));
    arena_reset(step, mark);
    return OK;
}

Status model_image(real *aligned, real *single, const Model *m, const float *pixels, int64_t n, Arena *step)
{
    const int64_t size = model_image_size(m);
    const Mark mark = arena_mark(step);
    float *planes;
    TRY(arena_new(&planes, step, 3 * size * size));
    TRY(prepare_image(planes, pixels, n, size));
    TRY(model_image_prepared(aligned, single, m, planes, step));
    arena_reset(step, mark);
    return OK;
}

Status model_spectrum(real *aligned, real *single, const Model *m, const float *flux, int64_t n_pixels, Arena *step)
{
    const Mark mark = arena_mark(step);
    TRY(encode(aligned, single, &m->spectrum, flux, n_pixels, step));
    arena_reset(step, mark);
    return OK;
}
