/* crops.h - the views of a galaxy that AstroDINO compares (spec.md 4.5): crops at random places, mirrored at random, as
   a worse night would have seen them, in the colours of prepare_image. Local. */
#ifndef MODEL_CROPS_H
#define MODEL_CROPS_H

#include "core/arena.h"
#include "core/rng.h"
#include "nn/real.h"

enum { CROPS_GLOBAL = 2, CROPS_BANDS = 3 };

/* A night's quality in each band g, r, z: loc + scale exp(shape x normal). */
typedef struct {
    double shape[CROPS_BANDS], loc[CROPS_BANDS], scale[CROPS_BANDS];
} NightLaw;
extern const NightLaw crops_seeing; /* sigma of the point spread function, pixels */
extern const NightLaw crops_noise;  /* sigma of a pixel, nanomaggies */
double crops_draw_night(const NightLaw *law, int band, Rng *rng);

/* The sigma that takes an image of one night (`have`, drawn first, in all bands) to that of another: the root of the
   difference of squares, 0 where the image is worse already. */
void crops_draw_sigma(double have[CROPS_BANDS], double add[CROPS_BANDS], const NightLaw *law, Rng *rng);

/* plane (size, size) convolved with a Gaussian of sigma > 0 pixels in place: cut off at 4 sigma, the plane mirrored at its
   edges, edge pixels repeated; rows first, sums in double. */
Status crops_blur(real *plane, double sigma, int64_t size, Arena *scratch);

typedef struct {
    int64_t field;                            /* pixels around the centre that crops lie in */
    int64_t global_size, local_size, n_local; /* pixels; local crops */
    double degrade[CROPS_GLOBAL];             /* of each global crop: probability of a blur, and of noise */
    double degrade_local;
} CropsConfig;

/* All crops of image number `i` of a batch of `batch`, at their places: global (2, batch, 3, global_size, global_size), local
   (n_local, batch, 3, local_size, local_size). pixels (3, size, size): g, r, z in nanomaggies. E_INPUT when the image is
   smaller than the field, or that than a crop. */
Status crops_draw(float *global, float *local, const CropsConfig *c, const float *pixels, int64_t size, int64_t i,
                  int64_t batch, Rng *rng, Arena *scratch);

#endif
