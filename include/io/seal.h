/* seal.h - the checksum that an HDF5 artefact bears of its own data: root attribute `data_checksum`, 32 hexadecimal digits
   over every dataset (name, type, shape, bytes) and every attribute but those of the root. It does not depend on the
   number of ranks, on how the file was written, or on the envelope: equal checksums mean equal data.

   A dataset of many TB whose rows have checksums of their own names the dataset that holds them in its attribute
   SEAL_ATTRIBUTE; those are summed in place of its values, which are not read. Who verifies such a file checks the rows
   against them. */
#ifndef IO_SEAL_H
#define IO_SEAL_H

#include "core/hash.h"
#include "io/h5.h"

#define SEAL_ATTRIBUTE "checksums"

/* Collective. The checksum of what the file holds now, read by all ranks, each a share. `f` is open on each rank by
   itself (h5_open with par NULL), or on one with par_alone. */
Status seal_sum(Fingerprint *out, H5File *f, const Par *par, Arena *scratch);

/* Collective. Reads the closed file at PATH (a .part, before artefact_publish) and records its checksum in it; then its
   metadata are final and a footer (h5_put_footer) is put. */
Status seal_file(const char *path, const Par *par, Arena *scratch);

/* Collective, as seal_sum. E_INPUT where the file does not hold the data that its checksum was recorded for; a file that
   says nothing of itself passes. */
Status seal_check(H5File *f, const Par *par, Arena *scratch);

/* Where a walk over a file leaves what it reads, so that it is read once. */
typedef struct SealPlaces {
    /* Memory for all rows of a dataset, or NULL: nobody wants them. */
    void *(*of)(struct SealPlaces *p, const char *dataset, const H5Shape *shape);
} SealPlaces;

/* Local. As seal_check of a file open on this rank, whose datasets are read into `places` on the way; what is there after a
   failure is worth nothing. */
Status seal_check_into(H5File *f, SealPlaces *places, Arena *scratch);

/* Local. What the file says of itself; false when it says nothing. */
bool seal_recorded(Fingerprint *out, H5File *f, Arena *scratch);

#endif
