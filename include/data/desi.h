/* desi.h - DESI's files as they lie on disk (formats.md B1, B2, B5, B6): configuration, names of files, readers.
   Paths that these functions build are relative to the root, the folder that holds spectro/redux/SPECPROD. Local,
   serial.

   Rows come from one of three kinds of file (release.spectra.redshifts): redshift catalogues and redrock files
   (desi_zcat.c), or the FIBERMAPs of the spectrum files themselves (desi_rows.c). */
#ifndef DATA_DESI_H
#define DATA_DESI_H

#include "data/survey.h"
#include "io/fitsfile.h"

typedef enum { LAYOUT_HEALPIX, LAYOUT_UNIQPIX, LAYOUT_TILES } DesiLayout;
typedef enum { SPECTRA_COADD, SPECTRA_EXPOSURES } DesiSpectra;
typedef enum { REDSHIFTS_ZCATALOG, REDSHIFTS_REDROCK, REDSHIFTS_COADD } DesiRedshifts;
typedef enum { ZCATALOG_AUTO, ZCATALOG_V0, ZCATALOG_V1, ZCATALOG_V2 } DesiZcatalog;

typedef struct {
    const char *root;     /* holds spectro/redux/SPECPROD */
    const char *specprod; /* "iron" */
    int layout;           /* DesiLayout: how the folders of spectra are divided */
    int spectra;          /* DesiSpectra: coadd-* files, or spectra-* files */
    int redshifts;        /* DesiRedshifts */
    ConfigTexts programs; /* "SURVEY/PROGRAM"; none = all */
    ConfigTexts zcatalog; /* files; none = found by name */
    int zcatalog_version; /* DesiZcatalog: where they are found */
    ConfigTexts files;    /* spectrum files of REDSHIFTS_COADD; none = all of the layout's tree */
} DesiConfig;

enum { DESI_PATH = 1024, DESI_WORD = 8 };

/* ---- names of files ---- */

/* What the name of a file says: "redrock-main-dark-9144.fits" is SURVEY main, PROGRAM dark, pixel 9144. */
typedef struct {
    char survey[DESI_WORD], program[DESI_WORD];
    int32_t healpix;              /* -1 = the name has none */
    int32_t uniqpix;              /* 0 = none */
    int32_t tileid, night, petal; /* tileid 0 = none */
} DesiName;

/* True when `name` is KIND-SURVEY-PROGRAM[-PIXEL].fits[.gz]; the number is a HEALPix pixel. */
bool desi_parse_name(DesiName *out, const char *name, const char *kind);
/* The same with a UNIQPIX in the place of the pixel: nothing in the name tells one from the other. */
bool desi_parse_uniqpix_name(DesiName *out, const char *name, const char *kind);
/* KIND-PETAL-TILEID-thruNIGHT.fits[.gz] */
bool desi_parse_tile_name(DesiName *out, const char *name, const char *kind);
/* Name of a file of this layout: one of the three above. */
bool desi_parse_layout_name(DesiName *out, int layout, const char *name, const char *kind);

/* True for 1 to 7 lower-case letters and digits: what SURVEY and PROGRAM look like, and safe as part of a path. */
bool desi_is_word(const char *text);

/* A number of at most nine digits written the one way it can be; -1 otherwise. A pixel is one below HEALPIX_PIXELS. */
int32_t desi_parse_number(const char *text, size_t length);
int32_t desi_parse_pixel(const char *text, size_t length);
/* Is SURVEY/PROGRAM among the items? Is it asked for (release.spectra.programs)? */
bool desi_lists(const ConfigTexts *items, const char *survey, const char *program);
bool desi_wants(const DesiConfig *c, const char *survey, const char *program);

/* spectro/redux/SPECPROD/healpix/SURVEY/PROGRAM/PIXEL//100/PIXEL/KIND-SURVEY-PROGRAM-PIXEL.fits; kind is "coadd",
   "spectra" or "redrock". */
Status desi_pixel_path(char *path, size_t size, const char *specprod, const char *kind, const char *survey,
                       const char *program, int32_t healpix);
/* spectro/redux/SPECPROD/spectra/SURVEY/PROGRAM/UNIQPIX//100/UNIQPIX/KIND-SURVEY-PROGRAM-UNIQPIX.fits */
Status desi_uniqpix_path(char *path, size_t size, const char *specprod, const char *kind, const char *survey,
                         const char *program, int32_t uniqpix);
/* spectro/redux/SPECPROD/tiles/cumulative/TILEID/NIGHT/KIND-PETAL-TILEID-thruNIGHT.fits */
Status desi_tile_path(char *path, size_t size, const char *specprod, const char *kind, int32_t tileid, int32_t night,
                      int32_t petal);

/* Adds the KIND files of the configured layout's tree, those of the wanted programs, unsorted; *found tells whether the
   tree is there. (desi_tree.c) */
Status desi_list_tree(FileList *out, bool *found, const DesiConfig *c, const char *kind, Arena *a);

/* ---- files ---- */

/* Opens a file of DESI and makes sure that it is whole: HDUs that a cut takes away would pass for HDUs that were
   never there. (desi_zcat.c) */
Status desi_open(FitsFile *f, const char *path);

/* True when the open file holds one spectrum per exposure: its name begins with spectra-, or its FIBERMAP has EXPID and
   FIBERSTATUS but no COADD_FIBERSTATUS. Files without FIBERMAP hold one spectrum per target. Moves to FIBERMAP where
   there is one. (desi_rows.c) */
bool desi_holds_exposures(FitsFile *f);

/* TARGETID of a spectrum in a file without FIBERMAP: bit 62 (no TARGETID of DESI has it), 30 bits of a hash of the
   file's base name without .gz, and the row in the lowest 32 bits. Positive, the same wherever the file lies, and
   unique within a file. desi_made_row gives the row back, -1 where the identifier is not of this file. (desi_rows.c) */
bool desi_is_made(int64_t targetid);
int64_t desi_made_targetid(const char *path, int64_t row);
int64_t desi_made_row(const char *path, int64_t targetid);
/* Spectra in such a file: the rows of its first FLUX image. */
Status desi_count_spectra(int64_t *n, FitsFile *f);

/* Which row of FIBERMAP is whose. */
typedef struct {
    int64_t id, row;
} DesiTarget;
/* All rows of FIBERMAP by TARGETID; those of one TARGETID in file order. (desi_rows.c) */
Status desi_read_targets(DesiTarget **out, int64_t *n, FitsFile *f, Arena *a);
/* The first of them with that TARGETID, -1 = none. (desi_spectra.c) */
int64_t desi_find_target(const DesiTarget *target, int64_t n, int64_t id);

/* The parts of desi_survey (data/survey.h says what each does). */
Status desi_list_redshifts(FileList *out, const void *config, Arena *a);
Status desi_count_redshifts(int64_t *n, const void *config, const char *path, Arena *scratch);
Status desi_read_redshifts(CatalogRow *rows, const void *config, const char *path, int64_t first, int64_t n,
                           Arena *scratch);
Status desi_read_spectra(SpectrumBatch *out, int64_t at, const void *config, const SpectraConfig *options,
                         const char *path, const CatalogRow *rows, int64_t n, Arena *scratch);

Status desi_list_beside(FileList *out, int64_t *room, const void *config, const char *path, Arena *a);

/* The same for REDSHIFTS_COADD (desi_tree.c, desi_rows.c); desi_list.c and desi_zcat.c hand over to these. A row per TARGETID in the order of its
   first spectrum; redshifts of a redrock-* file that lies beside, else Z is NaN. Sky pixel: the file's; else the
   position's; a row of neither has pixel 0, so that it is kept. A file that cannot be read is one row, too. */
Status desi_list_spectra(FileList *out, const DesiConfig *c, Arena *a);
Status desi_count_fibermaps(int64_t *n, const DesiConfig *c, const char *path, Arena *scratch);
Status desi_read_fibermaps(CatalogRow *rows, const DesiConfig *c, const char *path, int64_t first, int64_t n,
                           Arena *scratch);

/* What a FIBERMAP says of its targets, fibre, photometry and all: its rows [first, first + n) into rows[0 .. n);
   columns that are absent leave their fields alone. Not TARGETID. (desi_columns.c) */
Status desi_fill_targets(CatalogRow *rows, FitsFile *f, int64_t first, int64_t n, Arena *scratch);

#endif
