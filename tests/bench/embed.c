/* embed.c - the encoders at the published sizes, for embed.py: weights, inputs and embeddings as files for a peer, then
   one time per command.

   bench_embed vit_l|specformer f32|bf16 COUNT FOLDER: deterministic weights, COUNT objects. Writes FOLDER/weights.f32 and
   weights.txt (name, first number, shape), inputs.f32 (prepared planes or flux), embeddings.f32. Then, a line of stdin each:
   "embed" prints the seconds per object of embedding all, model_batch at a time; "products" those that its matrix products alone would take:
   linear layers with kept weights and rows of a batch, each at the best of REPEATS, from panels to panels where the provider has them; attention's
   products at the best rate of these. "gemm" prints that best rate in GFLOP/s and the rate of the matrix units with operands in the second cache
   (0: this CPU has none). */
#include <math.h>
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
#include "nn/panels.h"

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

enum { REPEATS = 4 };

typedef struct {
    real *x, *y, *w, *kept;
    int64_t rows, n_out, n_in;
#ifdef NN_PANELS
    bf16 *from, *to;
#endif
} Product;

static void multiply(const Product *p)
{
#ifdef NN_PANELS
    if (panels_parts() > 0) {
        if (p->n_in > p->n_out) /* the second layer of an MLP, which has a residual */
            panels_linear_add(p->y, NULL, p->from, p->w, NULL, p->rows, p->n_out, p->n_in);
        else
            panels_linear(p->to, p->from, p->w, NULL, p->rows, p->n_out, p->n_in);
        return;
    }
#endif
    gemm_linear()->forward(p->y, p->x, p->w, NULL, p->rows, p->n_out, p->n_in);
}

static Status take_product(Product *p, Arena *a)
{
    TRY(arena_new(&p->x, a, p->rows * p->n_in));
    TRY(arena_new(&p->y, a, p->rows * panels_row(p->n_out)));
    TRY(arena_new(&p->w, a, p->n_out * p->n_in));
    TRY(arena_new(&p->kept, a, gemm_kept_reals(p->n_out, p->n_in)));
    for (int64_t i = 0; i < p->rows * p->n_in; i++) p->x[i] = (real)(i % 97) * (real)0.01;
    for (int64_t i = 0; i < p->n_out * p->n_in; i++) p->w[i] = (real)(i % 89) * (real)0.01;
    gemm_keep(p->kept, p->w, p->n_out, p->n_in, true);
#ifdef NN_PANELS
    if (panels_parts() == 0) return OK;
    TRY(panels_new(&p->from, a, p->rows, p->n_in));
    TRY(panels_new(&p->to, a, p->rows, p->n_out));
    const int64_t n = p->rows / PANEL * PANEL * p->n_in * panels_parts();
    for (int64_t i = 0; i < n; i++) p->from[i] = (bf16)(0x3f80 + i % 97); /* 1 .. 1.8 */
#endif
    return OK;
}

/* FLOP/s of the matrix units, two panels of half a megabyte each over and over; 0 where there are none. */
static double units_rate(void)
{
#ifdef NN_PANELS
    enum { PANEL_NUMBERS = 1 << 18, PASSES = 60 };
    static bf16 panel[2][PANEL_NUMBERS] __attribute__((aligned(64)));
    if (!gemm_amx.available()) return 0;
    for (int64_t i = 0; i < PANEL_NUMBERS; i++) panel[0][i] = panel[1][i] = (bf16)(0x3f80 + i % 97);
    double best = 0;
    for (int i = 0; i < REPEATS; i++) {
        const double start = clock_now();
        panels_spin(panel[0], panel[1], PANEL_NUMBERS, PASSES);
        best = fmax(best, 2.0 * PANEL * PANEL_NUMBERS * PASSES / (clock_now() - start));
    }
    return best;
#else
    return 0;
#endif
}

/* Of one shape: the best seconds, and whether the rate is the best so far, in FLOP/s. */
static Status linear_products(double *seconds, double *rate, const Bench *b, int64_t n_out, int64_t n_in, Arena *a)
{
    const Mark mark = arena_mark(a);
    Product p = {.rows = model_batch(b->model, b->image) * b->tokens, .n_out = n_out, .n_in = n_in};
    TRY(take_product(&p, a));
    double best = 1e30;
    for (int i = 0; i < REPEATS; i++) {
        const double start = clock_now();
        multiply(&p);
        best = fmin(best, clock_now() - start);
    }
    *seconds += best;
    *rate = fmax(*rate, 2.0 * (double)p.rows * (double)n_out * (double)n_in / best);
    gemm_keep(NULL, p.w, n_out, n_in, false); /* the weights of the model stay kept, these do not */
    arena_reset(a, mark);
    return OK;
}

/* Seconds per object, and the best rate. */
static Status products(double *seconds, double *rate, const Bench *b, Arena *a)
{
    const int64_t dim = b->dim;
    double linear = 0;
    *rate = 0;
    TRY(linear_products(&linear, rate, b, 3 * dim, dim, a));
    TRY(linear_products(&linear, rate, b, dim, dim, a));
    TRY(linear_products(&linear, rate, b, 4 * dim, dim, a));
    TRY(linear_products(&linear, rate, b, dim, 4 * dim, a));
    const double attention = 4 * (double)b->tokens * (double)b->tokens * (double)dim / *rate;
    *seconds = (double)b->layers * (linear / (double)model_batch(b->model, b->image) + attention);
    return OK;
}

static Status serve(const Bench *b, Arena *a)
{
    char line[32];
    printf("%s, %lld at a time\n", gemm_provider_text(), (long long)model_batch(b->model, b->image));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        double seconds = 0, rate = 0;
        if (strcmp(line, "products\n") == 0) {
            TRY(products(&seconds, &rate, b, a));
        } else if (strcmp(line, "gemm\n") == 0) {
            TRY(products(&seconds, &rate, b, a));
            printf("%.1f %.1f\n", 1e-9 * rate, 1e-9 * units_rate());
            fflush(stdout);
            continue;
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
