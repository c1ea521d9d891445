/* tally.h - what the catalogue stage counts and says: rows in and out, cuts, matches, labels, splits, programs. */
#ifndef DATA_TALLY_H
#define DATA_TALLY_H

#include <stdint.h>

#include "core/arena.h"
#include "data/cuts.h"
#include "data/join.h"
#include "par/par.h"

enum { N_MATCHES = MATCH_POSITION + 1 };

/* All numbers are int64_t, summed over ranks as one array. */
typedef struct {
    int64_t source_rows, source_files, rows, rejected, skipped;
    int64_t reason[N_REJECTS]; /* of rejected and skipped rows */
    int64_t match[N_MATCHES], split[N_SPLITS], label[N_LABELS];
    int64_t photometry_files, photometry_absent;
} Tally;

/* Collective. Adds up this rank's rows, rejects and skipped objects ((n_files, N_REJECTS) counts); t->source_rows,
   t->source_files and the two photometry counts hold this rank's numbers before. E_BUG unless source rows = rows +
   rejected + skipped. */
Status tally_sum(Tally *t, const CatalogRow *rows, int64_t n, const RejectList *rejects, const int64_t *skipped,
                 const Par *par);

/* Collective. Rank 0 logs the tally and the rows of every survey and program. */
Status tally_log(const Tally *t, const CatalogRow *rows, int64_t n, const Par *par, Arena *scratch);

#endif
