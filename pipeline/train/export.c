/* export.c - a checkpoint of ours under the names that PyTorch's models have: the same names for all of AstroCLIP, an encoder's own for it alone. */
#include <string.h>

#include "train/import.h"

/* How names that all begin with `ours` are written. */
static const struct {
    const char *ours, *theirs, *map;
} layouts[] = {{"image_encoder.backbone.", "backbone.", "teacher"},
               {"spectrum_encoder.backbone.", "", "state_dict"},
               {"", "", "state_dict"}};

static int choose_layout(char *const *names, int64_t n)
{
    for (int k = 0;; k++) {
        bool all = true;
        for (int64_t i = 0; i < n && all; i++) all = strncmp(names[i], layouts[k].ours, strlen(layouts[k].ours)) == 0;
        if (all) return k; /* the last one fits any */
    }
}

static Status put_tensors(TorchWriter *w, H5File *from, char *const *names, int64_t n, int layout, Arena *scratch)
{
    for (int64_t i = 0; i < n; i++) {
        char name[PARAM_NAME + 16];
        float *value = NULL;
        H5Shape shape;
        const Mark mark = arena_mark(scratch);
        TRY(checkpoint_get(&value, &shape, from, names[i], scratch));
        snprintf(name, sizeof name, "%s%s", layouts[layout].theirs, names[i] + strlen(layouts[layout].ours));
        TRY(torchfile_put(w, name, value, shape.n_dims, shape.dims));
        arena_reset(scratch, mark);
    }
    return OK;
}

Status export_weights(int64_t *n_tensors, const char *to, const char *from, Arena *a)
{
    enum { BOOKS = 256 << 20 }; /* bytes for names and places, which outlive the tensors */
    Status st = OK;
    H5File f = {0};
    Arena books = {0};
    TorchWriter w = {0};
    char **names = NULL;
    TRY_DONE(checkpoint_open(&f, &names, n_tensors, from, a));
    if (*n_tensors == 0) st = FAIL(E_INPUT, "%s: holds no weights", from);
    if (st != OK) goto done;
    TRY_DONE(arena_init(&books, "export", BOOKS));
    const int layout = choose_layout(names, *n_tensors);
    TRY_DONE(torchfile_create(&w, to, layouts[layout].map, &books));
    TRY_DONE(put_tensors(&w, &f, names, *n_tensors, layout, a));
    st = torchfile_finish(&w);
done:
    torchfile_abandon(&w);
    h5_close(&f);
    arena_free(&books);
    return st;
}
