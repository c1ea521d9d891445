/* compare.h - what differs between two artefacts of one kind: `astroclip compare A B`.

   catalog.h5, embeddings.h5 (and a volume), properties.fits: rows found by key (TARGETID, SURVEY, PROGRAM), in whatever
   order the files hold them; added, dropped, changed, equal; of changed rows the columns. catalog.h5 also by its
   manifest and its rejected rows; probes.h5 by fit; checkpoints by tensor. NaN equals NaN.

   Memory: 24 bytes for each row of A and 16 for each of B, 16 more for either while its keys are sorted, and blocks of
   16 MB; tens of millions of rows take one pass over both files. Local, serial. */
#ifndef TABLES_COMPARE_H
#define TABLES_COMPARE_H

#include <stdio.h>

#include "core/arena.h"

/* Writes lines of text to `out`; `rows` (NULL = none) names a CSV that gets a line for every row that is not equal:
   TARGETID, SURVEY, PROGRAM, added|dropped|changed, names of the columns. *equal tells whether the data are the same:
   envelopes (version, configuration, weights) are told of, not counted. E_INPUT when the files are not of one kind. */
Status compare_files(bool *equal, const char *path_a, const char *path_b, const char *rows, FILE *out, Arena *a);

#endif
