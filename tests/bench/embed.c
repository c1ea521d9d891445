/* embed.c - the encoders at the published sizes, for embed.py: weights, inputs and embeddings as files for a peer, then
   one time per command.

   bench_embed vit_l|specformer f32|bf16 COUNT FOLDER: deterministic weights, COUNT objects. Writes FOLDER/weights.f32 and
   weights.txt (name, first number, shape), inputs.f32 (prepared planes or flux), embeddings.f32. Then, a line of stdin each:
   "embed" prints the seconds per object of embedding all, model_batch at a time; "products" those of its matrix products alone:
   linear layers with kept weights and rows of a batch, and attention's two products head by head. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "data/spectra.h"
#include "model/encoders.h"
#include "model/prepare_image.h"
#include "model/specformer.h"
#include "model/vit.h"
#include "nn/gemm.h"

enum { SIZE = 152, PIXELS = 3 * SIZE * SIZE, MOST = 256 };

typedef struct {
    Model *model;
    bool image;
    int64_t count, n; /* objects; numbers of one */
    float *object;
    const float **input;
    real *out, *room;
    int64_t tokens, dim, heads, layers, patch;
} Bench;

static Status write_file(const char *folder, const char *name, const void *data, int64_t bytes)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    const bool good = f && fwrite(data, 1, (size_t)bytes, f) == (size_t)bytes;
    if (f) fclose(f);
    return good ? OK : FAIL(E_OUTPUT, "cannot write %s", path);
}

static Status write_names(const Params *p, const char *folder)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/weights.txt", folder);
    FILE *f = fopen(path, "w");
    if (!f) return FAIL(E_OUTPUT, "cannot write %s", path);
    for (int64_t i = 0; i < p->n_params; i++) {
        fprintf(f, "%s %lld", p->param[i].name, (long long)p->param[i].offset);
        for (int d = 0; d < p->param[i].n_dims; d++) fprintf(f, " %lld", (long long)p->param[i].dims[d]);
        fputc('\n', f);
    }
    fclose(f);
    return OK;
}

/* Objects with structure and noise; no two alike. */
static void draw(float *x, const Bench *b, int64_t i)
{
    uint32_t state = (uint32_t)i * 2654435761u + 1;
    for (int64_t k = 0; k < b->n; k++) {
        state = state * 1664525u + 1013904223u;
        const double noise = (double)(state >> 8) / (1 << 24) - 0.5, at = (double)(k % SIZE) / SIZE - 0.5;
        x[k] = (float)(b->image ? 0.3 * exp(-20 * at * at) + 0.02 * noise
                                : 2 + sin(0.001 * (double)((k + 37 * i) % 7000)) + 0.5 * noise);
    }
}

static Status embed_all(const Bench *b, Arena *a)
{
    return b->image ? model_images(b->out, NULL, b->model, b->input, b->count, SIZE, a)
                    : model_spectra(b->out, NULL, b->model, b->input, b->count, b->n, a);
}

static Status write_all(const Bench *b, const char *folder, Arena *a)
{
    const Params *p = model_params(b->model);
    const int64_t size = model_image_size(b->model), plane = 3 * size * size;
    float *planes = b->object;
    TRY(write_names(p, folder));
    TRY(write_file(folder, "weights.f32", p->value, p->n_reals * (int64_t)sizeof(real)));
    if (b->image) {
        TRY(arena_new(&planes, a, b->count * plane));
        for (int64_t i = 0; i < b->count; i++) TRY(prepare_image(planes + i * plane, b->input[i], SIZE, size));
    }
    TRY(write_file(folder, "inputs.f32", planes, b->count * (b->image ? plane : b->n) * (int64_t)sizeof(float)));
    TRY(embed_all(b, a));
    return write_file(folder, "embeddings.f32", b->out, b->count * model_embed_dim(b->model) * (int64_t)sizeof(real));
}

static Status build(Bench *b, const char *what, const char *precision, int64_t count, Arena *a)
{
    static VitConfig vit = {144, 12, 1024, 24, 16, 4}; /* the model keeps looking at them */
    static SpecformerConfig specformer = {768, 6, 6, 800, 20, 10};
    b->image = strcmp(what, "vit_l") == 0;
    if (b->image) /* the other encoder small: it is not asked */
        specformer = (SpecformerConfig){24, 1, 3, 800, 20, 10};
    else
        vit = (VitConfig){144, 12, 24, 1, 3, 0};
    const ModelConfig config = {1024, 4, {image_encoders[0], &vit}, {spectrum_encoders[0], &specformer}};
    TRY(gemm_choose("auto", 1));
    TRY(gemm_precision(precision));
    TRY(model_build(&b->model, &config, a));
    params_deterministic(model_params(b->model), 777);
    TRY(arena_new(&b->room, a, model_kept_reals(b->model)));
    model_keep(b->model, b->room, true);
    TRY(model_prepare(b->model, a));
    b->count = count;
    b->n = b->image ? PIXELS : GRID_PIXELS;
    b->tokens = b->image ? 144 : 778;
    b->dim = b->image ? vit.embed_dim : specformer.embed_dim;
    b->heads = b->image ? vit.num_heads : specformer.num_heads;
    b->layers = b->image ? vit.depth : specformer.num_layers;
    TRY(arena_new(&b->object, a, count * b->n));
    TRY(arena_new(&b->input, a, count));
    TRY(arena_new(&b->out, a, count * model_embed_dim(b->model)));
    for (int64_t i = 0; i < count; i++) {
        draw(b->object + i * b->n, b, i);
        b->input[i] = b->object + i * b->n;
    }
    return OK;
}

/* ---- products alone ---- */

static Status linear_products(double *seconds, int64_t rows, int64_t n_out, int64_t n_in, Arena *a)
{
    const Mark mark = arena_mark(a);
    real *x, *y, *w, *kept;
    TRY(arena_new(&x, a, rows * n_in));
    TRY(arena_new(&y, a, rows * n_out));
    TRY(arena_new(&w, a, n_out * n_in));
    TRY(arena_new(&kept, a, gemm_kept_reals(n_out, n_in)));
    for (int64_t i = 0; i < rows * n_in; i++) x[i] = (real)(i % 97) * (real)0.01;
    for (int64_t i = 0; i < n_out * n_in; i++) w[i] = (real)(i % 89) * (real)0.01;
    gemm_keep(kept, w, n_out, n_in, true);
    const double start = clock_now();
    gemm_linear()->forward(y, x, w, NULL, rows, n_out, n_in);
    *seconds += clock_now() - start;
    gemm_keep(NULL, w, n_out, n_in, false); /* the weights of the model stay kept, these do not */
    arena_reset(a, mark);
    return OK;
}

static Status attention_products(double *seconds, const Bench *b, Arena *a)
{
    const int64_t width = b->dim / b->heads, rows = gemm_pad(b->tokens);
    const Mark mark = arena_mark(a);
    real *q, *k, *score, *out;
    TRY(arena_new(&q, a, rows * width));
    TRY(arena_new(&k, a, rows * width));
    TRY(arena_new(&score, a, rows * rows));
    TRY(arena_new(&out, a, rows * width));
    for (int64_t i = 0; i < rows * width; i++) q[i] = k[i] = (real)(i % 97) * (real)0.01;
    const double start = clock_now();
    for (int64_t h = 0; h < b->heads; h++) {
        gemm()->forward(score, q, k, NULL, b->tokens, b->tokens, width);
        gemm()->backward_x(out, score, k, b->tokens, b->tokens, width);
    }
    *seconds += clock_now() - start;
    arena_reset(a, mark);
    return OK;
}

/* Per object. */
static Status products(double *seconds, const Bench *b, Arena *a)
{
    const int64_t batch = model_batch(b->model, b->image), rows = batch * b->tokens, dim = b->dim;
    double linear = 0, attention = 0;
    TRY(linear_products(&linear, rows, 3 * dim, dim, a));
    TRY(linear_products(&linear, rows, dim, dim, a));
    TRY(linear_products(&linear, rows, 4 * dim, dim, a));
    TRY(linear_products(&linear, rows, dim, 4 * dim, a));
    TRY(attention_products(&attention, b, a));
    *seconds = (double)b->layers * (linear / (double)batch + attention);
    return OK;
}

static Status serve(const Bench *b, Arena *a)
{
    char line[32];
    printf("%s, %lld at a time\n", gemm_provider_text(), (long long)model_batch(b->model, b->image));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        double seconds = 0;
        if (strcmp(line, "products\n") == 0) {
            TRY(products(&seconds, b, a));
        } else {
            const double start = clock_now();
            TRY(embed_all(b, a));
            seconds = (clock_now() - start) / (double)b->count;
        }
        printf("%.6f\n", seconds);
        fflush(stdout);
    }
    return OK;
}

int main(int argc, char **argv)
{
    Bench b = {0};
    Arena a = {0};
    const int64_t count = argc == 5 ? strtoll(argv[3], NULL, 10) : 0;
    if (count < 1 || count > MOST) {
        fprintf(stderr, "bench_embed vit_l|specformer f32|bf16 COUNT FOLDER\n");
        return 2;
    }
    log_init(0, 1);
    Status st = arena_init(&a, "bench", 0);
    if (st == OK) st = build(&b, argv[1], argv[2], count, &a);
    if (st == OK) st = write_all(&b, argv[4], &a);
    if (st == OK) st = serve(&b, &a);
    if (st != OK) fail_print(stderr, 1);
    arena_free(&a);
    return st;
}
