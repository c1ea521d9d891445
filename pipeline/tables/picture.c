/* picture.c - cutouts as people see them, in PNG. */
#include "tables/picture.h"

#include <errno.h>
#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/prepare_image.h"

/* No time and no text goes into the file: equal pixels are equal bytes. False when libpng or the disk fails. */
static bool encode(FILE *f, const uint8_t *rgb, int64_t width, int64_t height)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info || setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        return false;
    }
    png_init_io(png, f);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int64_t y = 0; y < height; y++) png_write_row(png, rgb + 3 * y * width);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return true;
}

Status picture_write(const char *path, const uint8_t *rgb, int64_t width, int64_t height)
{
    FILE *f = fopen(path, "wb");
    bool good = f && encode(f, rgb, width, height);
    if (f && fclose(f) != 0) good = false;
    return good ? OK : FAIL(E_OUTPUT, "%s cannot be written: %s", path, strerror(errno));
}

Status picture_encode(uint8_t **out, size_t *bytes, const uint8_t *rgb, int64_t width, int64_t height)
{
    char *memory = NULL;
    FILE *f = open_memstream(&memory, bytes);
    bool good = f && encode(f, rgb, width, height);
    if (f && fclose(f) != 0) good = false;
    *out = (uint8_t *)memory;
    if (good) return OK;
    free(memory);
    return FAIL(E_MEMORY, "no memory for a picture of %lld x %lld", (long long)width, (long long)height);
}

Status picture_of_cutout(uint8_t *rgb, const float *pixels, int64_t size, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    float *plane = NULL;
    TRY(arena_new(&plane, scratch, 3 * size * size));
    TRY(prepare_image(plane, pixels, size, size));
    for (int64_t y = 0; y < size; y++)
        for (int64_t x = 0; x < size; x++)
            for (int64_t c = 0; c < 3; c++)
                rgb[3 * ((size - 1 - y) * size + x) + c] =
                    (uint8_t)lrintf(255 * plane[(c * size + y) * size + x]); /* rows of a cutout grow northward */
    arena_reset(scratch, mark);
    return OK;
}
