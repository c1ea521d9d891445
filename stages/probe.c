/* probe.c - the stage: embeddings and labels become probes.h5 and scores.csv. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/version.h"
#include "io/seal.h"
#include "nn/gemm.h"
#include "probe/fit.h"
#include "probe/reports.h"
#include "stages.h"

static const ConfigSection *const sections[] = {&probe_section, NULL};

typedef struct {
    const char *folder;
    char *path, *predictions, *scores, *catalog_path, *embeddings_path, *baselines_path;
} Paths;

static Status find_paths(Paths *p, const Run *run)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    p->folder = rc->output;
    TRY(stage_path(&p->path, run, "probes.h5"));
    TRY(stage_path(&p->predictions, run, "predictions.h5"));
    TRY(stage_path(&p->baselines_path, run, "baselines.h5"));
    TRY(stage_path(&p->scores, run, "scores.csv"));
    TRY(stage_path(&p->catalog_path, run, "catalog.h5"));
    return stage_path(&p->embeddings_path, run, "embeddings.h5");
}

Status probe_fingerprint(Fingerprint *out, const Run *run, const Catalog *catalog, const Embeddings *e)
{
    const ProbeConfig *config = config_get(run->config, &probe_section);
    Baselines baselines = {0};
    char *path;
    HashState *h = stage_hash(run, &probe_stage);
    Status st = OK;
    hash_add_text(h, catalog->envelope.fingerprint.text);
    hash_add_text(h, e->envelope.fingerprint.text);
    if (config->baselines) {
        st = stage_path(&path, run, "baselines.h5");
        if (st == OK) st = stage_made_by("baselines", baselines_open(&baselines, path, NULL, run->arena));
        if (st == OK) hash_add_text(h, baselines.envelope.fingerprint.text);
        baselines_close(&baselines);
    }
    if (st == OK && config->morphology.votes[0] != '\0') {
        char sha256[SHA256_TEXT];
        st = hash_file_sha256(sha256, config->morphology.votes);
        if (st == OK) hash_add_text(h, sha256);
        if (st != OK) fail_note("for probe.morphology.votes");
    }
    *out = hash_close(h);
    return st;
}

/* The sums and solutions are LAPACK's and BLAS's, whatever provider the encoders used. */
static Status envelope_of(Envelope *e, const Run *run, Fingerprint fingerprint)
{
    char *provider;
    TRY(stage_envelope(e, run, "probes", PROBES_VERSION, &probe_stage, fingerprint));
    TRY(arena_printf(&provider, run->arena, "LAPACK of openblas %s, %s", gemm_openblas.version(),
                     program_instructions()));
    e->provider = provider;
    return OK;
}

/* Collective. */
static bool is_current(const Paths *p, const Run *run, const Fingerprint *fingerprint)
{
    int64_t current = !run->force && run->par.rank == 0 && access(p->scores, F_OK) == 0 &&
                      access(p->predictions, F_OK) == 0 &&
                      artefact_is_current(p->path, "probes", PROBES_VERSION, fingerprint);
    par_bcast(&run->par, &current, sizeof current, 0);
    return current != 0;
}

/* Every row of the catalogue is read; those with an embedding are used, each in its split. */
static void log_rows(const ProbeSet *set)
{
    for (int i = 0; i < set->n_inputs; i++) {
        const ProbeInput *in = &set->input[i];
        const int64_t *n = in->n_usable, none = in->n_rows - n[SPLIT_TRAIN] - n[SPLIT_VAL] - n[SPLIT_TEST];
        log_info("probe: %lld rows in = train %lld + val %lld + test %lld + without embedding %lld (%s %s)",
                 (long long)in->n_rows, (long long)n[SPLIT_TRAIN], (long long)n[SPLIT_VAL], (long long)n[SPLIT_TEST],
                 (long long)none, in->row->encoder, in->row->modality);
    }
}

/* The table, a line at a time. */
static Status log_table(const ProbeSet *set)
{
    char *text = NULL, *at;
    size_t bytes = 0;
    FILE *f = open_memstream(&text, &bytes);
    if (!f) return FAIL(E_MEMORY, "no memory for the table of scores");
    reports_table(f, set, false);
    fclose(f);
    log_info("probe: R2 on the test split (mean: of the properties without redshift; morph: accuracy)");
    for (char *line = strtok_r(text, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) log_info("%s", line);
    free(text);
    return OK;
}

/* Collective. The rows of another catalogue would be scored without a word. */
static Status check_baselines(const Baselines *b, const Catalog *c)
{
    if (b->n == c->n) return OK;
    return FAIL(E_INPUT, "%s has %lld rows, %s has %lld: run `astroclip baselines` again", b->file.path,
                (long long)b->n, c->file.path, (long long)c->n);
}

/* Collective. predictions.h5 has its name before probes.h5 and scores.csv have theirs. */
static Status fit_and_write(ProbeSet *set, const Paths *p, const ProbeFiles *files, Run *run)
{
    const ProbeConfig *config = config_get(run->config, &probe_section);
    const RunConfig *rc = config_get(run->config, &run_section);
    Envelope envelope = set->envelope;
    Predictions predictions = {0};
    ProbeReports reports;
    Status st = OK;
    envelope.kind = "predictions";
    envelope.version = PREDICTIONS_VERSION;
    TRY(par_agree(&run->par, gemm_choose(rc->gemm, (int)rc->threads))); /* finds neighbours sooner, never others */
    TRY(predictions_create(&predictions, p->predictions, &envelope, files->catalog->n, &run->par, run->arena));
    clock_begin("fit");
    st = probe_fit_all(set, &predictions, &reports, config, files, (uint64_t)rc->seed, &run->par, run->arena);
    if (st == OK) clock_end("fit");
    set->envelope = envelope;
    set->envelope.kind = "probes";
    set->envelope.version = PROBES_VERSION;
    set->envelope.seconds = log_elapsed();
    if (st == OK) st = predictions_publish(&predictions, &run->par, run->arena);
    if (st == OK) st = reports_write(p->folder, &reports, set, &run->par, run->arena);
    if (st == OK) st = probes_write(p->path, set, &run->par, run->arena);
    predictions_close(&predictions);
    return st;
}

static Status run_probe(Run *run)
{
    const ProbeConfig *config = config_get(run->config, &probe_section);
    const Par *par = &run->par;
    Status st = OK;
    Catalog catalog = {0};
    Embeddings embeddings = {0};
    Baselines baselines = {0};
    Fingerprint fingerprint;
    ProbeSet set = {0};
    Paths p = {0};
    TRY_DONE(par_agree(par, find_paths(&p, run)));
    TRY_DONE(par_agree(par, stage_made_by("catalog", catalog_open(&catalog, p.catalog_path, NULL, run->arena))));
    TRY_DONE(par_agree(par, stage_made_by("embed", embeddings_open(&embeddings, p.embeddings_path, NULL, run->arena))));
    TRY_DONE(par_agree(par, probe_fingerprint(&fingerprint, run, &catalog, &embeddings)));
    if (is_current(&p, run, &fingerprint)) {
        log_info("probe: %s is current, nothing to do", p.path);
        goto done;
    }
    if (run->ask) {
        run->stale = true;
        goto done;
    }
    TRY_DONE(seal_check(&catalog.file, par, run->arena));
    if (config->baselines) {
        st = baselines_open(&baselines, p.baselines_path, NULL, run->arena);
        if (st == OK) st = check_baselines(&baselines, &catalog);
        TRY_DONE(par_agree(par, st));
    }
    const ProbeFiles files = {&catalog, &embeddings, config->baselines ? &baselines : NULL};
    TRY_DONE(par_agree(par, envelope_of(&set.envelope, run, fingerprint)));
    TRY_DONE(fit_and_write(&set, &p, &files, run));
    log_rows(&set);
    TRY_DONE(par_agree(par, log_table(&set)));
    log_info("probe: wrote %s, %s, %s and, beside them, coverage.csv, pit.csv, photoz.csv, table.csv", p.path,
             p.predictions, p.scores);
done:
    baselines_close(&baselines);
    embeddings_close(&embeddings);
    catalog_close(&catalog);
    return st;
}

static Status plan_probe(Run *run, FILE *out)
{
    const ProbeConfig *config = config_get(run->config, &probe_section);
    const Mark mark = arena_mark(run->arena);
    Catalog catalog = {0};
    Embeddings e = {0};
    Paths p;
    TRY(find_paths(&p, run));
    if (catalog_open(&catalog, p.catalog_path, NULL, run->arena) == OK &&
        embeddings_open(&e, p.embeddings_path, NULL, run->arena) == OK) {
        int64_t dim = 0;
        const ProbeFiles files = {&catalog, &e, NULL};
        for (const ProbeInputRow *row = probe_inputs; row->encoder; row++)
            dim = probe_input_dim(&files, row) > dim ? probe_input_dim(&files, row) : dim;
        fprintf(out,
                "probe: %lld rows, at most %lld numbers each, %lld properties; %.3g GB of memory per rank on %d ranks; "
                "writes %s, %s, %s\n",
                (long long)e.n, (long long)dim, (long long)config->properties.n,
                1e-9 * (double)probe_memory(config, e.n, dim, run->par.n_ranks), run->par.n_ranks, p.path,
                p.predictions, p.scores);
    } else {
        fail_clear();
        fprintf(out, "probe: %lld properties from each embedding, once %s and %s are there; writes %s, %s, %s\n",
                (long long)config->properties.n, p.catalog_path, p.embeddings_path, p.path, p.predictions, p.scores);
    }
    embeddings_close(&e);
    catalog_close(&catalog);
    arena_reset(run->arena, mark);
    return OK;
}

const Stage probe_stage = {
    .name = "probe",
    .reads = "catalog.h5 (labels, splits), embeddings.h5, baselines.h5 (if asked to)",
    .writes = "probes.h5, predictions.h5; scores.csv, coverage.csv, pit.csv, photoz.csv, table.csv",
    .help = "physical properties from embeddings, with their scores, and from photometry to compare with",
    .purpose = "Fits each property of the label table from each embedding (image, spectrum, both; and the encoders' "
               "own) on the train split, and\n"
               "scores train, val and test rows: R2, RMSE, bias, and for redshift sigma_NMAD and the share with "
               "|z_pred - z| > 0.15 (1 + z).\n"
               "The errors that later stand in properties.fits are those of the val split, in bins of magnitude. What "
               "each fit says of each row\n"
               "goes to predictions.h5. Sums go over a fixed tree of blocks of rows, so that the weights have the same "
               "bits for any number\n"
               "of ranks.",
    .revision = 4,
    .sections = sections,
    .tells = true,
    .run = run_probe,
    .plan = plan_probe,
};
