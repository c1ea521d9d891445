/* dataset.c - dataset.h5: finding samples, reading entries, writing them in any order. */
#include "data/dataset.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/hash.h"
#include "io/seal.h"

enum { CHUNK = 1024 }; /* entries of the index held at a time */

const char dataset_kind[] = "dataset";
const char *const dataset_group[N_MODALITIES] = {[MODALITY_IMAGE] = "images", [MODALITY_SPECTRUM] = "spectra"};
const int64_t dataset_numbers[N_MODALITIES] = {[MODALITY_IMAGE] = IMAGE_NUMBERS, [MODALITY_SPECTRUM] = GRID_PIXELS};

static const struct {
    const char *row, *targetid, *split, *flag, *checksum, *numbers;
} name[N_MODALITIES] = {
    [MODALITY_IMAGE] = {"images/row", "images/targetid", "images/split", "images/flag", "images/checksum",
                        "images/pixels"},
    [MODALITY_SPECTRUM] = {"spectra/row", "spectra/targetid", "spectra/split", "spectra/flag", "spectra/checksum",
                           "spectra/flux"},
};

/* Shape of the numbers: entries first. */
static int shape_of(int64_t dims[H5_DIMS], Modality m, int64_t n)
{
    dims[0] = n;
    dims[1] = m == MODALITY_IMAGE ? N_BANDS : GRID_PIXELS;
    dims[2] = dims[3] = CUTOUT_PIXELS;
    return m == MODALITY_IMAGE ? 4 : 2;
}

/* ---- opening ---- */

/* One table: as many entries in each dataset, of the shapes that the header says. */
static Status look_at(Dataset *d, Modality m)
{
    const char *const columns[] = {name[m].row, name[m].targetid, name[m].split, name[m].flag, name[m].checksum};
    H5Shape shape;
    int64_t dims[H5_DIMS], fatal = 0;
    d->n[m] = 0;
    d->fatal[m] = 0;
    if (!h5_has(&d->file, dataset_group[m])) return OK;
    const int n_dims = shape_of(dims, m, -1);
    TRY(h5_expect(&shape, &d->file, name[m].numbers, dims, n_dims));
    d->n[m] = shape.dims[0];
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        TRY(h5_expect(&shape, &d->file, columns[i], &d->n[m], 1));
    if (!h5_get_attr_i64(&fatal, &d->file, dataset_group[m], "fatal"))
        return FAIL(E_INPUT, "%s: group '%s' has no attribute 'fatal'; `astroclip pack` makes the file again",
                    d->file.path, dataset_group[m]);
    d->fatal[m] = (int32_t)fatal;
    return OK;
}

static Status look(Dataset *d, Arena *a)
{
    Envelope e;
    TRY(artefact_read(&e, &d->file, dataset_kind, DATASET_VERSION, "pack", a));
    d->fingerprint = e.fingerprint;
    for (int m = 0; m < N_MODALITIES; m++) TRY(look_at(d, (Modality)m));
    return OK;
}

Status dataset_open(Dataset *d, const char *path, Arena *a)
{
    memset(d, 0, sizeof *d);
    TRY(h5_open(&d->file, path, NULL));
    const Status st = look(d, a);
    if (st != OK) h5_close(&d->file);
    return st;
}

Status dataset_modify(Dataset *d, const char *path, const Par *par, Arena *a)
{
    memset(d, 0, sizeof *d);
    TRY(h5_modify(&d->file, path, par));
    const Status st = par_agree(par, look(d, a));
    if (st != OK) h5_close(&d->file);
    return st;
}

Status dataset_close(Dataset *d) { return h5_close(&d->file); }

/* ---- samples ---- */

/* Goes through the entries of one modality in their order. */
typedef struct {
    Dataset *d;
    Modality m;
    int64_t n, at, loaded, last_row; /* the index is loaded for entries [loaded, loaded + CHUNK) */
    int64_t *row, *targetid;
    uint8_t *split;
    int32_t *flag;
} Cursor;

static Status cursor_open(Cursor *c, Dataset *d, Modality m, bool wanted, Arena *a)
{
    *c = (Cursor){.d = d, .m = m, .n = wanted ? d->n[m] : 0, .loaded = -CHUNK, .last_row = -1};
    if (c->n == 0) return OK;
    TRY(arena_new(&c->row, a, CHUNK));
    TRY(arena_new(&c->targetid, a, CHUNK));
    TRY(arena_new(&c->split, a, CHUNK));
    return arena_new(&c->flag, a, CHUNK);
}

/* *row: catalogue row of the entry in hand, INT64_MAX behind the last. */
static Status cursor_row(int64_t *row, Cursor *c)
{
    *row = INT64_MAX;
    if (c->at >= c->n) return OK;
    if (c->at >= c->loaded + CHUNK) {
        const int64_t n = c->n - c->at < CHUNK ? c->n - c->at : CHUNK;
        H5File *f = &c->d->file;
        TRY(h5_read_rows(c->row, f, name[c->m].row, H5_I64, 0, c->at, n));
        TRY(h5_read_rows(c->targetid, f, name[c->m].targetid, H5_I64, 0, c->at, n));
        TRY(h5_read_rows(c->split, f, name[c->m].split, H5_U8, 0, c->at, n));
        TRY(h5_read_rows(c->flag, f, name[c->m].flag, H5_I32, 0, c->at, n));
        c->loaded = c->at;
    }
    *row = c->row[c->at - c->loaded];
    if (*row <= c->last_row || *row == INT64_MAX)
        return FAIL(E_INPUT, "%s: entry %lld of %s is out of order; the file is damaged: make it again",
                    c->d->file.path, (long long)c->at, name[c->m].row);
    return OK;
}

static void cursor_step(Cursor *c) { c->last_row = c->row[c->at++ - c->loaded]; }

static bool is_sample(const Cursor *c, int split)
{
    const int64_t i = c->at - c->loaded;
    return (split < 0 || c->split[i] == split) && !(c->flag[i] & c->d->fatal[c->m]);
}

/* Goes through the catalogue rows with an entry of the kind; those are samples whose every entry is one of the split (of
   any, where it is negative). With out = NULL they are only counted; *n_rows counts rows. */
static Status walk(Sample *out, int64_t *n, int64_t *n_rows, Dataset *d, SampleKind kind, int split, Arena *a)
{
    const bool wanted[N_MODALITIES] = {
        [MODALITY_IMAGE] = kind != SAMPLES_SPECTRA, [MODALITY_SPECTRUM] = kind != SAMPLES_IMAGES};
    Cursor cursor[N_MODALITIES];
    *n = *n_rows = 0;
    for (int m = 0; m < N_MODALITIES; m++) TRY(cursor_open(&cursor[m], d, (Modality)m, wanted[m], a));
    for (;;) {
        int64_t row[N_MODALITIES], entry[N_MODALITIES] = {-1, -1}, targetid = 0;
        bool whole = true;
        for (int m = 0; m < N_MODALITIES; m++) TRY(cursor_row(&row[m], &cursor[m]));
        const int64_t here = row[0] < row[1] ? row[0] : row[1];
        if (here == INT64_MAX) return OK;
        for (int m = 0; m < N_MODALITIES; m++) {
            if (row[m] != here) {
                whole = whole && !wanted[m];
                continue;
            }
            whole = whole && is_sample(&cursor[m], split);
            entry[m] = cursor[m].at;
            targetid = cursor[m].targetid[cursor[m].at - cursor[m].loaded];
            cursor_step(&cursor[m]);
        }
        ++*n_rows;
        if (whole && out) out[*n] = (Sample){entry[MODALITY_SPECTRUM], entry[MODALITY_IMAGE], targetid};
        *n += whole;
    }
}

Status dataset_samples(Sample **out, int64_t *n, Dataset *d, SampleKind kind, Split split, Arena *a)
{
    int64_t rows = 0;
    Mark mark = arena_mark(a);
    TRY(walk(NULL, n, &rows, d, kind, (int)split, a));
    arena_reset(a, mark);
    TRY(arena_new(out, a, *n));
    mark = arena_mark(a);
    TRY(walk(*out, n, &rows, d, kind, (int)split, a));
    arena_reset(a, mark);
    return OK;
}

Status dataset_count_rows(int64_t *n, Dataset *d, Arena *scratch)
{
    int64_t pairs = 0;
    const Mark mark = arena_mark(scratch);
    const Status st = walk(NULL, &pairs, n, d, SAMPLES_PAIRS, -1, scratch);
    arena_reset(scratch, mark);
    return st;
}

/* ---- entries ---- */

static uint64_t checksum_of(const float *numbers, Modality m)
{
    return hash_bytes(numbers, (size_t)dataset_numbers[m] * sizeof *numbers);
}

static Status read_entry(float *numbers, Dataset *d, Modality m, int64_t entry)
{
    uint64_t sum = 0;
    TRY(h5_read_rows(numbers, &d->file, name[m].numbers, H5_F32, 0, entry, 1));
    TRY(h5_read_rows(&sum, &d->file, name[m].checksum, H5_U64, 0, entry, 1));
    if (sum == checksum_of(numbers, m)) return OK;
    return FAIL(E_INPUT, "%s: entry %lld of %s does not have its checksum; the file is damaged: make or copy it again",
                d->file.path, (long long)entry, name[m].numbers);
}

Status dataset_spectrum(float *flux, Dataset *d, int64_t entry)
{
    return read_entry(flux, d, MODALITY_SPECTRUM, entry);
}

Status dataset_image(float *pixels, Dataset *d, int64_t entry) { return read_entry(pixels, d, MODALITY_IMAGE, entry); }

Status dataset_read_flags(int32_t *flag, Dataset *d, Modality m, int64_t first, int64_t n)
{
    return h5_read_rows(flag, &d->file, name[m].flag, H5_I32, 0, first, n);
}

Status dataset_count_good(int64_t *n_good, Dataset *d, Modality m, int64_t first, int64_t n, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    uint64_t sum = 0;
    float *numbers = NULL;
    *n_good = 0;
    TRY(arena_new(&numbers, scratch, dataset_numbers[m]));
    for (int64_t i = first; i < first + n; i++) {
        TRY(h5_read_rows(&sum, &d->file, name[m].checksum, H5_U64, 0, i, 1));
        if (sum == 0) continue;
        TRY(h5_read_rows(numbers, &d->file, name[m].numbers, H5_F32, 0, i, 1));
        *n_good += checksum_of(numbers, m) == sum;
    }
    arena_reset(scratch, mark);
    return OK;
}

Status dataset_count_torn(int64_t *n_torn, Dataset *d, Modality m, int64_t first, int64_t n, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    float *numbers = NULL;
    *n_torn = 0;
    TRY(arena_new(&numbers, scratch, dataset_numbers[m]));
    for (int64_t i = first; i < first + n; i++) {
        int32_t flag = 0;
        int64_t finite = 0, nan = 0;
        TRY(dataset_read_flags(&flag, d, m, i, 1));
        TRY(h5_read_rows(numbers, &d->file, name[m].numbers, H5_F32, 0, i, 1));
        for (int64_t k = 0; k < dataset_numbers[m]; k++) {
            finite += isfinite(numbers[k]) != 0;
            nan += isnan(numbers[k]) != 0;
        }
        *n_torn += (flag & d->fatal[m] ? nan : finite) != dataset_numbers[m];
    }
    arena_reset(scratch, mark);
    return OK;
}

/* ---- writing ---- */

Status dataset_entries(DatasetEntries *out, int64_t n, Arena *a)
{
    *out = (DatasetEntries){.n = n};
    TRY(arena_new(&out->row, a, n));
    TRY(arena_new(&out->targetid, a, n));
    TRY(arena_new(&out->split, a, n));
    return arena_new(&out->flag, a, n);
}

Status dataset_index(DatasetEntries *out, Dataset *d, Modality m, Arena *a)
{
    H5File *f = &d->file;
    TRY(dataset_entries(out, d->n[m], a));
    if (out->n == 0) return OK;
    TRY(h5_read_rows(out->row, f, name[m].row, H5_I64, 0, 0, out->n));
    TRY(h5_read_rows(out->targetid, f, name[m].targetid, H5_I64, 0, 0, out->n));
    TRY(h5_read_rows(out->split, f, name[m].split, H5_U8, 0, 0, out->n));
    TRY(h5_read_rows(out->flag, f, name[m].flag, H5_I32, 0, 0, out->n));
    for (int64_t i = 0; i < out->n; i++)
        if (out->row[i] < 0 || (i > 0 && out->row[i] <= out->row[i - 1]))
            return FAIL(E_INPUT, "%s: entry %lld of %s is out of order; the file is damaged: make it again", f->path,
                        (long long)i, name[m].row);
    return OK;
}

/* The checksums last, which are written at once: so the file has its full length. */
static Status create_table(Dataset *d, Modality m)
{
    H5File *f = &d->file;
    int64_t dims[H5_DIMS];
    const int n_dims = shape_of(dims, m, d->n[m]);
    TRY(h5_new(f, name[m].numbers, H5_F32, 0, dims, n_dims));
    TRY(h5_new(f, name[m].row, H5_I64, 0, dims, 1));
    TRY(h5_new(f, name[m].targetid, H5_I64, 0, dims, 1));
    TRY(h5_new(f, name[m].split, H5_U8, 0, dims, 1));
    TRY(h5_new(f, name[m].flag, H5_I32, 0, dims, 1));
    TRY(h5_new(f, name[m].checksum, H5_U64, 0, dims, 1));
    TRY(h5_put_attr_i64(f, dataset_group[m], "fatal", d->fatal[m]));
    return h5_put_attr_text(f, name[m].numbers, SEAL_ATTRIBUTE, name[m].checksum);
}

/* Local. This rank's share of the checksums says that nothing is finished: a new dataset may hold anything. */
static Status clear(Dataset *d, Modality m, const Par *par, Arena *a)
{
    const Mark mark = arena_mark(a);
    uint64_t *none = NULL;
    int64_t first, last;
    par_share(&first, &last, par, d->n[m]);
    TRY(arena_new(&none, a, CHUNK));
    for (int64_t at = first; at < last; at += CHUNK)
        TRY(h5_write_rows(&d->file, name[m].checksum, H5_U64, 0, none, at, last - at < CHUNK ? last - at : CHUNK));
    arena_reset(a, mark);
    return OK;
}

Status dataset_create(Dataset *d, const char *path, const Envelope *e, const int64_t n[N_MODALITIES],
                      const int32_t fatal[N_MODALITIES], const Par *par, Arena *a)
{
    Envelope own = *e;
    Status st = OK;
    memset(d, 0, sizeof *d);
    own.kind = dataset_kind;
    own.version = DATASET_VERSION;
    d->fingerprint = e->fingerprint;
    TRY(h5_create(&d->file, path, par));
    TRY_DONE(artefact_write(&d->file, &own));
    for (int m = 0; m < N_MODALITIES; m++) {
        d->n[m] = n[m];
        d->fatal[m] = fatal[m];
        if (n[m] == 0) continue;
        TRY_DONE(create_table(d, (Modality)m));
        TRY_DONE(par_agree(par, clear(d, (Modality)m, par, a)));
    }
    st = h5_put_early_footer(&d->file);
done:
    if (st != OK) h5_close(&d->file);
    return st;
}

Status dataset_describe(Dataset *d, Modality m, const int64_t *counts, int64_t n_samples)
{
    if (d->n[m] == 0) return OK;
    TRY(h5_put_attr_i64(&d->file, dataset_group[m], "samples", n_samples));
    int bit = 0;
    for (const FlagRow *row = flags_table(m); row->bit; row++, bit++) {
        char text[256];
        if (counts[bit] == 0) continue;
        snprintf(text, sizeof text, "bit %d%s: %s", bit, row->bit & d->fatal[m] ? " (no sample)" : "", row->sentence);
        TRY(h5_put_attr_text(&d->file, name[m].flag, row->name, text));
        snprintf(text, sizeof text, "N_%s", row->name);
        TRY(h5_put_attr_i64(&d->file, name[m].flag, text, counts[bit]));
    }
    return OK;
}

static Status write_entries(Dataset *d, Modality m, int64_t first, const DatasetEntries *e)
{
    H5File *f = &d->file;
    TRY(h5_write_rows(f, name[m].row, H5_I64, 0, e->row, first, e->n));
    TRY(h5_write_rows(f, name[m].targetid, H5_I64, 0, e->targetid, first, e->n));
    TRY(h5_write_rows(f, name[m].split, H5_U8, 0, e->split, first, e->n));
    TRY(h5_write_rows(f, name[m].flag, H5_I32, 0, e->flag, first, e->n));
    return h5_write_rows(f, name[m].numbers, H5_F32, 0, e->numbers, first, e->n);
}

Status dataset_write(Dataset *d, const int64_t first[N_MODALITIES], const DatasetEntries entries[N_MODALITIES],
                     Arena *scratch)
{
    for (int m = 0; m < N_MODALITIES; m++)
        if (entries[m].n > 0) TRY(write_entries(d, (Modality)m, first[m], &entries[m]));
    TRY(h5_sync(&d->file));
    for (int m = 0; m < N_MODALITIES; m++) {
        const DatasetEntries *e = &entries[m];
        const Mark mark = arena_mark(scratch);
        uint64_t *sum = NULL;
        if (e->n == 0) continue;
        TRY(arena_new(&sum, scratch, e->n));
        for (int64_t i = 0; i < e->n; i++) sum[i] = checksum_of(e->numbers + i * dataset_numbers[m], (Modality)m);
        TRY(h5_write_rows(&d->file, name[m].checksum, H5_U64, 0, sum, first[m], e->n));
        arena_reset(scratch, mark);
    }
    return OK;
}

/* ---- how far it is ---- */

static Status count_checksums(int64_t *n, Dataset *d, Modality m, Arena *a)
{
    const Mark mark = arena_mark(a);
    uint64_t *sum = NULL;
    TRY(arena_new(&sum, a, CHUNK));
    for (int64_t at = 0; at < d->n[m]; at += CHUNK) {
        const int64_t now = d->n[m] - at < CHUNK ? d->n[m] - at : CHUNK;
        TRY(h5_read_rows(sum, &d->file, name[m].checksum, H5_U64, 0, at, now));
        for (int64_t i = 0; i < now; i++) *n += sum[i] != 0;
    }
    arena_reset(a, mark);
    return OK;
}

Status dataset_count_finished(int64_t *n, const char *path, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    Dataset d = {0};
    char *part = NULL;
    *n = 0;
    TRY(arena_printf(&part, scratch, "%s.part", path));
    const bool whole = access(path, R_OK) == 0;
    if (!whole && access(part, R_OK) != 0) return OK;
    Status st = dataset_open(&d, whole ? path : part, scratch);
    for (int m = 0; m < N_MODALITIES && st == OK; m++)
        st = whole ? (*n += d.n[m], OK) : count_checksums(n, &d, (Modality)m, scratch);
    const Status closed = dataset_close(&d);
    arena_reset(scratch, mark);
    if (st != E_INPUT) return st != OK ? st : closed;
    fail_clear(); /* one that was never completed: nothing is finished there */
    return OK;
}
