/* imageset.h - the images of Stein et al.'s files (stein.c) as one numbered row, file after file, for training: 76 million are
   read by number, without a list of them. */
#ifndef DATA_IMAGESET_H
#define DATA_IMAGESET_H

#include "core/hash.h"
#include "io/h5.h"
#include "par/par.h"

typedef struct {
    const char *root;
    int64_t n, n_files;
    char **path;             /* (n_files) relative to the root, sorted */
    int64_t *first;          /* (n_files + 1) image that each file begins with */
    H5File *file;            /* (n_files) opened when first read, and kept */
    Fingerprint fingerprint; /* of names, sizes and numbers of images */
} ImageSet;

/* Collective. Each rank lists the folder; rank 0 alone opens all files, to count. */
Status imageset_open(ImageSet *out, const char *root, const Par *par, Arena *a);
void imageset_close(ImageSet *s); /* twice-safe */

/* Local. pixels (3, CUTOUT_PIXELS, CUTOUT_PIXELS) g, r, z in nanomaggies; what is no number is 0. Images that are asked for in
   increasing order are read forwards. */
Status imageset_read(float *pixels, ImageSet *s, int64_t image);

#endif
