/* patchmask.c - block-wise masks, as BEiT draws them and DINOv2 uses them. */
#include "model/patchmask.h"

#include <math.h>
#include <stdbool.h>

enum { LEAST_AREA = 4, ATTEMPTS = 10 };
static const double narrowest = 0.3; /* height over width, or the other way round */

/* ---- one mask ---- */

/* Hides a rectangle; returns how many of its patches were in sight. With `count` nothing is changed. */
static int64_t hide(uint8_t *mask, int64_t side, int64_t top, int64_t left, int64_t h, int64_t w, bool count)
{
    int64_t n = 0;
    for (int64_t y = top; y < top + h; y++)
        for (int64_t x = left; x < left + w; x++) {
            n += !mask[y * side + x];
            if (!count) mask[y * side + x] = 1;
        }
    return n;
}

/* One rectangle of at most `budget` patches that hides something new; 0 = none was found. */
static int64_t add_rectangle(uint8_t *mask, int64_t side, int64_t budget, const PatchMaskDraws *draws)
{
    for (int k = 0; k < ATTEMPTS; k++) {
        double area, log_aspect;
        int64_t top, left;
        draws->shape(draws->self, &area, &log_aspect, LEAST_AREA, (double)budget);
        const int64_t h = (int64_t)rint(sqrt(area * exp(log_aspect))), w = (int64_t)rint(sqrt(area / exp(log_aspect)));
        if (w >= side || h >= side) continue;
        draws->place(draws->self, &top, &left, side - h + 1, side - w + 1);
        const int64_t n = hide(mask, side, top, left, h, w, true);
        if (n > 0 && n <= budget) return hide(mask, side, top, left, h, w, false);
    }
    return 0;
}

/* Half of the crop, made of whole patches as the released code counts them. */
static int64_t most_of_one(int64_t side) { return (int64_t)(floor(0.5 * (double)side) * (double)side); }

int64_t patchmask_fill(uint8_t *mask, int64_t side, int64_t wanted, const PatchMaskDraws *draws)
{
    int64_t n = 0;
    while (n < wanted) {
        const int64_t left = wanted - n, most = most_of_one(side);
        const int64_t added = add_rectangle(mask, side, left < most ? left : most, draws);
        if (added == 0) break;
        n += added;
    }
    return n;
}

/* ---- random rectangles ---- */

static double between(Rng *rng, double a, double b) { return a + (b - a) * rng_uniform(rng); }

static void random_shape(void *self, double *area, double *log_aspect, double least, double most)
{
    *area = between(self, least, most);
    *log_aspect = between(self, log(narrowest), -log(narrowest));
}

static void random_place(void *self, int64_t *top, int64_t *left, int64_t n_top, int64_t n_left)
{
    *top = rng_below(self, n_top);
    *left = rng_below(self, n_left);
}

/* ---- a batch ---- */

double patchmask_share(const PatchMaskConfig *c, int64_t j, int64_t n)
{
    return c->least + (c->most - c->least) * (double)j / (double)n;
}

static void shuffle_crops(int64_t *x, int64_t n, Rng *rng)
{
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = rng_below(rng, i + 1), kept = x[i];
        x[i] = x[j];
        x[j] = kept;
    }
}

static void list_patches(PatchMasks *m, int64_t crops, int64_t patches)
{
    int64_t at = 0;
    for (int64_t i = 0; i < crops; i++) {
        const uint8_t *mask = m->mask + i * patches;
        int64_t n = 0;
        for (int64_t k = 0; k < patches; k++) n += mask[k];
        for (int64_t k = 0; k < patches; k++) {
            if (!mask[k]) continue;
            m->index[at] = i * patches + k;
            m->weight[at++] = 1 / (float)n;
        }
    }
}

Status patchmask_draw(PatchMasks *out, const PatchMaskConfig *c, int64_t crops, Rng *rng, Arena *a)
{
    const int64_t patches = c->side * c->side, n_masked = (int64_t)((double)crops * c->probability);
    const PatchMaskDraws draws = {random_shape, random_place, rng};
    int64_t *crop;
    *out = (PatchMasks){0};
    TRY(arena_new(&out->mask, a, crops * patches));
    TRY(arena_new(&crop, a, crops));
    for (int64_t i = 0; i < crops; i++) crop[i] = i;
    shuffle_crops(crop, crops, rng);
    for (int64_t j = 0; j < n_masked; j++) {
        const double share = between(rng, patchmask_share(c, j, n_masked), patchmask_share(c, j + 1, n_masked));
        out->n += patchmask_fill(out->mask + crop[j] * patches, c->side, (int64_t)((double)patches * share), &draws);
    }
    TRY(arena_new(&out->index, a, out->n));
    TRY(arena_new(&out->weight, a, out->n));
    list_patches(out, crops, patches);
    return OK;
}
