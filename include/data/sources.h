/* sources.h - the source rows of a catalogue: the redshift files of a survey, read by all ranks, cut, and given their
   split. */
#ifndef DATA_SOURCES_H
#define DATA_SOURCES_H

#include <stdint.h>

#include "core/arena.h"
#include "data/cuts.h"
#include "data/survey.h"
#include "par/par.h"

/* Collective. The survey's redshift files: rank 0 looks, all ranks get the same list. */
Status sources_list(FileList *out, const SpectrumSurvey *survey, const void *config, const Par *par, Arena *a);

typedef struct {
    const SpectrumSurvey *survey;
    const void *survey_config;
    const FileList *files;
    const CatalogConfig *config;
    int64_t seed; /* of the split */
} Sources;

/* Collective. Files are handed to ranks as these come free; a rank keeps the rows of the files it read that pass the
   cuts, and adds the others to its rejects. *n_source counts all rows read here. Which rank holds which row is a matter
   of luck; what the rows say is not. */
Status sources_read(CatalogRow **rows, int64_t *n, int64_t *n_source, RejectList *rejects, const Sources *s,
                    const Par *par, Arena *a);

#endif
