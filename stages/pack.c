/* pack.c - the stage: spectra and images of a release into dataset.h5, which trainings read. */
#include "data/pack.h"

#include "core/log.h"
#include "data/release_rows.h"
#include "io/seal.h"
#include "stages.h"

static const ConfigSection *const sections[] = {&pack_section, &spectra_section, &images_section, NULL};

static void set_up(Packer *p, const Run *run, Catalog *catalog)
{
    *p = (Packer){.config = config_get(run->config, &pack_section),
                  .spectra = config_get(run->config, &spectra_section),
                  .images = config_get(run->config, &images_section),
                  .release = config_get(run->config, &release_section),
                  .catalog = catalog,
                  .force = run->force};
}

static Fingerprint fingerprint_of(const Run *run, const Catalog *catalog, const PackPlan *plan)
{
    HashState *h = stage_hash(run, &pack_stage);
    hash_add_text(h, catalog->manifest.text);
    hash_add_text(h, plan->choice.text);
    return hash_close(h);
}

/* Rank 0 tells what became of the rows; too many that are no samples is a failure. */
static Status judge(const PackLedger *l, const PackPlan *plan, const Packer *p, const Run *run)
{
    const RunConfig *c = config_get(run->config, &run_section);
    log_info("pack: %lld rows in, %lld rows packed + %lld without what is wanted; %lld blocks written, %lld kept",
             (long long)p->catalog->n, (long long)plan->rows, (long long)(p->catalog->n - plan->rows),
             (long long)l->blocks, (long long)l->blocks_kept);
    for (int m = 0; m < N_MODALITIES; m++) {
        const int64_t n = l->entries[m];
        if (n == 0) continue;
        log_info("pack: %lld of %lld entries of %s are samples", (long long)l->samples[m], (long long)n,
                 dataset_group[m]);
        flags_log("pack", (Modality)m, l->count[m], n, p->images->missing_band == MISSING_BAND_ZERO);
        const double bad = (double)(n - l->samples[m]) / (double)n;
        if (bad > c->max_rejected_fraction)
            return FAIL(
                E_INPUT,
                "%.1f %% of the entries of %s cannot be used, more than run.max_rejected_fraction (%.1f %%): see "
                "the flags above",
                100 * bad, dataset_group[m], 100 * c->max_rejected_fraction);
    }
    return OK;
}

/* Collective. Packs, judges, seals, gives the file its name. */
static Status make(Packer *p, const PackPlan *plan, const char *path, Fingerprint fingerprint, Run *run)
{
    const Par *par = &run->par;
    PackLedger ledger;
    Envelope envelope;
    char *part = NULL;
    TRY(par_agree(par, arena_printf(&part, run->arena, "%s.part", path)));
    TRY(par_agree(par, stage_envelope(&envelope, run, dataset_kind, DATASET_VERSION, &pack_stage, fingerprint)));
    TRY(artefact_make_folder_of(par, path));
    TRY(pack_release(&ledger, p, plan, path, &envelope, par, run->arena));
    TRY(judge(&ledger, plan, p, run));
    TRY(seal_file(part, par, run->arena));
    TRY(artefact_publish(par, path));
    log_info("pack: wrote %s", path);
    return OK;
}

static Status run_pack(Run *run)
{
    Par *par = &run->par;
    Status st = OK;
    Catalog catalog = {0};
    Packer p = {0};
    PackPlan plan;
    char *path = NULL, *catalog_path = NULL;
    TRY_DONE(par_agree(par, stage_path(&path, run, "dataset.h5")));
    TRY_DONE(par_agree(par, stage_path(&catalog_path, run, "catalog.h5")));
    TRY_DONE(par_agree(par, stage_made_by("catalog", catalog_open(&catalog, catalog_path, NULL, run->arena))));
    set_up(&p, run, &catalog);
    TRY_DONE(pack_plan(&plan, &p, par, run->arena));
    const Fingerprint fingerprint = fingerprint_of(run, &catalog, &plan);
    int64_t current =
        !run->force && par->rank == 0 && artefact_is_current(path, dataset_kind, DATASET_VERSION, &fingerprint);
    par_bcast(par, &current, sizeof current, 0);
    if (current) {
        log_info("pack: %s is current, nothing to do", path);
        goto done;
    }
    if (run->ask) {
        run->stale = true;
        goto done;
    }
    TRY_DONE(seal_check(&catalog.file, par, run->arena));
    log_info("pack: %lld spectra and %lld images, %.3g GB", (long long)plan.n[MODALITY_SPECTRUM],
             (long long)plan.n[MODALITY_IMAGE], 1e-9 * (double)pack_bytes(&plan));
    if (plan.rows == 0)
        TRY_DONE(FAIL(E_INPUT, "%s: no row has what pack.modalities and pack.rows ask for", catalog_path));
    st = release_open_images(&p.image_source, p.release, &catalog.files, run->arena);
    TRY_DONE(par_agree(par, st));
    TRY_DONE(par_agree(par, lost_open(&p.lost, &catalog, p.release, run->arena)));
    st = make(&p, &plan, path, fingerprint, run);
done:
    release_close_images(p.image_source, p.release);
    catalog_close(&catalog);
    return st;
}

static Status plan_pack(Run *run, FILE *out)
{
    const PackConfig *c = config_get(run->config, &pack_section);
    const Mark mark = arena_mark(run->arena);
    Catalog catalog = {0};
    Packer p;
    PackPlan plan;
    char *path = NULL, *catalog_path = NULL;
    TRY(stage_path(&path, run, "dataset.h5"));
    TRY(stage_path(&catalog_path, run, "catalog.h5"));
    set_up(&p, run, &catalog);
    if (catalog_open(&catalog, catalog_path, NULL, run->arena) != OK) {
        fail_clear();
        fprintf(out, "pack: spectra of %.3g kB, images of %.3g kB, once %s is there; writes %s\n", 4e-3 * GRID_PIXELS,
                4e-3 * IMAGE_NUMBERS, catalog_path, path);
    } else {
        TRY(pack_plan(&plan, &p, &par_alone, run->arena));
        fprintf(out,
                "pack: %lld of %lld rows; %lld spectra, %lld images, %.3g GB in %lld blocks of %lld rows; writes %s\n",
                (long long)plan.rows, (long long)catalog.n, (long long)plan.n[MODALITY_SPECTRUM],
                (long long)plan.n[MODALITY_IMAGE], 1e-9 * (double)pack_bytes(&plan), (long long)plan.n_blocks,
                (long long)c->block_rows, path);
    }
    catalog_close(&catalog);
    arena_reset(run->arena, mark);
    return OK;
}

const Stage pack_stage = {
    .name = "pack",
    .reads = "catalog.h5, the release's spectra and images",
    .writes = "dataset.h5",
    .help = "spectra and images into one file for training",
    .purpose = "Reads spectra and images as embed does, in blocks of rows that are handed to ranks as they come free, "
               "and writes them, not\n"
               "yet normalised, into one HDF5 file with row, TARGETID, split, flag and checksum of each entry. A "
               "training then reads\n"
               "samples in any order without opening the files of the release. An entry without data is kept with "
               "its flag and is no\n"
               "sample. A run that was cut off continues with the blocks that are missing.",
    .revision = 1,
    .sections = sections,
    .tells = true,
    .run = run_pack,
    .plan = plan_pack,
};
