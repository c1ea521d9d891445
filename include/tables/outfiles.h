/* outfiles.h - which published file each row goes to, and where: all in one, one per SURVEY and PROGRAM, or one per pixel of
   these; names and folders of a DESI value-added catalogue (formats.md B8) on request. Rows keep the catalogue's order in
   every file, whatever the ranks. */
#ifndef TABLES_OUTFILES_H
#define TABLES_OUTFILES_H

#include "core/config.h"
#include "tables/rowmatch.h"

enum { FILES_ONE, FILES_PROGRAM, FILES_PIXEL };
enum { LAYOUT_FLAT, LAYOUT_VAC };

typedef struct {
    int64_t chunk_rows;
    const char *probe; /* whose predictions are published */
    int files, layout;
    const char *release, *name, *version; /* of a value-added catalogue: "dr1", "astroclip", "v1.0" */
    bool hdf5;
    const char *match; /* redshift catalogue whose rows the file has, in their order; "" = those of ours */
} TablesConfig;
extern const ConfigSection tables_section; /* "tables" */

typedef struct {
    char survey[8], program[8];
    int32_t pixel; /* -1 = all */
} OutKey;

typedef struct {
    OutKey key;
    char *path, *part;
    int64_t n; /* rows */
    int sums;  /* index of the checksum file of its folder */
} OutFile;

typedef struct {
    char *folder, *path, *part;
} OutSums;

/* Rows of this rank and where they go. */
typedef struct {
    char *base;       /* folder of all; ends without a slash */
    const char *stem; /* what names of files begin with */
    int n_files, n_sums;
    OutFile *file;
    OutSums *sums;
    int64_t first, n;
    int32_t *of; /* (n) file of each row      */
    int64_t *at; /* (n) its place among those, -1 = nowhere */
    RowMatch match;
} OutFiles;

/* Collective. `folder` is run.output, `stem` begins the names of the flat layout, `specprod` is that of the release. Flat and
   one: FOLDER/STEM.fits and STEM.fits.sha256sum. */
Status outfiles_plan(OutFiles *out, const char *folder, const char *stem, const TablesConfig *c, const char *specprod,
                     Catalog *catalog, const Par *par, Arena *a);

#endif
