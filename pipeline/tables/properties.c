/* properties.c - the parallel writer of the published tables: do the inputs belong together, headers, rows, sums, names. */
#include "tables/properties.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "io/fitssum.h"
#include "tables/chunk.h"
#include "tables/datamodel.h"
#include "tables/rowbytes.h"
#include "tables/twin.h"

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
    int64_t chunk = least(s->config->chunk_rows, last - first);
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

/* What is written, and where. */
typedef struct {
    const PropertySources *s;
    const Envelope *envelope;
    const Par *par;
    Arena *arena;
    OutFiles out;
    PropertyLayout layout[N_ROW_TABLES];
    MorphologyShare *share;
    int n_shares;
    RowSpan (*span)[N_ROW_TABLES]; /* (n_files) */
    int64_t (*sum)[N_ROW_TABLES];  /* (n_files) of this rank's bytes, then of all */
    Twin twin;
} Writer;

/* Collective. */
static Status make_layouts(Writer *w)
{
    KeyWidths widths = {{0}};
    const PropertySources *s = w->s;
    TRY(par_agree(w->par, check_shapes(s)));
    clock_begin("check rows");
    Status st = check_rows(&widths, s, w->par, w->arena);
    clock_end("check rows");
    TRY(par_agree(w->par, st));
    par_max_i64(w->par, widths.width, N_KEY_TEXTS);
    st = layout_make(&w->layout[TABLE_PROPERTIES], s->probes, s->config->probe, &widths, w->arena);
    if (st == OK)
        st = layout_make_morphology(&w->layout[TABLE_MORPHOLOGY], &w->share, &w->n_shares, s->probes, s->config->probe,
                                    &widths, w->arena);
    return par_agree(w->par, st);
}

/* ---- headers: a file each, in turn over the ranks ---- */

static bool is_mine(int k, const Par *par) { return k % par->n_ranks == par->rank; }

/* Collective. */
static Status write_headers(Writer *w)
{
    OutFiles *o = &w->out;
    const PropertySources *s = w->s;
    Status st = arena_new(&w->span, w->arena, o->n_files);
    if (st == OK) st = arena_new(&w->sum, w->arena, o->n_files);
    TRY(par_agree(w->par, st));
    for (int k = 0; k < o->n_files; k++) TRY(artefact_make_folder_of(w->par, o->file[k].path));
    st = FAIL_POINT("tables.header");
    for (int k = 0; k < o->n_files && st == OK; k++)
        if (is_mine(k, w->par)) {
            st = headers_write(w->span[k], o->file[k].part, w->envelope, w->layout, &s->catalog->envelope.fingerprint,
                               &s->embeddings->envelope.fingerprint, o->file[k].n);
            clock_tick();
        }
    TRY(par_agree(w->par, st));
    par_sum_i64(w->par, (int64_t *)(void *)w->span, (int64_t)o->n_files * (int64_t)(sizeof *w->span / 8));
    return OK;
}

/* ---- rows ---- */

/* Local. Rows [i, end) of the chunk, which follow each other from row `place` of file k on. */
static Status write_run(Writer *w, int fd, int k, const Chunk *c, int64_t place, int64_t i, int64_t end)
{
    Status st = OK;
    for (int t = 0; t < N_ROW_TABLES && st == OK; t++) {
        const int64_t width = w->layout[t].row_bytes, offset = place * width, bytes = (end - i) * width;
        const unsigned char *from = c->bytes[t] + i * width;
        if (w->layout[t].n == 0) continue;
        w->sum[k][t] = (int64_t)fitssum_add((uint32_t)w->sum[k][t], from, bytes, offset);
        st = rowbytes_write(fd, w->out.file[k].part, from, bytes, w->span[k][t].start + offset);
    }
    return st;
}

/* Local. Rows [i, end) of the chunk, all of file k; place[order[j]] is where row j goes, -1 = nowhere. */
static Status write_file(Writer *w, int k, const Chunk *c, const int64_t *place, const int64_t *order, int64_t i,
                         int64_t end)
{
    const char *part = w->out.file[k].part;
    int fd = open(part, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return FAIL(E_OUTPUT, "%s: cannot be opened for its rows: %s", part, strerror(errno));
    Status st = OK;
    for (int64_t last; i < end && st == OK; i = last) {
        const int64_t first = place[order[i]];
        for (last = i + 1; last < end && first >= 0 && place[order[last]] == first + last - i;) last++;
        if (first >= 0) st = write_run(w, fd, k, c, first, i, last);
    }
    return rowbytes_close(fd, part, st);
}

/* Moves the chunk's rows so that those of one file follow each other, in their order. */
static Status sort_chunk(int64_t *order, const Writer *w, int64_t at, int64_t n, Arena *a)
{
    const Mark mark = arena_mark(a);
    int64_t *count;
    TRY(arena_new(&count, a, w->out.n_files + 1));
    for (int64_t i = 0; i < n; i++) count[w->out.of[at + i] + 1]++;
    for (int k = 0; k < w->out.n_files; k++) count[k + 1] += count[k];
    for (int64_t i = 0; i < n; i++) order[count[w->out.of[at + i]]++] = i;
    arena_reset(a, mark);
    return OK;
}

/* Local. The rows of one chunk to their files. */
static Status write_chunk(Writer *w, Chunk *c, Chunk *sorted, int64_t at, int64_t n)
{
    const OutFiles *o = &w->out;
    const Mark mark = arena_mark(w->arena);
    int64_t *order;
    TRY(arena_new(&order, w->arena, n));
    TRY(sort_chunk(order, w, at, n, w->arena));
    for (int t = 0; t < N_ROW_TABLES; t++)
        for (int64_t i = 0; i < n; i++)
            memcpy(sorted->bytes[t] + i * w->layout[t].row_bytes, c->bytes[t] + order[i] * w->layout[t].row_bytes,
                   (size_t)w->layout[t].row_bytes);
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && o->of[at + order[end]] == o->of[at + order[i]];) end++;
        TRY(write_file(w, o->of[at + order[i]], sorted, o->at + at, order, i, end));
    }
    arena_reset(w->arena, mark);
    return OK;
}

/* Local. Rows of the matched table that the catalogue lacks, those that this rank found. */
static Status write_missing(Writer *w)
{
    enum { PIECE = 1024 };
    const RowMatch *m = &w->out.match;
    const Mark mark = arena_mark(w->arena);
    Chunk c;
    int64_t place[PIECE], order[PIECE];
    if (m->n_missing == 0) return OK;
    TRY(chunk_make(&c, w->s, w->layout, w->share, w->n_shares, PIECE, w->arena));
    for (int64_t at = 0; at < m->n_missing; at += PIECE) {
        const int64_t n = least(PIECE, m->n_missing - at);
        chunk_fill_missing(&c, m->missing + at, n);
        for (int64_t i = 0; i < n; i++) place[i] = m->missing[at + i].at, order[i] = i;
        TRY(write_file(w, 0, &c, place, order, 0, n));
    }
    arena_reset(w->arena, mark);
    return OK;
}

/* Local. This rank's share, a chunk of memory at a time. */
static Status write_share(Writer *w)
{
    const OutFiles *o = &w->out;
    const int64_t rows = least(w->s->config->chunk_rows, o->n);
    const Mark mark = arena_mark(w->arena);
    Chunk c, sorted;
    Progress progress;
    TRY(FAIL_POINT("tables.rows"));
    TRY(write_missing(w));
    if (o->n == 0) return OK;
    TRY(chunk_make(&c, w->s, w->layout, w->share, w->n_shares, rows, w->arena));
    TRY(chunk_make(&sorted, w->s, w->layout, w->share, w->n_shares, rows, w->arena));
    progress_start(&progress, "tables (first rank's share)", "rows", o->n);
    for (int64_t at = 0; at < o->n; at += rows) {
        const int64_t n = least(rows, o->n - at);
        TRY(par_continue());
        TRY(chunk_fill(&c, o->first + at, n, w->arena));
        clock_begin("write rows");
        Status st = write_chunk(w, &c, &sorted, at, n);
        if (st == OK) st = twin_write(&w->twin, c.bytes, o->first + at, n, w->arena);
        clock_end("write rows");
        TRY(st);
        progress_set(&progress, at + n);
    }
    progress_stop(&progress);
    arena_reset(w->arena, mark);
    return OK;
}

/* Collective. Headers, rows and their sums under the .part names. */
static Status write_parts(Writer *w)
{
    const int n = w->out.n_files;
    TRY(write_headers(w));
    TRY(par_agree(w->par, write_share(w)));
    par_sum_i64(w->par, (int64_t *)(void *)w->sum, (int64_t)n * N_ROW_TABLES);
    Status st = OK;
    for (int k = 0; k < n && st == OK; k++) {
        const uint32_t sum[N_ROW_TABLES] = {fitssum_fold((uint64_t)w->sum[k][0]), fitssum_fold((uint64_t)w->sum[k][1])};
        if (is_mine(k, w->par)) st = headers_close(w->out.file[k].part, w->layout, sum);
    }
    return par_agree(w->par, st);
}

/* ---- checksum files and names ---- */

/* Local. "HEX  NAME" of every file of a folder, as `sha256sum --check` reads it. */
static Status write_sums(const OutFiles *o, int sums)
{
    const char *part = o->sums[sums].part;
    FILE *f = fopen(part, "w");
    Status st = f ? OK : FAIL(E_OUTPUT, "cannot create %s: %s", part, strerror(errno));
    for (int k = 0; k < o->n_files && st == OK; k++) {
        char hex[SHA256_TEXT];
        if (o->file[k].sums != sums) continue;
        st = hash_file_sha256(hex, o->file[k].part);
        if (st == OK && fprintf(f, "%s  %s\n", hex, strrchr(o->file[k].path, '/') + 1) < 0)
            st = FAIL(E_OUTPUT, "%s: cannot be written: %s", part, strerror(errno));
        clock_tick();
    }
    if (f && fclose(f) != 0 && st == OK) st = FAIL(E_OUTPUT, "%s: cannot be written: %s", part, strerror(errno));
    return st;
}

/* Local. The fingerprint and all files, by their paths from the list's folder: what tells that a table of many files is whole. */
static Status write_list(const Writer *w, const char *path)
{
    char part[H5_PATH];
    snprintf(part, sizeof part, "%s.part", path);
    FILE *f = fopen(part, "w");
    if (!f) return FAIL(E_OUTPUT, "cannot create %s: %s", part, strerror(errno));
    const size_t folder = (size_t)(strrchr(path, '/') + 1 - path);
    fprintf(f, "%s\n", w->envelope->fingerprint.text);
    for (int k = 0; k < w->out.n_files; k++) fprintf(f, "%s\n", w->out.file[k].path + folder);
    for (int k = 0; k < w->out.n_sums; k++) fprintf(f, "%s\n", w->out.sums[k].path + folder);
    const bool bad = ferror(f) != 0;
    if (fclose(f) != 0 || bad) return FAIL(E_OUTPUT, "%s: cannot be written: %s", part, strerror(errno));
    return OK;
}

/* Collective. The data get their names first; an old checksum must not stand beside them. */
static Status publish(Writer *w, const char *list)
{
    const OutFiles *o = &w->out;
    Status st = OK;
    clock_begin("sha256");
    for (int k = 0; k < o->n_sums && st == OK; k++)
        if (is_mine(k, w->par)) st = write_sums(o, k);
    clock_end("sha256");
    if (st == OK && w->par->rank == 0) st = write_list(w, list);
    if (st == OK) st = FAIL_POINT("tables.publish");
    TRY(par_agree(w->par, st));
    for (int k = 0; k < o->n_sums && st == OK && w->par->rank == 0; k++)
        if (unlink(o->sums[k].path) != 0 && errno != ENOENT)
            st = FAIL(E_OUTPUT, "cannot replace %s: %s", o->sums[k].path, strerror(errno));
    TRY(par_agree(w->par, st));
    TRY(twin_publish(&w->twin, w->par, w->arena));
    for (int k = 0; k < o->n_files; k++) TRY(artefact_publish(w->par, o->file[k].path));
    for (int k = 0; k < o->n_sums; k++) TRY(artefact_publish(w->par, o->sums[k].path));
    TRY(datamodel_write(o, w->layout, w->s->config, w->par, w->arena));
    return artefact_publish(w->par, list);
}

static void remove_parts(const Writer *w, const char *list)
{
    char part[H5_PATH];
    snprintf(part, sizeof part, "%s.part", list);
    for (int k = 0; k < w->out.n_files; k++) remove(w->out.file[k].part);
    for (int k = 0; k < w->out.n_sums; k++) remove(w->out.sums[k].part);
    remove(part);
}

/* OUTPUT/properties.fits -> OUTPUT, properties, OUTPUT/properties.list */
static Status split_path(char **folder, char **stem, char **list, const char *path, Arena *a)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    const int length = dot ? (int)(dot - name) : (int)strlen(name);
    TRY(arena_printf(folder, a, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : "."));
    TRY(arena_printf(stem, a, "%.*s", length, name));
    return arena_printf(list, a, "%s/%s.list", *folder, *stem);
}

Status properties_write(PropertyFiles *told, const char *path, const Envelope *e, const PropertySources *s,
                        const Par *par, Arena *a)
{
    const Mark mark = arena_mark(a);
    char *folder = NULL, *stem = NULL, *list = NULL;
    Writer w = {.s = s, .envelope = e, .par = par, .arena = a};
    TRY(par_agree(par, split_path(&folder, &stem, &list, path, a)));
    TRY(make_layouts(&w));
    TRY(outfiles_plan(&w.out, folder, stem, s->config, e->specprod, s->catalog, par, a));
    TRY(artefact_make_folder(par, w.out.base));
    Status st = twin_create(&w.twin, w.out.base, stem, s->config, e, w.layout, s->catalog->n, par, a);
    if (st == OK) st = write_parts(&w);
    if (st == OK) st = publish(&w, list);
    if (st != OK && par->rank == 0) remove_parts(&w, list);
    twin_close(&w.twin);
    *told = (PropertyFiles){w.out.n_files, s->config->match[0] ? w.out.match.rows : s->catalog->n, w.out.match.matched};
    arena_reset(a, mark);
    return st;
}

bool properties_current(const char *path, const Fingerprint *fingerprint, Arena *a)
{
    const Mark mark = arena_mark(a);
    char *folder, *stem, *list, line[H5_PATH];
    bool current = split_path(&folder, &stem, &list, path, a) == OK;
    FILE *f = current ? fopen(list, "r") : NULL;
    current = f && fgets(line, sizeof line, f) && strncmp(line, fingerprint->text, strlen(fingerprint->text)) == 0;
    while (current && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        char *file;
        current = arena_printf(&file, a, "%s/%s", folder, line) == OK && access(file, R_OK) == 0;
    }
    if (f) fclose(f);
    arena_reset(a, mark);
    return current;
}
