/* flags.h - what can be said of a row, per modality: one bit, one name, one sentence. The table in flags.c is the only list; it writes the
   documentation, the counts that stages print and the attributes of artefacts. A FATAL bit means: no embedding, the row is NaN. */
#ifndef DATA_FLAGS_H
#define DATA_FLAGS_H

#include <stdbool.h>
#include <stdint.h>

enum {                                   /* spectrum_flag */
       SPECTRUM_NO_FILE = 1 << 0,        /* fatal: the file of this row is missing           */
       SPECTRUM_UNREADABLE = 1 << 1,     /* fatal: the file or an HDU of it cannot be read   */
       SPECTRUM_NO_ROW = 1 << 2,         /* fatal: the file does not hold this TARGETID      */
       SPECTRUM_BAD_GRID = 1 << 3,       /* fatal: wavelengths are not the DESI grid         */
       SPECTRUM_NO_DATA = 1 << 4,        /* fatal: ivar is 0 everywhere                      */
       SPECTRUM_MASKED = 1 << 5,         /* fatal: more than spectra.max_masked_fraction bad */
       SPECTRUM_MISSING_ARM = 1 << 6,    /* an arm (B, R or Z) is absent or all bad          */
       SPECTRUM_BAD_PIXELS = 1 << 7,     /* some pixels have no information                  */
       SPECTRUM_NONFINITE = 1 << 8,      /* NaN or Inf in the file were set to 0             */
       SPECTRUM_NOT_ASKED = 1 << 9,      /* fatal: this row has no spectrum                  */
       SPECTRUM_BAD_EMBEDDING = 1 << 10, /* fatal: the encoder gave NaN or Inf             */
       SPECTRUM_NO_EBV = 1 << 11,        /* spectra.extinction: no E(B-V), dust was left in  */
       SPECTRUM_FILE_LOST = 1 << 12,     /* the file is not as the catalogue saw it (embed/lost_rows.h) */
};

enum {                                /* image_flag */
       IMAGE_NO_BRICK = 1 << 0,       /* fatal: the brick of this position is absent            */
       IMAGE_UNREADABLE = 1 << 1,     /* fatal: an image cannot be read                         */
       IMAGE_MISSING_BAND = 1 << 2,   /* fatal unless images.missing_band is zero: a band is absent */
       IMAGE_NO_COVERAGE = 1 << 3,    /* fatal likewise: invvar 0 all over the window in a band */
       IMAGE_BAD_SCALE = 1 << 4,      /* fatal: pixels are not 0.262" within 1 %, or no WCS says */
       IMAGE_MASKED = 1 << 5,         /* fatal: more than images.max_masked_fraction without data */
       IMAGE_MOSAIC = 1 << 6,         /* pixels beyond the own brick came from a neighbour      */
       IMAGE_PADDED = 1 << 7,         /* pixels that no image shows were set to 0               */
       IMAGE_NONFINITE = 1 << 8,      /* NaN or Inf in the file were set to 0                   */
       IMAGE_BAD_PIXELS = 1 << 9,     /* some pixels have invvar 0                              */
       IMAGE_NOT_ASKED = 1 << 10,     /* fatal: this row has no image                           */
       IMAGE_BAD_POSITION = 1 << 11,  /* fatal: RA or DEC is not a position on the sky          */
       IMAGE_BAD_EMBEDDING = 1 << 12, /* fatal: the encoder gave NaN or Inf                    */
       IMAGE_RESCALED = 1 << 13,      /* images.other_scale convert: resampled to 0.262"/pixel  */
       IMAGE_NO_MASKBITS = 1 << 14,   /* maskbits of its pixels were asked for and are not there */
       IMAGE_FILE_LOST = 1 << 15,     /* a file is not as the catalogue saw it (embed/lost_rows.h)   */
};

typedef enum { MODALITY_IMAGE, MODALITY_SPECTRUM, N_MODALITIES } Modality;
extern const char *const modality_name[N_MODALITIES + 1]; /* "image", "spectrum", NULL */
extern const int32_t flag_file_lost[N_MODALITIES];

typedef struct {
    int32_t bit;
    bool fatal;
    const char *name;     /* "MISSING_BAND" */
    const char *sentence; /* "a band of the image is absent" */
} FlagRow;

/* The rows of a modality, ended by a row with bit 0. */
const FlagRow *flags_table(Modality m);

/* True when the flag forbids an embedding. `zero_bands`: images.missing_band is zero, so MISSING_BAND and NO_COVERAGE do not. */
bool flags_fatal(Modality m, int32_t flag, bool zero_bands);

enum { FLAG_BITS = 16 };
/* counts[b] += 1 for each bit set; counts[FLAG_BITS] += 1 when no bit is set. */
void flags_count(int64_t counts[FLAG_BITS + 1], int32_t flag);

/* Rank 0 logs one line per bit that occurs: "embed: image_flag MOSAIC 12 (pixels beyond ...)". */
void flags_log(const char *stage, Modality m, const int64_t counts[FLAG_BITS + 1], int64_t n_rows, bool zero_bands);

#endif
