/* fitssum.h - the 32-bit ones' complement sum behind DATASUM (FITS 4.0, section 4.4.2.7), in parts.

   The data unit is read as big-endian 32-bit words, padding included; the words are added with end-around carry. This sum
   does not depend on order, and a part that begins in the middle of a word counts as if zeros filled the word: so ranks sum
   their own slices, and joining the parts gives exactly the DATASUM of the whole. Zeros (padding) add nothing. Local. */
#ifndef IO_FITSSUM_H
#define IO_FITSSUM_H

#include <stdint.h>

/* `sum` and then n bytes that begin `offset` bytes after the start of the data unit. Begin with 0. */
uint32_t fitssum_add(uint32_t sum, const void *bytes, int64_t n, int64_t offset);

/* The total of any number of parts (up to 2^31) that were added up as integers. */
uint32_t fitssum_fold(uint64_t sum_of_parts);

#endif
