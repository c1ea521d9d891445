/* prepare_image.h - what an image encoder sees of a cutout (spec.md 1): arcsinh RGB, then the centre crop. Local. */
#ifndef MODEL_PREPARE_IMAGE_H
#define MODEL_PREPARE_IMAGE_H

#include "core/fail.h"
#include "nn/real.h"

/* out (3, crop, crop): planes R (z), G (r), B (g), values 0..1. pixels (3, size, size): bands g, r, z in
   nanomaggies; rows and columns stay as they are. E_INPUT when the cutout is smaller than the crop. The product
   prepares in float32, also where models run in double (DESIGN.md section 8); the double variant is the same formula
   for comparison. */
Status prepare_image(float *out, const float *pixels, int64_t size, int64_t crop);
Status prepare_image_double(double *out, const float *pixels, int64_t size, int64_t crop);

#endif
