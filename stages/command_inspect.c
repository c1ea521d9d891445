/* command_inspect.c - `astroclip inspect FILE [--verify]`: the envelope, the datasets with their ranges, the counts by flag, the checksums. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "data/flags.h"
#include "io/artefact.h"
#include "verify.h"

enum { CHUNK_ROWS = 4096 };

static void print_envelope(const Envelope *e)
{
    printf("kind         %s, version %lld, made by `astroclip %s`\n", e->kind, (long long)e->version, e->made_by);
    printf("fingerprint  %s\nseed         %lld\n", e->fingerprint.text, (long long)e->seed);
    printf("release      SPECPROD '%s', images '%s'\n", e->specprod, e->image_release);
    printf("made with    %s, %lld ranks, %.1f s\n", e->provider, (long long)e->ranks, e->seconds);
}

/* Range and NaN count of a numeric dataset, read in chunks of rows. */
static Status print_range(H5File *f, const char *name, const H5Shape *s, Arena *a)
{
    int64_t per_row = 1, n_nan = 0;
    double low = INFINITY, high = -INFINITY, *x = NULL;
    for (int d = 1; d < s->n_dims; d++) per_row *= s->dims[d];
    Mark mark = arena_mark(a);
    TRY(arena_new(&x, a, CHUNK_ROWS * per_row));
    for (int64_t at = 0; at < s->dims[0]; at += CHUNK_ROWS) {
        int64_t n = s->dims[0] - at < CHUNK_ROWS ? s->dims[0] - at : CHUNK_ROWS;
        TRY(h5_read_rows(x, f, name, H5_F64, 0, at, n));
        for (int64_t i = 0; i < n * per_row; i++) {
            if (isnan(x[i]))
                n_nan++;
            else
                low = fmin(low, x[i]), high = fmax(high, x[i]);
        }
    }
    arena_reset(a, mark);
    if (low <= high) printf("  %.6g .. %.6g", low, high);
    if (n_nan > 0) printf("  %lld NaN", (long long)n_nan);
    return OK;
}

static Status print_datasets(H5File *f, const char *group, Arena *a)
{
    char **name = NULL;
    int64_t n = 0;
    TRY(h5_list(&name, &n, f, group, a));
    for (int64_t i = 0; i < n; i++) {
        char path[512];
        H5Shape s;
        snprintf(path, sizeof path, "%s%s%s", group[1] ? group : "", group[1] ? "/" : "", name[i]);
        if (h5_shape(&s, f, path) != OK) { /* a group */
            fail_clear();
            TRY(print_datasets(f, path, a));
            continue;
        }
        printf("  %-36s (", path);
        for (int d = 0; d < s.n_dims; d++) printf("%s%lld", d ? ", " : "", (long long)s.dims[d]);
        printf(")");
        if (s.type == H5_TEXT)
            printf(" text of %lld", (long long)s.width);
        else if (s.n_dims > 0)
            TRY(print_range(f, path, &s, a));
        printf("\n");
    }
    return OK;
}

static Status print_flags(H5File *f, Modality m, Arena *a)
{
    char name[32];
    H5Shape s;
    int64_t counts[FLAG_BITS + 1] = {0};
    int32_t *flag = NULL;
    snprintf(name, sizeof name, "%s_flag", modality_name[m]);
    if (!h5_has(f, name)) return OK;
    TRY(h5_shape(&s, f, name));
    TRY(arena_new(&flag, a, CHUNK_ROWS));
    for (int64_t at = 0; at < s.dims[0]; at += CHUNK_ROWS) {
        int64_t n = s.dims[0] - at < CHUNK_ROWS ? s.dims[0] - at : CHUNK_ROWS;
        TRY(h5_read_rows(flag, f, name, H5_I32, 0, at, n));
        for (int64_t i = 0; i < n; i++) flags_count(counts, flag[i]);
    }
    printf("%s: %lld rows, %lld without any flag\n", name, (long long)s.dims[0], (long long)counts[FLAG_BITS]);
    for (const FlagRow *row = flags_table(m); row->bit; row++) {
        int64_t n = counts[__builtin_ctz((unsigned)row->bit)];
        char *told = NULL; /* what the file itself says of the bit, where it does */
        if (n > 0 && !h5_get_attr_text(&told, f, name, row->name, a)) TRY(arena_text(&told, a, row->sentence));
        if (n > 0) printf("  %-16s %8lld  %s\n", row->name, (long long)n, told);
    }
    return OK;
}

static Status inspect_h5(const Command *c, Arena *a)
{
    Status st = OK;
    H5File f = {0};
    Envelope e = {0};
    TRY(h5_open(&f, c->target, NULL));
    bool known = artefact_peek(&e, &f, a);
    printf("%s\n", c->target);
    if (known)
        print_envelope(&e);
    else
        printf("no envelope: not an artefact of astroclip\n");
    TRY_DONE(print_datasets(&f, "/", a));
    for (int m = 0; m < N_MODALITIES; m++) TRY_DONE(print_flags(&f, (Modality)m, a));
    if (c->verify)
        st = known ? verify_h5(&f, &e, a)
                   : FAIL(E_INPUT, "%s is no artefact of ours: there is no checksum to verify", c->target);
done:;
    Status closed = h5_close(&f);
    return st != OK ? st : closed;
}

static Status inspect_fits(const Command *c, Arena *a)
{
    FitsFile f = {0};
    TRY(fitsfile_open(&f, c->target));
    printf("%s\n", c->target);
    for (int hdu = 0; fitsfile_goto_number(&f, hdu) == OK; hdu++) {
        int64_t rows = 0;
        char text[FITS_NAME] = "";
        printf("  HDU %d %s", hdu, f.hdu);
        if (hdu == 0 && fitsfile_get_text(text, sizeof text, &f, "FPRINT")) printf("  fingerprint %s", text);
        if (hdu > 0 && fitsfile_rows(&rows, &f) == OK) printf("  %lld rows", (long long)rows);
        fail_clear();
        printf("\n");
    }
    fail_clear(); /* the HDU after the last */
    const Status st = c->verify ? verify_fits(&f, a) : OK;
    fitsfile_close(&f);
    return st;
}

Status command_inspect(const Command *c)
{
    Arena a = {0};
    size_t length = strlen(c->target);
    bool fits = length > 5 && strstr(c->target + length - 5, "fits");
    TRY(arena_init(&a, "inspect", 0));
    Status st = fits ? inspect_fits(c, &a) : inspect_h5(c, &a);
    arena_free(&a);
    return st;
}
