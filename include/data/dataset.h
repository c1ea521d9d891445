/* dataset.h - dataset.h5: spectra and cutouts of a release, for training. Written by `pack`; this module alone reads and
   writes it.

   /spectra and /images are tables of their own, since a row of the catalogue may have either. Each has an entry for each
   catalogue row that is asked for its modality, in catalogue order:
     row      (n) int64    catalogue row            targetid (n) int64
     split    (n) uint8    Split                    flag     (n) int32  SPECTRUM_ / IMAGE_ bits, as `embed` gives them
     checksum (n) uint64   XXH3 of the entry's numbers as they lie in the file
     flux     (n, 7781) float32, or pixels (n, 3, 152, 152) float32 nanomaggies g r z; NaN where the flag is fatal
   An entry whose flag is fatal is kept with its flag, and is no sample: attribute `fatal` of the group has those bits. A
   group that would have no entries is not there.

   The numbers are most of the file: the checksum of all data (io/seal) is over everything else, their checksums among
   it. While the file is made, a checksum that is not 0 says that its entry is on disk. */
#ifndef DATA_DATASET_H
#define DATA_DATASET_H

#include "data/catalog.h"
#include "data/flags.h"
#include "data/images.h"
#include "data/spectra.h"
#include "io/artefact.h"

enum { DATASET_VERSION = 1, IMAGE_NUMBERS = N_BANDS * CUTOUT_PIXELS * CUTOUT_PIXELS };
extern const char dataset_kind[];                     /* "dataset" */
extern const char *const dataset_group[N_MODALITIES]; /* "images", "spectra" */
extern const int64_t dataset_numbers[N_MODALITIES];   /* of an entry: IMAGE_NUMBERS, GRID_PIXELS */

typedef enum { SAMPLES_SPECTRA, SAMPLES_IMAGES, SAMPLES_PAIRS } SampleKind;

/* An object to train with; an index in /spectra and in /images, -1 = none. */
typedef struct {
    int64_t spectrum, image, targetid;
} Sample;

typedef struct {
    H5File file;
    int64_t n[N_MODALITIES];     /* entries */
    int32_t fatal[N_MODALITIES]; /* flag bits that make an entry no sample */
    Fingerprint fingerprint;     /* of its envelope: what a training on it depends on */
} Dataset;

/* Local. Each rank opens the file by itself. */
Status dataset_open(Dataset *d, const char *path, Arena *a);
Status dataset_close(Dataset *d); /* twice-safe */

/* Local. The samples of a split in catalogue order: the same on all ranks. Pairs have both. 24 bytes a sample in `a`. */
Status dataset_samples(Sample **out, int64_t *n, Dataset *d, SampleKind kind, Split split, Arena *a);

/* Local. One entry; E_INPUT naming file and entry when its checksum does not hold. flux (7781); pixels (3, 152, 152). */
Status dataset_spectrum(float *flux, Dataset *d, int64_t entry);
Status dataset_image(float *pixels, Dataset *d, int64_t entry);

/* ---- writing: for `pack` ---- */

/* n entries of a modality, in the order of the file; `numbers` are the caller's. */
typedef struct {
    int64_t n;
    int64_t *row, *targetid;
    uint8_t *split;
    int32_t *flag;
    float *numbers; /* (n, dataset_numbers) */
} DatasetEntries;
Status dataset_entries(DatasetEntries *out, int64_t n, Arena *a); /* zeroed, without numbers */
/* Local. All entries of a modality that are in the file, without their numbers. */
Status dataset_index(DatasetEntries *out, Dataset *d, Modality m, Arena *a);

/* Collective. A new file with room for n[m] entries of each modality, none of them finished. */
Status dataset_create(Dataset *d, const char *path, const Envelope *e, const int64_t n[N_MODALITIES],
                      const int32_t fatal[N_MODALITIES], const Par *par, Arena *a);
/* Collective. An unfinished one, to go on with. */
Status dataset_modify(Dataset *d, const char *path, const Par *par, Arena *a);

/* Collective. What the flags mean and how many entries bear them (FLAG_BITS + 1 counts, as flags_count), for people. */
Status dataset_describe(Dataset *d, Modality m, const int64_t *counts, int64_t n_samples);

/* Local. Writes entries[m] to [first[m], ...) of each modality, syncs, then records their checksums. */
Status dataset_write(Dataset *d, const int64_t first[N_MODALITIES], const DatasetEntries entries[N_MODALITIES],
                     Arena *scratch);

/* Local. Of entries [first, first + n): how many are finished and hold. Reads them. */
Status dataset_count_good(int64_t *n_good, Dataset *d, Modality m, int64_t first, int64_t n, Arena *scratch);
/* Local. Of those entries: whose numbers are not NaN all over exactly where the flag is fatal, else all finite. */
Status dataset_count_torn(int64_t *n_torn, Dataset *d, Modality m, int64_t first, int64_t n, Arena *scratch);
Status dataset_read_flags(int32_t *flag, Dataset *d, Modality m, int64_t first, int64_t n);
/* Local. Entries on disk in PATH or, while that is made, in PATH.part, of whatever run; 0 where there is neither. */
Status dataset_count_finished(int64_t *n, const char *path, Arena *scratch);
/* Local. Catalogue rows that have an entry of any modality. */
Status dataset_count_rows(int64_t *n, Dataset *d, Arena *scratch);

#endif
