/* verify.c - does an artefact hold what it says? Its checksum, the checksums of its blocks, rows in = rows out, ranges, and
   that embeddings are NaN exactly where the flags say that there is none. Everything is checked before it fails. */
#include "verify.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "data/dataset.h"
#include "embed/volume.h"
#include "io/seal.h"

enum { CHUNK_ROWS = 1024 };

typedef struct {
    const char *path;
    int bad;
    char first[256]; /* what did not hold first */
} Findings;

/* Says what was checked; remembers it when it does not hold. */
static void find(Findings *f, bool holds, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void find(Findings *f, bool holds, const char *format, ...)
{
    char text[sizeof f->first];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    printf("  %-14s %s\n", holds ? "holds" : "DOES NOT HOLD", text);
    if (!holds && f->bad++ == 0) memcpy(f->first, text, sizeof text);
}

static Status verdict(const Findings *f)
{
    if (f->bad == 0) return OK;
    return FAIL(E_INPUT, "%s: %d checks do not hold, the first: %s; make or copy the file again", f->path, f->bad,
                f->first);
}

/* A read that fails is a finding: other checks go on. */
static void try_it(Findings *f, Status st, const char *what)
{
    if (st == OK) return;
    find(f, false, "%s: %.180s", what, fail_record()->text);
    fail_clear();
}

/* ---- all HDF5 artefacts ---- */

static Status check_seal(Findings *out, H5File *f, Arena *a)
{
    Fingerprint now = {""}, then = {""};
    bool recorded = seal_recorded(&then, f, a);
    TRY(seal_sum(&now, f, &par_alone, a));
    printf("  %-14s %s\n", "data", now.text);
    if (recorded) find(out, strcmp(now.text, then.text) == 0, "checksum of all data");
    return OK;
}

/* `rows` < 0: the file has no table of them. */
static void check_ledger(Findings *out, H5File *f, int64_t rows)
{
    int64_t in = 0, kept = 0, rejected = 0, skipped = 0;
    if (!h5_get_attr_i64(&in, f, "/", "rows_in") || !h5_get_attr_i64(&kept, f, "/", "rows_out")) return;
    h5_get_attr_i64(&rejected, f, "/", "rows_rejected");
    h5_get_attr_i64(&skipped, f, "/", "rows_skipped");
    find(out, in == kept + rejected + skipped, "%lld rows in = %lld out + %lld rejected + %lld outside the selection",
         (long long)in, (long long)kept, (long long)rejected, (long long)skipped);
    if (rows >= 0) find(out, kept == rows, "%lld rows out are in the file: %lld", (long long)kept, (long long)rows);
}

/* ---- ranges ---- */

typedef struct {
    const char *kind, *dataset;
    double low, high;
    bool may_be_nan;
} Range;

static const Range ranges[] = {
    {"catalog", "RA", 0, 360, true},
    {"catalog", "DEC", -90, 90, true},
    {"catalog", "HEALPIX", -1, 49151, false},
    {"catalog", "Z", -10, 100, true},
    {"catalog", "SPLIT", 0, N_SPLITS - 1, false},
    {"catalog", "MATCH", 0, 2, false},
    {"catalog", "HAS_SPECTRUM", 0, 1, false},
    {"catalog", "HAS_IMAGE", 0, 1, false},
    {"catalog", "PETAL", -1, 9, false},
    {"catalog", "rejected/REASON", 0, N_REJECTS - 1, false},
    {"catalog", "manifest/SIZE", -1, 9e18, false},
    {"embeddings", "ra", 0, 360, true},
    {"embeddings", "dec", -90, 90, true},
    {"embeddings", "healpix", -1, 49151, false},
    {NULL, NULL, 0, 0, false},
};

static Status check_range(Findings *out, H5File *f, const Range *r, Arena *a)
{
    H5Shape s;
    double *x = NULL;
    int64_t outside = 0;
    const Mark mark = arena_mark(a);
    TRY(h5_shape(&s, f, r->dataset));
    TRY(arena_new(&x, a, CHUNK_ROWS));
    for (int64_t at = 0; at < s.dims[0]; at += CHUNK_ROWS) {
        const int64_t n = s.dims[0] - at < CHUNK_ROWS ? s.dims[0] - at : CHUNK_ROWS;
        TRY(h5_read_rows(x, f, r->dataset, H5_F64, 0, at, n));
        for (int64_t i = 0; i < n; i++) outside += isnan(x[i]) ? !r->may_be_nan : x[i] < r->low || x[i] > r->high;
    }
    arena_reset(a, mark);
    find(out, outside == 0, "%s between %g and %g%s: %lld rows are not", r->dataset, r->low, r->high,
         r->may_be_nan ? " or NaN" : "", (long long)outside);
    return OK;
}

/* ---- embeddings ---- */

static const EmbeddingSet sets_of[N_MODALITIES][2] = {{SET_IMAGE, SET_ASTRODINO}, {SET_SPECTRUM, SET_SPECFORMER}};
static const char *const flag_name[N_MODALITIES] = {"image_flag", "spectrum_flag"};

/* Rows with all values, and rows where some are NaN and some are not. */
static Status count_rows(int64_t *whole, int64_t *torn, H5File *f, const char *dataset, Arena *a)
{
    H5Shape s;
    float *x = NULL;
    const Mark mark = arena_mark(a);
    TRY(h5_shape(&s, f, dataset));
    const int64_t dim = s.n_dims == 2 ? s.dims[1] : 1;
    TRY(arena_new(&x, a, CHUNK_ROWS * dim));
    for (int64_t at = 0; at < s.dims[0]; at += CHUNK_ROWS) {
        const int64_t n = s.dims[0] - at < CHUNK_ROWS ? s.dims[0] - at : CHUNK_ROWS;
        TRY(h5_read_rows(x, f, dataset, H5_F32, 0, at, n));
        for (int64_t i = 0; i < n; i++) {
            int64_t finite = 0;
            for (int64_t d = 0; d < dim; d++) finite += isfinite(x[i * dim + d]) != 0;
            *whole += finite == dim;
            *torn += finite > 0 && finite < dim;
        }
    }
    arena_reset(a, mark);
    return OK;
}

static Status count_flags(int64_t counts[FLAG_BITS + 1], H5File *f, const char *dataset, Arena *a)
{
    H5Shape s;
    int32_t *flag = NULL;
    const Mark mark = arena_mark(a);
    TRY(h5_shape(&s, f, dataset));
    TRY(arena_new(&flag, a, CHUNK_ROWS));
    for (int64_t at = 0; at < s.dims[0]; at += CHUNK_ROWS) {
        const int64_t n = s.dims[0] - at < CHUNK_ROWS ? s.dims[0] - at : CHUNK_ROWS;
        TRY(h5_read_rows(flag, f, dataset, H5_I32, 0, at, n));
        for (int64_t i = 0; i < n; i++) flags_count(counts, flag[i]);
    }
    arena_reset(a, mark);
    return OK;
}

/* The counts that the file gives of its flags. */
static Status check_flags(Findings *out, H5File *f, Modality m, const char *dataset, Arena *a)
{
    int64_t counts[FLAG_BITS + 1] = {0}, known = 0, said = 0, wrong = 0;
    TRY(count_flags(counts, f, dataset, a));
    for (const FlagRow *row = flags_table(m); row->bit; row++) {
        const int bit = __builtin_ctz((unsigned)row->bit);
        char name[64];
        known |= row->bit;
        snprintf(name, sizeof name, "N_%s", row->name);
        if (h5_get_attr_i64(&said, f, dataset, name)) wrong += said != counts[bit];
    }
    for (int bit = 0; bit < FLAG_BITS; bit++) wrong += counts[bit] > 0 && !(known >> bit & 1);
    find(out, wrong == 0, "counts of the flags of %s", modality_name[m]);
    return OK;
}

static Status check_modality(Findings *out, H5File *f, Modality m, Arena *a)
{
    int64_t embedded = 0;
    TRY(check_flags(out, f, m, flag_name[m], a));
    if (!h5_get_attr_i64(&embedded, f, flag_name[m], "embedded")) return OK;
    for (int s = 0; s < 2; s++) {
        const char *dataset = embedding_dataset[sets_of[m][s]];
        int64_t whole = 0, torn = 0;
        if (!h5_has(f, dataset)) continue;
        TRY(count_rows(&whole, &torn, f, dataset, a));
        find(out, whole == embedded && torn == 0, "%s: %lld rows are embedded, %lld have numbers, %lld some NaN",
             dataset, (long long)embedded, (long long)whole, (long long)torn);
    }
    return OK;
}

/* One volume: the checksum of every block. */
static Status check_volume(Findings *out, const char *path, Arena *a)
{
    int64_t good = 0, all = 0;
    const Mark mark = arena_mark(a);
    TRY(volume_verify(&good, &all, path, a));
    arena_reset(a, mark);
    find(out, good == all, "%s: checksums of %lld of %lld blocks", path, (long long)good, (long long)all);
    return OK;
}

/* All volumes beside an embeddings.h5. */
static Status check_volumes(Findings *out, const char *path, Arena *a)
{
    const char *slash = strrchr(path, '/');
    for (int v = 0;; v++) {
        char *volume = NULL;
        TRY(arena_printf(&volume, a, "%.*sembeddings/volume-%05d.h5", slash ? (int)(slash - path + 1) : 0, path, v));
        if (access(volume, F_OK) != 0) break;
        try_it(out, check_volume(out, volume, a), volume);
    }
    return OK;
}

/* ---- a dataset for training ---- */

static Status check_table(Findings *out, H5File *f, Dataset *d, Modality m, Arena *a)
{
    const char *group = dataset_group[m];
    char name[64];
    int64_t good = 0, torn = 0, samples = 0, of_flags = 0;
    if (d->n[m] == 0) return OK;
    TRY(dataset_count_good(&good, d, m, 0, d->n[m], a));
    find(out, good == d->n[m], "%s: checksums of %lld of %lld entries", group, (long long)good, (long long)d->n[m]);
    TRY(dataset_count_torn(&torn, d, m, 0, d->n[m], a));
    find(out, torn == 0, "%s: NaN exactly where the flag says so: %lld entries are not", group, (long long)torn);
    snprintf(name, sizeof name, "%s/split", group);
    TRY(check_range(out, f, &(Range){dataset_kind, name, 0, N_SPLITS - 1, false}, a));
    snprintf(name, sizeof name, "%s/flag", group);
    TRY(check_flags(out, f, m, name, a));
    for (int64_t at = 0; at < d->n[m]; at++) {
        int32_t flag = 0;
        TRY(dataset_read_flags(&flag, d, m, at, 1));
        of_flags += !(flag & d->fatal[m]);
    }
    if (h5_get_attr_i64(&samples, f, group, "samples"))
        find(out, samples == of_flags, "%s: %lld samples, by their flags %lld", group, (long long)samples,
             (long long)of_flags);
    return OK;
}

static Status check_dataset(Findings *out, H5File *f, Arena *a)
{
    Dataset d = {0};
    int64_t rows = 0;
    TRY(dataset_open(&d, f->path, a));
    Status st = dataset_count_rows(&rows, &d, a);
    if (st == OK) check_ledger(out, f, rows);
    for (int m = 0; m < N_MODALITIES && st == OK; m++) st = check_table(out, f, &d, (Modality)m, a);
    const Status closed = dataset_close(&d);
    return st != OK ? st : closed;
}

/* ---- probes ---- */

/* Every row of the catalogue is counted by each input: in a split, or without an embedding. */
static Status check_probe_inputs(Findings *out, H5File *f, Arena *a)
{
    int64_t in = 0, n_groups = 0;
    char **group = NULL;
    if (!h5_get_attr_i64(&in, f, "/", "rows_in")) return OK;
    TRY(h5_list(&group, &n_groups, f, "/", a));
    for (int64_t g = 0; g < n_groups; g++) {
        int64_t rows = 0, n[N_SPLITS] = {0}, used = 0;
        bool good = h5_get_attr_i64(&rows, f, group[g], "rows");
        for (int s = 0; s < N_SPLITS; s++) {
            char name[32];
            snprintf(name, sizeof name, "usable_%s_rows", split_name[s]);
            good = good && h5_get_attr_i64(&n[s], f, group[g], name) && n[s] >= 0;
            used += n[s];
        }
        find(out, good && rows == in && used <= rows, "%s: %lld rows in = %lld in splits + %lld without embedding",
             group[g], (long long)rows, (long long)used, (long long)(rows - used));
    }
    return OK;
}

/* ---- by kind ---- */

static int64_t rows_of(H5File *f, const char *dataset)
{
    H5Shape s;
    if (h5_has(f, dataset) && h5_shape(&s, f, dataset) == OK) return s.dims[0];
    fail_clear();
    return -1;
}

Status verify_h5(H5File *f, const Envelope *e, Arena *a)
{
    Findings out = {.path = f->path};
    printf("verified\n");
    if (h5_has_footer(f->path)) find(&out, true, "checksum of all metadata"); /* else it had not been opened */
    try_it(&out, check_seal(&out, f, a), "checksum of all data");
    for (const Range *r = ranges; r->kind; r++)
        if (strcmp(r->kind, e->kind) == 0) try_it(&out, check_range(&out, f, r, a), r->dataset);
    if (strcmp(e->kind, "catalog") == 0) check_ledger(&out, f, rows_of(f, "TARGETID"));
    if (strcmp(e->kind, dataset_kind) == 0) try_it(&out, check_dataset(&out, f, a), f->path);
    if (strcmp(e->kind, "probes") == 0) {
        check_ledger(&out, f, -1);
        try_it(&out, check_probe_inputs(&out, f, a), "rows of the inputs");
    }
    if (strcmp(e->kind, "embeddings-volume") == 0) try_it(&out, check_volume(&out, f->path, a), f->path);
    if (strcmp(e->kind, "embeddings") == 0) {
        check_ledger(&out, f, rows_of(f, "object_id"));
        for (int m = 0; m < N_MODALITIES; m++) try_it(&out, check_modality(&out, f, (Modality)m, a), modality_name[m]);
        TRY(check_volumes(&out, f->path, a));
    }
    return verdict(&out);
}

/* ---- FITS ---- */

/* The line "HEX  NAME" of PATH.sha256sum, where there is one. */
static Status check_sha256(Findings *out, const char *path, Arena *a)
{
    char *name = NULL, said[SHA256_TEXT] = "", now[SHA256_TEXT];
    TRY(arena_printf(&name, a, "%s.sha256sum", path));
    FILE *f = fopen(name, "r");
    if (!f) return OK;
    const bool read = fscanf(f, "%64s", said) == 1;
    fclose(f);
    TRY(hash_file_sha256(now, path));
    find(out, read && strcmp(said, now) == 0, "sha256 of the file as in %s", name);
    return OK;
}

static Status check_hdu(Findings *out, FitsFile *f, int hdu, HashState *data)
{
    bool good = false, present = false;
    char sum[FITS_NAME] = "";
    TRY(fitsfile_verify(f, &good, &present));
    if (fitsfile_get_text(sum, sizeof sum, f, "DATASUM")) hash_add_text(data, sum);
    if (present) find(out, good, "DATASUM of HDU %d (%s)", hdu, f->hdu);
    return OK;
}

/* A row out for each row in; of a search a row of QUERIES in, of MATCHES out. */
static void check_rows(Findings *out, const FitsFile *f, int hdu, int64_t in, int64_t kept, int64_t rows)
{
    if (strcmp(f->hdu, "QUERIES") == 0)
        find(out, in == rows, "%lld queries, in the file %lld", (long long)in, (long long)rows);
    else if (strcmp(f->hdu, "MATCHES") == 0)
        find(out, kept == rows, "%lld matches, in the file %lld", (long long)kept, (long long)rows);
    else if (hdu == 1)
        find(out, in == kept && kept == rows, "%lld rows in = %lld out, in the file %lld", (long long)in,
             (long long)kept, (long long)rows);
}

Status verify_fits(FitsFile *f, Arena *a)
{
    Findings out = {.path = f->path};
    HashState *data = hash_open();
    int64_t in = 0, kept = 0, rows = 0;
    printf("verified\n");
    bool ledger =
        fitsfile_goto_number(f, 0) == OK && fitsfile_get_i64(&in, f, "ROWSIN") && fitsfile_get_i64(&kept, f, "ROWSOUT");
    for (int hdu = 0; fitsfile_goto_number(f, hdu) == OK; hdu++) {
        if (hdu > 0 && ledger && fitsfile_rows(&rows, f) == OK) check_rows(&out, f, hdu, in, kept, rows);
        try_it(&out, check_hdu(&out, f, hdu, data), "DATASUM");
    }
    fail_clear(); /* the HDU after the last */
    try_it(&out, check_sha256(&out, f->path, a), "sha256");
    printf("  %-14s %s\n", "data", hash_close(data).text);
    return verdict(&out);
}
