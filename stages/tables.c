/* tables.c - the stage: properties.fits from catalogue, embeddings and probes. */
#include <string.h>

#include "core/log.h"
#include "io/seal.h"
#include "stages.h"
#include "tables/properties.h"

static const ConfigSection *const sections[] = {&tables_section, NULL};

typedef struct {
    char *path; /* of properties.fits */
    Catalog catalog;
    Embeddings embeddings;
    ProbeSet probes;
    Predictions predictions;
} Inputs;

/* Local. Each rank opens the files by itself. */
static Status open_inputs(Inputs *in, const Run *run)
{
    char *path = NULL;
    TRY(stage_path(&in->path, run, "properties.fits"));
    TRY(stage_path(&path, run, "catalog.h5"));
    TRY(stage_made_by("catalog", catalog_open(&in->catalog, path, NULL, run->arena)));
    TRY(stage_path(&path, run, "embeddings.h5"));
    TRY(stage_made_by("embed", embeddings_open(&in->embeddings, path, NULL, run->arena)));
    TRY(stage_path(&path, run, "probes.h5"));
    TRY(stage_made_by("probe", probes_read(&in->probes, path, run->arena)));
    TRY(stage_path(&path, run, "predictions.h5"));
    return stage_made_by("probe", predictions_open(&in->predictions, path, NULL, run->arena));
}

static void close_inputs(Inputs *in)
{
    catalog_close(&in->catalog);
    embeddings_close(&in->embeddings);
    predictions_close(&in->predictions);
}

static Fingerprint fingerprint_of(const Run *run, const Inputs *in)
{
    HashState *h = stage_hash(run, &tables_stage);
    hash_add_text(h, in->catalog.envelope.fingerprint.text);
    hash_add_text(h, in->embeddings.envelope.fingerprint.text);
    hash_add_text(h, in->probes.envelope.fingerprint.text);
    return hash_close(h);
}

/* Probes of other embeddings would give numbers that look right: compares with the fingerprint that `probe` would give
   its file now. */
static Status check_probes(const Run *run, const Inputs *in)
{
    Fingerprint expected;
    TRY(probe_fingerprint(&expected, run, &in->catalog, &in->embeddings));
    if (strcmp(expected.text, in->probes.envelope.fingerprint.text) == 0) return OK;
    return FAIL(
        E_INPUT,
        "probes.h5 was made from other files than %s and %s, or with other settings: run `astroclip probe` again",
        in->catalog.file.path, in->embeddings.file.path);
}

static Status run_tables(Run *run)
{
    const TablesConfig *c = config_get(run->config, &tables_section);
    const Par *par = &run->par;
    Inputs in = {0};
    Envelope envelope;
    Status st = open_inputs(&in, run);
    if (st == OK) st = check_probes(run, &in);
    TRY_DONE(par_agree(par, st));
    Fingerprint fingerprint = fingerprint_of(run, &in);
    int64_t current = !run->force && par->rank == 0 && properties_current(in.path, &fingerprint, run->arena);
    par_bcast(par, &current, sizeof current, 0);
    if (current) {
        log_info("tables: %s is current, nothing to do", in.path);
        goto done;
    }
    if (run->ask) {
        run->stale = true;
        goto done;
    }
    TRY_DONE(seal_check(&in.catalog.file, par, run->arena));
    st = stage_envelope(&envelope, run, "properties", PROPERTIES_VERSION, &tables_stage, fingerprint);
    TRY_DONE(par_agree(par, st));
    envelope.provider =
        in.embeddings.envelope.provider; /* the only matrix products that matter here are the encoders' */
    PropertySources sources = {&in.catalog, &in.embeddings, &in.probes, &in.predictions, c};
    PropertyFiles told;
    TRY_DONE(properties_write(&told, in.path, &envelope, &sources, par, run->arena));
    if (c->match[0])
        log_info("tables: %lld rows in = %lld rows of %s + %lld others; %lld rows out, %lld without an object of ours",
                 (long long)in.catalog.n, (long long)told.matched, c->match, (long long)(in.catalog.n - told.matched),
                 (long long)told.rows, (long long)(told.rows - told.matched));
    else
        log_info("tables: %lld rows in, %lld rows out", (long long)in.catalog.n, (long long)told.rows);
    if (c->layout == LAYOUT_FLAT && c->files == FILES_ONE)
        log_info("tables: wrote %s and %s.sha256sum", in.path, in.path);
    else
        log_info("tables: wrote %d files, which %.*s.list names", told.files, (int)strlen(in.path) - 5, in.path);
done:
    close_inputs(&in);
    return st;
}

/* ---- the plan ---- */

/* All inputs with all properties: what `probe` writes when every label is there. */
static Status expect_probes(ProbeSet *p, Arena *a)
{
    *p = (ProbeSet){0};
    while (probe_inputs[p->n_inputs].encoder) p->n_inputs++;
    TRY(arena_new(&p->input, a, p->n_inputs));
    TRY(arena_new(&p->fit, a, (int64_t)p->n_inputs * N_LABELS));
    for (int i = 0; i < p->n_inputs; i++) {
        p->input[i].row = &probe_inputs[i];
        for (int k = 0; k < N_LABELS; k++) p->fit[p->n_fits++] = (ProbeFit){.input = i, .label = k, .probe = "ridge"};
    }
    return OK;
}

static Status plan_tables(Run *run, FILE *out)
{
    const TablesConfig *c = config_get(run->config, &tables_section);
    Inputs in = {0};
    PropertyLayout layout;
    KeyWidths widths = {{0}};
    char *path = NULL;
    Mark mark = arena_mark(run->arena);
    TRY(stage_path(&path, run, "catalog.h5"));
    bool rows_known = catalog_open(&in.catalog, path, NULL, run->arena) == OK;
    TRY(stage_path(&path, run, "probes.h5"));
    bool probes_known = probes_read(&in.probes, path, run->arena) == OK;
    if (!rows_known || !probes_known) fail_clear(); /* not made yet */
    Status st = probes_known ? OK : expect_probes(&in.probes, run->arena);
    if (st == OK) st = layout_make(&layout, &in.probes, c->probe, &widths, run->arena);
    if (st == OK) {
        fprintf(out, "tables: %d columns, %lld bytes per row%s", layout.n, (long long)layout.row_bytes,
                probes_known ? "" : " with all probes");
        if (rows_known)
            fprintf(out, "; %lld rows, %.3g GB", (long long)in.catalog.n,
                    1e-9 * (double)(in.catalog.n * layout.row_bytes));
        fprintf(out, "\n");
    }
    close_inputs(&in);
    arena_reset(run->arena, mark);
    return st;
}

const Stage tables_stage = {
    .name = "tables",
    .reads = "catalog.h5, embeddings.h5, probes.h5, predictions.h5",
    .writes = "properties.fits, its .sha256sum, .list and .rst; or the files of a value-added catalogue",
    .help = "the published catalogue: keys, properties with errors, flags",
    .purpose = "Applies the probes to every object's embeddings and writes one FITS table, a row per row of the "
               "catalogue: keys as in DESI's\n"
               "zcatalog, each property with its error from image, spectrum and both, flags, and how unlike the "
               "training set the object\n"
               "is. A second table lists the probes with their scores on the test split.",
    .revision = 2,
    .sections = sections,
    .tells = true,
    .run = run_tables,
    .plan = plan_tables,
};
