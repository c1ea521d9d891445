/* imageset.c - files and rows behind a number. */
#include "data/imageset.h"

#include <math.h>
#include <sys/stat.h>

#include "data/stored.h"

static Status list_files(ImageSet *s, FileList *files, const StoredConfig *config, Arena *a)
{
    TRY(stein_images.list_objects(files, config, a));
    s->n_files = files->n;
    s->path = files->path;
    TRY(arena_new(&s->first, a, files->n + 1));
    return arena_new(&s->file, a, files->n);
}

/* Rank 0: images and bytes of each file. */
static Status count_images(int64_t *count, int64_t *bytes, const ImageSet *s, const StoredConfig *config, Arena *a)
{
    char path[STORED_PATH];
    struct stat about;
    for (int64_t i = 0; i < s->n_files; i++) {
        TRY(stein_images.count_objects(&count[i], config, s->path[i], a));
        survey_file(path, sizeof path, s->root, s->path[i]);
        bytes[i] = stat(path, &about) == 0 ? (int64_t)about.st_size : 0;
    }
    return OK;
}

static Fingerprint fingerprint_of(const ImageSet *s, const int64_t *count, const int64_t *bytes)
{
    HashState *h = hash_open();
    for (int64_t i = 0; i < s->n_files; i++) {
        hash_add_text(h, s->path[i]);
        hash_add(h, &count[i], sizeof *count);
        hash_add(h, &bytes[i], sizeof *bytes);
    }
    return hash_close(h);
}

static Status number_images(ImageSet *s, const StoredConfig *config, const Par *par, Arena *a)
{
    const int64_t n = s->n_files;
    int64_t *count;
    Status st = arena_new(&count, a, 2 * n);
    TRY(par_agree(par, st));
    TRY(par_agree(par, par->rank == 0 ? count_images(count, count + n, s, config, a) : OK));
    par_bcast(par, count, 2 * n * (int64_t)sizeof *count, 0);
    for (int64_t i = 0; i < n; i++) s->first[i + 1] = s->first[i] + count[i];
    s->n = s->first[n];
    s->fingerprint = fingerprint_of(s, count, count + n);
    return OK;
}

Status imageset_open(ImageSet *s, const char *root, const Par *par, Arena *a)
{
    const StoredConfig config = {.root = root};
    FileList files;
    int64_t most;
    *s = (ImageSet){.root = root};
    TRY(par_agree(par, list_files(s, &files, &config, a)));
    most = s->n_files;
    par_max_i64(par, &most, 1);
    TRY(par_agree(par, most == s->n_files ? OK
                                          : FAIL(E_INPUT, "%s: ranks see %lld and %lld files", root,
                                                 (long long)s->n_files, (long long)most)));
    return number_images(s, &config, par, a);
}

void imageset_close(ImageSet *s)
{
    for (int64_t i = 0; i < s->n_files; i++) h5_close(&s->file[i]);
    s->n_files = 0;
}

/* The file that holds the image. */
static int64_t file_of(const ImageSet *s, int64_t image)
{
    int64_t low = 0, high = s->n_files;
    while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        *(s->first[middle] <= image ? &low : &high) = middle;
    }
    return low;
}

Status imageset_read(float *pixels, ImageSet *s, int64_t image)
{
    enum { NUMBERS = N_BANDS * CUTOUT_PIXELS * CUTOUT_PIXELS };
    MUST(image >= 0 && image < s->n);
    const StoredConfig config = {.root = s->root};
    const int64_t i = file_of(s, image);
    if (s->file[i].id <= 0) TRY(stored_open(&s->file[i], &config, s->path[i]));
    TRY(h5_read_rows(pixels, &s->file[i], "images", H5_F32, 0, image - s->first[i], 1));
    for (int64_t k = 0; k < NUMBERS; k++)
        if (!isfinite(pixels[k])) pixels[k] = 0;
    return OK;
}
