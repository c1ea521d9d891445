/* manifest.h - which files a catalogue depends on, measured: path relative to its root, role, size, DATASUM. Candidates
   are collected by every rank as they come up, with repetitions; manifest_measure makes them one list over all ranks
   and looks at each file once. */
#ifndef DATA_MANIFEST_H
#define DATA_MANIFEST_H

#include <stdint.h>

#include "core/arena.h"
#include "core/hash.h"
#include "data/survey.h"
#include "par/par.h"
#include "par/sethash.h"

/* Roles: what a file is to the catalogue. Redshift and spectra files live under the spectra root, objects,
   tractor and image files under the image root; the label file is its own root. */
#define ROLE_REDSHIFTS "redshifts"
#define ROLE_SPECTRA   "spectra"
#define ROLE_OBJECTS   "objects"
#define ROLE_TRACTOR   "tractor"
#define ROLE_IMAGE     "image"
#define ROLE_LABELS    "labels"

typedef struct {
    const char *spectra; /* folder */
    const char *images;  /* folder */
    const char *labels;  /* the folder of the label file */
} ManifestRoots;

enum { MANIFEST_RECENT = 4096 };
typedef struct {
    Arena *arena; /* grows there */
    ManifestRow *row;
    int64_t n, capacity;
    uint64_t recent[MANIFEST_RECENT]; /* hashes of paths added lately: rows in order repeat their files */
    uint64_t bricks[MANIFEST_RECENT]; /* the same for bricks */
} ManifestList;

/* Local. Adds a file unless it was added just before. E_INPUT when the path is too long. */
Status manifest_add(ManifestList *list, const char *role, const char *path);

/* Local. Adds the files that embedding these rows will read: the spectrum file, the images of the own brick or the file
   of a stored set. `files`: the catalogue's /files; `scratch` is not the list's arena. */
Status manifest_add_rows(ManifestList *list, const CatalogRow *rows, int64_t n, const FileList *files,
                         const ReleaseConfig *release, Arena *scratch);

/* Local. Size and DATASUM of one file (or of path.gz, where only that exists); -1 and 0 when it is absent. Never fails:
   a broken file has a size and a checksum of its bytes. */
void manifest_look(ManifestRow *row, const ManifestRoots *roots);

/* Collective. Every file of all lists once, measured; each rank holds those whose path hashes to it. */
Status manifest_measure(ManifestRow **out, int64_t *n, const ManifestList *list, const ManifestRoots *roots,
                        const Par *par, Arena *a);

/* Order of /manifest: role, path. */
int manifest_compare(const void *a, const void *b);

/* Of a set (par/sethash.h): path, role, size, DATASUM of each. Local. */
void sethash_add_manifest(SetHash *h, const ManifestRow *rows, int64_t n);

#endif
