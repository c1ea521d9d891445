/* release_rows.c - spectra of rows file by file, cutouts of rows: what `embed` and `pack` read. */
#include "data/release_rows.h"

#include <stdlib.h>
#include <string.h>

#include "core/helper.h"
#include "data/extinction.h"

static int by_file(const void *a, const void *b)
{
    const FileRow *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

Status release_order(FileRow *order, int64_t n, const CatalogRow *rows, const ReleaseConfig *release,
                     const FileList *files)
{
    for (int64_t k = 0; k < n; k++) {
        const CatalogRow *row = &rows[order[k].row];
        order[k].path[0] = '\0';
        if (row->has_spectrum)
            TRY(release_spectra(release)->spectrum_file(order[k].path, RELEASE_FILE, release->spectra.config, row,
                                                        files));
    }
    qsort(order, (size_t)n, sizeof *order, by_file);
    return OK;
}

Status release_read_spectra(SpectrumBatch *batch, const FileRow *order, int64_t n, const CatalogRow *rows,
                            const ReleaseConfig *release, const SpectraConfig *options, Arena *scratch)
{
    const SpectrumSurvey *survey = release_spectra(release);
    const void *config = release->spectra.config;
    const Mark start = arena_mark(scratch);
    CatalogRow *own = NULL;
    TRY(arena_new(&own, scratch, n));
    for (int64_t k = 0; k < n; k++) own[k] = rows[order[k].row];
    for (int64_t k = 0, end; k < n; k = end) {
        for (end = k + 1; end < n && strcmp(order[end].path, order[k].path) == 0;) end++;
        if (order[k].path[0] == '\0') continue;
        Mark mark = arena_mark(scratch);
        char *path = NULL;
        bool alone = order[k].path[0] == '/';
        TRY(helper_go_on());
        TRY(arena_printf(&path, scratch, "%s%s%s", alone ? "" : survey->root(config), alone ? "" : "/", order[k].path));
        TRY(survey->read_spectra(batch, k, config, options, path, own + k, end - k, scratch));
        spectra_correct(batch, k, options, own + k, end - k);
        arena_reset(scratch, mark);
    }
    arena_reset(scratch, start);
    return OK;
}

Status release_read_images(ImageBatch *batch, const int64_t *order, int64_t n, const CatalogRow *rows, ImageSource *s,
                           const ReleaseConfig *release, const ImagesConfig *options, Arena *scratch)
{
    const Mark start = arena_mark(scratch);
    CatalogRow *own = NULL;
    TRY(arena_new(&own, scratch, n));
    for (int64_t k = 0; k < n; k++) own[k] = rows[order[k]];
    TRY(release_images(release)->cutouts(batch, 0, s, options, own, n, scratch));
    arena_reset(scratch, start);
    return OK;
}

Status release_open_images(ImageSource **out, const ReleaseConfig *release, const FileList *files, Arena *a)
{
    const ImageSurvey *survey = release_images(release);
    TRY(arena_new(out, a, 1));
    (*out)->config = release->images.config;
    (*out)->files = files;
    return survey->open ? survey->open(*out, a) : OK;
}

void release_close_images(ImageSource *s, const ReleaseConfig *release)
{
    if (s && release_images(release)->close) release_images(release)->close(s);
}
