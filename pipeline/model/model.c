/* model.c - AstroCLIP: an encoder and a head per modality over one table of parameters. Encoders come from the
   tables of encoders.c. */
#include "model/branch.h"

#include <string.h>

#include "model/prepare_image.h"
#include "nn/gemm.h"
#include "nn/panels.h"

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

/* Parameters without values. */
static Status declare(Model **out, const ModelConfig *config, double scale, Arena *a)
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
    *out = m;
    return OK;
}

Status model_build(Model **out, const ModelConfig *config, Arena *a)
{
    TRY(declare(out, config, 0, a));
    return params_allocate(&(*out)->params);
}

Status model_declare(Model **out, const ModelConfig *config, Arena *a) { return declare(out, config, 0, a); }

Status model_build_scaled(Model **out, const ModelConfig *config, double scale, Arena *a)
{
    MUST(scale > 0);
    TRY(declare(out, config, scale, a));
    Params *p = &(*out)->params;
    TRY(params_allocate(p));
    *params_at(p, p->n_params - 1) = (real)log(scale);
    return OK;
}

const Branch *model_branch(const Model *m, bool image) { return image ? &m->image : &m->spectrum; }

Params *model_params(Model *m) { return &m->params; }
int64_t model_embed_dim(const Model *m) { return m->embed_dim; }
int64_t model_image_dim(const Model *m) { return m->image.encoder->dim(m->image.config); }
int64_t model_spectrum_dim(const Model *m) { return m->spectrum.encoder->dim(m->spectrum.config); }
int64_t model_image_size(const Model *m) { return m->image.encoder->input(m->image.config); }

int64_t model_flops(const Model *m, bool image, bool aligned, bool single)
{
    const Branch *b = image ? &m->image : &m->spectrum;
    return b->encoder->flops(b->config, b->input, aligned, single) +
           (aligned ? head_flops(&b->head.config, b->n_tokens) : 0);
}

Status model_prepare(Model *m, Arena *a)
{
    TRY(head_prepare(&m->image.head, a));
    return head_prepare(&m->spectrum.head, a);
}

/* ---- weights in the order of products ---- */

/* Calls gemm_keep for every matrix of a linear layer, or counts what they take. */
static int64_t keep_all(const Params *p, real *room, bool fill)
{
    int64_t used = 0;
    for (int64_t i = 0; i < p->n_params; i++) {
        const Param *w = &p->param[i];
        if (!w->linear) continue;
        const int64_t n_out = w->dims[0], n_in = w->n / n_out;
        if (room) gemm_keep(room + used, params_at(p, i), n_out, n_in, fill);
        used += (gemm_kept_reals(n_out, n_in) + PARAM_ALIGN - 1) / PARAM_ALIGN * PARAM_ALIGN;
    }
    return used;
}

int64_t model_kept_reals(const Model *m) { return keep_all(&m->params, NULL, false); }
void model_keep(const Model *m, real *room, bool fill) { keep_all(&m->params, room, fill); }

/* ---- objects ---- */

/* Rows that one product should have: beyond these nothing gets faster, and a batch must end soon after a signal. */
enum { PRODUCT_ROWS = 1600 };

static int64_t objects_per_product(const Branch *b)
{
    return b->n_tokens > 0 && b->n_tokens < PRODUCT_ROWS ? PRODUCT_ROWS / b->n_tokens : 1;
}

int64_t model_batch(const Model *m, bool image)
{
    return gemm_row_unit() == 1 ? objects_per_product(model_branch(m, image)) : 1;
}

/* What a block works in, reals a token: rows of its size and one four times as wide, or another residual stream and panels of as
   many parts of half a real. */
static int64_t block_room(int64_t dim)
{
#ifdef NN_PANELS
    if (panels_parts() > 0) return panels_row(dim) + (1 + MLP_RATIO) * dim * panels_parts() / 2;
#endif
    return (2 + MLP_RATIO) * dim;
}

/* The residual stream; the tokens and, of ViT, those with the class token. */
int64_t model_room_reals(const Model *m)
{
    int64_t most = 0;
    for (int image = 0; image < 2; image++) {
        const Branch *b = model_branch(m, image);
        const int64_t n = objects_per_product(b) * (b->n_tokens + 1) * (3 * b->dim + block_room(b->dim));
        if (n > most) most = n;
    }
    return most;
}

static Status encode(real *aligned, real *single, const Branch *b, const float *input, int64_t count, int64_t n,
                     Arena *step)
{
    const int64_t n_tokens = b->encoder->tokens(b->config, n);
    const Mark mark = arena_mark(step);
    real *tokens = NULL;
    if (aligned) TRY(arena_new(&tokens, step, count * (n_tokens > 0 ? n_tokens : 0) * b->dim));
    TRY(b->encoder->encode(tokens, single, b->state, input, count, n, step));
    if (aligned) TRY(head_forward(aligned, NULL, NULL, &b->head, tokens, count, n_tokens, step));
    arena_reset(step, mark);
    return OK;
}

Status model_image_prepared(real *aligned, real *single, const Model *m, const float *planes, Arena *step)
{
    return encode(aligned, single, &m->image, planes, 1, model_image_size(m), step);
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static real *row_of(real *rows, int64_t i, int64_t width) { return rows ? rows + i * width : NULL; }

Status model_images(real *aligned, real *single, const Model *m, const float *const *pixels, int64_t count, int64_t n,
                    Arena *step)
{
    const int64_t size = model_image_size(m), most = least(model_batch(m, true), count);
    const Mark mark = arena_mark(step);
    float *planes;
    TRY(arena_new(&planes, step, most * m->image.n_inputs));
    for (int64_t first = 0; first < count; first += most) {
        const int64_t some = least(most, count - first);
        for (int64_t i = 0; i < some; i++)
            TRY(prepare_image(planes + i * m->image.n_inputs, pixels[first + i], n, size));
        TRY(encode(row_of(aligned, first, m->embed_dim), row_of(single, first, m->image.dim), &m->image, planes, some,
                   size, step));
    }
    arena_reset(step, mark);
    return OK;
}

Status model_spectra(real *aligned, real *single, const Model *m, const float *const *flux, int64_t count,
                     int64_t n_pixels, Arena *step)
{
    const int64_t most = least(model_batch(m, false), count);
    const Mark mark = arena_mark(step);
    float *some_flux;
    TRY(arena_new(&some_flux, step, most * n_pixels));
    for (int64_t first = 0; first < count; first += most) {
        const int64_t some = least(most, count - first);
        for (int64_t i = 0; i < some; i++)
            memcpy(some_flux + i * n_pixels, flux[first + i], sizeof *some_flux * (size_t)n_pixels);
        TRY(encode(row_of(aligned, first, m->embed_dim), row_of(single, first, m->spectrum.dim), &m->spectrum,
                   some_flux, some, n_pixels, step));
    }
    arena_reset(step, mark);
    return OK;
}

Status model_image(real *aligned, real *single, const Model *m, const float *pixels, int64_t n, Arena *step)
{
    return model_images(aligned, single, m, &pixels, 1, n, step);
}

Status model_spectrum(real *aligned, real *single, const Model *m, const float *flux, int64_t n_pixels, Arena *step)
{
    return model_spectra(aligned, single, m, &flux, 1, n_pixels, step);
}
