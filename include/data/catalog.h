/* catalog.h - catalog.h5: one row per object, in the order of everything after it; /rejected; the input manifest.

   The key is (TARGETID, SURVEY, PROGRAM). Rows are sorted by the pixel of the file that holds them (nested, HEALPIX
   then UNIQPIX), then TARGETID, SURVEY, PROGRAM; rows of stored sets (StoredSet of data/survey.h) in the order of their
   files. This module alone reads and writes the file. Datasets, one per field, length N: the table row_columns of
   catalog.c lists them, each with unit and meaning as attributes; labels/{z,logmstar,age,logz,logssfr,ssfr_released} are float64, NaN
   = none. /files: every file that rows came from or that holds their images; FILE and IMAGE_FILE index it. /rejected:
   FILE ROW TARGETID SURVEY PROGRAM REASON; REASON indexes /rejected/REASONS and /rejected/SENTENCES. /skipped: FILE
   REASON ROWS: objects that the selection of an image set left out, counted, not listed. /manifest: PATH SIZE DATASUM
   ROLE. */
#ifndef DATA_CATALOG_H
#define DATA_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "io/artefact.h"
#include "par/par.h"

enum { CATALOG_VERSION = 3 };

/* Paths, relative to a root where they do not start with a slash. */
typedef struct {
    char **path;
    int64_t n;
} FileList;

typedef enum { SPLIT_TRAIN, SPLIT_VAL, SPLIT_TEST, N_SPLITS } Split;
extern const char *const split_name[N_SPLITS + 1];

typedef enum { MATCH_NONE, MATCH_ID, MATCH_POSITION } Match; /* how photometry was found */

/* Physical properties that probes learn; one table (labels.c): name in scores.csv, stem of FITS columns, unit, meaning. */
typedef enum { LABEL_Z, LABEL_LOGMSTAR, LABEL_AGE, LABEL_LOGZ, LABEL_LOGSSFR, LABEL_SSFR_RELEASED, N_LABELS } Label;
typedef struct {
    const char *name;    /* "logmstar"                      */
    const char *column;  /* "LOGMSTAR": stem of FITS columns */
    const char *unit;    /* FITS unit or ""                 */
    const char *meaning; /* at most 46 characters           */
} LabelRow;
extern const LabelRow label_table[N_LABELS];

/* Target classes of DESI, as bits of CatalogRow.target_class and good_z; names as configuration writes them. */
typedef enum { CLASS_BGS, CLASS_LRG, CLASS_ELG, CLASS_QSO, N_CLASSES } TargetClass;
extern const char *const target_class_name[N_CLASSES + 1]; /* "bgs", "lrg", "elg", "qso", NULL */

/* Plain bytes: exchanged, sorted and compared as a record; strings NUL-padded; no bytes between the fields.
   catalog_new_row gives the values of a row of which nothing is known. */
typedef struct {
    int64_t targetid;
    char survey[8], program[8];
    double ra, dec;               /* deg, J2000 (TARGET_RA, TARGET_DEC) */
    int32_t healpix;              /* nside 64 NESTED pixel: of the file that holds the spectrum, else of the position */
    int32_t fiberstatus;          /* COADD_FIBERSTATUS */
    int32_t uniqpix;              /* of the file that holds the spectrum, 0 = files are not by UNIQPIX */
    int32_t tileid, night, petal; /* of the file that holds the spectrum; tileid 0 = files are not by tile */
    double z, zerr, deltachi2;
    int64_t zwarn;
    int64_t desi_target, bgs_target; /* targeting bits of the row's own SURVEY, 0 = unknown */
    char spectype[8], objtype[4], morphtype[4];
    char brickname[12];
    int32_t brickid, brick_objid;
    int32_t maskbits; /* MASKBITS of the photometry */
    int16_t release;
    char photsys;
    uint8_t match; /* Match */
    uint8_t split; /* Split */
    uint8_t has_spectrum, has_image;
    uint8_t zcat_primary; /* ZCAT_PRIMARY; PRIMARY_UNKNOWN where the column is absent: join_unique chooses */
    uint8_t target_class,
        good_z;               /* bits 1 << TargetClass: is a target of it; its redshift is good by that class's cut */
    uint8_t unknown_z;        /* in memory only: bits of classes whose good_z the file cannot tell, UNKNOWN_TARGET */
    uint8_t zero;             /* in the place of padding, whose bytes C leaves to chance */
    float flux[3], ebv;       /* g, r, z nanomaggies; mag */
    float z_phot, z_phot_std; /* photometric redshift of the image survey, NaN = none */
    int32_t image_file;       /* file that holds the image: index in /files, -1 = found by position */
    double label[N_LABELS];   /* NaN = none */
    int64_t image_row;        /* 0-based row there */
    int64_t source_row;       /* 0-based row of the source file */
    int64_t place;            /* in memory only: comes first in the order of rows; 0 but for stored sets */
    int32_t source_file;      /* index in /files */
    float tsnr2_lrg;          /* in memory only: depth of the spectrum, chooses the primary row; NaN = unknown */
} CatalogRow;

enum { PRIMARY_UNKNOWN = 255 };

/* Bits of unknown_z: the file has no targeting bits, so that target_class is not known; nothing is known. */
enum { UNKNOWN_TARGET = 1 << N_CLASSES, UNKNOWN_ALL = (2 << N_CLASSES) - 1 };

/* A row of which nothing is known: NaN, 0, "", healpix and image_file -1, zcat_primary PRIMARY_UNKNOWN,
   unknown_z UNKNOWN_ALL. */
void catalog_new_row(CatalogRow *row);

typedef struct {
    int64_t targetid;
    char survey[8], program[8];
    int64_t source_row;
    int32_t source_file;
    int32_t reason; /* index in reject_table */
} RejectedRow;

/* Objects of one file that a selection left out: counted, not listed. */
typedef struct {
    int32_t file, reason; /* index in /files, in reject_table */
    int64_t rows;
} SkippedRows;

/* Why a source row is not a catalogue row: name and sentence, one table (cuts.c). */
typedef enum {
    REJECT_NEGATIVE_TARGETID,
    REJECT_OBJTYPE,
    REJECT_FIBERSTATUS,
    REJECT_ZWARN,
    REJECT_SPECTYPE,
    REJECT_REDSHIFT,
    REJECT_DELTACHI2,
    REJECT_NOT_PRIMARY,
    REJECT_DUPLICATE,
    REJECT_PROGRAM,
    REJECT_UNREADABLE,
    REJECT_POOR_REDSHIFT,
    REJECT_HAS_SPECTRUM,
    REJECT_NOT_AN_OBJECT, /* from here on: what image sets leave out (ImageSurvey.read_objects) */
    REJECT_TYPE,
    REJECT_MAGNITUDE,
    REJECT_EXPOSURES,
    REJECT_MASKBITS,
    N_REJECTS
} Reject;
typedef struct {
    const char *name;     /* "NEGATIVE_TARGETID" */
    const char *sentence; /* "stuck or unassigned fibre" */
} RejectRow;
extern const RejectRow reject_table[N_REJECTS];

typedef struct {
    char path[512];   /* relative to its root */
    char role[16];    /* "redshifts", "spectra", "tractor", "labels", "image" */
    int64_t size;     /* bytes, -1 = absent */
    uint32_t datasum; /* of the HDUs with data, else a checksum of samples of the bytes; 0 = absent */
} ManifestRow;

/* What a rank brings to the file: its contiguous share of the sorted rows (rank order), its rejected rows and manifest
   rows (any order); skipped and source files are the same on all ranks. */
typedef struct {
    const CatalogRow *row;
    int64_t n;
    const RejectedRow *rejected;
    int64_t n_rejected;
    const ManifestRow *manifest;
    int64_t n_manifest;
    const SkippedRows *skipped;
    int64_t n_skipped;
    const FileList *files;
    int64_t source_rows; /* on all ranks: what the rows, rejected and skipped ones were together */
} CatalogParts;

/* Collective. Writes PATH through PATH.part. */
Status catalog_write(const char *path, const Envelope *e, const CatalogParts *parts, const Par *par, Arena *a);

typedef struct {
    H5File file;
    Envelope envelope;
    int64_t n; /* rows */
    int64_t n_manifest, n_rejected;
    FileList files;
    Fingerprint manifest; /* of spectra and image files and of each row's key and place: what embed fingerprints */
} Catalog;

/* Local with par = NULL, else Collective. */
Status catalog_open(Catalog *out, const char *path, const Par *par, Arena *a);
/* Local. Rows [first, first + n). */
Status catalog_read(CatalogRow *out, Catalog *c, int64_t first, int64_t n, Arena *scratch);
/* Local. Only the HEALPIX column of those rows. */
Status catalog_read_pixels(int32_t *healpix, Catalog *c, int64_t first, int64_t n);
/* Local. Only their fluxes: of g, of r, of z; (n) each. */
Status catalog_read_fluxes(float *const flux[3], Catalog *c, int64_t first, int64_t n);
/* Local. Only the columns SPLIT, HAS_SPECTRUM and HAS_IMAGE. */
Status catalog_read_choice(uint8_t *split, uint8_t *has_spectrum, uint8_t *has_image, Catalog *c, int64_t first,
                           int64_t n);
/* Local. Rows [first, first + n) of /manifest (n_manifest in all; sorted by role and path). */
Status catalog_read_manifest(ManifestRow *out, Catalog *c, int64_t first, int64_t n, Arena *scratch);
/* Local. Rows [first, first + n) of /rejected (n_rejected in all). */
Status catalog_read_rejected(RejectedRow *out, Catalog *c, int64_t first, int64_t n, Arena *scratch);
void catalog_close(Catalog *c);

/* Order of rows: place, healpix, uniqpix, tile, targetid, survey, program. */
int catalog_compare(const void *a, const void *b);

#endif
