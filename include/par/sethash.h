/* sethash.h - a fingerprint of a set of records spread over ranks in any way: the hashes of the records are added, 32 bits
   at a time, so that neither order nor ownership matters. Records that are to be ordered carry their position. */
#ifndef PAR_SETHASH_H
#define PAR_SETHASH_H

#include <stdint.h>

#include "core/hash.h"
#include "par/par.h"

typedef struct {
    uint32_t word[4];
} SetHash;
void sethash_add(SetHash *h, const void *record, size_t bytes);  /* Local */
void sethash_add_hash(SetHash *h, const Fingerprint *one);       /* Local. Of a record that was hashed already. */
Fingerprint sethash_finish(const SetHash *mine, const Par *par); /* Collective */

#endif
