/* align_tokens.c - tokens of frozen encoders, made or read back. A cache costs disk (3 MB a pair at the published
   sizes) and saves the forward passes of the encoders, which are nearly all of the work of a step. */
#include "train/align_tokens.h"

#include <string.h>

#include "core/hash.h"
#include "model/prepare_image.h"

/* ---- made ---- */

static Status input_of_image(float *input, const Branch *b, Dataset *d, const Sample *s, Arena *step)
{
    const Mark mark = arena_mark(step);
    float *pixels;
    TRY(arena_new(&pixels, step, IMAGE_NUMBERS));
    TRY(dataset_image(pixels, d, s->image));
    TRY(prepare_image(input, pixels, CUTOUT_PIXELS, b->input));
    arena_reset(step, mark);
    return OK;
}

Status align_input(float *input, const Branch *b, Modality m, Dataset *d, const Sample *s, Arena *step)
{
    return m == MODALITY_IMAGE ? input_of_image(input, b, d, s, step) : dataset_spectrum(input, d, s->spectrum);
}

static Status make_tokens(real *tokens, const Branch *b, Modality m, Dataset *d, const Sample *s, Arena *step)
{
    const Mark mark = arena_mark(step);
    float *input;
    TRY(arena_new(&input, step, b->n_inputs));
    TRY(align_input(input, b, m, d, s, step));
    TRY(b->encoder->encode(tokens, NULL, b->state, input, 1, b->input, step));
    arena_reset(step, mark);
    return OK;
}

/* ---- read back ---- */

static Status read_table(TokenCache *t, const Branch *b, Modality m, Arena *a)
{
    char name[64];
    H5Shape shape;
    snprintf(name, sizeof name, "%s/tokens", modality_name[m]);
    TRY(h5_expect(&shape, &t->file, name, (const int64_t[]){-1, b->n_tokens, b->dim}, 3));
    t->n[m] = shape.dims[0];
    snprintf(name, sizeof name, "%s/entry", modality_name[m]);
    TRY(h5_expect(&shape, &t->file, name, &t->n[m], 1));
    TRY(h5_get((void **)&t->entry[m], NULL, &t->file, name, H5_I64, a));
    snprintf(name, sizeof name, "%s/checksum", modality_name[m]);
    TRY(h5_expect(&shape, &t->file, name, &t->n[m], 1));
    return h5_get((void **)&t->checksum[m], NULL, &t->file, name, H5_U64, a);
}

static bool is_frozen(const AlignConfig *c, int m)
{
    return m == MODALITY_IMAGE ? c->freeze_image : c->freeze_spectrum;
}

Status align_tokens_open(TokenCache *t, const AlignConfig *c, const Model *model, Arena *a)
{
    Envelope e;
    memset(t, 0, sizeof *t);
    TRY(h5_open(&t->file, c->cache, NULL));
    Status st = artefact_read(&e, &t->file, "tokens", TOKENS_VERSION, "align", a);
    for (int m = 0; st == OK && m < N_MODALITIES; m++)
        if (is_frozen(c, m)) st = read_table(t, model_branch(model, m == MODALITY_IMAGE), (Modality)m, a);
    if (st != OK) align_tokens_close(t);
    return st;
}

void align_tokens_close(TokenCache *t) { h5_close(&t->file); }

/* The row of an entry; -1 = not cached. */
static int64_t find_entry(const TokenCache *t, Modality m, int64_t entry)
{
    int64_t low = 0, high = t->n[m];
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (t->entry[m][middle] < entry)
            low = middle + 1;
        else
            high = middle;
    }
    return low < t->n[m] && t->entry[m][low] == entry ? low : -1;
}

Status align_tokens(real *tokens, const Branch *b, Modality m, Dataset *d, TokenCache *t, const Sample *s, Arena *step)
{
    if (!t || t->n[m] == 0) return make_tokens(tokens, b, m, d, s, step);
    const int64_t entry = m == MODALITY_IMAGE ? s->image : s->spectrum, row = find_entry(t, m, entry);
    char name[64];
    if (row < 0)
        return FAIL(E_INPUT, "%s: no tokens of %s %lld: remove the file, it is made again", t->file.path,
                    modality_name[m], (long long)entry);
    snprintf(name, sizeof name, "%s/tokens", modality_name[m]);
    TRY(h5_read_rows(tokens, &t->file, name, H5_F32, 0, row, 1));
    const size_t bytes = sizeof *tokens * (size_t)(b->n_tokens * b->dim);
    if (hash_bytes(tokens, bytes) == t->checksum[m][row]) return OK;
    return FAIL(E_INPUT, "%s: tokens of %s %lld are damaged (checksum): remove the file, it is made again",
                t->file.path, modality_name[m], (long long)entry);
}
