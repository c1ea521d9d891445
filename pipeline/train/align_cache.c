/* align_cache.c - writes the file of cached tokens: the pairs of all splits in order of their entries, each rank a
   contiguous share, a few objects at a time. */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "nn/gemm.h"
#include "train/align_tokens.h"

enum { BLOCK_BYTES = 1 << 24 }; /* of tokens that are written at once */
static const char kind[] = "tokens";

static bool is_frozen(const AlignConfig *c, int m)
{
    return m == MODALITY_IMAGE ? c->freeze_image : c->freeze_spectrum;
}

static const Branch *branch_of(const Model *model, int m) { return model_branch(model, m == MODALITY_IMAGE); }

/* ---- what it holds ---- */

typedef struct {
    const AlignConfig *config;
    Model *model;
    Dataset *dataset;
    const Par *par;
    Sample *pair; /* (n) of all splits */
    int64_t n;
    double seconds; /* of this rank's encoders */
    Arena *arena;
} Filling;

static int by_image(const void *a, const void *b)
{
    const Sample *x = a, *y = b;
    return (x->image > y->image) - (x->image < y->image);
}

static int by_spectrum(const void *a, const void *b)
{
    const Sample *x = a, *y = b;
    return (x->spectrum > y->spectrum) - (x->spectrum < y->spectrum);
}

static Status gather_pairs(Filling *f)
{
    Sample *part[N_SPLITS];
    int64_t n[N_SPLITS], at = 0;
    for (int k = 0; k < N_SPLITS; k++) {
        TRY(dataset_samples(&part[k], &n[k], f->dataset, SAMPLES_PAIRS, (Split)k, f->arena));
        f->n += n[k];
    }
    TRY(arena_new(&f->pair, f->arena, f->n));
    for (int k = 0; k < N_SPLITS; at += n[k++]) memcpy(f->pair + at, part[k], sizeof **part * (size_t)n[k]);
    return OK;
}

/* Kind, sizes and weights of a frozen encoder. */
static void add_encoder(HashState *h, const Branch *b, const Params *p)
{
    char backbone[PARAM_NAME];
    snprintf(backbone, sizeof backbone, "%sbackbone.", b->prefix);
    hash_add_text(h, b->encoder->plugin.name);
    hash_add(h, b->config, b->encoder->plugin.size);
    for (int64_t i = 0; i < p->n_params; i++) {
        const Param *q = &p->param[i];
        if (strncmp(q->name, backbone, strlen(backbone)) != 0) continue;
        hash_add_text(h, q->name);
        hash_add(h, params_at(p, i), sizeof(real) * (size_t)q->n);
    }
}

/* Of what tokens depend on, and nothing else: a cache outlives a change of the training. The provider's bits are in
   the tokens too. */
static Fingerprint fingerprint_of(const Filling *f)
{
    HashState *h = hash_open();
    hash_add_text(h, kind);
    hash_add_text(h, f->dataset->fingerprint.text);
    hash_add_text(h, gemm_provider_text());
    for (int m = 0; m < N_MODALITIES; m++)
        if (is_frozen(f->config, m)) add_encoder(h, branch_of(f->model, m), model_params(f->model));
    return hash_close(h);
}

/* ---- writing ---- */

static Status create(H5File *file, const Filling *f, const Fingerprint *fingerprint)
{
    const Envelope e = {.kind = kind,
                        .version = TOKENS_VERSION,
                        .made_by = "align",
                        .fingerprint = *fingerprint,
                        .provider = gemm_provider_text(),
                        .ranks = f->par->n_ranks};
    TRY(artefact_write(file, &e));
    for (int m = 0; m < N_MODALITIES; m++) {
        const Branch *b = branch_of(f->model, m);
        char name[64];
        if (!is_frozen(f->config, m)) continue;
        snprintf(name, sizeof name, "%s/entry", modality_name[m]);
        TRY(h5_new(file, name, H5_I64, 0, &f->n, 1));
        snprintf(name, sizeof name, "%s/checksum", modality_name[m]);
        TRY(h5_new(file, name, H5_U64, 0, &f->n, 1));
        snprintf(name, sizeof name, "%s/tokens", modality_name[m]);
        TRY(h5_new(file, name, H5_F32, 0, (const int64_t[]){f->n, b->n_tokens, b->dim}, 3));
    }
    return OK;
}

/* Pairs [first, first + n) of one modality. */
static Status write_block(H5File *file, Filling *f, Modality m, int64_t first, int64_t n)
{
    const Branch *b = branch_of(f->model, m);
    const int64_t each = b->n_tokens * b->dim;
    char name[64];
    real *tokens;
    int64_t *entry;
    uint64_t *checksum;
    TRY(arena_new(&tokens, f->arena, n * each));
    TRY(arena_new(&entry, f->arena, n));
    TRY(arena_new(&checksum, f->arena, n));
    const double start = clock_now();
    for (int64_t i = 0; i < n; i++) {
        const Sample *s = &f->pair[first + i];
        TRY(par_continue());
        TRY(align_tokens(tokens + i * each, b, m, f->dataset, NULL, s, f->arena));
        entry[i] = m == MODALITY_IMAGE ? s->image : s->spectrum;
        checksum[i] = hash_bytes(tokens + i * each, sizeof *tokens * (size_t)each);
    }
    f->seconds += clock_now() - start;
    snprintf(name, sizeof name, "%s/tokens", modality_name[m]);
    TRY(h5_write_rows(file, name, H5_F32, 0, tokens, first, n));
    snprintf(name, sizeof name, "%s/entry", modality_name[m]);
    TRY(h5_write_rows(file, name, H5_I64, 0, entry, first, n));
    snprintf(name, sizeof name, "%s/checksum", modality_name[m]);
    return h5_write_rows(file, name, H5_U64, 0, checksum, first, n);
}

static Status write_share(H5File *file, Filling *f, Modality m, Progress *progress)
{
    const Branch *b = branch_of(f->model, m);
    const int64_t fits = BLOCK_BYTES / (b->n_tokens * b->dim * (int64_t)sizeof(real)), block = fits > 0 ? fits : 1;
    int64_t first, last;
    qsort(f->pair, (size_t)f->n, sizeof *f->pair, m == MODALITY_IMAGE ? by_image : by_spectrum);
    par_share(&first, &last, f->par, f->n);
    for (int64_t at = first; at < last; at += block) {
        const Mark mark = arena_mark(f->arena);
        const int64_t n = last - at < block ? last - at : block;
        TRY(write_block(file, f, m, at, n));
        arena_reset(f->arena, mark);
        progress_set(progress, progress->count + n * f->par->n_ranks);
    }
    return OK;
}

/* Collective. */
static Status write_file(Filling *f, const Fingerprint *fingerprint)
{
    char part[H5_PATH];
    H5File file = {0};
    Progress progress;
    if (snprintf(part, sizeof part, "%s.part", f->config->cache) >= (int)sizeof part)
        return FAIL(E_CONFIG, "the path '%.60s...' is too long", f->config->cache);
    TRY(artefact_make_folder_of(f->par, f->config->cache));
    TRY(h5_create(&file, part, f->par));
    progress_start(&progress, "token cache", "objects", f->n * (f->config->freeze_image + f->config->freeze_spectrum));
    Status st = create(&file, f, fingerprint);
    for (int m = 0; st == OK && m < N_MODALITIES; m++)
        if (is_frozen(f->config, m)) st = write_share(&file, f, (Modality)m, &progress);
    st = par_agree(f->par, st);
    const Status closed = h5_close(&file);
    TRY(st);
    TRY(par_agree(f->par, closed));
    progress_stop(&progress);
    return artefact_publish(f->par, f->config->cache);
}

/* ---- the choice ---- */

/* Seconds to make the tokens of one pair, on this rank. */
static Status time_pair(Filling *f)
{
    const double start = clock_now();
    for (int m = 0; m < N_MODALITIES; m++) {
        const Branch *b = branch_of(f->model, m);
        const Mark mark = arena_mark(f->arena);
        real *tokens;
        if (!is_frozen(f->config, m)) continue;
        TRY(arena_new(&tokens, f->arena, b->n_tokens * b->dim));
        TRY(align_tokens(tokens, b, (Modality)m, f->dataset, NULL, &f->pair[0], f->arena));
        arena_reset(f->arena, mark);
    }
    f->seconds = clock_now() - start;
    return OK;
}

static void say_size(const Filling *f, const char *what, double seconds)
{
    double bytes;
    align_cache_bytes(&bytes, f->config, f->model, f->n);
    log_info("align: %s: %.3g GB on disk for %lld pairs; making their tokens takes %.3g s on %d ranks each time", what,
             bytes / 1e9, (long long)f->n, seconds, f->par->n_ranks);
}

static Status fill(Filling *f)
{
    const Fingerprint fingerprint = fingerprint_of(f);
    int64_t current = f->par->rank == 0 && artefact_is_current(f->config->cache, kind, TOKENS_VERSION, &fingerprint);
    par_max_i64(f->par, &current, 1);
    if (current) {
        log_info("align: the tokens of %s are up to date", f->config->cache);
        return OK;
    }
    TRY(write_file(f, &fingerprint));
    double seconds = f->seconds;
    par_max_f64(f->par, &seconds, 1);
    say_size(f, "cached tokens", seconds);
    return OK;
}

Status align_cache(const AlignConfig *c, Model *model, Dataset *d, const Par *par, Arena *a)
{
    if (!c->freeze_image && !c->freeze_spectrum) return OK;
    const Mark mark = arena_mark(a);
    Filling f = {.config = c, .model = model, .dataset = d, .par = par, .arena = a};
    TRY(par_agree(par, gather_pairs(&f)));
    if (c->tokens == TOKENS_CACHE) {
        TRY(fill(&f));
    } else if (f.n > 0) {
        TRY(par_agree(par, time_pair(&f)));
        say_size(&f, "tokens are recomputed; a cache would take", f.seconds * (double)f.n / par->n_ranks);
    }
    arena_reset(a, mark);
    return OK;
}
