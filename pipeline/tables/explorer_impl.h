/* explorer_impl.h - what the files of the explorer share. explorer.c answers, explorer_kept.c holds what answers are made from,
   explorer_json.c writes. */
#ifndef TABLES_EXPLORER_IMPL_H
#define TABLES_EXPLORER_IMPL_H

#include "tables/explorer.h"

enum {
    EXPLORER_PIECE = 4096,
    EXPLORER_NEIGHBOURS = 100
}; /* rows read at a time; the most matches that one may ask for */

/* Quoted and escaped; null where it is not finite; the members of an object, without the braces around them. */
void explorer_put_text(FILE *f, const char *text);
void explorer_put_number(FILE *f, double x);
Status explorer_put_object(FILE *f, Explorer *x, int64_t row);

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

#endif
