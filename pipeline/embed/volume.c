/* volume.c - a file of blocks: borders, creation or resumption, writes with checksums. */
#include "embed/volume.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "embed/lost_rows.h"
#include "io/seal.h"
#include "volume_impl.h"

enum { VOLUME_VERSION = 2 };
static const char volume_kind[] = "embeddings-volume", rows_lost[] = "rows_lost";

const VolumeColumn volume_columns[] = {
    {"object_id", H5_I64, 0, 0},
    {"survey", H5_TEXT, 8, 0},
    {"program", H5_TEXT, 8, 0},
    {"ra", H5_F64, 0, 0},
    {"dec", H5_F64, 0, 0},
    {"healpix", H5_I32, 0, 0},
    {"spectrum_stats", H5_F32, 0, N_SPECTRUM_STATS},
    {"image_stats", H5_F32, 0, N_IMAGE_STATS},
    {"image_flag", H5_I32, 0, 0},
    {"spectrum_flag", H5_I32, 0, 0},
    {NULL, H5_I8, 0, 0},
};
const char *const volume_flags[N_MODALITIES] = {"image_flag", "spectrum_flag"};

void volume_name(char name[H5_PATH], const char *folder, int64_t number)
{
    snprintf(name, H5_PATH, "%.900s/embeddings/volume-%05lld.h5", folder, (long long)number);
}

/* ---- borders ---- */

/* Cuts at a change of pixel once half a block is full, at block_rows at the latest. */
static Status find_borders(Volume *v, const Embedder *e, Arena *a)
{
    int64_t limit = e->config->block_rows, n = 0, start = 0;
    int32_t *pixel = NULL;
    TRY(arena_new(&v->block_start, a, 2 * v->rows / limit + 3));
    Mark mark = arena_mark(a);
    TRY(arena_new(&pixel, a, v->rows));
    TRY(catalog_read_pixels(pixel, e->catalog, v->first, v->rows));
    v->block_start[0] = 0;
    for (int64_t i = 1; i < v->rows; i++) {
        bool full = i - start >= limit;
        bool natural = pixel[i] != pixel[i - 1] && 2 * (i - start) >= limit;
        if (!full && !natural) continue;
        v->block_start[++n] = i;
        start = i;
    }
    v->block_start[++n] = v->rows;
    v->n_blocks = n;
    arena_reset(a, mark);
    return OK;
}

/* ---- checksums ---- */

static uint64_t mix_in(uint64_t sum, const void *data, int64_t bytes)
{
    return hash_mix(sum ^ hash_bytes(data, (size_t)bytes));
}

static uint64_t block_checksum(const EmbedBlock *b, const int64_t dim[N_SETS])
{
    uint64_t sum = (uint64_t)b->n;
    for (int64_t i = 0; i < b->n; i++) {
        const CatalogRow *r = &b->row[i];
        sum = mix_in(sum, &r->targetid, sizeof r->targetid);
        sum = mix_in(sum, r->survey, sizeof r->survey);
        sum = mix_in(sum, r->program, sizeof r->program);
        sum = mix_in(sum, (const double[]){r->ra, r->dec}, 2 * sizeof(double));
        sum = mix_in(sum, &r->healpix, sizeof r->healpix);
    }
    for (int s = 0; s < N_SETS; s++)
        if (dim[s] > 0) sum = mix_in(sum, b->set[s], b->n * dim[s] * (int64_t)sizeof(float));
    for (int m = 0; m < N_MODALITIES; m++) sum = mix_in(sum, b->flag[m], b->n * (int64_t)sizeof(int32_t));
    sum = mix_in(sum, b->spectrum_stats, b->n * N_SPECTRUM_STATS * (int64_t)sizeof(float));
    sum = mix_in(sum, b->image_stats, b->n * N_IMAGE_STATS * (int64_t)sizeof(float));
    return sum ? sum : 1;
}

/* Keys and places of n rows, as arrays. */
typedef struct {
    int64_t *id;
    char (*survey)[8], (*program)[8];
    double *ra, *dec;
    int32_t *healpix;
} Keys;

static Status keys_make(Keys *k, int64_t n, Arena *a)
{
    TRY(arena_new(&k->id, a, n));
    TRY(arena_new(&k->survey, a, n));
    TRY(arena_new(&k->program, a, n));
    TRY(arena_new(&k->ra, a, n));
    TRY(arena_new(&k->dec, a, n));
    return arena_new(&k->healpix, a, n);
}

static Status read_keys(CatalogRow *row, H5File *f, int64_t first, int64_t n, Arena *a)
{
    Keys k;
    TRY(keys_make(&k, n, a));
    TRY(h5_read_rows(k.id, f, "object_id", H5_I64, 0, first, n));
    TRY(h5_read_rows(k.survey, f, "survey", H5_TEXT, 8, first, n));
    TRY(h5_read_rows(k.program, f, "program", H5_TEXT, 8, first, n));
    TRY(h5_read_rows(k.ra, f, "ra", H5_F64, 0, first, n));
    TRY(h5_read_rows(k.dec, f, "dec", H5_F64, 0, first, n));
    TRY(h5_read_rows(k.healpix, f, "healpix", H5_I32, 0, first, n));
    for (int64_t i = 0; i < n; i++) {
        row[i] = (CatalogRow){.targetid = k.id[i], .ra = k.ra[i], .dec = k.dec[i], .healpix = k.healpix[i]};
        memcpy(row[i].survey, k.survey[i], sizeof row[i].survey);
        memcpy(row[i].program, k.program[i], sizeof row[i].program);
    }
    return OK;
}

/* What the file holds for block b. */
static Status read_block(EmbedBlock *out, Volume *v, int64_t b, Arena *a)
{
    int64_t first = v->block_start[b], n = v->block_start[b + 1] - first;
    memset(out, 0, sizeof *out);
    out->n = n;
    TRY(arena_new(&out->row, a, n));
    TRY(read_keys(out->row, &v->file, first, n, a));
    for (int s = 0; s < N_SETS; s++) {
        if (v->dim[s] == 0) continue;
        TRY(arena_new(&out->set[s], a, n * v->dim[s]));
        TRY(h5_read_rows(out->set[s], &v->file, embedding_dataset[s], H5_F32, 0, first, n));
    }
    for (int m = 0; m < N_MODALITIES; m++) {
        TRY(arena_new(&out->flag[m], a, n));
        TRY(h5_read_rows(out->flag[m], &v->file, volume_flags[m], H5_I32, 0, first, n));
    }
    TRY(arena_new(&out->spectrum_stats, a, n * N_SPECTRUM_STATS));
    TRY(arena_new(&out->image_stats, a, n * N_IMAGE_STATS));
    TRY(h5_read_rows(out->spectrum_stats, &v->file, "spectrum_stats", H5_F32, 0, first, n));
    return h5_read_rows(out->image_stats, &v->file, "image_stats", H5_F32, 0, first, n);
}

/* Local. holds[b] = 1 for each of this rank's share of blocks whose checksum holds, without lost rows. */
static Status verify_share(int64_t *holds, Volume *v, const Par *par, Arena *a)
{
    int64_t first, last;
    par_share(&first, &last, par, v->n_blocks);
    for (int64_t b = first; b < last; b++) {
        if (v->checksum[b] == 0) continue;
        Mark mark = arena_mark(a);
        EmbedBlock block;
        TRY(read_block(&block, v, b, a));
        holds[b] = block_checksum(&block, v->dim) == v->checksum[b] && !lost_some(&block);
        arena_reset(a, mark);
    }
    return OK;
}

/* Collective. Keeps the checksums that hold. */
static Status verify(Volume *v, const Par *par, Arena *a)
{
    Mark mark = arena_mark(a);
    int64_t *holds = NULL;
    TRY(par_agree(par, arena_new(&holds, a, v->n_blocks)));
    TRY(par_agree(par, verify_share(holds, v, par, a)));
    par_max_i64(par, holds, v->n_blocks);
    for (int64_t b = 0; b < v->n_blocks; b++)
        if (!holds[b]) v->checksum[b] = 0;
    arena_reset(a, mark);
    return OK;
}

/* ---- open ---- */

/* Local. True when the file at `path` is a volume of this fingerprint with these borders; then its checksums are in v. */
static bool matches(Volume *v, const char *path, const Fingerprint *fingerprint, Arena *a)
{
    H5File f = {0};
    Envelope e;
    H5Shape shape;
    int64_t first = -1;
    bool same = access(path, R_OK) == 0 && h5_open(&f, path, NULL) == OK &&
                artefact_read(&e, &f, volume_kind, VOLUME_VERSION, "embed", a) == OK &&
                strcmp(e.fingerprint.text, fingerprint->text) == 0 && h5_get_attr_i64(&first, &f, "/", "first_row") &&
                first == v->first && h5_shape(&shape, &f, "block_checksum") == OK && shape.dims[0] == v->n_blocks &&
                h5_read_rows(v->checksum, &f, "block_checksum", H5_U64, 0, 0, v->n_blocks) == OK;
    v->rows_lost = 0;
    if (same && h5_has(&f, rows_lost))
        same = h5_read_rows(&v->rows_lost, &f, rows_lost, H5_I64, 0, 0, 1) == OK;
    else
        same = same && path == v->final; /* of an earlier version: cannot be gone on with */
    if (h5_close(&f) != OK) same = false;
    fail_clear();
    if (!same) memset(v->checksum, 0, (size_t)v->n_blocks * sizeof *v->checksum);
    return same;
}

static Status create_datasets(H5File *f, const int64_t dim[N_SETS], int64_t rows)
{
    for (const VolumeColumn *c = volume_columns; c->name; c++)
        TRY(h5_new(f, c->name, c->type, c->width, (int64_t[]){rows, c->columns}, c->columns ? 2 : 1));
    for (int s = 0; s < N_SETS; s++)
        if (dim[s] > 0) TRY(h5_new(f, embedding_dataset[s], H5_F32, 0, (int64_t[]){rows, dim[s]}, 2));
    return OK;
}

static Status create(Volume *v, const Envelope *envelope, const Par *par)
{
    Envelope e = *envelope;
    e.kind = volume_kind;
    e.version = VOLUME_VERSION;
    TRY(h5_create(&v->file, v->part, par));
    TRY(artefact_write(&v->file, &e));
    TRY(h5_put_attr_i64(&v->file, "/", "first_row", v->first));
    TRY(create_datasets(&v->file, v->dim, v->rows));
    TRY(h5_new(&v->file, "block_start", H5_I64, 0, (int64_t[]){v->n_blocks + 1}, 1));
    TRY(h5_new(&v->file, "block_checksum", H5_U64, 0, (int64_t[]){v->n_blocks}, 1));
    TRY(h5_new(&v->file, rows_lost, H5_I64, 0, (int64_t[]){1}, 1));
    if (par->rank == 0) {
        TRY(h5_write_rows(&v->file, "block_start", H5_I64, 0, v->block_start, 0, v->n_blocks + 1));
        TRY(h5_write_rows(&v->file, "block_checksum", H5_U64, 0, v->checksum, 0, v->n_blocks));
        TRY(h5_write_rows(&v->file, rows_lost, H5_I64, 0, (int64_t[]){0}, 0, 1));
    }
    return OK;
}

/* Local. What an earlier run left: finished, or to go on with. */
static Status find_earlier(int64_t *finished, int64_t *begun, Volume *v, const Fingerprint *fingerprint, Arena *a)
{
    *finished = matches(v, v->final, fingerprint, a);
    if (*finished && v->rows_lost > 0) {
        if (rename(v->final, v->part) != 0)
            return FAIL(E_OUTPUT, "cannot rename %s to %s: %s", v->final, v->part, strerror(errno));
        *finished = 0;
    }
    *begun = !*finished && matches(v, v->part, fingerprint, a);
    return OK;
}

Status volume_open(Volume *v, const Embedder *e, const char *folder, int64_t number, const Envelope *envelope,
                   const Par *par, Arena *a)
{
    memset(v, 0, sizeof *v);
    memcpy(v->dim, e->dim, sizeof v->dim);
    v->first = number * e->config->volume_rows;
    v->rows = e->catalog->n - v->first;
    if (v->rows > e->config->volume_rows) v->rows = e->config->volume_rows;
    volume_name(v->final, folder, number);
    snprintf(v->part, sizeof v->part, "%.*s.part", (int)sizeof v->part - 8, v->final);
    TRY(par_agree(par, find_borders(v, e, a)));
    TRY(par_agree(par, arena_new(&v->checksum, a, v->n_blocks)));

    int64_t state[2] = {0, 0}; /* rank 0 looks: finished, resumable */
    Status st = OK;
    if (par->rank == 0 && !e->force) st = find_earlier(&state[0], &state[1], v, &envelope->fingerprint, a);
    TRY(par_agree(par, st));
    par_bcast(par, state, sizeof state, 0);
    par_bcast(par, v->checksum, v->n_blocks * (int64_t)sizeof *v->checksum, 0);
    par_bcast(par, &v->rows_lost, sizeof v->rows_lost, 0);
    v->complete = state[0];
    if (v->complete) return h5_open(&v->file, v->final, par);
    if (!state[1]) {
        TRY(par_agree(par, create(v, envelope, par)));
        return h5_put_early_footer(&v->file);
    }
    TRY(h5_modify(&v->file, v->part, par));
    return verify(v, par, a);
}

/* ---- blocks ---- */

static Status write_columns(H5File *f, const EmbedBlock *b, int64_t at, Arena *a)
{
    int64_t n = b->n;
    Keys k;
    TRY(keys_make(&k, n, a));
    for (int64_t i = 0; i < n; i++) {
        const CatalogRow *r = &b->row[i];
        k.id[i] = r->targetid;
        memcpy(k.survey[i], r->survey, sizeof k.survey[i]);
        memcpy(k.program[i], r->program, sizeof k.program[i]);
        k.ra[i] = r->ra;
        k.dec[i] = r->dec;
        k.healpix[i] = r->healpix;
    }
    TRY(h5_write_rows(f, "object_id", H5_I64, 0, k.id, at, n));
    TRY(h5_write_rows(f, "survey", H5_TEXT, 8, k.survey, at, n));
    TRY(h5_write_rows(f, "program", H5_TEXT, 8, k.program, at, n));
    TRY(h5_write_rows(f, "ra", H5_F64, 0, k.ra, at, n));
    TRY(h5_write_rows(f, "dec", H5_F64, 0, k.dec, at, n));
    TRY(h5_write_rows(f, "healpix", H5_I32, 0, k.healpix, at, n));
    TRY(h5_write_rows(f, "spectrum_stats", H5_F32, 0, b->spectrum_stats, at, n));
    return h5_write_rows(f, "image_stats", H5_F32, 0, b->image_stats, at, n);
}

static Status sync_file(HelperTask *task)
{
    TRY(FAIL_POINT("embed.sync"));
    return h5_sync(((VolumeSync *)task)->file);
}

Status volume_settle(Volume *v, Helper *h)
{
    if (!v->in_sync) return OK;
    v->in_sync = false;
    TRY(helper_wait(h, &v->last.task, "wait for sync"));
    return h5_write_rows(&v->file, "block_checksum", H5_U64, 0, &v->last.checksum, v->last.block, 1);
}

Status volume_write(Volume *v, int64_t b, const EmbedBlock *block, Helper *h, Arena *scratch)
{
    int64_t at = v->block_start[b];
    TRY(volume_settle(v, h));
    Mark mark = arena_mark(scratch);
    TRY(write_columns(&v->file, block, at, scratch));
    arena_reset(scratch, mark);
    for (int s = 0; s < N_SETS; s++)
        if (v->dim[s] > 0) TRY(h5_write_rows(&v->file, embedding_dataset[s], H5_F32, 0, block->set[s], at, block->n));
    for (int m = 0; m < N_MODALITIES; m++)
        TRY(h5_write_rows(&v->file, volume_flags[m], H5_I32, 0, block->flag[m], at, block->n));
    v->last = (VolumeSync){.task = {.work = sync_file, .clock = "sync"},
                           .file = &v->file,
                           .block = b,
                           .checksum = block_checksum(block, v->dim)};
    v->in_sync = true;
    helper_start(h, &v->last.task);
    return OK;
}

Status volume_read_flags(int32_t *flag, Volume *v, Modality m, int64_t b)
{
    return h5_read_rows(flag, &v->file, volume_flags[m], H5_I32, 0, v->block_start[b],
                        v->block_start[b + 1] - v->block_start[b]);
}

Status volume_note_lost(Volume *v, int64_t n)
{
    return n == v->rows_lost ? OK : h5_write_rows(&v->file, rows_lost, H5_I64, 0, &n, 0, 1);
}

Status volume_finish(Volume *v, const Par *par)
{
    TRY(h5_close(&v->file));
    if (v->complete) return OK;
    TRY(par_agree(par, par->rank == 0 ? h5_put_footer(v->part) : OK));
    return artefact_publish(par, v->final);
}

void volume_close(Volume *v)
{
    if (h5_close(&v->file) != OK) log_rank("%s: left unfinished", v->part);
}

Status volume_verify(int64_t *n_good, int64_t *n_blocks, const char *path, Arena *a)
{
    Status st = OK;
    Volume v = {0};
    Envelope e;
    H5Shape shape;
    int64_t rows = 0;
    *n_good = *n_blocks = 0;
    TRY(h5_open(&v.file, path, NULL));
    TRY_DONE(artefact_read(&e, &v.file, volume_kind, VOLUME_VERSION, "embed", a));
    TRY_DONE(h5_shape(&shape, &v.file, "block_checksum"));
    v.n_blocks = *n_blocks = shape.dims[0];
    TRY_DONE(arena_new(&v.block_start, a, v.n_blocks + 1));
    TRY_DONE(arena_new(&v.checksum, a, v.n_blocks));
    TRY_DONE(h5_read_rows(v.block_start, &v.file, "block_start", H5_I64, 0, 0, v.n_blocks + 1));
    TRY_DONE(h5_read_rows(v.checksum, &v.file, "block_checksum", H5_U64, 0, 0, v.n_blocks));
    TRY_DONE(h5_shape(&shape, &v.file, "object_id"));
    rows = shape.dims[0];
    for (int s = 0; s < N_SETS; s++) {
        if (!h5_has(&v.file, embedding_dataset[s])) continue;
        TRY_DONE(h5_shape(&shape, &v.file, embedding_dataset[s]));
        v.dim[s] = shape.dims[1];
    }
    for (int64_t b = 0; b < v.n_blocks; b++) {
        Mark mark = arena_mark(a);
        EmbedBlock block;
        if (v.block_start[b] < 0 || v.block_start[b + 1] <= v.block_start[b] || v.block_start[b + 1] > rows)
            TRY_DONE(
                FAIL(E_INPUT, "%s: the borders of block %lld are damaged; make or copy it again", path, (long long)b));
        TRY_DONE(read_block(&block, &v, b, a));
        *n_good += v.checksum[b] != 0 && block_checksum(&block, v.dim) == v.checksum[b];
        arena_reset(a, mark);
    }
done:
    volume_close(&v);
    return st;
}
