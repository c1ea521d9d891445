/* reuse_plan.c - which row of an earlier run belongs to which row of this one, and may it be taken.

   Manifests are walked side by side, each rank a share; of files that did not change a hash of role and path is kept
   (8 bytes a file). Rows of both catalogues go to the rank that their TARGETID hashes to, find each other there, and
   the answers go back to where the new row came from. */
#include <stdlib.h>
#include <string.h>

#include "data/manifest.h"
#include "embed/embed.h"
#include "io/fitsfile.h"

enum { CHUNK_ROWS = 1024, VERDICTS = 4096 };

/* ---- files that did not change ---- */

typedef struct {
    uint64_t *hash; /* sorted */
    int64_t n;
} FileSet;

static uint64_t file_hash(const char *role, const char *path)
{
    char text[sizeof((ManifestRow *)0)->role + sizeof((ManifestRow *)0)->path + 8];
    int n = snprintf(text, sizeof text, "%s:%s", role, path);
    return hash_bytes(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

static int by_hash(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool unchanged(const FileSet *s, const char *role, const char *path)
{
    uint64_t hash = file_hash(role, path);
    return s->n > 0 && bsearch(&hash, s->hash, (size_t)s->n, sizeof hash, by_hash);
}

/* The first row of the old manifest that does not come before `row`. */
static Status lower_bound(int64_t *out, Catalog *old, const ManifestRow *row, Arena *scratch)
{
    int64_t low = 0, high = old->n_manifest;
    while (low < high) {
        const Mark mark = arena_mark(scratch);
        ManifestRow *there = NULL;
        int64_t middle = low + (high - low) / 2;
        TRY(arena_new(&there, scratch, 1));
        TRY(catalog_read_manifest(there, old, middle, 1, scratch));
        if (manifest_compare(there, row) < 0)
            low = middle + 1;
        else
            high = middle;
        arena_reset(scratch, mark);
    }
    *out = low;
    return OK;
}

/* A manifest read from one row on, in chunks. */
typedef struct {
    Catalog *catalog;
    ManifestRow *row;
    int64_t first, have, at;
} Pages;

static Status page_row(const ManifestRow **out, Pages *p, Arena *scratch)
{
    *out = NULL;
    if (p->at >= p->catalog->n_manifest) return OK;
    if (p->at >= p->first + p->have) {
        int64_t left = p->catalog->n_manifest - p->at;
        p->first = p->at;
        p->have = left < CHUNK_ROWS ? left : CHUNK_ROWS;
        TRY(catalog_read_manifest(p->row, p->catalog, p->first, p->have, scratch));
    }
    *out = &p->row[p->at - p->first];
    return OK;
}

/* Local. Rows [first, last) of the new manifest: hashes of those that the old one has with the same size and sum. */
static Status walk_manifests(FileSet *mine, int64_t *n_changed, Catalog *new, Catalog *old, int64_t first, int64_t last,
                             Arena *a)
{
    Pages x = {.catalog = new, .at = first}, y = {.catalog = old};
    const ManifestRow *row = NULL, *there = NULL;
    TRY(arena_new(&mine->hash, a, last - first));
    TRY(arena_new(&x.row, a, CHUNK_ROWS));
    TRY(arena_new(&y.row, a, CHUNK_ROWS));
    for (; x.at < last; x.at++) {
        TRY(page_row(&row, &x, a));
        if (x.at == first) TRY(lower_bound(&y.at, old, row, a));
        int order = 1;
        for (;; y.at++) {
            TRY(page_row(&there, &y, a));
            order = there ? manifest_compare(there, row) : 1;
            if (order >= 0) break;
        }
        if (order > 0) continue;
        if (there->size == row->size && there->datasum == row->datasum)
            mine->hash[mine->n++] = file_hash(row->role, row->path);
        else if (strcmp(row->role, ROLE_SPECTRA) == 0 || strcmp(row->role, ROLE_IMAGE) == 0)
            ++*n_changed;
    }
    return OK;
}

/* Collective. */
static Status compare_manifests(FileSet *out, int64_t *n_changed, Catalog *new, Catalog *old, const Par *par, Arena *a)
{
    FileSet mine = {0};
    int64_t first, last;
    *n_changed = 0;
    par_share(&first, &last, par, new->n_manifest);
    TRY(par_agree(par, walk_manifests(&mine, n_changed, new, old, first, last, a)));
    par_sum_i64(par, n_changed, 1);
    TRY(par_allgather((void **)&out->hash, &out->n, par, mine.hash, mine.n, sizeof *mine.hash, a));
    if (out->n > 0) qsort(out->hash, (size_t)out->n, sizeof *out->hash, by_hash);
    return OK;
}

/* ---- rows ---- */

/* A row of either catalogue: its key, what leads to its data, and (of new rows) whether its files are the same. */
typedef struct {
    int64_t targetid;
    char survey[8], program[8];
    uint64_t place[N_MODALITIES]; /* hash; 0 = the row has no data of the modality */
    int64_t row;
    uint8_t same_files[N_MODALITIES];
    uint8_t zero[6];
} KeyedRow;

typedef struct {
    const struct Embedder *e;
    const FileSet *files; /* NULL for rows of the old catalogue */
    struct {
        uint64_t brick;
        bool same;
    } seen[VERDICTS]; /* bricks looked up lately */
    Arena *scratch;
} Reader;

static Status look_at_spectrum(KeyedRow *out, Reader *r, const CatalogRow *row, const FileList *files)
{
    const Embedder *e = r->e;
    const SpectrumSurvey *survey = release_spectra(e->release);
    char path[FITS_PATH], text[FITS_PATH + 256];
    if (!row->has_spectrum) return OK;
    if (survey->spectrum_file(path, sizeof path, e->release->spectra.config, row, files) != OK) {
        fail_clear(); /* a row without a file of a name is computed, and flagged, as ever */
        return OK;
    }
    double ebv = e->spectra->extinction ? (double)row->ebv : 0;
    int n = snprintf(text, sizeof text, "%s:%d:%d:%d:%d:%d:%lld:%a", path, row->healpix, row->uniqpix, row->tileid,
                     row->night, row->petal, survey->stored ? (long long)row->source_row : -1, ebv);
    out->place[MODALITY_SPECTRUM] = hash_bytes(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
    if (r->files) out->same_files[MODALITY_SPECTRUM] = unchanged(r->files, ROLE_SPECTRA, path);
    return OK;
}

/* The images of the row's own brick, asked for once per brick and region: to find the region may touch the disk. */
static Status own_brick_same(bool *same, Reader *r, const CatalogRow *row)
{
    const ImageSurvey *survey = release_images(r->e->release);
    const void *config = r->e->release->images.config;
    CatalogRow place = *row; /* the brick of the position, whatever brick the row names */
    memset(place.brickname, 0, sizeof place.brickname);
    *same = false;
    if (!survey->locate || !survey->image_files || survey->locate(&place, config) != OK) {
        fail_clear();
        return OK;
    }
    char text[sizeof place.brickname + 1];
    memcpy(text, place.brickname, sizeof place.brickname);
    text[sizeof place.brickname] = row->photsys;
    uint64_t hash = hash_bytes(text, sizeof text);
    if (r->seen[hash % VERDICTS].brick != hash) {
        const Mark mark = arena_mark(r->scratch);
        FileList files = {0};
        TRY(survey->image_files(&files, config, row, r->scratch));
        bool all = files.n > 0;
        for (int64_t i = 0; i < files.n && all; i++) all = unchanged(r->files, ROLE_IMAGE, files.path[i]);
        r->seen[hash % VERDICTS].brick = hash;
        r->seen[hash % VERDICTS].same = all;
        arena_reset(r->scratch, mark);
    }
    *same = r->seen[hash % VERDICTS].same;
    return OK;
}

static Status look_at_image(KeyedRow *out, Reader *r, const CatalogRow *row, const FileList *files)
{
    char text[FITS_PATH + 256];
    bool same = false;
    if (!row->has_image) return OK;
    const char *path = row->image_file >= 0 && row->image_file < files->n ? files->path[row->image_file] : "";
    int n = snprintf(text, sizeof text, "%s:%lld:%a:%a:%c", path, path[0] ? (long long)row->image_row : -1, row->ra,
                     row->dec, row->photsys ? row->photsys : '-');
    out->place[MODALITY_IMAGE] = hash_bytes(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
    if (!r->files) return OK;
    if (path[0])
        same = unchanged(r->files, ROLE_IMAGE, path);
    else
        TRY(own_brick_same(&same, r, row));
    out->same_files[MODALITY_IMAGE] = same;
    return OK;
}

/* Local. Rows [first, last) of a catalogue as KeyedRows, with the rank that each goes to. */
static Status read_rows(KeyedRow *out, int *dest, Reader *r, Catalog *c, int64_t first, int64_t last, const Par *par)
{
    const Mark mark = arena_mark(r->scratch);
    CatalogRow *row = NULL;
    TRY(arena_new(&row, r->scratch, CHUNK_ROWS));
    for (int64_t at = first; at < last; at += CHUNK_ROWS) {
        int64_t n = last - at < CHUNK_ROWS ? last - at : CHUNK_ROWS;
        TRY(catalog_read(row, c, at, n, r->scratch));
        for (int64_t i = 0; i < n; i++) {
            KeyedRow *k = &out[at - first + i];
            *k = (KeyedRow){.targetid = row[i].targetid, .row = at + i};
            memcpy(k->survey, row[i].survey, sizeof k->survey);
            memcpy(k->program, row[i].program, sizeof k->program);
            TRY(look_at_spectrum(k, r, &row[i], &c->files));
            TRY(look_at_image(k, r, &row[i], &c->files));
            dest[at - first + i] = (int)(hash_mix((uint64_t)k->targetid) % (uint64_t)par->n_ranks);
        }
    }
    arena_reset(r->scratch, mark);
    return OK;
}

/* Collective. A catalogue's rows at the ranks of their TARGETIDs; n_from as par_exchange_grouped gives it, in order of the
   rows within each rank. */
static Status spread_rows(KeyedRow **out, int64_t *n_out, int64_t *n_from, Catalog *c, const struct Embedder *e,
                          const FileSet *files, const Par *par, Arena *a)
{
    int64_t first, last, *n_to = NULL, at = 0;
    KeyedRow *row = NULL, *grouped = NULL;
    int *dest = NULL;
    Reader *reader = NULL;
    par_share(&first, &last, par, c->n);
    Status st = arena_new(&row, a, last - first);
    if (st == OK) st = arena_new(&grouped, a, last - first);
    if (st == OK) st = arena_new(&dest, a, last - first);
    if (st == OK) st = arena_new(&n_to, a, par->n_ranks);
    if (st == OK) st = arena_new(&reader, a, 1);
    if (st == OK) {
        reader->e = e;
        reader->files = files;
        reader->scratch = a;
        st = read_rows(row, dest, reader, c, first, last, par);
    }
    TRY(par_agree(par, st));
    for (int64_t i = 0; i < last - first; i++) n_to[dest[i]]++;
    int64_t *next = NULL;
    TRY(par_agree(par, arena_new(&next, a, par->n_ranks)));
    for (int r = 0; r < par->n_ranks; r++) next[r] = at, at += n_to[r];
    for (int64_t i = 0; i < last - first; i++) grouped[next[dest[i]]++] = row[i];
    return par_exchange_grouped((void **)out, n_out, n_from, par, grouped, n_to, sizeof *grouped, a);
}

static int by_key(const void *a, const void *b)
{
    const KeyedRow *x = a, *y = b;
    if (x->targetid != y->targetid) return x->targetid < y->targetid ? -1 : 1;
    int order = memcmp(x->survey, y->survey, sizeof x->survey);
    return order ? order : memcmp(x->program, y->program, sizeof x->program);
}

typedef struct {
    int64_t row; /* of the new catalogue */
    ReusePlan plan;
} Answer;

static Answer answer_of(const KeyedRow *new, const KeyedRow *old, const struct Embedder *e,
                        const bool usable[N_MODALITIES])
{
    Answer out = {.row = new->row, .plan = {.old_row = old ? old->row : -1}};
    for (int m = 0; m < N_MODALITIES; m++) {
        out.plan.why[m] = !new->place[m] || !e->want[m]    ? REUSE_NO_DATA
                          : !usable[m]                     ? REUSE_OTHER_RECIPE
                          : !old                           ? REUSE_NEW_ROW
                          : old->place[m] != new->place[m] ? REUSE_OTHER_PLACE
                          : !new->same_files[m]            ? REUSE_OTHER_FILE
                                                           : REUSE_TAKEN;
    }
    return out;
}

static int by_row(const void *a, const void *b)
{
    const Answer *x = a, *y = b;
    return (x->row > y->row) - (x->row < y->row);
}

Status reuse_plan(ReusePlan **plan, int64_t *n_changed, const struct Embedder *e, Catalog *old,
                  const bool usable[N_MODALITIES], const Par *par, Arena *a)
{
    FileSet files = {0};
    KeyedRow *new_row = NULL, *old_row = NULL;
    Answer *answer = NULL, *mine = NULL;
    int64_t n_new = 0, n_old = 0, n_mine = 0, *n_from = NULL, first, last;
    par_share(&first, &last, par, e->catalog->n);
    Status st = arena_new(plan, a, last - first);
    if (st == OK) st = arena_new(&n_from, a, par->n_ranks);
    TRY(par_agree(par, st));
    const Mark mark = arena_mark(a);
    TRY(compare_manifests(&files, n_changed, e->catalog, old, par, a));
    TRY(spread_rows(&old_row, &n_old, NULL, old, e, NULL, par, a));
    TRY(spread_rows(&new_row, &n_new, n_from, e->catalog, e, &files, par, a));
    TRY(par_agree(par, arena_new(&answer, a, n_new)));
    if (n_old > 0) qsort(old_row, (size_t)n_old, sizeof *old_row, by_key);
    for (int64_t i = 0; i < n_new; i++) {
        const KeyedRow *there =
            n_old > 0 ? bsearch(&new_row[i], old_row, (size_t)n_old, sizeof *old_row, by_key) : NULL;
        answer[i] = answer_of(&new_row[i], there, e, usable);
    }
    /* they lie in the order of the ranks that asked */
    TRY(par_exchange_grouped((void **)&mine, &n_mine, NULL, par, answer, n_from, sizeof *answer, a));
    if (n_mine > 0) qsort(mine, (size_t)n_mine, sizeof *mine, by_row);
    MUST(n_mine == last - first);
    for (int64_t i = 0; i < n_mine; i++) (*plan)[i] = mine[i].plan;
    arena_reset(a, mark);
    return OK;
}
