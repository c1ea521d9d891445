/* sources.h - the source rows of a catalogue: the redshift files of a survey, read by all ranks, cut, and given their
   split. */
#ifndef DATA_SOURCES_H
#define DATA_SOURCES_H

#include <stdint.h>

#include "core/arena.h"
#include "data/cuts.h"
#include "data/survey.h"
#include "par/par.h"

/* Lists files; the same shape for redshift files and for files of objects. */
typedef Status (*ListFiles)(FileList *out, const void *config, Arena *a);

/* Collective. Rank 0 lists (NULL = nothing to list), all ranks get the same. */
Status sources_list(FileList *out, ListFiles list, const void *config, const Par *par, Arena *a);

/* Where the rows of a catalogue come from. `files` are the catalogue's /files: those of redshifts first, those of
   objects after them. */
typedef struct {
    const ReleaseConfig *release;
    const FileList *files;
    int64_t n_redshifts; /* files[0 .. n_redshifts) hold redshifts, the others objects */
    const CatalogConfig *config;
    int64_t seed; /* of the split */
} Sources;

/* What was read, beside the rows. */
typedef struct {
    int64_t rows; /* read here, cut ones and skipped ones too */
    RejectList *rejects;
    int64_t *skipped; /* (files, N_REJECTS): counts of this rank, from the caller, zeroed */
} SourceCounts;

/* Collective. Files are handed to ranks in pieces of rows as these come free; a rank keeps the rows of its pieces that
   pass the cuts, and adds the others to its rejects. Which rank holds which row is a matter of luck; what the rows say
   is not. */
Status sources_redshifts(CatalogRow **rows, int64_t *n, SourceCounts *counts, const Sources *s, const Par *par,
                         Arena *a);

/* Collective. The same for the files of objects: rows with images that the survey's selection takes. */
Status sources_objects(CatalogRow **rows, int64_t *n, SourceCounts *counts, const Sources *s, const Par *par, Arena *a);

#endif
