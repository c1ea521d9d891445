/* mmu.h - what the spectra and the images of the Multimodal Universe share (mmu.c). Local, serial. */
#ifndef DATA_MMU_H
#define DATA_MMU_H

#include "data/stored.h"

/* Parts of surveys: files in healpix=NUMBER/ folders; rows of a file. */
Status mmu_list(FileList *out, const void *config, Arena *a);
Status mmu_count(int64_t *n, const void *config, const char *path, Arena *scratch);

/* Rows of an open file: those of its object_id. */
Status mmu_rows(int64_t *n, H5File *f, const StoredNames *names);

/* Rows [first, first + n): new rows with source_row, position, photometry and the columns `own` (NULL = none). */
Status mmu_read_columns(CatalogRow *rows, H5File *f, const StoredNames *names, const StoredColumn *own, int64_t first,
                        int64_t n, Arena *scratch);

/* TARGETID, else object_id as a number, else a hash of it (stored_name_id). */
Status mmu_read_ids(int64_t *targetid, H5File *f, const StoredNames *names, int64_t first, int64_t n, Arena *scratch);

#endif
