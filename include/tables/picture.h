/* picture.h - PNG files through libpng. Local. */
#ifndef TABLES_PICTURE_H
#define TABLES_PICTURE_H

#include <stdint.h>

#include "core/arena.h"

/* rgb (height, width, 3), the first row on top. Writes PATH itself; E_OUTPUT names it. */
Status picture_write(const char *path, const uint8_t *rgb, int64_t width, int64_t height);

/* The same into memory that the caller frees. */
Status picture_encode(uint8_t **out, size_t *bytes, const uint8_t *rgb, int64_t width, int64_t height);

/* rgb (size, size, 3) of a cutout (3, size, size) of nanomaggies g, r, z as viewers of the Legacy Surveys show it: arcsinh
   colours (model/prepare_image.h), north up, east left. */
Status picture_of_cutout(uint8_t *rgb, const float *pixels, int64_t size, Arena *scratch);

#endif
