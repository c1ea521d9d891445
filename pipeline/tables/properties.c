/* properties.c - the parallel writer of properties.fits: do the inputs belong together, headers, rows, sums, names. */
#include "tables/properties.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "io/fitssum.h"
#include "tables/headers.h"

static const char sum_suffix[] = ".sha256sum";

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- do the inputs belong together? ---- */

static Status check_shapes(const PropertySources *s)
{
    const Embeddings *e = s->embeddings;
    if (e->n != s->catalog->n)
        return FAIL(E_INPUT, "%s has %lld rows, %s has %lld: run `astroclip embed` again", e->file.path,
                    (long long)e->n, s->catalog->file.path, (long long)s->catalog->n);
    for (int i = 0; i < s->probes->n_inputs; i++) {
        const ProbeInput *input = &s->probes->input[i];
        const ProbeFiles files = {s->catalog, s->embeddings, NULL};
        if (!input->row->column[0]) continue;
        const int64_t dim = probe_input_dim(&files, input->row);
        if (dim != input->dim || input->n_rows != e->n)
            return FAIL(E_INPUT,
                        "the probes were fitted to %lld rows of %lld numbers (%s, %s), %s has %lld rows of %lld: run "
                        "`astroclip probe` again",
                        (long long)input->n_rows, (long long)input->dim, input->row->encoder, input->row->modality,
                        e->file.path, (long long)e->n, (long long)dim);
    }
    if (s->predictions->n != e->n ||
        strcmp(s->predictions->envelope.fingerprint.text, s->probes->envelope.fingerprint.text) != 0)
        return FAIL(E_INPUT, "%s was not made with probes.h5 (%lld rows, %s has %lld): run `astroclip probe` again",
                    s->predictions->file.path, (long long)s->predictions->n, e->file.path, (long long)e->n);
    return OK;
}

/* Local. The same objects in the same order in this rank's share; meanwhile, how wide their texts are. */
static Status check_rows(KeyWidths *widths, const PropertySources *s, const Par *par, Arena *a)
{
    int64_t first, last, *id = NULL;
    CatalogRow *row = NULL;
    par_share(&first, &last, par, s->catalog->n);
    Mark mark = arena_mark(a);
    int64_t chunk = least(s->chunk_rows, last - first);
    TRY(arena_new(&row, a, chunk));
    TRY(arena_new(&id, a, chunk));
    for (int64_t at = first; at < last; at += chunk) {
        int64_t n = least(chunk, last - at);
        TRY(par_continue());
        TRY(catalog_read(row, s->catalog, at, n, a));
        TRY(embeddings_read_targets(id, s->embeddings, at, n));
        for (int64_t i = 0; i < n; i++)
            if (row[i].targetid != id[i])
                return FAIL(E_INPUT, "row %lld is TARGETID %lld in %s and %lld in %s: run `astroclip embed` again",
                            (long long)(at + i), (long long)row[i].targetid, s->catalog->file.path, (long long)id[i],
                            s->embeddings->file.path);
        key_widths_add(widths, row, n);
    }
    arena_reset(a, mark);
    return OK;
}

/* Collective. */
static Status make_layout(PropertyLayout *out, const PropertySources *s, const Par *par, Arena *a)
{
    KeyWidths widths = {{0}};
    Status st = check_shapes(s);
    TRY(par_agree(par, st));
    clock_begin("check rows");
    st = check_rows(&widths, s, par, a);
    clock_end("check rows");
    TRY(par_agree(par, st));
    par_max_i64(par, widths.width, N_KEY_TEXTS);
    return par_agree(par, layout_make(out, s->probes, &widths, a));
}

/* ---- rows ---- */

/* A chunk of rows on their way from embeddings to bytes. */
typedef struct {
    const PropertySources *s;
    const PropertyLayout *layout;
    CatalogRow *row;
    int32_t *flag[N_MODALITIES];
    float *stats;         /* (chunk, N_SPECTRUM_STATS)                   */
    float *x;             /* (chunk) one column of predictions.h5        */
    double *ood;          /* (chunk, n_inputs)                           */
    double *prediction;   /* (chunk, n_fits)                             */
    double *scale;        /* (chunk, n_fits)                             */
    unsigned char *bytes; /* (chunk, row_bytes)                          */
} Chunk;

static Status chunk_make(Chunk *c, const PropertySources *s, const PropertyLayout *l, int64_t rows, Arena *a)
{
    *c = (Chunk){.s = s, .layout = l};
    TRY(arena_new(&c->row, a, rows));
    for (int m = 0; m < N_MODALITIES; m++) TRY(arena_new(&c->flag[m], a, rows));
    TRY(arena_new(&c->stats, a, rows * N_SPECTRUM_STATS));
    TRY(arena_new(&c->x, a, rows));
    TRY(arena_new(&c->ood, a, rows * s->probes->n_inputs));
    TRY(arena_new(&c->prediction, a, rows * s->probes->n_fits));
    TRY(arena_new(&c->scale, a, rows * s->probes->n_fits));
    return arena_new(&c->bytes, a, rows * l->row_bytes);
}

static Status read_chunk(Chunk *c, int64_t first, int64_t n, Arena *a)
{
    Embeddings *e = c->s->embeddings;
    TRY(catalog_read(c->row, c->s->catalog, first, n, a));
    for (int m = 0; m < N_MODALITIES; m++) TRY(embeddings_read_flags(c->flag[m], e, (Modality)m, first, n));
    return embeddings_read_spectrum_stats(c->stats, e, first, n);
}

/* One column of predictions.h5 as column `k` of `width`. */
static Status read_column(double *out, int k, int width, const char *name, Chunk *c, int64_t first, int64_t n)
{
    TRY(predictions_read(c->x, c->s->predictions, name, 1, first, n));
    for (int64_t i = 0; i < n; i++) out[i * width + k] = (double)c->x[i];
    return OK;
}

/* What is said of the rows by one published input. */
static Status read_predictions(Chunk *c, int input, int64_t first, int64_t n)
{
    const ProbeSet *p = c->s->probes;
    const ProbeInputRow *row = p->input[input].row;
    char name[H5_PATH];
    snprintf(name, sizeof name, "%s_%s/ood", row->encoder, row->modality);
    TRY(read_column(c->ood, input, p->n_inputs, name, c, first, n));
    for (int f = 0; f < p->n_fits; f++) {
        const ProbeFit *fit = &p->fit[f];
        if (fit->input != input) continue;
        for (int64_t i = 0; i < n; i++) c->prediction[i * p->n_fits + f] = NAN, c->scale[i * p->n_fits + f] = 1;
        snprintf(name, sizeof name, "%s_%s/%s/%s/value", row->encoder, row->modality, fit->probe,
                 label_table[fit->label].name);
        if (!predictions_have(c->s->predictions, name)) continue; /* a fit that was not made */
        TRY(read_column(c->prediction, f, p->n_fits, name, c, first, n));
        snprintf(name, sizeof name, "%s_%s/%s/%s/scale", row->encoder, row->modality, fit->probe,
                 label_table[fit->label].name);
        if (predictions_have(c->s->predictions, name)) TRY(read_column(c->scale, f, p->n_fits, name, c, first, n));
    }
    return OK;
}

static void put_chunk(Chunk *c, int64_t n)
{
    const ProbeSet *p = c->s->probes;
    for (int64_t i = 0; i < n; i++) {
        const ObjectRow r = {
            .catalog = &c->row[i],
            .flag = {c->flag[MODALITY_IMAGE][i], c->flag[MODALITY_SPECTRUM][i]},
            .stats = c->stats + i * N_SPECTRUM_STATS,
            .ood = c->ood + i * p->n_inputs,
            .prediction = c->prediction + i * p->n_fits,
            .scale = c->scale + i * p->n_fits,
        };
        layout_put_row(c->bytes + i * c->layout->row_bytes, c->layout, &r);
    }
}

static Status write_at(int fd, const char *path, const unsigned char *bytes, int64_t n, int64_t offset)
{
    while (n > 0) {
        ssize_t written = pwrite(fd, bytes, (size_t)least(n, 1 << 30), offset);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0)
            return FAIL(E_OUTPUT, "%s: cannot write rows: %s", path,
                        written < 0 ? strerror(errno) : "is the disk full?");
        bytes += written;
        offset += written;
        n -= written;
    }
    return OK;
}

/* Local. Rows [first, last) through one chunk of memory into the open file; `sum` is that of their bytes. */
static Status write_chunks(uint32_t *sum, int fd, const char *part, RowSpan span, const PropertySources *s,
                           const PropertyLayout *l, int64_t first, int64_t last, Arena *a)
{
    Chunk c;
    Progress progress;
    int64_t rows = least(s->chunk_rows, last - first);
    TRY(chunk_make(&c, s, l, rows, a));
    progress_start(&progress, "tables (first rank's share)", "rows", last - first);
    for (int64_t at = first; at < last; at += rows) {
        int64_t n = least(rows, last - at), offset = at * l->row_bytes;
        TRY(par_continue());
        TRY(read_chunk(&c, at, n, a));
        for (int i = 0; i < s->probes->n_inputs; i++)
            if (s->probes->input[i].row->column[0]) TRY(read_predictions(&c, i, at, n));
        put_chunk(&c, n);
        *sum = fitssum_add(*sum, c.bytes, n * l->row_bytes, offset);
        clock_begin("write rows");
        Status st = write_at(fd, part, c.bytes, n * l->row_bytes, span.start + offset);
        clock_end("write rows");
        TRY(st);
        progress_set(&progress, at + n - first);
    }
    progress_stop(&progress);
    return OK;
}

/* Local. This rank's share. */
static Status write_share(uint32_t *sum, const char *part, RowSpan span, const PropertySources *s,
                          const PropertyLayout *l, const Par *par, Arena *a)
{
    int64_t first, last;
    par_share(&first, &last, par, s->catalog->n);
    *sum = 0;
    TRY(FAIL_POINT("tables.rows"));
    if (first == last) return OK;
    int fd = open(part, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return FAIL(E_OUTPUT, "%s: cannot be opened for its rows: %s", part, strerror(errno));
    Mark mark = arena_mark(a);
    Status st = write_chunks(sum, fd, part, span, s, l, first, last, a);
    arena_reset(a, mark);
    if (st == OK && fsync(fd) != 0 && errno != EINVAL)
        st = FAIL(E_OUTPUT, "%s: cannot be synced to disk: %s", part, strerror(errno));
    if (close(fd) != 0 && st == OK) st = FAIL(E_OUTPUT, "%s: cannot be closed: %s", part, strerror(errno));
    return st;
}

/* ---- the checksum file ---- */

/* Local. "HEX  NAME", as `sha256sum --check` reads it. */
static Status write_sum(const char *sum_part, const char *part, const char *path)
{
    char hex[SHA256_TEXT];
    const char *slash = strrchr(path, '/');
    TRY(hash_file_sha256(hex, part));
    FILE *f = fopen(sum_part, "w");
    if (!f) return FAIL(E_OUTPUT, "cannot create %s: %s", sum_part, strerror(errno));
    int written = fprintf(f, "%s  %s\n", hex, slash ? slash + 1 : path);
    if (fclose(f) != 0 || written < 0) return FAIL(E_OUTPUT, "%s: cannot be written: %s", sum_part, strerror(errno));
    return OK;
}

/* ---- the file ---- */

typedef struct {
    char *part, *sum, *sum_part, *folder;
} Names;

static Status make_names(Names *out, const char *path, Arena *a)
{
    const char *slash = strrchr(path, '/');
    TRY(arena_printf(&out->part, a, "%s.part", path));
    TRY(arena_printf(&out->sum, a, "%s%s", path, sum_suffix));
    TRY(arena_printf(&out->sum_part, a, "%s.part", out->sum));
    return arena_printf(&out->folder, a, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
}

/* Collective. Headers, rows and checksums under the .part name. */
static Status write_part(const Names *names, const Envelope *e, const PropertySources *s, const PropertyLayout *l,
                         const Par *par, Arena *a)
{
    RowSpan span = {0, 0};
    uint32_t sum = 0;
    Status st = FAIL_POINT("tables.header");
    if (st == OK && par->rank == 0)
        st = headers_write(&span, names->part, e, l, &s->catalog->envelope.fingerprint,
                           &s->embeddings->envelope.fingerprint, s->catalog->n);
    TRY(par_agree(par, st));
    par_bcast(par, &span, sizeof span, 0);
    TRY(par_agree(par, write_share(&sum, names->part, span, s, l, par, a)));
    int64_t total = sum;
    par_sum_i64(par, &total, 1);
    return par_agree(par, par->rank == 0 ? headers_close(names->part, fitssum_fold((uint64_t)total)) : OK);
}

/* Collective. The data get their name first; an old checksum must not stand beside them. */
static Status publish(const Names *names, const char *path, const Par *par)
{
    clock_begin("sha256");
    Status st = par->rank == 0 ? write_sum(names->sum_part, names->part, path) : OK;
    clock_end("sha256");
    if (st == OK) st = FAIL_POINT("tables.publish");
    TRY(par_agree(par, st));
    if (par->rank == 0 && unlink(names->sum) != 0 && errno != ENOENT)
        st = FAIL(E_OUTPUT, "cannot replace %s: %s", names->sum, strerror(errno));
    TRY(par_agree(par, st));
    TRY(artefact_publish(par, path));
    return artefact_publish(par, names->sum);
}

Status properties_write(const char *path, const Envelope *e, const PropertySources *s, const Par *par, Arena *a)
{
    Names names = {0};
    PropertyLayout layout;
    Mark mark = arena_mark(a);
    TRY(par_agree(par, make_names(&names, path, a)));
    TRY(make_layout(&layout, s, par, a));
    TRY(artefact_make_folder(par, names.folder));
    Status st = write_part(&names, e, s, &layout, par, a);
    if (st == OK) st = publish(&names, path, par);
    if (st != OK && par->rank == 0) {
        remove(names.part);
        remove(names.sum_part);
    }
    arena_reset(a, mark);
    return st;
}

bool properties_current(const char *path, const Fingerprint *fingerprint, Arena *a)
{
    char *sum = NULL;
    Mark mark = arena_mark(a);
    bool there = arena_printf(&sum, a, "%s%s", path, sum_suffix) == OK && access(sum, R_OK) == 0;
    arena_reset(a, mark);
    return there && artefact_is_current(path, "properties", PROPERTIES_VERSION, fingerprint);
}
