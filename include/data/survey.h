/* survey.h - what a survey must be able to do. A survey is one file and one row of a table: spectrum_surveys or image_surveys (survey.c). All
   functions are serial and Local; drivers hand files to ranks. A file that is missing or broken is not a failure when embedding: its rows
   are flagged and log_rank says why, once per file. In the catalogue stage a broken source file is E_INPUT. */
#ifndef DATA_SURVEY_H
#define DATA_SURVEY_H

#include "core/config.h"
#include "data/catalog.h"
#include "data/images.h"
#include "data/spectra.h"

typedef struct {
    char **path; /* relative to the root */
    int64_t n;
} FileList;

typedef struct {
    ConfigPlugin plugin;

    /* Roots and names that provenance records. */
    const char *(*root)(const void *config);
    const char *(*specprod)(const void *config); /* "iron" */

    /* Files whose rows are the source rows of a catalogue (zcatalogs, or redrock files), sorted; relative to the root, or absolute where the
       configuration names an absolute path. */
    Status (*list_redshifts)(FileList *out, const void *config, Arena *a);

    /* All rows of such a file: every field that the file gives, the rest zero / NaN; source_row set. has_spectrum = 1. Nothing is cut here.
       `path` as list_redshifts gives it, or any path that can be opened. */
    Status (*read_redshifts)(CatalogRow **rows, int64_t *n, const void *config, const char *path, Arena *a);

    /* The file that holds this row's spectrum, relative to the root. Plain text work: does not touch the disk. */
    Status (*spectrum_file)(char *path, size_t size, const void *config, const CatalogRow *row);

    /* Spectra of n rows that live in one file, into rows [at, at+n) of the batch. `path` is ready to open (root joined); where it is absent,
       path.gz is tried. Returns failures only for memory. */
    Status (*read_spectra)(SpectrumBatch *out, int64_t at, const void *config, const SpectraConfig *options,
                           const char *path, const CatalogRow *rows, int64_t n, Arena *scratch);

    /* False where the configuration leaves this row's SURVEY/PROGRAM out: the catalogue rejects it (REJECT_PROGRAM). */
    bool (*wants)(const void *config, const CatalogRow *row);
} SpectrumSurvey;

typedef struct ImageSource ImageSource; /* open state of an image survey: brick table, small caches */

typedef struct {
    ConfigPlugin plugin;
    const char *(*root)(const void *config);
    const char *(*image_release)(const void *config); /* "dr9" */

    /* Fills brickname (and brickid where 0) of a row from its position, by the brick algorithm. */
    Status (*locate)(CatalogRow *row, const void *config);

    /* The photometry catalogue of a brick (tractor), relative to the root; region by PHOTSYS. */
    Status (*photometry_file)(char *path, size_t size, const void *config, const CatalogRow *row);
    /* All its rows as CatalogRows with release, brickid, brick_objid, brickname, ra, dec, flux, ebv, photsys; has_image = 1. DUP rows and rows
       with brick_primary false are left out; the number of rows in the file comes in *n_file. */
    Status (*read_photometry)(CatalogRow **rows, int64_t *n, int64_t *n_file, const void *config, const char *path,
                              Arena *a);

    Status (*open)(ImageSource **out, const void *config, Arena *a); /* reads survey-bricks* where present */
    void (*close)(ImageSource *s);
    /* Files that a row's cutout reads first: the images of its own brick (manifest). */
    Status (*image_files)(FileList *out, const void *config, const CatalogRow *row, Arena *a);
    /* Cutouts of n rows, any bricks; groups them by brick itself and reads each band whole or by tiles, whichever is cheaper. Row i of the batch
       belongs to rows[i]. The pixels of a row do not depend on the other rows. */
    Status (*cutouts)(ImageBatch *out, int64_t at, ImageSource *s, const ImagesConfig *options, const CatalogRow *rows,
                      int64_t n, Arena *scratch);
} ImageSurvey;

extern const SpectrumSurvey desi_survey; /* desi.c   */
extern const ImageSurvey legacy_survey;  /* legacy.c */
extern const ConfigPlugin
    *const spectrum_surveys[]; /* survey.c: NULL-terminated; each the first member of a SpectrumSurvey */
extern const ConfigPlugin *const image_surveys[];

/* Where a file of a survey is: `path` under `root` (absolute paths stand for themselves), or path.gz where only that exists. Fills `out` with the
   plain name and returns false where there is neither, or no room. */
bool survey_file(char *out, size_t size, const char *root, const char *path);

/* Section "release": what to read. */
typedef struct {
    ConfigKind spectra; /* SpectrumSurvey */
    ConfigKind images;  /* ImageSurvey    */
    const char *labels; /* label table (PROVABGS-like HDF5), "" = none */
} ReleaseConfig;
extern const ConfigSection release_section;
const SpectrumSurvey *release_spectra(const ReleaseConfig *r);
const ImageSurvey *release_images(const ReleaseConfig *r);

#endif
