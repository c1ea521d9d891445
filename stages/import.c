/* import.c - the stage: a PyTorch checkpoint becomes one of ours. The first rank works; the others wait. */
#include <string.h>

#include "core/log.h"
#include "stages.h"
#include "train/import.h"

typedef struct {
    const char *input, *output;
    bool allow_nonfinite;
} ImportConfig;

static const ConfigField import_fields[] = {
    FIELD_TEXT(ImportConfig, input, "", EFFORT,
               "PyTorch checkpoint: AstroCLIP .ckpt, AstroDINO .pth, SpecFormer .ckpt, MoCo v2 .ckpt or .pth.tar"),
    FIELD_TEXT(ImportConfig, output, "astroclip.ckpt.h5", EFFORT, "checkpoint of ours, in run.output unless absolute"),
    FIELD_BOOL(ImportConfig, allow_nonfinite, "false", RESULT, "take weights that are NaN or Inf too"), FIELD_END};

const ConfigSection import_section = {"import", "weights from PyTorch", import_fields, sizeof(ImportConfig), NULL};

static const ConfigSection *const sections[] = {&import_section, NULL};

typedef struct {
    TorchFile f;
    OfficialModel model;
    char *to, *sizes;
} Plan;

static Status open_input(Plan *p, const Run *run)
{
    const ImportConfig *c = config_get(run->config, &import_section);
    if (!c->input[0]) return FAIL(E_CONFIG, "import.input is not set: it names the PyTorch checkpoint");
    TRY(stage_output(&p->to, run, c->output));
    TRY(torchfile_open(&p->f, c->input, run->arena));
    TRY(official_recognise(&p->model, &p->f, run->arena));
    return official_yaml(&p->sizes, &p->model, run->arena);
}

static Status import_file(Plan *p, Run *run)
{
    const ImportConfig *c = config_get(run->config, &import_section);
    ImportReport report;
    Envelope envelope;
    TRY(open_input(p, run));
    HashState *h = stage_hash(run, &import_stage);
    hash_add_text(h, torchfile_identity(&p->f).text);
    const Fingerprint fingerprint = hash_close(h);
    if (!run->force && artefact_is_current(p->to, "checkpoint", CHECKPOINT_VERSION, &fingerprint)) {
        log_info("import: %s is current, nothing to do", p->to);
        return OK;
    }
    if (run->ask) {
        run->stale = true;
        return OK;
    }
    TRY(artefact_make_folder_of(&par_alone, p->to));
    TRY(stage_envelope(&envelope, run, "checkpoint", CHECKPOINT_VERSION, &import_stage, fingerprint));
    envelope.specprod = envelope.image_release = envelope.provider = ""; /* weights are of no release */
    TRY(import_weights(&report, p->to, &p->f, &p->model, c->allow_nonfinite, &envelope, run->arena));
    if (report.not_finite > 0) log_warn("import: %lld tensors hold NaN or Inf", (long long)report.not_finite);
    log_info("import: %s: %lld tensors of %s, %lld weights; %lld tensors that serve training only left out", c->input,
             (long long)report.tensors, p->model.what, (long long)report.values, (long long)report.left_out);
    log_info("import: its sizes for a run file (the numbers of heads are in no tensor):\n%s", p->sizes);
    log_info("import: wrote %s", p->to);
    return OK;
}

static Status run_import(Run *run)
{
    Plan p = {0};
    Status st = run->par.rank == 0 ? import_file(&p, run) : OK;
    torchfile_close(&p.f);
    return par_agree(&run->par, st);
}

static Status plan_import(Run *run, FILE *out)
{
    Plan p = {0};
    Status st = open_input(&p, run);
    if (st == OK)
        fprintf(out, "import: %s with %lld tensors to %s; its sizes:\n%s", p.model.what, (long long)p.f.n, p.to,
                p.sizes);
    torchfile_close(&p.f);
    return st;
}

const Stage import_stage = {
    .name = "import",
    .reads = "a PyTorch checkpoint",
    .writes = "astroclip.ckpt.h5",
    .help = "weights from PyTorch, for embed.weights and baselines.moco",
    .purpose =
        "Reads a checkpoint of AstroCLIP (Lightning .ckpt), of AstroDINO (teacher .pth), of SpecFormer (.ckpt) or of "
        "MoCo v2 (the\n"
        "released .ckpt of Stein et al.) as data, without executing anything, checks every name, shape, checksum and "
        "value, and\n"
        "writes the weights under their official names. An encoder alone serves embed.sets [single] for its modality; "
        "of MoCo v2 the\n"
        "query encoder serves baselines.moco.",
    .revision = 1,
    .sections = sections,
    .tells = true,
    .run = run_import,
    .plan = plan_import,
};
