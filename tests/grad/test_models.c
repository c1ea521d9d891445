/* test_models.c - the backward passes of encoders, heads and losses against difference quotients, with every gemm
   provider: small models, every kind of parameter. */
#include "gradcheck.h"
#include "model/clip.h"
#include "model/head.h"
#include "model/masked.h"
#include "model/specformer.h"
#include "model/vit.h"

/* Every parameter that is not frozen, one by one. */
static void check_params(void *problem, double (*objective)(void *), Params *p, const real *d_p)
{
    for (int64_t i = 0; i < p->n_params; i++) {
        const Param *param = &p->param[i];
        if (param->d_offset >= 0)
            gradcheck(problem, objective, params_at(p, i), d_p + param->d_offset, param->n, param->name);
    }
}

/* ---- SpecFormer with its masked loss ---- */

enum { SPECTRA = 2, TOKENS = 31 };

typedef struct {
    Params params;
    Specformer model;
    int64_t n; /* elements of one spectrum's tokens */
    real *tokens, *masked, *reconstruction, *w_embedding, *embedding;
    int64_t count;
    SpecformerTraining how;
} SpectrumProblem;

static void make_spectrum_problem(SpectrumProblem *s)
{
    static const SpecformerConfig config = {12, 2, 3, 40, 5, 2};
    static const MaskConfig mask = {3, 4};
    CHECK_OK(params_init(&s->params, specformer_n_params(&config), &test_arena));
    CHECK_OK(specformer_declare(&s->model, &config, &s->params, "", &test_arena));
    CHECK_OK(params_allocate(&s->params));
    params_deterministic(&s->params, 5);
    const int64_t width = specformer_input_dim(&config);
    s->n = TOKENS * width;
    s->tokens = gradcheck_random(SPECTRA * s->n);
    s->masked = gradcheck_array(SPECTRA * s->n);
    s->reconstruction = gradcheck_array(SPECTRA * s->n);
    s->w_embedding = gradcheck_random(TOKENS * config.embed_dim);
    s->embedding = gradcheck_array(TOKENS * config.embed_dim);
    s->count = 0;
    for (int64_t i = 0; i < SPECTRA; i++) {
        int64_t start[3];
        Rng rng = rng_stream(1, "mask", i, 0);
        CHECK_OK(mask_draw(start, &mask, TOKENS, &rng));
        mask_apply(s->masked + i * s->n, &mask, start, s->tokens + i * s->n, TOKENS, width);
    }
    s->count = masked_count(s->masked, s->tokens, SPECTRA * s->n);
}

/* The masked loss of the batch, plus a term on the embedding; the gradients where d_p is not NULL. */
static double spectrum_loss(real *d_p, SpectrumProblem *s)
{
    double loss = 0;
    for (int64_t i = 0; i < SPECTRA; i++) {
        const Mark mark = arena_mark(&test_arena);
        const real *masked = s->masked + i * s->n, *tokens = s->tokens + i * s->n;
        real *d_r = gradcheck_array(s->n), *r = s->reconstruction + i * s->n;
        SpecformerTrace trace;
        CHECK_OK(specformer_forward_train(s->embedding, r, &trace, &s->model, masked, TOKENS, &s->how, &test_arena));
        loss += masked_squares(r, masked, tokens, s->n) / (double)s->count;
        loss += gradcheck_sum(s->w_embedding, s->embedding, TOKENS * s->model.config.embed_dim);
        masked_backward(d_r, r, masked, tokens, s->n, s->count);
        if (d_p) CHECK_OK(specformer_backward(d_p, &trace, &s->model, s->w_embedding, d_r, &test_arena));
        arena_reset(&test_arena, mark);
    }
    return loss;
}

static double spectrum_objective(void *problem) { return spectrum_loss(NULL, problem); }

/* Without and with dropout; computed again, activations are the same bits. */
static void specformer_has_its_gradient(void)
{
    SpectrumProblem s = {0};
    make_spectrum_problem(&s);
    GRADCHECK_EACH_PROVIDER
    {
        for (int k = 0; k < 2; k++) {
            real *d_p = gradcheck_array(s.params.n_d_reals), *again = gradcheck_array(s.params.n_d_reals);
            s.how = (SpecformerTraining){false, {k == 0 ? 0 : 0.25, 17}};
            spectrum_loss(d_p, &s);
            check_params(&s, spectrum_objective, &s.params, d_p);
            s.how.recompute = true;
            spectrum_loss(again, &s);
            CU_ASSERT_EQUAL(memcmp(d_p, again, sizeof *d_p * (size_t)s.params.n_d_reals), 0);
        }
    }
}

/* ---- the vision transformer ---- */

typedef struct {
    Params params;
    Vit model;
    VitImages set[VIT_SETS];
    int n_sets;
    VitTokens which;
    real *w, *out;
    int64_t n; /* of out */
} ImageProblem;

/* Through the training pass, which drops branches; its bits without dropping are tested elsewhere. */
static double image_objective(void *problem)
{
    ImageProblem *v = problem;
    const Mark mark = arena_mark(&test_arena);
    VitTrace trace;
    CHECK_OK(vit_forward_train(v->out, &trace, &v->model, v->set, v->n_sets, v->which, false, &test_arena));
    arena_reset(&test_arena, mark);
    return gradcheck_sum(v->w, v->out, v->n);
}

static void make_image_problem(ImageProblem *v)
{
    static const VitConfig config = {12, 3, 12, 2, 2, 1};
    CHECK_OK(params_init(&v->params, vit_n_params(&config), &test_arena));
    CHECK_OK(vit_declare(&v->model, &config, &v->params, "", &test_arena));
    CHECK_OK(params_allocate(&v->params));
    params_deterministic(&v->params, 6);
    for (int k = 0; k < v->n_sets; k++) {
        VitImages *set = &v->set[k];
        const int64_t n_pixels = set->count * 3 * set->size * set->size;
        const real *pixels = gradcheck_random(n_pixels);
        float *image;
        CHECK_OK(arena_new(&image, &test_arena, n_pixels));
        for (int64_t i = 0; i < n_pixels; i++) image[i] = (float)pixels[i];
        set->image = image;
        v->n += set->count * vit_tokens(&config, set->size, v->which) * config.embed_dim;
    }
    v->w = gradcheck_random(v->n);
    v->out = gradcheck_array(v->n);
}

static void check_image(ImageProblem *v, bool recompute)
{
    GRADCHECK_EACH_PROVIDER
    {
        real *d_p = gradcheck_array(v->params.n_d_reals);
        VitTrace trace;
        CHECK_OK(vit_forward_train(v->out, &trace, &v->model, v->set, v->n_sets, v->which, recompute, &test_arena));
        CHECK_OK(vit_backward(d_p, &trace, &v->model, v->w, &test_arena));
        check_params(v, image_objective, &v->params, d_p);
    }
}

static void vit_has_its_gradient(void)
{
    static const uint8_t mask[16] = {1, 0, 0, 1, 1};
    ImageProblem v = {.set = {{.count = 1, .size = 12, .mask = mask}}, .n_sets = 1, .which = VIT_CLASS};
    make_image_problem(&v);
    check_image(&v, true);
}

/* A batch of another size of image: positions are resampled; each branch is computed for some of the images. */
static void vit_has_its_gradient_elsewhere(void)
{
    static const int64_t first[] = {2}, two[] = {2, 0}, last[] = {1};
    static const BranchDrop attention[] = {{first, 1, 3}, {NULL, 0, 1}};
    static const BranchDrop mlp[] = {{two, 2, (real)1.5}, {last, 1, 3}};
    static const VitDrop drop = {attention, mlp};
    static const uint8_t mask[3 * 9] = {0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1};
    for (int recompute = 0; recompute < 2; recompute++) {
        ImageProblem v = {.set = {{.count = 3, .size = 9, .mask = mask, .drop = &drop}},
                          .n_sets = 1,
                          .which = VIT_CLASS};
        make_image_problem(&v);
        check_image(&v, recompute);
    }
}

/* Two sizes side by side, one with hidden patches, each with its own branches dropped. */
static void two_sizes_have_their_gradient(void)
{
    static const int64_t first[] = {0}, last[] = {1}, both[] = {1, 2};
    static const BranchDrop attention[2][2] = {{{last, 1, 2}, {NULL, 0, 1}}, {{both, 2, (real)1.5}, {first, 1, 3}}};
    static const BranchDrop mlp[2][2] = {{{NULL, 0, 1}, {first, 1, 2}}, {{first, 1, 3}, {NULL, 0, 1}}};
    static const VitDrop drop[2] = {{attention[0], mlp[0]}, {attention[1], mlp[1]}};
    static const uint8_t mask[2 * 16] = {0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1};
    for (int recompute = 0; recompute < 2; recompute++) {
        ImageProblem v = {.set = {{.count = 2, .size = 12, .mask = mask, .drop = &drop[0]},
                                  {.count = 3, .size = 6, .drop = &drop[1]}},
                          .n_sets = 2,
                          .which = VIT_CLASS};
        make_image_problem(&v);
        check_image(&v, recompute);
    }
}

/* Bare patches: the tokens in front are frozen, as they take no part. */
static void bare_patches_have_their_gradient(void)
{
    ImageProblem v = {.set = {{.count = 1, .size = 12}}, .n_sets = 1, .which = VIT_PATCHES};
    make_image_problem(&v);
    CU_ASSERT_EQUAL(params_freeze(&v.params, "cls_token") + params_freeze(&v.params, "pos_embed"), 2);
    CU_ASSERT_EQUAL(params_freeze(&v.params, "mask_token"), 1);
    check_image(&v, false);
}

/* ---- heads ---- */

typedef struct {
    Params params;
    Head head;
    int64_t n, n_tokens;
    real *tokens, *w, *out, *drop;
} HeadProblem;

static double head_objective(void *problem)
{
    HeadProblem *h = problem;
    const Mark mark = arena_mark(&test_arena);
    HeadTrace trace;
    CHECK_OK(head_prepare(&h->head, &test_arena));
    CHECK_OK(head_forward_train(h->out, &trace, &h->head, h->tokens, h->drop, h->drop, h->n, h->n_tokens, &test_arena));
    arena_reset(&test_arena, mark);
    return gradcheck_sum(h->w, h->out, h->n * h->head.config.embed_dim);
}

static void check_head(int64_t token_dim, bool residual)
{
    const HeadConfig config = {12, 3, token_dim, residual};
    HeadProblem h = {.n = 5, .n_tokens = 7};
    CHECK_OK(params_init(&h.params, HEAD_PARAMS, &test_arena));
    CHECK_OK(head_declare(&h.head, &config, &h.params, ""));
    CHECK_OK(params_allocate(&h.params));
    params_deterministic(&h.params, 9);
    const int64_t n_tokens = h.n * h.n_tokens * token_dim, n_out = h.n * config.embed_dim;
    h.tokens = gradcheck_random(n_tokens);
    h.w = gradcheck_random(n_out);
    h.out = gradcheck_array(n_out);
    h.drop = gradcheck_array(n_out);
    for (int64_t i = 0; i < n_out; i++) h.drop[i] = i % 4 == 1 ? 0 : (real)1.25;
    CHECK_OK(head_prepare(&h.head, &test_arena));
    GRADCHECK_EACH_PROVIDER
    {
        real *d_p = gradcheck_array(h.params.n_d_reals), *d_tokens = gradcheck_array(n_tokens);
        HeadTrace trace;
        CHECK_OK(head_prepare(&h.head, &test_arena));
        CHECK_OK(head_forward_train(h.out, &trace, &h.head, h.tokens, h.drop, h.drop, h.n, h.n_tokens, &test_arena));
        CHECK_OK(head_backward(d_tokens, d_p, &trace, &h.head, h.w, &test_arena));
        check_params(&h, head_objective, &h.params, d_p);
        gradcheck(&h, head_objective, h.tokens, d_tokens, n_tokens, "head tokens");
    }
}

static void heads_have_their_gradients(void)
{
    check_head(12, false); /* one matrix for queries, keys and values */
    check_head(9, true);   /* three */
}

/* ---- the contrastive loss ---- */

enum { PAIRS = 11, WIDTH = 6 };

typedef struct {
    real *image, *spectrum;
    real scale[1];
    int64_t first, mine;
} PairProblem;

static double pair_objective(void *problem)
{
    PairProblem *c = problem;
    const Mark mark = arena_mark(&test_arena);
    ClipTrace trace;
    double loss = 0;
    CHECK_OK(clip_forward(&loss, &trace, c->image, c->spectrum, c->first, c->mine, PAIRS, WIDTH, (double)c->scale[0],
                          &test_arena));
    arena_reset(&test_arena, mark);
    return loss;
}

static void pair_backward(real *d_image, real *d_spectrum, double *d_scale, PairProblem *c)
{
    ClipTrace trace;
    double loss;
    CHECK_OK(clip_forward(&loss, &trace, c->image, c->spectrum, c->first, c->mine, PAIRS, WIDTH, (double)c->scale[0],
                          &test_arena));
    CHECK_OK(clip_backward(d_image, d_spectrum, d_scale, &trace, &test_arena));
}

static void contrastive_loss_has_its_gradient(void)
{
    static const int64_t range[][2] = {{0, PAIRS}, {3, 4}}; /* local, one replica's rows among all */
    PairProblem c = {.scale = {(real)15.5}};
    c.image = gradcheck_random(PAIRS * WIDTH);
    c.spectrum = gradcheck_random(PAIRS * WIDTH);
    for (int k = 0; k < 2; k++) {
        c.first = range[k][0];
        c.mine = range[k][1];
        GRADCHECK_EACH_PROVIDER
        {
            real *d_image = gradcheck_array(PAIRS * WIDTH), *d_spectrum = gradcheck_array(PAIRS * WIDTH);
            double d_scale = 0;
            pair_backward(d_image, d_spectrum, &d_scale, &c);
            gradcheck(&c, pair_objective, c.image, d_image, PAIRS * WIDTH, "clip image");
            gradcheck(&c, pair_objective, c.spectrum, d_spectrum, PAIRS * WIDTH, "clip spectrum");
            gradcheck(&c, pair_objective, c.scale, (real[]){(real)d_scale}, 1, "clip scale");
        }
    }
}

TEST_MAIN("model gradients", {"SpecFormer and its masked loss have their gradient", specformer_has_its_gradient},
          {"the vision transformer has its gradient", vit_has_its_gradient},
          {"the same with images of another size and dropped branches", vit_has_its_gradient_elsewhere},
          {"two sizes of image side by side", two_sizes_have_their_gradient},
          {"bare patches have their gradient", bare_patches_have_their_gradient},
          {"both kinds of head have their gradients", heads_have_their_gradients},
          {"the contrastive loss has its gradient", contrastive_loss_has_its_gradient})
