/* mocoview.h - how the network of MoCo v2 sees a galaxy: as the released code of Stein et al. (2021) shows it. Local.

   Colours: planes z, r, g of x_b (scale_b + m asinh(Q I) / sqrt(Q) / I), cut to 0 .. 1, with I the mean over bands of the
   positive part of scale_b x_b + m. That is what their class ToRGB computes; the sky viewer, and AstroCLIP (prepare_image),
   multiply m and the image by the stretch. A plane lies transposed: its rows are columns of the image. */
#ifndef MODEL_MOCOVIEW_H
#define MODEL_MOCOVIEW_H

#include "core/arena.h"
#include "core/rng.h"
#include "nn/real.h"

/* out (3, crop, crop) of the centre of pixels (3, size, size): g, r, z in nanomaggies. E_INPUT when that is smaller. */
Status mocoview_centre(float *out, const float *pixels, int64_t size, int64_t crop);

/* A view drawn at random, as augmentations `gr rr ss gb jc gn rg` of train_ssl.py make it with the ranges that are in effect
   there: dust, E(B-V) of the own sightline lognormal, of the new one uniform in 0 .. 1; mirrored, turned by any angle, 0.9
   to 1.1 times as large, moved by up to 7 pixels either way; blurred and made noisy from the night it is assumed to have
   been to one uniform in the survey's range. One bilinear look-up does all of geometry (there: two, and the size changes along one axis
   only); what is beyond the image is 0. */
Status mocoview_draw(float *out, const float *pixels, int64_t size, int64_t crop, Rng *rng, Arena *scratch);

#endif
