/* release_rows.h - spectra and cutouts of any rows of a catalogue, from the files of the release. Spectra are read file by
   file; image surveys group by file themselves. The numbers of a row do not depend on the other rows. Local, serial. */
#ifndef DATA_RELEASE_ROWS_H
#define DATA_RELEASE_ROWS_H

#include "data/survey.h"

enum { RELEASE_FILE = 512 };

/* A row and the file that holds its spectrum; "" = it has none. */
typedef struct {
    char path[RELEASE_FILE];
    int64_t row; /* index among the rows in hand */
} FileRow;

/* Fills in the paths of order[0 .. n), whose rows are set, and sorts them by file, then row. `files`: of the catalogue. */
Status release_order(FileRow *order, int64_t n, const CatalogRow *rows, const ReleaseConfig *release,
                     const FileList *files);

/* Spectra of n such rows, with the corrections that `options` ask for: number k of the batch, as
   spectra_batch made it, belongs to rows[order[k].row]. Without a path it stays zero. */
Status release_read_spectra(SpectrumBatch *batch, const FileRow *order, int64_t n, const CatalogRow *rows,
                            const ReleaseConfig *release, const SpectraConfig *options, Arena *scratch);

/* Cutouts: number k of the batch, as images_batch made it, belongs to rows[order[k]]. */
Status release_read_images(ImageBatch *batch, const int64_t *order, int64_t n, const CatalogRow *rows, ImageSource *s,
                           const ReleaseConfig *release, const ImagesConfig *options, Arena *scratch);

/* The image survey, ready to read. release_close_images is NULL-safe. */
Status release_open_images(ImageSource **out, const ReleaseConfig *release, const FileList *files, Arena *a);
void release_close_images(ImageSource *s, const ReleaseConfig *release);

#endif
