/* survey.h - what a survey must be able to do. A survey is one file and one row of a table: spectrum_surveys or image_surveys (survey.c). All
   functions are serial and Local; drivers hand files to ranks. A file that is missing or broken is not a failure when embedding: its rows
   are flagged and log_rank says why, once per file. In the catalogue stage a broken source file is E_INPUT. */
#ifndef DATA_SURVEY_H
#define DATA_SURVEY_H

#include "core/config.h"
#include "data/catalog.h"
#include "data/images.h"
#include "data/spectra.h"

/* Readers of spectra and cutouts run on a thread beside the main one (core/helper.h) where the survey says that they are
   made of cfitsio, WCSLIB and POSIX calls alone; those of HDF5 files run on the main thread. */

/* Some surveys keep spectra or images as rows of files of their own instead of a tree that positions and pixels lead
   through: those are stored sets. A row of theirs lies where the catalogue's FILE / ROW (spectra) or IMAGE_FILE /
   IMAGE_ROW (images) say, and catalogue rows follow the order of the files. */

typedef struct {
    ConfigPlugin plugin;
    bool beside; /* read_spectra may run beside the main thread */
    bool stored; /* a stored set: spectrum_file gives files->path[row->source_file], and rows keep the order of files */

    /* Roots and names that provenance records. */
    const char *(*root)(const void *config);
    const char *(*specprod)(const void *config); /* "iron" */

    /* Files whose rows are the source rows of a catalogue (zcatalogs, redrock files, coadds), sorted; relative to the
       root, or absolute where the configuration names an absolute path. NULL = the survey has no rows. */
    Status (*list_redshifts)(FileList *out, const void *config, Arena *a);

    /* Further files that are read along with such a file and exist (-extra, emline, ...), appended; for the manifest.
       NULL = none. */
    Status (*list_beside)(FileList *out, int64_t *room, const void *config, const char *path, Arena *a);

    /* How many rows such a file has, without reading them. `path` as list_redshifts gives it. */
    Status (*count_redshifts)(int64_t *n, const void *config, const char *path, Arena *scratch);

    /* Rows [first, first + n) of such a file into rows[0 .. n): every field that the file gives, the rest as
       catalog_new_row leaves it; source_row set, has_spectrum = 1. Nothing is cut here. */
    Status (*read_redshifts)(CatalogRow *rows, const void *config, const char *path, int64_t first, int64_t n,
                             Arena *scratch);

    /* The file that holds this row's spectrum, relative to the root. Plain text work: does not touch the disk. `files`:
       the catalogue's /files. */
    Status (*spectrum_file)(char *path, size_t size, const void *config, const CatalogRow *row, const FileList *files);

    /* Spectra of n rows that live in one file, into rows [at, at+n) of the batch. `path` is ready to open (root joined); where it is absent,
       path.gz is tried. Returns failures only for memory. */
    Status (*read_spectra)(SpectrumBatch *out, int64_t at, const void *config, const SpectraConfig *options,
                           const char *path, const CatalogRow *rows, int64_t n, Arena *scratch);

    /* False where the configuration leaves this row's SURVEY/PROGRAM out: the catalogue rejects it (REJECT_PROGRAM).
       NULL = all are wanted. */
    bool (*wants)(const void *config, const CatalogRow *row);
} SpectrumSurvey;

/* Open state of an image survey; one per thread. */
enum { SOURCE_REPORTED = 4096 };
typedef struct {
    const void *config;
    const FileList *files;              /* of the catalogue: where image_file points; may be NULL for trees of bricks */
    uint64_t reported[SOURCE_REPORTED]; /* hashes of files that log_rank has told of */
    int whole;   /* tests of legacy: 0 = the cheaper way, 1 = always whole bands, -1 = always boxes */
    void *state; /* the survey's own */
} ImageSource;

/* Says once per file what is wrong with it. */
void source_report(ImageSource *s, const char *path, const char *what);

typedef struct {
    ConfigPlugin plugin;
    bool beside; /* cutouts may run beside the main thread */
    bool stored; /* a stored set: images lie at (image_file, image_row), list_objects names the files */

    const char *(*root)(const void *config);
    const char *(*image_release)(const void *config); /* "dr9" */

    /* Files whose rows are objects with images (sweeps, files of a stored set), sorted, as list_redshifts. NULL = none:
       then `release.rows` cannot name images. */
    Status (*list_objects)(FileList *out, const void *config, Arena *a);
    /* Further files that are read along with such a file and exist (photometric redshifts), appended. NULL = none. */
    Status (*list_beside)(FileList *out, int64_t *room, const void *config, const char *path, Arena *a);
    Status (*count_objects)(int64_t *n, const void *config, const char *path, Arena *scratch);
    /* Rows [first, first + n) of such a file. Those that the configured selection takes go to rows[0 .. *n_rows) in file
       order: position, photometry, identifiers, source_row, has_image = 1, match MATCH_ID, healpix of the position;
       skipped[reason] counts the others. image_file and image_row are filled by the caller for stored sets. */
    Status (*read_objects)(CatalogRow *rows, int64_t *n_rows, int64_t skipped[N_REJECTS], const void *config,
                           const char *path, int64_t first, int64_t n, Arena *scratch);

    /* The following four are of trees of bricks; NULL for stored sets, whose objects find their rows by TARGETID or
       position (join_objects). */

    /* Fills brickname (and brickid where 0) of a row from its position, by the brick algorithm. */
    Status (*locate)(CatalogRow *row, const void *config);
    /* The photometry catalogue of a brick (tractor), relative to the root; region by PHOTSYS. */
    Status (*photometry_file)(char *path, size_t size, const void *config, const CatalogRow *row);
    /* All its rows as CatalogRows with release, brickid, brick_objid, brickname, ra, dec, flux, ebv, photsys; has_image = 1. DUP rows and rows
       with brick_primary false are left out; the number of rows in the file comes in *n_file. */
    Status (*read_photometry)(CatalogRow **rows, int64_t *n, int64_t *n_file, const void *config, const char *path,
                              Arena *a);
    /* Files that a row's cutout reads first: the images of its own brick (manifest). */
    Status (*image_files)(FileList *out, const void *config, const CatalogRow *row, Arena *a);

    /* Fills in the survey's state (config and files are set); NULL = nothing to do. Legacy checks survey-bricks* here. */
    Status (*open)(ImageSource *s, Arena *a);
    void (*close)(ImageSource *s); /* NULL = nothing to do */
    /* Cutouts of n rows, any files; groups them by file itself and reads each band whole or by tiles, whichever is cheaper. Row i of the batch
       belongs to rows[i]; rows with has_image 0 are flagged NOT_ASKED. The pixels of a row do not depend on the other
       rows. Returns failures only for memory. */
    Status (*cutouts)(ImageBatch *out, int64_t at, ImageSource *s, const ImagesConfig *options, const CatalogRow *rows,
                      int64_t n, Arena *scratch);
} ImageSurvey;

extern const SpectrumSurvey desi_survey;       /* desi.c   */
extern const ImageSurvey legacy_survey;        /* legacy.c */
extern const ImageSurvey cutouts_survey;       /* cutouts.c */
extern const SpectrumSurvey sdss_survey;       /* sdss.c   */
extern const SpectrumSurvey astroclip_spectra; /* paired.c */
extern const ImageSurvey astroclip_images;
extern const ImageSurvey stein_images;   /* stein.c */
extern const SpectrumSurvey mmu_spectra; /* mmu_spectra.c */
extern const ImageSurvey mmu_images;     /* mmu_images.c */
extern const SpectrumSurvey no_spectra;  /* no_survey.c: kind none, a catalogue of images alone */
extern const ImageSurvey no_images;      /* the other way round */
extern const ConfigPlugin
    *const spectrum_surveys[]; /* survey.c: NULL-terminated; each the first member of a SpectrumSurvey */
extern const ConfigPlugin *const image_surveys[];

/* Where a file of a survey is: `path` under `root` (absolute paths stand for themselves), or path.gz where only that exists. Fills `out` with the
   plain name and returns false where there is neither, or no room. */
bool survey_file(char *out, size_t size, const char *root, const char *path);

/* Section "release": what to read. */
typedef struct {
    ConfigTexts rows;   /* where the rows come from: spectra, images, or both */
    ConfigKind spectra; /* SpectrumSurvey */
    ConfigKind images;  /* ImageSurvey    */
    const char *labels; /* label table (PROVABGS-like HDF5), "" = none */
} ReleaseConfig;
extern const ConfigSection release_section;
bool release_takes(const ReleaseConfig *r, const char *rows); /* release.rows names "spectra" or "images" */
const SpectrumSurvey *release_spectra(const ReleaseConfig *r);
const ImageSurvey *release_images(const ReleaseConfig *r);

#endif
