/* catalog.h - catalog.h5: one row per object, in the order of everything after it; /rejected; the input manifest.

   The key is (TARGETID, SURVEY, PROGRAM). Rows are sorted by the pixel of the file that holds them (nested), then
   TARGETID, SURVEY, PROGRAM. This module alone reads and writes the file. Datasets, one per field, length N: TARGETID
   SURVEY PROGRAM RA DEC HEALPIX Z ZERR ZWARN SPECTYPE OBJTYPE DELTACHI2 COADD_FIBERSTATUS ZCAT_PRIMARY RELEASE BRICKID
   BRICK_OBJID BRICKNAME PHOTSYS MATCH FLUX_G FLUX_R FLUX_Z EBV SPLIT HAS_SPECTRUM HAS_IMAGE FILE ROW and
   labels/{z,logmstar,age,logz,logssfr} (float64, NaN = none). /rejected: FILE ROW TARGETID SURVEY PROGRAM REASON; FILE
   indexes /files, REASON indexes /rejected/REASONS and /rejected/SENTENCES. /manifest: PATH SIZE DATASUM ROLE. */
#ifndef DATA_CATALOG_H
#define DATA_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "io/artefact.h"
#include "par/par.h"

enum { CATALOG_VERSION = 1 };

typedef enum { SPLIT_TRAIN, SPLIT_VAL, SPLIT_TEST, N_SPLITS } Split;
extern const char *const split_name[N_SPLITS + 1];

typedef enum { MATCH_NONE, MATCH_ID, MATCH_POSITION } Match; /* how photometry was found */

/* Physical properties that probes learn; one table (labels.c): name in scores.csv, stem of FITS columns, unit, meaning. */
typedef enum { LABEL_Z, LABEL_LOGMSTAR, LABEL_AGE, LABEL_LOGZ, LABEL_LOGSSFR, N_LABELS } Label;
typedef struct {
    const char *name;    /* "logmstar"                      */
    const char *column;  /* "LOGMSTAR": stem of FITS columns */
    const char *unit;    /* FITS unit or ""                 */
    const char *meaning; /* at most 46 characters           */
} LabelRow;
extern const LabelRow label_table[N_LABELS];

/* Plain bytes: exchanged, sorted and compared as a record; strings NUL-padded; no bytes between the fields. */
typedef struct {
    int64_t targetid;
    char survey[8], program[8];
    double ra, dec;      /* deg, J2000 (TARGET_RA, TARGET_DEC) */
    int32_t healpix;     /* nside 64 NESTED pixel of the coadd file */
    int32_t fiberstatus; /* COADD_FIBERSTATUS */
    double z, zerr, deltachi2;
    int64_t zwarn;
    char spectype[8], objtype[4];
    char brickname[12];
    int32_t brickid, brick_objid;
    int16_t release;
    char photsys;
    uint8_t match; /* Match */
    uint8_t split; /* Split */
    uint8_t has_spectrum, has_image;
    uint8_t zcat_primary;   /* ZCAT_PRIMARY, 1 where the column is absent */
    float flux[3], ebv;     /* g, r, z nanomaggies; mag */
    double label[N_LABELS]; /* NaN = none */
    int32_t zero;           /* in the place of padding, whose bytes C leaves to chance */
    int32_t source_file;    /* index in the list of source files (reject table, messages) */
    int64_t source_row;     /* 0-based row there */
} CatalogRow;

typedef struct {
    CatalogRow row; /* key and source only are used */
    int32_t reason; /* index in reject_table */
} RejectedRow;

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
    uint32_t datasum; /* of the first HDU with data, else a checksum of samples of the bytes; 0 = absent */
} ManifestRow;

/* Collective. Every rank gives its contiguous share of the sorted rows (rank order), its rejected rows and its manifest
   rows (any order). Writes PATH through PATH.part. */
Status catalog_write(const char *path, const Envelope *e, const CatalogRow *rows, int64_t n,
                     const RejectedRow *rejected, int64_t n_rejected, const char *const *source_files, int64_t n_files,
                     const ManifestRow *manifest, int64_t n_manifest, const Par *par, Arena *a);

typedef struct {
    H5File file;
    Envelope envelope;
    int64_t n; /* rows */
    int64_t n_manifest;
    Fingerprint manifest; /* of spectra and image files and of each row's key and place: what embed fingerprints */
} Catalog;

/* Local with par = NULL, else Collective. */
Status catalog_open(Catalog *out, const char *path, const Par *par, Arena *a);
/* Local. Rows [first, first + n). */
Status catalog_read(CatalogRow *out, Catalog *c, int64_t first, int64_t n, Arena *scratch);
/* Local. Only the HEALPIX column of those rows. */
Status catalog_read_pixels(int32_t *healpix, Catalog *c, int64_t first, int64_t n);
/* Local. Rows [first, first + n) of /manifest (n_manifest in all; sorted by role and path). */
Status catalog_read_manifest(ManifestRow *out, Catalog *c, int64_t first, int64_t n, Arena *scratch);
void catalog_close(Catalog *c);

/* Order of rows: healpix, targetid, survey, program. */
int catalog_compare(const void *a, const void *b);

#endif
