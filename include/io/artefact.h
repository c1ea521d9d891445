/* artefact.h - the envelope that every artefact of ours bears, and the way a file gets its final name.

   HDF5 artefacts carry it as root attributes, FITS ones as primary keywords (same names in capitals, cut to 8 characters; table in artefact.c).
   A stage whose output exists with the same fingerprint is done. A file is written under PATH.part, agreed on, renamed: no partial file bears
   a final name. */
#ifndef IO_ARTEFACT_H
#define IO_ARTEFACT_H

#include "core/config.h"
#include "core/hash.h"
#include "io/fitsfile.h"
#include "io/h5.h"

typedef struct {
    const char *kind;    /* "catalog", "embeddings", "probes", "properties" */
    int64_t version;     /* of the file layout; a reader refuses others     */
    const char *made_by; /* stage that writes it: "catalog"                 */
    const char *config;  /* effective config, YAML                          */
    int64_t seed;
    Fingerprint fingerprint;
    const char *specprod;      /* "iron", or ""                                   */
    const char *image_release; /* "dr9", or ""                                    */
    const char *provider;      /* gemm provider and instruction set, or ""        */
    double seconds;            /* wall time of the stage                          */
    int64_t ranks;
} Envelope;

/* Collective on a parallel file. Also writes `program` and `program_version`, `created` (UTC). */
Status artefact_write(H5File *f, const Envelope *e);
/* Local / Collective as the file is. Reads and checks kind and version; E_INPUT says which stage makes the right one:
   "x.h5 is 'catalog' version 1, not 'embeddings'; `astroclip embed` writes those". */
Status artefact_read(Envelope *out, H5File *f, const char *kind, int64_t version, const char *made_by, Arena *a);
/* Local. Reads whatever envelope the file has, unchecked (inspect). False if it has none. */
bool artefact_peek(Envelope *out, H5File *f, Arena *a);

Status
artefact_write_fits(FitsFile *f,
                    const Envelope *e); /* into the current (primary) header, with DEPNAM/DEPVER of the libraries */

/* The seconds of the stage until now, in a file whose envelope was written before the work. Collective on a parallel file; Local: of a
   file that was opened again, whose primary header becomes the current one. */
Status artefact_put_seconds(H5File *f);
Status artefact_put_seconds_fits(FitsFile *f);

/* Local. True when `path` exists, is an artefact of this kind and version, and bears this fingerprint (HDF5 or FITS by its suffix). */
bool artefact_is_current(const char *path, const char *kind, int64_t version, const Fingerprint *fingerprint);

/* Collective. Creates the folders on the way (rank 0) and agrees. */
Status artefact_make_folder(const Par *par, const char *path);
/* Collective. The same for the folder that a file lies in. */
Status artefact_make_folder_of(const Par *par, const char *file);
/* Collective. fsync and rename PATH.part to PATH by rank 0, then agree. */
Status artefact_publish(const Par *par, const char *path);

#endif
