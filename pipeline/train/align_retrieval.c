/* align_retrieval.c - each image looks for its spectrum among n, each spectrum for its image.

   A rank embeds a contiguous share of the samples and keeps it. Blocks of samples, the same for any number of ranks, then
   go round, and each rank ranks its own queries against them. Every score is an element of a product of two blocks, at
   its sample's place in the block and with zeros where others' rows would be, so it has the same bits whoever computes
   it; what comes before the partner is counted, not sorted. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "nn/gemm.h"
#include "nn/l2norm.h"
#include "train/objective.h"

enum { BLOCK = 10 * GEMM_ROWS };

typedef struct {
    Model *model;
    Dataset *dataset;
    const Sample *sample;
    const Par *par;
    int64_t n, dim, n_blocks;
    int64_t first, last;             /* this rank's samples */
    int64_t first_block, last_block; /* the blocks they lie in */
    real *own[N_MODALITIES];         /* (blocks, BLOCK, E) directions of mine, else 0 */
    real *other[N_MODALITIES];       /* (BLOCK, E) the block that goes round */
    real *score;                     /* (BLOCK, BLOCK) */
    real *partner[N_MODALITIES];     /* (blocks, BLOCK) scores of the right answers, asking by this modality */
    float *place[N_MODALITIES];      /* (n mine) ranks: 1 = the partner comes first */
} Search;

static int64_t least(int64_t x, int64_t y) { return x < y ? x : y; }
static int64_t most(int64_t x, int64_t y) { return x > y ? x : y; }

/* The samples of block b that lie in [first, last), as places in the block; low = high where there are none. */
static void part_of(int64_t *low, int64_t *high, int64_t b, int64_t first, int64_t last)
{
    *low = most(first - b * BLOCK, 0);
    *high = least(last - b * BLOCK, BLOCK);
    if (*high < *low) *high = *low;
}

static Status take(Search *s, Arena *a)
{
    const int64_t blocks = s->last_block - s->first_block;
    for (int m = 0; m < N_MODALITIES; m++) {
        TRY(arena_new(&s->own[m], a, blocks * BLOCK * s->dim));
        TRY(arena_new(&s->other[m], a, BLOCK * s->dim));
        TRY(arena_new(&s->partner[m], a, blocks * BLOCK));
        TRY(arena_new(&s->place[m], a, s->last - s->first));
    }
    return arena_new(&s->score, a, BLOCK * BLOCK);
}

static Status embed_sample(real *image, real *spectrum, const Search *s, const Sample *which, Arena *a)
{
    const Mark mark = arena_mark(a);
    float *pixels, *flux;
    TRY(arena_new(&pixels, a, IMAGE_NUMBERS));
    TRY(arena_new(&flux, a, GRID_PIXELS));
    TRY(dataset_image(pixels, s->dataset, which->image));
    TRY(dataset_spectrum(flux, s->dataset, which->spectrum));
    TRY(model_image(image, NULL, s->model, pixels, CUTOUT_PIXELS, a));
    TRY(model_spectrum(spectrum, NULL, s->model, flux, GRID_PIXELS, a));
    l2norm_forward(image, NULL, image, 1, s->dim, (real)1e-12);
    l2norm_forward(spectrum, NULL, spectrum, 1, s->dim, (real)1e-12);
    arena_reset(a, mark);
    return OK;
}

static Status embed_own(Search *s, Arena *a)
{
    TRY(take(s, a));
    for (int64_t i = s->first; i < s->last; i++) {
        const int64_t at = (i - s->first_block * BLOCK) * s->dim;
        TRY(par_continue());
        TRY(embed_sample(s->own[MODALITY_IMAGE] + at, s->own[MODALITY_SPECTRUM] + at, s, &s->sample[i], a));
    }
    return OK;
}

/* score = my block b, asking by modality m, with a block of the other modality. */
static void score_block(Search *s, int m, int64_t b, const real *other)
{
    gemm()->forward(s->score, s->own[m] + (b - s->first_block) * BLOCK * s->dim, other, NULL, BLOCK, BLOCK, s->dim);
}

/* My part of the diagonal. */
static void find_partners(Search *s, int m)
{
    for (int64_t b = s->first_block; b < s->last_block; b++) {
        int64_t low, high;
        part_of(&low, &high, b, s->first, s->last);
        score_block(s, m, b, s->own[!m] + (b - s->first_block) * BLOCK * s->dim);
        for (int64_t i = low; i < high; i++) {
            s->partner[m][(b - s->first_block) * BLOCK + i] = s->score[i * BLOCK + i];
            s->place[m][b * BLOCK + i - s->first] = 1;
        }
    }
}

/* What of block c, now in `other`, comes before the partners of my block b; a score that is no number comes before. */
static void count_before(Search *s, int m, int64_t b, int64_t c)
{
    int64_t low, high;
    const int64_t n = least(s->n - c * BLOCK, BLOCK);
    part_of(&low, &high, b, s->first, s->last);
    score_block(s, m, b, s->other[!m]);
    for (int64_t i = low; i < high; i++) {
        const real partner = s->partner[m][(b - s->first_block) * BLOCK + i];
        int64_t before = 0, same = 0;
        for (int64_t j = 0; j < n; j++) {
            if (b == c && i == j) continue;
            same += s->score[i * BLOCK + j] == partner;
            before += !(s->score[i * BLOCK + j] <= partner);
        }
        s->place[m][b * BLOCK + i - s->first] += (float)before + 0.5f * (float)same;
    }
}

/* Collective. Block c into `other`: each rank that has a part of it gives it. */
static void send_block(Search *s, int m, int64_t c)
{
    memset(s->other[m], 0, sizeof **s->other * (size_t)(BLOCK * s->dim));
    for (int r = 0; r < s->par->n_ranks; r++) {
        int64_t first, last, low, high;
        par_share(&first, &last, &(Par){.rank = r, .n_ranks = s->par->n_ranks}, s->n);
        part_of(&low, &high, c, first, last);
        const int64_t bytes = (high - low) * s->dim * (int64_t)sizeof(real);
        if (bytes == 0) continue;
        real *part = s->other[m] + low * s->dim;
        if (r == s->par->rank) memcpy(part, s->own[m] + ((c - s->first_block) * BLOCK + low) * s->dim, (size_t)bytes);
        par_bcast(s->par, part, bytes, r);
    }
}

/* Collective. */
static void go_round(Search *s)
{
    for (int m = 0; m < N_MODALITIES; m++) find_partners(s, m);
    for (int64_t c = 0; c < s->n_blocks; c++) {
        for (int m = 0; m < N_MODALITIES; m++) send_block(s, m, c);
        for (int m = 0; m < N_MODALITIES; m++)
            for (int64_t b = s->first_block; b < s->last_block; b++) count_before(s, m, b, c);
        clock_tick();
    }
}

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Collective. */
static Status summarise(Retrieval *out, const Search *s, int m, Arena *a)
{
    int64_t n;
    float *place;
    TRY(par_allgather((void **)&place, &n, s->par, s->place[m], s->last - s->first, sizeof *place, a));
    MUST(n == s->n);
    qsort(place, (size_t)n, sizeof *place, by_value);
    int64_t top1 = 0, top10 = 0;
    for (int64_t i = 0; i < n; i++) {
        top1 += place[i] <= 1;
        top10 += place[i] <= 10;
    }
    *out = (Retrieval){n, (double)top1 / (double)n, (double)top10 / (double)n,
                       0.5 * ((double)place[(n - 1) / 2] + (double)place[n / 2])};
    return OK;
}

Status align_retrieval(Retrieval out[2], Model *model, Dataset *d, const Sample *sample, int64_t n, const Par *par,
                       Arena *a)
{
    out[0] = out[1] = (Retrieval){0, NAN, NAN, NAN};
    if (n == 0) return OK;
    TRY(par_agree(par, model_prepare(model, a))); /* before the mark: the model keeps what it takes */
    const Mark mark = arena_mark(a);
    Search s = {.model = model, .dataset = d, .sample = sample, .par = par, .n = n, .dim = model_embed_dim(model)};
    s.n_blocks = (n + BLOCK - 1) / BLOCK;
    par_share(&s.first, &s.last, par, n);
    s.first_block = s.first / BLOCK;
    s.last_block = s.last > s.first ? (s.last - 1) / BLOCK + 1 : s.first_block;
    TRY(par_agree(par, embed_own(&s, a)));
    go_round(&s);
    for (int m = 0; m < N_MODALITIES; m++) TRY(summarise(&out[m], &s, m, a));
    arena_reset(a, mark);
    return OK;
}
