/* desi.h - DESI's files as they lie on disk (formats.md B1, B2, B5, B6): configuration, names of files, readers.
   Paths that these functions build are relative to the root, the folder that holds spectro/redux/SPECPROD. Local,
   serial. */
#ifndef DATA_DESI_H
#define DATA_DESI_H

#include "data/survey.h"
#include "io/fitsfile.h"

typedef enum { REDSHIFTS_ZCATALOG, REDSHIFTS_REDROCK } DesiRedshifts;

typedef struct {
    const char *root;     /* holds spectro/redux/SPECPROD */
    const char *specprod; /* "iron" */
    int redshifts;        /* DesiRedshifts */
    ConfigTexts programs; /* "SURVEY/PROGRAM"; none = all */
    ConfigTexts zcatalog; /* files; none = found by name */
} DesiConfig;

enum { DESI_PATH = 1024, DESI_WORD = 8 };

/* What the name of a file says: "redrock-main-dark-9144.fits" is SURVEY main, PROGRAM dark, pixel 9144. */
typedef struct {
    char survey[DESI_WORD], program[DESI_WORD];
    int32_t healpix; /* -1 = the name has none */
} DesiName;

/* True when `name` is KIND-SURVEY-PROGRAM[-PIXEL].fits[.gz]. */
bool desi_parse_name(DesiName *out, const char *name, const char *kind);
/* True for 1 to 7 lower-case letters and digits: what SURVEY and PROGRAM look like, and safe as part of a path. */
bool desi_is_word(const char *text);

/* spectro/redux/SPECPROD/healpix/SURVEY/PROGRAM/PIXEL/100/PIXEL/KIND-SURVEY-PROGRAM-PIXEL.fits; kind is "coadd" or
   "redrock". */
Status desi_pixel_path(char *path, size_t size, const char *specprod, const char *kind, const char *survey,
                       const char *program, int32_t healpix);
/* spectro/redux/SPECPROD/zcatalog/v1/zpix-SURVEY-PROGRAM.fits */
Status desi_zpix_path(char *path, size_t size, const char *specprod, const char *survey, const char *program);

/* Opens a file of DESI and makes sure that it is whole: HDUs that a cut takes away would pass for HDUs that were
   never there. */
Status desi_open(FitsFile *f, const char *path);

/* The parts of desi_survey (data/survey.h says what each does). */
Status desi_list_redshifts(FileList *out, const void *config, Arena *a);
Status desi_read_redshifts(CatalogRow **rows, int64_t *n, const void *config, const char *path, Arena *a);
Status desi_read_spectra(SpectrumBatch *out, int64_t at, const void *config, const SpectraConfig *options,
                         const char *path, const CatalogRow *rows, int64_t n, Arena *scratch);

#endif
