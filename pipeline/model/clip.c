/* clip.c - cosines of my rows with all rows in both directions, two cross-entropies whose right answer is the
   diagonal. Directions have eps 1e-3, as the released code. */
#include "model/clip.h"

#include <string.h>

#include "nn/crossentropy.h"
#include "nn/gemm.h"
#include "nn/l2norm.h"

static const real eps = (real)1e-3;

static Status take_trace(ClipTrace *t, Arena *step)
{
    TRY(arena_new(&t->image, step, t->n * t->dim));
    TRY(arena_new(&t->spectrum, step, t->n * t->dim));
    TRY(arena_new(&t->image_norm, step, t->n));
    TRY(arena_new(&t->spectrum_norm, step, t->n));
    TRY(arena_new(&t->score_image, step, t->mine * t->n));
    TRY(arena_new(&t->score_spectrum, step, t->mine * t->n));
    TRY(arena_new(&t->p_image, step, t->mine * t->n));
    return arena_new(&t->p_spectrum, step, t->mine * t->n);
}

/* The right answer for my row i: itself. */
static Status own_rows(int64_t **target, const ClipTrace *t, Arena *step)
{
    TRY(arena_new(target, step, t->mine));
    for (int64_t i = 0; i < t->mine; i++) (*target)[i] = t->first + i;
    return OK;
}

/* The sum of my rows' losses, asking with `from` among all rows of `to`. */
static double ask(real *score, real *p, const ClipTrace *t, const real *from, const real *to, const int64_t *target)
{
    const int64_t cells = t->mine * t->n;
    gemm()->forward(score, from + t->first * t->dim, to, NULL, t->mine, t->n, t->dim);
    for (int64_t i = 0; i < cells; i++) score[i] *= (real)t->scale;
    return crossentropy_forward(p, score, target, t->mine, t->n);
}

Status clip_forward(double *loss, ClipTrace *t, const real *image, const real *spectrum, int64_t first, int64_t mine,
                    int64_t n, int64_t dim, double scale, Arena *step)
{
    MUST(first >= 0 && mine >= 0 && first + mine <= n && n > 0);
    *t = (ClipTrace){.first = first, .mine = mine, .n = n, .dim = dim, .scale = scale};
    TRY(take_trace(t, step));
    const Mark mark = arena_mark(step);
    int64_t *target;
    TRY(own_rows(&target, t, step));
    l2norm_forward(t->image, t->image_norm, image, n, dim, eps);
    l2norm_forward(t->spectrum, t->spectrum_norm, spectrum, n, dim, eps);
    const double by_image = ask(t->score_image, t->p_image, t, t->image, t->spectrum, target);
    const double by_spectrum = ask(t->score_spectrum, t->p_spectrum, t, t->spectrum, t->image, target);
    *loss = 0.5 * (by_image + by_spectrum) / (double)n;
    arena_reset(step, mark);
    return OK;
}

typedef struct {
    real *d_image, *d_spectrum; /* (n, dim) of the directions */
    real *d_score;              /* (mine, n) */
    int64_t *target;
} ClipScratch;

/* One direction: d_from and d_to (n, dim) are added into; returns sum of d_score * score / s. */
static double ask_backward(real *d_from, real *d_to, ClipScratch *s, const ClipTrace *t, const real *p,
                           const real *score, const real *from, const real *to)
{
    const int64_t cells = t->mine * t->n;
    double d_scale = 0;
    memset(s->d_score, 0, sizeof *s->d_score * (size_t)cells);
    crossentropy_backward(s->d_score, p, s->target, (real)(0.5 / (double)t->n), t->mine, t->n);
    for (int64_t i = 0; i < cells; i++) {
        d_scale += (double)s->d_score[i] * (double)score[i] / t->scale;
        s->d_score[i] *= (real)t->scale;
    }
    gemm()->backward_x(d_from + t->first * t->dim, s->d_score, to, t->mine, t->n, t->dim);
    gemm()->backward_w(d_to, s->d_score, from + t->first * t->dim, t->mine, t->n, t->dim);
    return d_scale;
}

Status clip_backward(real *d_image, real *d_spectrum, double *d_scale, const ClipTrace *t, Arena *step)
{
    const Mark mark = arena_mark(step);
    ClipScratch s;
    TRY(arena_new(&s.d_image, step, t->n * t->dim));
    TRY(arena_new(&s.d_spectrum, step, t->n * t->dim));
    TRY(arena_new(&s.d_score, step, t->mine * t->n));
    TRY(own_rows(&s.target, t, step));
    const double by_image =
        ask_backward(s.d_image, s.d_spectrum, &s, t, t->p_image, t->score_image, t->image, t->spectrum);
    const double by_spectrum =
        ask_backward(s.d_spectrum, s.d_image, &s, t, t->p_spectrum, t->score_spectrum, t->spectrum, t->image);
    if (d_scale) *d_scale += by_image + by_spectrum;
    l2norm_backward(d_image, s.d_image, t->image, t->image_norm, t->n, t->dim, eps);
    l2norm_backward(d_spectrum, s.d_spectrum, t->spectrum, t->spectrum_norm, t->n, t->dim, eps);
    arena_reset(step, mark);
    return OK;
}
