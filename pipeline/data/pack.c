/* pack.c - blocks of catalogue rows to ranks as they come free, read as `embed` reads them, written where the plan says.

   An entry's checksum is recorded after its numbers are on disk, so the file itself tells what is finished: a run that was
   cut off continues with the blocks whose entries do not all hold, on any number of ranks and with any size of blocks. */
#include "data/pack.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "data/release_rows.h"
#include "par/sethash.h"

enum { SCAN_ROWS = 65536 };

static const char *const row_choices[] = {"any", "both", NULL};

static Status pack_check(const void *config)
{
    const PackConfig *c = config;
    return c->modalities.n > 0 ? OK : FAIL(E_CONFIG, "pack.modalities: empty; write [image], [spectrum] or both");
}

static const ConfigField pack_fields[] = {
    FIELD_TEXTS(PackConfig, modalities, "[image, spectrum]", modality_name, RESULT, "what to pack"),
    FIELD_CHOICE(PackConfig, rows, "any", row_choices, RESULT,
                 "any: each row that has an image or a spectrum; both: only those that have both"),
    FIELD_INT(PackConfig, block_rows, "64", 1, 1e6, EFFORT,
              "rows of a unit of work and of restart; about 0.4 MB of memory each"),
    FIELD_END};

const ConfigSection pack_section = {"pack", "spectra and images of a release into one file for training", pack_fields,
                                    sizeof(PackConfig), pack_check};

/* ---- the plan ---- */

static bool wants(const PackConfig *c, Modality m)
{
    for (int64_t i = 0; i < c->modalities.n; i++)
        if (strcmp(c->modalities.item[i], modality_name[m]) == 0) return true;
    return false;
}

static bool takes(const PackConfig *c, Modality m, bool has_image, bool has_spectrum)
{
    if (c->rows == PACK_BOTH && !(has_image && has_spectrum)) return false;
    return (m == MODALITY_IMAGE ? has_image : has_spectrum) && wants(c, m);
}

/* What chooses rows, of a stretch of the catalogue. */
typedef struct {
    uint8_t split[SCAN_ROWS], has[N_MODALITIES][SCAN_ROWS];
} Choice;

/* Local. Counts the entries of each block in this rank's stretches of the catalogue. */
static Status scan(PackPlan *out, SetHash *hash, const Packer *p, const Par *par, Arena *a)
{
    Choice *c = NULL;
    TRY(arena_new(&c, a, 1));
    for (int64_t first = 0, turn = 0; first < p->catalog->n; first += SCAN_ROWS, turn++) {
        const int64_t n = p->catalog->n - first < SCAN_ROWS ? p->catalog->n - first : SCAN_ROWS;
        if (turn % par->n_ranks != par->rank) continue;
        TRY(par_continue());
        TRY(catalog_read_choice(c->split, c->has[MODALITY_SPECTRUM], c->has[MODALITY_IMAGE], p->catalog, first, n));
        for (int64_t i = 0; i < n; i++) {
            bool any = false;
            for (int m = 0; m < N_MODALITIES; m++) {
                if (!takes(p->config, (Modality)m, c->has[MODALITY_IMAGE][i], c->has[MODALITY_SPECTRUM][i])) continue;
                out->first[m][(first + i) / p->config->block_rows + 1]++;
                any = true;
            }
            out->rows += any;
        }
        HashState *h = hash_open();
        hash_add(h, &first, sizeof first);
        hash_add(h, c->split, (size_t)n);
        for (int m = 0; m < N_MODALITIES; m++) hash_add(h, c->has[m], (size_t)n);
        const Fingerprint one = hash_close(h);
        sethash_add_hash(hash, &one);
    }
    return OK;
}

Status pack_plan(PackPlan *out, const Packer *p, const Par *par, Arena *a)
{
    const int64_t n_blocks = (p->catalog->n + p->config->block_rows - 1) / p->config->block_rows;
    SetHash hash = {0};
    Status st = OK;
    *out = (PackPlan){.n_blocks = n_blocks};
    for (int m = 0; m < N_MODALITIES && st == OK; m++) st = arena_new(&out->first[m], a, n_blocks + 1);
    TRY(par_agree(par, st));
    const Mark mark = arena_mark(a);
    st = scan(out, &hash, p, par, a);
    arena_reset(a, mark);
    TRY(par_agree(par, st));
    par_sum_i64(par, &out->rows, 1);
    for (int m = 0; m < N_MODALITIES; m++) {
        par_sum_i64(par, out->first[m], n_blocks + 1);
        for (int64_t b = 0; b < n_blocks; b++) out->first[m][b + 1] += out->first[m][b];
        out->n[m] = out->first[m][n_blocks];
    }
    out->choice = sethash_finish(&hash, par);
    return OK;
}

int64_t pack_bytes(const PackPlan *plan)
{
    int64_t bytes = 0;
    for (int m = 0; m < N_MODALITIES; m++) bytes += plan->n[m] * (dataset_numbers[m] * (int64_t)sizeof(float) + 29);
    return bytes;
}

/* ---- a block ---- */

static void void_entry(float *numbers, Modality m)
{
    for (int64_t k = 0; k < dataset_numbers[m]; k++) numbers[k] = NAN;
}

/* The entries of a modality without their numbers; `order` gets the rows of the block that they are of. */
static Status choose(DatasetEntries *e, int64_t **order, const Packer *p, Modality m, const CatalogRow *row,
                     int64_t first, int64_t n, Arena *a)
{
    int64_t k = 0;
    TRY(arena_new(order, a, n));
    for (int64_t i = 0; i < n; i++)
        if (takes(p->config, m, row[i].has_image, row[i].has_spectrum)) (*order)[k++] = i;
    TRY(dataset_entries(e, k, a));
    for (int64_t i = 0; i < k; i++) {
        const CatalogRow *r = &row[(*order)[i]];
        e->row[i] = first + (*order)[i];
        e->targetid[i] = r->targetid;
        e->split[i] = r->split;
    }
    return OK;
}

static Status read_spectra(DatasetEntries *e, const int64_t *order, const Packer *p, const CatalogRow *row, int64_t n,
                           Arena *a)
{
    SpectrumBatch batch;
    FileRow *by_file = NULL;
    int64_t *entry = NULL; /* of a row of the block */
    TRY(arena_new(&e->numbers, a, e->n * GRID_PIXELS));
    TRY(arena_new(&by_file, a, e->n));
    TRY(arena_new(&entry, a, n));
    for (int64_t k = 0; k < e->n; k++) {
        by_file[k].row = order[k];
        entry[order[k]] = k;
    }
    TRY(release_order(by_file, e->n, row, p->release, &p->catalog->files));
    TRY(spectra_batch(&batch, e->n, a));
    TRY(release_read_spectra(&batch, by_file, e->n, row, p->release, p->spectra, a));
    for (int64_t k = 0; k < e->n; k++) {
        const int64_t to = entry[by_file[k].row];
        e->flag[to] = batch.flag[k];
        memcpy(e->numbers + to * GRID_PIXELS, batch.flux + k * GRID_PIXELS, GRID_PIXELS * sizeof(float));
    }
    return OK;
}

static Status read_images(DatasetEntries *e, const int64_t *order, const Packer *p, const CatalogRow *row, Arena *a)
{
    ImageBatch batch;
    TRY(images_batch(&batch, e->n, a));
    TRY(release_read_images(&batch, order, e->n, row, p->image_source, p->release, p->images, a));
    memcpy(e->flag, batch.flag, (size_t)e->n * sizeof *e->flag);
    e->numbers = batch.pixels;
    return OK;
}

static Status read_block(DatasetEntries entries[N_MODALITIES], const Packer *p, const Dataset *d, int64_t first,
                         int64_t n, Arena *a)
{
    CatalogRow *row = NULL;
    TRY(arena_new(&row, a, n));
    lost_look_again(p->lost);
    clock_begin("read catalogue");
    Status st = catalog_read(row, p->catalog, first, n, a);
    clock_end("read catalogue");
    TRY(st);
    for (int m = 0; m < N_MODALITIES; m++) {
        const char *clock = m == MODALITY_IMAGE ? "read images" : "read spectra";
        DatasetEntries *e = &entries[m];
        int64_t *order = NULL;
        TRY(choose(e, &order, p, (Modality)m, row, first, n, a));
        if (e->n == 0) continue;
        TRY(par_hurry());
        clock_begin(clock);
        st = m == MODALITY_IMAGE ? read_images(e, order, p, row, a) : read_spectra(e, order, p, row, n, a);
        clock_end(clock);
        TRY(st);
        for (int64_t k = 0; k < e->n; k++) TRY(lost_mark(&e->flag[k], p->lost, (Modality)m, &row[order[k]], a));
        for (int64_t k = 0; k < e->n; k++)
            if (e->flag[k] & d->fatal[m]) void_entry(e->numbers + k * dataset_numbers[m], (Modality)m);
    }
    return OK;
}

/* ---- the ledger ---- */

static void enter(PackLedger *l, const Dataset *d, Modality m, const int32_t *flag, int64_t n)
{
    l->entries[m] += n;
    for (int64_t i = 0; i < n; i++) {
        flags_count(l->count[m], flag[i]);
        l->samples[m] += !(flag[i] & d->fatal[m]);
        l->lost += (flag[i] & flag_file_lost[m]) != 0;
    }
}

/* Local. Are the entries of a block on disk, and did no file of theirs go away meanwhile? With their flags. */
static Status look_at_block(bool *holds, int32_t *flag[N_MODALITIES], Dataset *d, const PackPlan *plan, int64_t b,
                            Arena *a)
{
    *holds = true;
    for (int m = 0; m < N_MODALITIES && *holds; m++) {
        const int64_t at = plan->first[m][b], n = plan->first[m][b + 1] - at;
        int64_t good = 0;
        TRY(dataset_count_good(&good, d, (Modality)m, at, n, a));
        TRY(arena_new(&flag[m], a, n));
        if (n > 0) TRY(dataset_read_flags(flag[m], d, (Modality)m, at, n));
        *holds = good == n;
        for (int64_t i = 0; i < n; i++) *holds = *holds && !(flag[m][i] & flag_file_lost[m]);
    }
    return OK;
}

/* Local. Of this rank's share of blocks: which an earlier run finished. They enter the ledger. */
static Status find_kept(int64_t *kept, PackLedger *l, Dataset *d, const PackPlan *plan, const Par *par, Arena *a)
{
    int64_t first, last;
    par_share(&first, &last, par, plan->n_blocks);
    for (int64_t b = first; b < last; b++) {
        const Mark mark = arena_mark(a);
        bool holds;
        int32_t *flag[N_MODALITIES];
        TRY(par_continue());
        TRY(look_at_block(&holds, flag, d, plan, b, a));
        kept[b] = holds;
        l->blocks_kept += holds;
        for (int m = 0; m < N_MODALITIES && holds; m++)
            enter(l, d, (Modality)m, flag[m], plan->first[m][b + 1] - plan->first[m][b]);
        arena_reset(a, mark);
    }
    return OK;
}

/* ---- the file ---- */

/* Collective. The unfinished file of an earlier run, or a new one; kept[b]: block b is finished. */
static Status open_part(Dataset *d, int64_t *kept, PackLedger *l, const Packer *p, const PackPlan *plan,
                        const char *part, const Envelope *envelope, const Par *par, Arena *a)
{
    const bool zero_bands = p->images->missing_band == MISSING_BAND_ZERO;
    int32_t fatal[N_MODALITIES] = {0};
    for (int m = 0; m < N_MODALITIES; m++)
        for (const FlagRow *row = flags_table((Modality)m); row->bit; row++)
            if (flags_fatal((Modality)m, row->bit, zero_bands)) fatal[m] |= row->bit;

    int64_t begun = 0;
    if (par->rank == 0 && !p->force && access(part, R_OK) == 0) {
        Dataset old = {0};
        begun = dataset_open(&old, part, a) == OK && strcmp(old.fingerprint.text, envelope->fingerprint.text) == 0 &&
                memcmp(old.n, plan->n, sizeof old.n) == 0;
        for (int m = 0; m < N_MODALITIES; m++) begun = begun && (old.n[m] == 0 || old.fatal[m] == fatal[m]);
        if (dataset_close(&old) != OK) begun = 0;
        fail_clear(); /* what cannot be gone on with is made again */
    }
    par_bcast(par, &begun, sizeof begun, 0);
    if (!begun) return dataset_create(d, part, envelope, plan->n, fatal, par, a);
    TRY(dataset_modify(d, part, par, a));
    TRY(par_agree(par, find_kept(kept, l, d, plan, par, a)));
    par_max_i64(par, kept, plan->n_blocks);
    return OK;
}

/* Local. One block, from the files of the release to the disk. */
static Status pack_block(PackLedger *l, const Packer *p, Dataset *d, const PackPlan *plan, int64_t b, Arena *a)
{
    const int64_t first = b * p->config->block_rows;
    const int64_t n = p->catalog->n - first < p->config->block_rows ? p->catalog->n - first : p->config->block_rows;
    DatasetEntries entries[N_MODALITIES];
    int64_t at[N_MODALITIES];
    TRY(FAIL_POINT("pack.block"));
    TRY(read_block(entries, p, d, first, n, a));
    for (int m = 0; m < N_MODALITIES; m++) {
        at[m] = plan->first[m][b];
        if (entries[m].n != plan->first[m][b + 1] - at[m])
            return FAIL(E_INPUT, "%s changes while it is read; pack again", p->catalog->file.path);
    }
    clock_begin("write");
    const Status st = dataset_write(d, at, entries, a);
    clock_end("write");
    TRY(st);
    for (int m = 0; m < N_MODALITIES; m++) enter(l, d, (Modality)m, entries[m].flag, entries[m].n);
    l->blocks++;
    return OK;
}

/* Local. Takes blocks until none is left; a failure stops the queue for everyone. */
static Status work_through(PackLedger *l, const Packer *p, Dataset *d, const PackPlan *plan, const int64_t *kept,
                           Work *work, const Par *par, Arena *a)
{
    Progress progress;
    progress_start(&progress, "pack", "rows", p->catalog->n);
    for (int64_t b; (b = par_work_next(work, par)) >= 0;) {
        progress_set(&progress, b * p->config->block_rows);
        if (kept[b]) continue;
        const Mark mark = arena_mark(a);
        const Status st = pack_block(l, p, d, plan, b, a);
        if (st != OK) {
            par_work_stop(work, par);
            fail_note("packing rows from %lld on", (long long)(b * p->config->block_rows));
            return st;
        }
        arena_reset(a, mark);
    }
    progress_stop(&progress);
    return OK;
}

/* Collective. After an interruption: how far the file is. */
static void tell_rest(const PackLedger *l, const PackPlan *plan, const char *part, const Par *par)
{
    int64_t done = l->blocks + l->blocks_kept;
    par_sum_i64(par, &done, 1);
    if (par->rank == 0)
        log_rank("pack: %lld of %lld blocks are in %s", (long long)done, (long long)plan->n_blocks, part);
}

/* Collective. The counts of all ranks, into the file too. */
static Status close_ledger(PackLedger *l, const Packer *p, Dataset *d, const PackPlan *plan, const Par *par)
{
    _Static_assert(sizeof(PackLedger) % sizeof(int64_t) == 0, "a ledger is counts only");
    par_sum_i64(par, (int64_t *)l, (int64_t)(sizeof *l / sizeof(int64_t)));
    if (l->lost > 0)
        return FAIL(
            E_INPUT,
            "%lld entries lack files that %s saw: put the files back and pack again, which makes their blocks; or "
            "run `astroclip catalog` again, which then knows that they are gone",
            (long long)l->lost, p->catalog->file.path);
    for (int m = 0; m < N_MODALITIES; m++) {
        if (l->entries[m] != plan->n[m])
            return FAIL(E_BUG, "%lld entries of %s planned, %lld written", (long long)plan->n[m], dataset_group[m],
                        (long long)l->entries[m]);
        TRY(dataset_describe(d, (Modality)m, l->count[m], l->samples[m]));
    }
    TRY(artefact_put_seconds(&d->file));
    TRY(h5_put_attr_i64(&d->file, "/", "rows_in", p->catalog->n));
    TRY(h5_put_attr_i64(&d->file, "/", "rows_out", plan->rows));
    return h5_put_attr_i64(&d->file, "/", "rows_skipped", p->catalog->n - plan->rows);
}

Status pack_release(PackLedger *ledger, const Packer *p, const PackPlan *plan, const char *path,
                    const Envelope *envelope, const Par *par, Arena *a)
{
    const Mark mark = arena_mark(a);
    Dataset d = {0};
    Work work;
    char *part = NULL;
    int64_t *kept = NULL;
    memset(ledger, 0, sizeof *ledger);
    Status st = arena_printf(&part, a, "%s.part", path);
    if (st == OK) st = arena_new(&kept, a, plan->n_blocks);
    TRY(par_agree(par, st));
    TRY_DONE(open_part(&d, kept, ledger, p, plan, part, envelope, par, a));
    TRY_DONE(par_work_open(&work, par, plan->n_blocks));
    st = work_through(ledger, p, &d, plan, kept, &work, par, a);
    par_work_close(&work, par);
    st = par_agree(par, st);
    if (st == E_INTERRUPTED) tell_rest(ledger, plan, part, par);
    TRY_DONE(st);
    TRY_DONE(close_ledger(ledger, p, &d, plan, par));
    st = dataset_close(&d);
done:
    if (st != OK && dataset_close(&d) != OK) log_rank("%s: left unfinished", part);
    arena_reset(a, mark);
    return st;
}
