/* stored.h - what published sets in HDF5 have in common: files whose rows are objects, with one dataset per field.
   paired.c, stein.c and mmu.c say what the datasets are called and how their pixels lie; listing files, reading
   columns, grouping wanted rows into runs of neighbours, and flags are here. Files are foreign: every shape is checked before
   memory is taken. Local, serial. */
#ifndef DATA_STORED_H
#define DATA_STORED_H

#include "data/survey.h"
#include "io/h5.h"

enum { STORED_PATH = 1024, STORED_LAYOUT = 16 << 10 };

/* The configuration of such sets; each kind's table has the fields that it needs. */
typedef struct {
    const char *root;
    ConfigTexts files;              /* relative to the root, or absolute; none = found by name */
    const char *specprod, *release; /* what the set was made from, for provenance */
    int64_t crop_shift;             /* pixels */
} StoredConfig;
const char *stored_root(const void *config);

/* SpectrumSurvey.spectrum_file of a stored set: the file that the row came from. */
Status stored_spectrum_file(char *path, size_t size, const void *config, const CatalogRow *row, const FileList *files);

/* ---- files ---- */

/* Appends FOLDER/NAME for the names in ROOT/FOLDER (folder "" = the root itself) that start with `head` and end in .h5
   or .hdf5, sorted; *room as in filelist_add. */
Status stored_add_folder(FileList *out, int64_t *room, const char *root, const char *folder, const char *head,
                         Arena *a);
/* The configured files, sorted: true in *given when there are any. */
Status stored_add_given(FileList *out, int64_t *room, bool *given, const StoredConfig *c, Arena *a);
/* E_INPUT when nothing was found: says what was looked for. */
Status stored_check_found(const FileList *files, const char *root, const char *what);

/* Opens PATH under the root of the config. */
Status stored_open(H5File *f, const void *config, const char *path);

/* ---- columns ---- */

/* Names of the datasets of a file. Publishers differ in capitals. */
typedef struct {
    char **name;
    int64_t n;
} StoredNames;
Status stored_names(StoredNames *out, H5File *f, Arena *a);
const char *stored_find(const StoredNames *names, const char *wanted); /* as it is written there; NULL = not there */

/* Length of the first axis of a dataset. */
Status stored_rows(int64_t *n, H5File *f, const char *dataset);

/* h5_expect, and E_INPUT unless the dataset holds numbers. */
Status stored_expect(H5Shape *out, H5File *f, const char *dataset, const int64_t *dims, int n_dims);

/* A dataset of one value per row, and the field of CatalogRow that it fills. */
typedef struct {
    const char *name; /* in any capitals */
    H5Type type;      /* of the field; numbers are passed over where text is wanted */
    int64_t width;    /* bytes of a text field */
    size_t offset;    /* in CatalogRow */
    bool needed;      /* E_INPUT where it is absent; else the field stays as it is */
} StoredColumn;

/* Rows [first, first + n) of a file of `n_file` rows; `columns` ends with a row without a name. */
Status stored_read_columns(CatalogRow *rows, H5File *f, const StoredNames *names, const StoredColumn *columns,
                           int64_t n_file, int64_t first, int64_t n, Arena *scratch);

/* Rows [first, first + n) of text cells, `width` bytes each with a NUL at the end: without the b'' that a careless
   conversion leaves around bytes, without blanks at the end. Whole numbers become text. */
Status stored_read_text(char **out, int64_t width, H5File *f, const char *dataset, int64_t n_file, int64_t first,
                        int64_t n, Arena *a);

/* A TARGETID for an object that has a name only: the number that the name is, else a hash with bit 62 set, which no
   TARGETID of a survey has. */
int64_t stored_name_id(const char *name);

/* ---- spectra ---- */

/* Rows of a file on the DESI grid. `ivar` counts as unknown where has_ivar is false: then 0 marks pixels without
   information and anything else the others. */
typedef struct {
    float *flux, *ivar; /* (n, 7781) */
    int64_t *targetid;  /* (n) */
    uint8_t *fits;      /* (n) 0 = wavelengths are not the DESI grid */
} StoredSpectra;

typedef struct {
    bool has_ivar;
    /* Checks the shapes of an open file and remembers in `layout` (zeroed, STORED_LAYOUT bytes) what reading needs. */
    Status (*look)(void *layout, int64_t *n_rows, H5File *f, Arena *scratch);
    Status (*read)(StoredSpectra *out, const void *layout, H5File *f, int64_t first, int64_t n, Arena *scratch);
} StoredSpectraFormat;

/* SpectrumSurvey.read_spectra: rows[i] lies at row source_row of the file; its TARGETID there must be its own. */
Status stored_read_spectra(SpectrumBatch *out, int64_t at, const StoredSpectraFormat *format,
                           const SpectraConfig *options, const char *path, const CatalogRow *rows, int64_t n,
                           Arena *scratch);

/* ---- images ---- */

/* Rows of a file as g, r, z cutouts of 152 x 152, laid out as ImageBatch. */
typedef struct {
    float *pixels, *ivar; /* (n, 3, 152, 152) */
    uint8_t *bands;       /* (n) bit b: band b is there */
    uint8_t *good_scale;  /* (n) */
} StoredImages;

typedef struct {
    bool has_ivar; /* false: a pixel of exactly 0 has no data (stacks have 0 where nothing was observed) */
    Status (*look)(void *layout, int64_t *n_rows, H5File *f, const void *config, Arena *scratch);
    Status (*read)(StoredImages *out, const void *layout, H5File *f, int64_t first, int64_t n, Arena *scratch);
} StoredImageFormat;

/* Parts of an ImageSurvey. The file that was read last stays open. */
Status stored_images_open(ImageSource *s, Arena *a);
void stored_images_close(ImageSource *s);
Status stored_cutouts(ImageBatch *out, int64_t at, ImageSource *s, const StoredImageFormat *format,
                      const ImagesConfig *options, const CatalogRow *rows, int64_t n, Arena *scratch);

/* First pixel of the middle 152 of `size` pixels, halves rounded to even; -1 where there are fewer. */
int64_t stored_crop(int64_t size);

#endif
