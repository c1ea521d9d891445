/* mock_table.h - FITS tables of the mock sky: arrays of records and lists of columns that say which field goes where;
   and the record from which all tables of DESI are written. Local, serial. */
#ifndef DATA_MOCK_TABLE_H
#define DATA_MOCK_TABLE_H

#include <stddef.h>

#include "data/mock.h"

typedef enum { CELL_WHOLE, CELL_REAL, CELL_TEXT, CELL_BOOL } MockCell; /* int64_t, double, char[], int64_t */

typedef struct {
    FitsColumn column; /* name NULL ends a list */
    MockCell cell;
    size_t offset; /* in the record */
} MockColumn;

#define MOCK_WHOLE(T, name, format, field)                                                                             \
    {                                                                                                                  \
        {name, format, "", ""}, CELL_WHOLE, offsetof(T, field)                                                         \
    }
#define MOCK_REAL(T, name, format, unit, field)                                                                        \
    {                                                                                                                  \
        {name, format, unit, ""}, CELL_REAL, offsetof(T, field)                                                        \
    }
#define MOCK_TEXT(T, name, format, field)                                                                              \
    {                                                                                                                  \
        {name, format, "", ""}, CELL_TEXT, offsetof(T, field)                                                          \
    }
#define MOCK_BOOL(T, name, field)                                                                                      \
    {                                                                                                                  \
        {name, "L", "", ""}, CELL_BOOL, offsetof(T, field)                                                             \
    }
#define MOCK_END                                                                                                       \
    {                                                                                                                  \
        {NULL, NULL, NULL, NULL}, CELL_WHOLE, 0                                                                        \
    }

/* A table of n records of `size` bytes; lists: NULL-terminated, their columns in this order. Ends with the checksums. */
Status mock_write_table(FitsFile *f, const char *extname, const MockColumn *const *lists, const void *records,
                        size_t size, int64_t n, Arena *a);
/* The same in pieces: an empty table of n rows; rows [first, first + n) of the current HDU. */
Status mock_new_table(FitsFile *f, const char *extname, const MockColumn *const *lists, int64_t n);
Status mock_put_rows(FitsFile *f, const MockColumn *const *lists, const void *records, size_t size, int64_t first,
                     int64_t n, Arena *a);

/* A table that lists the whole sky, written brick by brick: what it keeps between bricks begins with this. */
typedef struct MockList {
    Status (*add)(struct MockList *, const MockSky *sky, const MockObject *object, int64_t n, Arena *a); /* one brick */
    Status (*end)(struct MockList *, const MockSky *sky, bool good, Arena *a); /* closes; publishes where good */
} MockList;
Status mock_zcatalog_begin(MockList **out, const MockSky *sky, const DesiConfig *desi, const char *program, Arena *a);
Status mock_labels_begin(MockList **out, const MockSky *sky, const char *path, Arena *a);
Status mock_fastspec_begin(MockList **out, const MockSky *sky, const char *path, Arena *a);
Status mock_truth_begin(MockList **out, const MockSky *sky, const char *path, Arena *a);
Status mock_votes_begin(MockList **out, const MockSky *sky, const char *path, Arena *a);

/* One row of a DESI table: an object as one file or one exposure of it shows it. */
typedef struct {
    const MockObject *object;
    MockGroup group;
    int64_t exposure; /* -1 = a row of a coadd */
    int64_t targetid, healpix, nside, group_value, uniqpix, tileid, night, petal, fiber, expid;
    int64_t coadd_fiberstatus, fiberstatus, numexp, nspec, primary, good_spec, npixels;
    int64_t release, brickid, objid, maskbits, zwarn, z_conf;
    int64_t desi_target, bgs_target, none; /* none = 0: bits of other surveys */
    int64_t is_mgii, is_qn, good_bgs, good_lrg, good_elg, good_qso;
    double ra, dec, ebv, flux[N_BANDS], z, zerr, chi2, deltachi2;
    double oii_flux, oii_ivar, tsnr2_lrg, tsnr2_bgs, c_line, c_other, exptime, mjd;
    char objtype[4], spectype[8], subtype[4], brickname[12], morphtype[8], photsys[4], survey[8], program[8];
    char desiname[32];
} MockRecord;

/* Records of objects, in their order: of one group, or of all groups of the program where it is NULL; exposure e of all
   objects before e + 1, or the coadds where exposures is 0. */
Status mock_records(MockRecord **out, int64_t *n, const MockSky *sky, const MockGroup *group, const char *program,
                    int64_t exposures, const MockObject *object, int64_t n_objects, Arena *a);

/* FIBERSTATUS of an exposure of an object: two of three objects are good in all of them. */
int64_t mock_fiberstatus(const MockObject *o, int64_t exposure, int64_t exposures);

/* Lists of columns of MockRecord: mock_records.c. */
extern const MockColumn mock_id_columns[];       /* TARGETID */
extern const MockColumn mock_redshift_columns[]; /* as redrock names them */
extern const MockColumn mock_best_columns[];     /* as zcatalogs v2 name them */
extern const MockColumn mock_status_columns[];   /* COADD_FIBERSTATUS */
extern const MockColumn mock_position_columns[]; /* TARGET_RA .. OBJTYPE */
extern const MockColumn mock_imaging_columns[];  /* RELEASE .. PHOTSYS */
extern const MockColumn mock_coadd_columns[];    /* COADD_NUMEXP */
extern const MockColumn mock_target_columns[];   /* DESI_TARGET, BGS_TARGET */
extern const MockColumn mock_sv3_columns[];      /* SV3_DESI_TARGET, SV3_BGS_TARGET with the bits; the others 0 */
extern const MockColumn mock_tile_columns[];     /* TILEID, PETAL_LOC, FIBER */
extern const MockColumn mock_exposure_columns[]; /* NIGHT .. FIBERSTATUS */
extern const MockColumn mock_program_columns[];  /* SURVEY, PROGRAM, ZCAT_PRIMARY */
extern const MockColumn mock_depth_columns[];    /* TSNR2 */

/* DESI_TARGET and its kin of the sky's survey. */
const MockColumn *mock_targets_of(const MockSky *sky);

#endif
