/* desi_arms.h - the images of a file of DESI spectra: B, R and Z each with FLUX, IVAR and perhaps MASK, or BRZ, the
   three already joined; their place on the merged grid; reading of chosen rows. Local, serial. */
#ifndef DATA_DESI_ARMS_H
#define DATA_DESI_ARMS_H

#include "data/spectra.h"
#include "io/fitsfile.h"

enum { ARM_ROWS = 256 }; /* rows held at a time: 24 MB */

typedef struct {
    char name[4]; /* "B"; of a joined spectrum "BRZ", which is arm 0 */
    bool present, has_mask;
    int64_t n, start;   /* pixels; the first one on the merged grid */
    float *flux, *ivar; /* (slots, n) */
    uint32_t *mask;     /* (slots, n) */
} ArmImages;

typedef struct {
    ArmImages arm[N_ARMS];
    bool joined;    /* arm 0 is the merged spectrum */
    bool on_grid;   /* wavelengths are those of the DESI grid, 1e-4 Angstrom; where not, nothing can be read */
    FailRecord why; /* of the first row that could not be read */
} ArmFile;

/* Into a zeroed `out`: which arms there are, checked: as many rows as `n_file`, as many pixels as wavelengths; room for `n_slots` rows. */
Status arms_open(ArmFile *out, FitsFile *f, int64_t n_file, int64_t n_slots, Arena *a);

/* File rows file_row[0 .. n), increasing, into slots 0 .. n - 1. A row that cannot be read gets ok[k] = false. */
Status arms_read(bool *ok, ArmFile *file, FitsFile *f, const int64_t *file_row, int64_t n);

/* The arms of one slot. */
void arms_slot(Arm out[N_ARMS], const ArmFile *file, int64_t slot);

/* Arms, from a slot or coadded, into row i of the batch. */
void arms_merge(SpectrumBatch *out, int64_t i, const Arm arm[N_ARMS], bool joined, const SpectraConfig *options);

#endif
