/* explorer_kept.c - what the explorer holds while it runs: embeddings or their lengths, TARGETIDs, an order to leaf through. */
#include "explorer_impl.h"

#include <stdlib.h>

#include "core/hash.h"
#include "data/release_rows.h"
#include "probe/cosine.h"

static const ConfigField serve_fields[] = {
    FIELD_INT(ServeConfig, port, "8765", 0, 65535, EFFORT, "of 127.0.0.1; 0 = any that is free"),
    FIELD_INT(ServeConfig, connections, "32", 1, 1000, EFFORT, "at a time"),
    FIELD_INT(ServeConfig, timeout_seconds, "15", 1, 3600, EFFORT, "until a connection that says nothing is closed"),
    FIELD_INT(ServeConfig, neighbours, "12", 1, EXPLORER_NEIGHBOURS, EFFORT, "shown at first"),
    FIELD_REAL(ServeConfig, keep_gb, "8", 0, 1e6, EFFORT,
               "GB of embeddings kept in memory; beyond, files are read for each question"),
    FIELD_END};
const ConfigSection serve_section = {"serve",
                                     "the explorer: `astroclip serve RUN.yaml`, interactive search in a browser",
                                     serve_fields, sizeof(ServeConfig), NULL};

static Status read_embeddings(Explorer *x, Modality m, bool keep, Arena *a)
{
    const int64_t dim = x->embeddings->dim[embedding_aligned[m]];
    float *piece = NULL;
    if (dim == 0) return OK;
    TRY(arena_new(&x->norm[m], a, x->n));
    if (keep) TRY(arena_new(&x->x[m], a, x->n * dim));
    TRY(arena_new(&piece, x->arena, least(EXPLORER_PIECE, x->n) * dim));
    for (int64_t at = 0; at < x->n; at += EXPLORER_PIECE) {
        const int64_t n = least(EXPLORER_PIECE, x->n - at);
        float *to = keep ? x->x[m] + at * dim : piece;
        TRY(embeddings_read(to, x->embeddings, embedding_aligned[m], at, n));
        for (int64_t i = 0; i < n; i++) x->norm[m][at + i] = cosine_norm(to + i * dim, dim);
    }
    arena_reset(x->arena, (Mark){0});
    return OK;
}

typedef struct {
    uint64_t turn;
    int64_t row;
} Turn;

static int by_turn(const void *a, const void *b)
{
    const Turn *x = a, *y = b;
    if (x->turn != y->turn) return x->turn < y->turn ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Rows with something to show, shuffled by their TARGETIDs. */
static Status shuffle(Explorer *x, Arena *a)
{
    Turn *turn = NULL;
    TRY(arena_new(&x->turn, a, x->n));
    TRY(arena_new(&turn, x->arena, x->n));
    for (int64_t i = 0; i < x->n; i++) turn[i] = (Turn){hash_mix((uint64_t)x->targetid[i]), i};
    qsort(turn, (size_t)x->n, sizeof *turn, by_turn);
    for (int64_t i = 0; i < x->n; i++) x->turn[i] = turn[i].row;
    arena_reset(x->arena, (Mark){0});
    return OK;
}

Status explorer_open(Explorer *x, Arena *keep)
{
    double bytes = 0;
    x->n = x->catalog->n;
    if (x->embeddings->n != x->n)
        return FAIL(E_INPUT, "%s has %lld rows, %s has %lld: run `astroclip embed` again", x->embeddings->file.path,
                    (long long)x->embeddings->n, x->catalog->file.path, (long long)x->n);
    if (x->predictions && x->predictions->n != x->n)
        return FAIL(E_INPUT, "%s has other rows than %s: run `astroclip probe` again", x->predictions->file.path,
                    x->catalog->file.path);
    for (int m = 0; m < N_MODALITIES; m++) bytes += 4.0 * (double)(x->n * x->embeddings->dim[embedding_aligned[m]]);
    for (int m = 0; m < N_MODALITIES; m++)
        TRY(read_embeddings(x, (Modality)m, bytes <= 1e9 * x->config->keep_gb, keep));
    TRY(arena_new(&x->targetid, keep, x->n));
    TRY(embeddings_read_targets(x->targetid, x->embeddings, 0, x->n));
    TRY(shuffle(x, keep));
    return release_open_images(&x->source, x->release, &x->catalog->files, keep);
}

void explorer_close(Explorer *x)
{
    release_close_images(x->source, x->release);
    x->source = NULL;
}
