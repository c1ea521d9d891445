/* search_share.c - this rank's share of the catalogue: which of its rows have embeddings, kept in memory or read again for each
   batch of queries, and the comparison with them. */
#include "search_impl.h"

#include <string.h>

enum { PIECE = SEARCH_PIECE };

static bool keeps(const Search *w)
{
    double bytes = 0;
    for (int m = 0; m < N_MODALITIES; m++) bytes += w->among[m] ? 4.0 * (double)(w->keys.n * w->dim) : 0;
    return bytes <= 1e9 * w->config->keep_gb;
}

/* Local. Lengths of all rows of the share, and the embeddings themselves where they are kept. */
static Status read_targets(Search *w, Modality m, bool keep)
{
    Targets *t = &w->target[m];
    const int64_t dim = w->dim, n = w->keys.n;
    float *piece = NULL;
    TRY(arena_new(&t->row, w->arena, n));
    TRY(arena_new(&t->targetid, w->arena, n));
    TRY(arena_new(&t->norm, w->arena, n));
    TRY(arena_new(&t->usable, w->arena, n));
    if (keep) TRY(arena_new(&t->x, w->arena, n * dim));
    const Mark mark = arena_mark(w->arena);
    TRY(arena_new(&piece, w->arena, least(PIECE, n) * dim));
    for (int64_t at = 0; at < n; at += PIECE) {
        const int64_t here = least(PIECE, n - at);
        TRY(par_continue());
        TRY(embeddings_read(piece, w->s->embeddings, embedding_aligned[m], w->keys.first + at, here));
        for (int64_t i = 0; i < here; i++) {
            const double norm = cosine_norm(piece + i * dim, dim);
            if (norm == 0) continue;
            if (keep) memcpy(t->x + t->n * dim, piece + i * dim, (size_t)dim * sizeof *piece);
            t->usable[at + i] = 1;
            t->norm[t->n] = norm;
            t->row[t->n] = w->keys.first + at + i;
            t->targetid[t->n++] = w->keys.key[at + i].targetid;
        }
    }
    arena_reset(w->arena, mark);
    return OK;
}

/* Local. The same rows in both files: checked by TARGETID. */
static Status check_rows(const Search *w)
{
    const Mark mark = arena_mark(w->arena);
    int64_t *id = NULL;
    if (w->s->embeddings->n != w->s->catalog->n)
        return FAIL(E_INPUT, "%s has %lld rows, %s has %lld: run `astroclip embed` again", w->s->embeddings->file.path,
                    (long long)w->s->embeddings->n, w->s->catalog->file.path, (long long)w->s->catalog->n);
    TRY(arena_new(&id, w->arena, w->keys.n));
    TRY(embeddings_read_targets(id, w->s->embeddings, w->keys.first, w->keys.n));
    for (int64_t i = 0; i < w->keys.n; i++)
        if (id[i] != w->keys.key[i].targetid)
            return FAIL(E_INPUT, "row %lld is TARGETID %lld in %s and %lld in %s: run `astroclip embed` again",
                        (long long)(w->keys.first + i), (long long)w->keys.key[i].targetid, w->s->catalog->file.path,
                        (long long)id[i], w->s->embeddings->file.path);
    arena_reset(w->arena, mark);
    return OK;
}

static Status choose_sets(Search *w)
{
    const Embeddings *e = w->s->embeddings;
    for (int d = 0; d < N_DIRECTIONS; d++) {
        if (!search_goes(w->config, d)) continue;
        w->wants[direction_table[d].from] = w->wants[direction_table[d].to] = true;
        w->among[direction_table[d].to] = true;
    }
    for (int m = 0; m < N_MODALITIES; m++) {
        if (!w->wants[m]) continue;
        if (e->dim[embedding_aligned[m]] == 0)
            return FAIL(E_INPUT,
                        "%s has no %s: leave their directions out of search.directions, or embed with them "
                        "(embed.sets, embed.modalities)",
                        e->file.path, embedding_dataset[embedding_aligned[m]]);
        w->dim = e->dim[embedding_aligned[m]];
    }
    if (w->wants[0] && w->wants[1] && e->dim[embedding_aligned[0]] != e->dim[embedding_aligned[1]])
        return FAIL(E_INPUT, "%s: embeddings of images and spectra have other lengths", e->file.path);
    return OK;
}

Status share_read(Search *w)
{
    TRY(FAIL_POINT("search.read"));
    TRY(choose_sets(w));
    const bool indexed = w->config->index != INDEX_EXACT;
    TRY(search_keys_read(&w->keys, w->s->catalog, indexed ? w->config->index_rows : 1, w->par, w->arena));
    TRY(check_rows(w));
    const bool keep = keeps(w);
    if (indexed && !keep)
        return FAIL(E_CONFIG,
                    "search.index: %s wants the embeddings of a rank's rows in memory: raise search.keep_gb, take more "
                    "ranks, or index: exact",
                    search_indices[w->config->index]);
    for (int m = 0; m < N_MODALITIES; m++) {
        if (w->wants[m]) {
            TRY(read_targets(w, (Modality)m, keep && w->among[m]));
            if (indexed && w->among[m]) TRY(index_build(w, (Modality)m));
        } else { /* nobody asks */
            TRY(arena_new(&w->target[m].usable, w->arena, w->keys.n));
            memset(w->target[m].usable, 1, (size_t)w->keys.n);
        }
    }
    return OK;
}

Status share_compare(CosineSearch *s, const Search *w, Modality m)
{
    const Targets *t = &w->target[m];
    const Mark mark = arena_mark(w->arena);
    float *piece = NULL;
    if (!t->x) TRY(arena_new(&piece, w->arena, least(PIECE, w->keys.n) * w->dim));
    for (int64_t at = 0, done = 0; at < (t->x ? t->n : w->keys.n); at += PIECE) {
        TRY(par_continue());
        if (t->x) {
            cosine_add(s, t->x + at * w->dim, t->norm + at, t->targetid + at, t->row + at, least(PIECE, t->n - at));
            continue;
        }
        const int64_t here = least(PIECE, w->keys.n - at);
        int64_t n = 0;
        TRY(embeddings_read(piece, w->s->embeddings, embedding_aligned[m], w->keys.first + at, here));
        for (int64_t i = 0; i < here; i++)
            if (t->usable[at + i]) memmove(piece + n++ * w->dim, piece + i * w->dim, (size_t)w->dim * sizeof *piece);
        cosine_add(s, piece, t->norm + done, t->targetid + done, t->row + done, n);
        done += n;
    }
    arena_reset(w->arena, mark);
    return OK;
}
