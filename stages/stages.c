/* stages.c - the table of stages, the sections of a run file, and what all stages need: paths, fingerprints, envelopes.
   To add a stage: its file, a row here, its config section, a test. */
#include "stages.h"

#include <string.h>

#include "core/log.h"
#include "core/version.h"
#include "data/cuts.h"
#include "data/labels.h"
#include "data/pack.h"
#include "data/survey.h"
#include "embed/embed.h"
#include "model/moco.h"
#include "model/model.h"
#include "nn/gemm.h"
#include "tables/explorer.h"
#include "tables/report.h"
#include "tables/search.h"
#include "train/trainer.h"

static const char *const stage_names[] = {"mock",           "import",      "catalog",    "pack",
                                          "train_spectrum", "train_image", "train_moco", "align",
                                          "embed",          "baselines",   "probe",      "tables",
                                          "search",         "report",      "export",     NULL};
static const char *const launchers[] = {"auto", "mpirun", "srun", NULL};

static const ConfigField run_fields[] = {
    FIELD_TEXT(RunConfig, output, "runs/out", EFFORT, "folder of all artefacts, relative to the working folder"),
    FIELD_TEXTS(RunConfig, stages, "[catalog, embed, probe, tables]", stage_names, EFFORT,
                "what `astroclip run` does, in this order"),
    FIELD_INT(RunConfig, seed, "42", 0, 9.0e15, RESULT, "seed of everything random"),
    FIELD_CHOICE(RunConfig, launcher, "auto", launchers, EFFORT, "auto: srun inside a SLURM allocation, else mpirun"),
    FIELD_INT(RunConfig, threads, "1", 1, 1024, EFFORT, "threads per rank for matrix products"),
    FIELD_TEXT(RunConfig, gemm, "auto", EFFORT,
               "provider of matrix products: auto (the first that this CPU has of:), amx, avx512, openblas, onednn "
               "(where built in), ref"),
    FIELD_REAL(RunConfig, max_rejected_fraction, "0.5", 0, 1, EFFORT,
               "a stage fails when a larger share of its rows is flagged as not usable"),
    FIELD_REAL(RunConfig, stall_minutes, "30", 0, 1e6, EFFORT,
               "a job without a sign of life on some rank for this long is ended; 0 = never"),
    FIELD_REAL(RunConfig, stop_seconds, "18", 1, 3600, EFFORT,
               "a job told to stop has so long to finish what is in hand; then it ends without"),
    FIELD_REAL(RunConfig, time_limit_minutes, "0", 0, 1e6, EFFORT,
               "a stage, or the chain of `astroclip run`, stops as by SIGUSR1 after this long; 0 = no limit"),
    FIELD_REAL(RunConfig, memory_gb, "0", 0, 1e6, EFFORT, "limit of a rank's arena in GB; 0 = half of the machine"),
    FIELD_INT(RunConfig, node_cores, "128", 1, 100000, EFFORT, "cores of the nodes whose hours `check` counts"),
    FIELD_REAL(RunConfig, node_efficiency, "0.8", 0.01, 1, EFFORT,
               "speed of a rank on a full node over that of a rank alone, which `check --measure` measures"),
    FIELD_END};
const ConfigSection run_section = {"run", "where results go, how a run is started", run_fields, sizeof(RunConfig),
                                   NULL};

const Stage *const stage_table[] = {&mock_stage,           &import_stage,      &catalog_stage,    &pack_stage,
                                    &train_spectrum_stage, &train_image_stage, &train_moco_stage, &align_stage,
                                    &embed_stage,          &baselines_stage,   &probe_stage,      &tables_stage,
                                    &search_stage,         &report_stage,      &export_stage,     NULL};

const ConfigSection *const config_sections[] = {
    &run_section,    &release_section, &mock_section,           &import_section,      &catalog_section,
    &labels_section, &spectra_section, &images_section,         &pack_section,        &model_section,
    &moco_section,   &train_section,   &train_spectrum_section, &train_image_section, &train_moco_section,
    &align_section,  &embed_section,   &baselines_section,      &probe_section,       &tables_section,
    &search_section, &report_section,  &serve_section,          &export_section,      NULL};

const Stage *stage_find(const char *name)
{
    for (const Stage *const *s = stage_table; *s; s++)
        if (strcmp((*s)->name, name) == 0) return *s;
    return NULL;
}

HashState *stage_hash(const Run *run, const Stage *stage)
{
    HashState *h = hash_open();
    char revision[32];
    snprintf(revision, sizeof revision, "%d", stage->revision);
    hash_add_text(h, stage->name);
    hash_add_text(h, revision);
    for (const ConfigSection *const *s = stage->sections; *s; s++) config_hash(h, run->config, *s);
    return h;
}

Status stage_made_by(const char *stage, Status st)
{
    if (st != OK) fail_note("opening what `astroclip %s` writes: run that stage first", stage);
    return st;
}

Status stage_path(char **out, const Run *run, const char *name)
{
    const RunConfig *c = config_get(run->config, &run_section);
    return arena_printf(out, run->arena, "%s/%s", c->output, name);
}

Status stage_output(char **out, const Run *run, const char *path)
{
    return path[0] == '/' ? arena_text(out, run->arena, path) : stage_path(out, run, path);
}

Status stage_envelope(Envelope *e, const Run *run, const char *kind, int64_t version, const Stage *stage,
                      Fingerprint fingerprint)
{
    const RunConfig *c = config_get(run->config, &run_section);
    const ReleaseConfig *release = config_get(run->config, &release_section);
    char *config = NULL;
    TRY(config_dump(&config, run->config, false, run->arena));
    *e = (Envelope){
        .kind = kind,
        .version = version,
        .made_by = stage->name,
        .config = config,
        .seed = c->seed,
        .fingerprint = fingerprint,
        .specprod =
            release_takes(release, "spectra") ? release_spectra(release)->specprod(release->spectra.config) : "",
        .image_release = release_images(release)->image_release(release->images.config),
        .provider = gemm_provider_text(),
        .seconds = log_elapsed(),
        .ranks = run->par.n_ranks,
    };
    return OK;
}
