/* embed.c - the driver: volumes to groups of ranks, blocks to ranks as they come free, the ledger of what happened to each row. */
#include "embed/embed.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "embed/stream.h"
#include "embed/volume.h"

const char *const embed_precisions[] = {"f32", "bf16", NULL};
static const char *const sets[] = {"aligned", "single", NULL};

static Status embed_check(const void *config)
{
    const EmbedConfig *c = config;
    if (c->volume_rows < c->block_rows)
        return FAIL(E_CONFIG, "volume_rows (%lld) is smaller than block_rows (%lld)", (long long)c->volume_rows,
                    (long long)c->block_rows);
    if (c->sets.n == 0 || c->modalities.n == 0)
        return FAIL(E_CONFIG, "sets and modalities each name at least one item");
    return OK;
}

static const ConfigField embed_fields[] = {
    FIELD_TEXT(EmbedConfig, weights, "deterministic", EFFORT,
               "checkpoint of ours, or 'deterministic': weights that are a function of their names"),
    FIELD_INT(EmbedConfig, weights_seed, "777", 0, 9.0e15, EFFORT, "seed of deterministic weights"),
    FIELD_CHOICE(
        EmbedConfig, precision, "f32", embed_precisions, RESULT,
        "f32, or linear layers of numbers rounded to bf16, which matrix units multiply: arithmetic of the encoders"),
    FIELD_INT(EmbedConfig, batch, "32", 1, 1e6, EFFORT,
              "rows of a block that are read and encoded at a time; bounds memory, never changes a bit"),
    FIELD_BOOL(EmbedConfig, read_ahead, "true", EFFORT,
               "a second thread per rank reads the next rows while these are encoded, and syncs what was written"),
    FIELD_INT(EmbedConfig, block_rows, "64", 1, 1e6, EFFORT, "rows of a unit of work and of restart"),
    FIELD_INT(EmbedConfig, volume_rows, "1048576", 1, 1e9, EFFORT, "rows of one file embeddings/volume-NNNNN.h5"),
    FIELD_INT(EmbedConfig, ranks_per_volume, "0", 0, 1e6, EFFORT, "ranks that write one volume together; 0 = all"),
    FIELD_TEXTS(EmbedConfig, sets, "[aligned, single]", sets, RESULT,
                "aligned: the common space; single: each encoder's own embedding"),
    FIELD_TEXTS(EmbedConfig, modalities, "[image, spectrum]", modality_name, RESULT, "what to embed"),
    FIELD_TEXT(EmbedConfig, reuse, "", EFFORT,
               "folder of an earlier run: embeddings that would come out the same are copied from there; empty = none"),
    FIELD_END};

const ConfigSection embed_section = {"embed", "forward over a release", embed_fields, sizeof(EmbedConfig), embed_check};

bool embed_lists(const ConfigTexts *list, const char *item)
{
    for (int64_t i = 0; i < list->n; i++)
        if (strcmp(list->item[i], item) == 0) return true;
    return false;
}

/* ---- the ledger ---- */

/* Flags of the rows [first, first + n) of the catalogue. */
static void enter(EmbedLedger *l, const Embedder *e, Modality m, const int32_t *flag, int64_t first, int64_t n)
{
    bool zero_bands = m == MODALITY_IMAGE && e->images->missing_band == MISSING_BAND_ZERO;
    for (int64_t i = 0; i < n; i++) {
        flags_count(l->count[m], flag[i]);
        l->embedded[m] += !flags_fatal(m, flag[i], zero_bands);
        if (!(flag[i] & flag_file_lost[m])) continue;
        l->lost++;
        l->lost_sum += (int64_t)(hash_mix((uint64_t)(first + i) << 32 ^ (uint64_t)flag[i] << 1 ^ (uint64_t)m) >> 32);
    }
}

/* Local. Blocks that an earlier run finished: this rank enters its share of them. */
static Status enter_kept(EmbedLedger *l, const Embedder *e, Volume *v, const Par *par, Arena *a)
{
    int64_t first, last;
    par_share(&first, &last, par, v->n_blocks);
    for (int64_t b = first; b < last; b++) {
        if (v->checksum[b] == 0) continue;
        Mark mark = arena_mark(a);
        int64_t n = v->block_start[b + 1] - v->block_start[b];
        int32_t *flag = NULL;
        TRY(arena_new(&flag, a, n));
        for (int m = 0; m < N_MODALITIES; m++) {
            TRY(volume_read_flags(flag, v, (Modality)m, b));
            enter(l, e, (Modality)m, flag, v->first + v->block_start[b], n);
        }
        l->blocks_kept++;
        l->rows += n;
        arena_reset(a, mark);
    }
    return OK;
}

/* ---- blocks ---- */

static void enter_block(EmbedLedger *l, const Embedder *e, const EmbedBlock *block)
{
    for (int m = 0; m < N_MODALITIES; m++) enter(l, e, (Modality)m, block->flag[m], block->first, block->n);
    l->blocks++;
    l->rows += block->n;
    for (int m = 0; m < N_MODALITIES; m++)
        for (int k = 0; k < N_REUSE; k++) l->reuse[m][k] += block->reuse[m][k];
}

static Status write_blocks(EmbedLedger *l, Stream *s, Volume *v, Progress *progress, Arena *a)
{
    const EmbedBlock *block;
    for (int64_t b;;) {
        TRY(stream_next(&block, &b, s));
        if (!block) return OK;
        clock_begin("write");
        Status st = volume_write(v, b, block, s->helper, a);
        clock_end("write");
        if (st != OK) stream_note(block->first, block->n);
        TRY(st);
        enter_block(l, s->embedder, block);
        progress_set(progress, block->first + block->n);
    }
}

/* Local. The last block is synced and recorded also where something failed, which is then the failure. */
static Status settle(Volume *v, Stream *s, Status st)
{
    const FailRecord why = *fail_record();
    Status settled = volume_settle(v, s->helper);
    if (st == OK) return settled;
    fail_store(&why);
    return st;
}

/* Local. Takes blocks until none is left; a failure stops the queue for everyone. */
static Status work_through(EmbedLedger *l, Embedder *e, Volume *v, Work *work, Progress *progress, const Par *par,
                           Arena *a)
{
    Stream s;
    Status st = stream_open(&s, e, v, work, par, a);
    if (st == OK) {
        st = write_blocks(l, &s, v, progress, a);
        stream_stop(&s);
        st = settle(v, &s, st);
    }
    if (st != OK) par_work_stop(work, par);
    stream_close(&s);
    return st;
}

/* Collective. After an interruption: how far the volume is. */
static void tell_rest(const Volume *v, int64_t n_done, const Par *par)
{
    for (int64_t b = 0; par->rank == 0 && b < v->n_blocks; b++) n_done += v->checksum[b] != 0;
    par_sum_i64(par, &n_done, 1);
    if (par->rank == 0)
        log_rank("embed: %lld of %lld blocks are in %s", (long long)n_done, (long long)v->n_blocks, v->part);
}

/* Collective over the group. */
static Status embed_volume(EmbedLedger *l, Embedder *e, const char *folder, int64_t number, const Envelope *envelope,
                           Progress *progress, const Par *group, Arena *a)
{
    Mark mark = arena_mark(a);
    Volume v;
    Work work;
    Status st = volume_open(&v, e, folder, number, envelope, group, a);
    if (st != OK) goto done;
    TRY_DONE(par_agree(group, enter_kept(l, e, &v, group, a)));
    if (v.complete) {
        l->volumes_kept += group->rank == 0;
    } else {
        int64_t before = l->blocks, lost = l->lost; /* of blocks to come: those that are kept have none */
        TRY_DONE(par_work_open(&work, group, v.n_blocks));
        st = work_through(l, e, &v, &work, progress, group, a);
        par_work_close(&work, group);
        st = par_agree(group, st);
        if (st == E_INTERRUPTED) tell_rest(&v, l->blocks - before, group);
        TRY_DONE(st);
        l->volumes += group->rank == 0;
        lost = l->lost - lost;
        par_sum_i64(group, &lost, 1);
        TRY_DONE(par_agree(group, group->rank == 0 ? volume_note_lost(&v, lost) : OK));
    }
    st = volume_finish(&v, group);
done:
    if (st != OK) volume_close(&v);
    arena_reset(a, mark);
    return st;
}

static void sum_ledger(EmbedLedger *l, const Par *par)
{
    _Static_assert(sizeof(EmbedLedger) % sizeof(int64_t) == 0, "a ledger is counts only");
    par_sum_i64(par, (int64_t *)l, (int64_t)(sizeof *l / sizeof(int64_t)));
}

/* Local. What is joined of these volumes goes before they do. */
static Status remove_joined(const char *folder)
{
    char path[H5_PATH + 16];
    snprintf(path, sizeof path, "%.1000s/embeddings.h5", folder);
    if (unlink(path) != 0 && errno != ENOENT) return FAIL(E_OUTPUT, "cannot remove %s: %s", path, strerror(errno));
    return OK;
}

/* Local. Volumes that an unfinished run of other sizes made belong to nothing. */
static Status remove_rest(const char *volumes, int64_t n_volumes)
{
    int64_t n = 0;
    TRY(volume_remove_rest(&n, volumes, n_volumes));
    if (n > 0) log_info("embed: %lld volumes of an unfinished run of other sizes removed", (long long)n);
    return OK;
}

Status embed_release(EmbedLedger *ledger, Embedder *e, const char *folder, const Envelope *envelope, const Par *par,
                     Arena *a)
{
    memset(ledger, 0, sizeof *ledger);
    char *volumes = NULL;
    TRY(par_agree(par, arena_printf(&volumes, a, "%s/embeddings", folder)));
    TRY(par_agree(par, par->rank == 0 ? remove_joined(folder) : OK));
    TRY(artefact_make_folder(par, volumes));

    int64_t n_volumes = volume_count(e);
    int64_t per = e->config->ranks_per_volume;
    int n_groups = per == 0 ? 1 : (int)((par->n_ranks + per - 1) / per);
    int mine = per == 0 ? 0 : (int)(par->rank / per);
    Par group;
    TRY(par_split(&group, par, mine));
    Progress progress;
    progress_start(&progress, "embed", "rows", e->catalog->n);
    Status st = OK;
    for (int64_t v = mine; v < n_volumes && st == OK; v += n_groups)
        st = embed_volume(ledger, e, folder, v, envelope, &progress, &group, a);
    par_release(&group);
    TRY(par_agree(par, st));
    progress_stop(&progress);

    sum_ledger(ledger, par);
    if (ledger->rows != e->catalog->n)
        return FAIL(E_BUG, "%lld rows of the catalogue, %lld rows in the volumes", (long long)e->catalog->n,
                    (long long)ledger->rows);
    return par_agree(par, par->rank == 0 ? remove_rest(volumes, n_volumes) : OK);
}
