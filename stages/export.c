/* export.c - the stage: a checkpoint of ours becomes one that PyTorch loads. The first rank works; the others wait. */
#include "core/log.h"
#include "stages.h"
#include "train/import.h"

typedef struct {
    const char *input, *output;
} ExportConfig;

static const ConfigField export_fields[] = {FIELD_TEXT(ExportConfig, input, "astroclip.ckpt.h5", EFFORT,
                                                       "checkpoint of ours, in run.output unless absolute"),
                                            FIELD_TEXT(ExportConfig, output, "astroclip.ckpt", EFFORT,
                                                       "PyTorch checkpoint, in run.output unless absolute"),
                                            FIELD_END};

const ConfigSection export_section = {"export", "weights for PyTorch", export_fields, sizeof(ExportConfig), NULL};

static const ConfigSection *const sections[] = {&export_section, NULL};

static Status export_file(const Run *run)
{
    const ExportConfig *c = config_get(run->config, &export_section);
    char *from = NULL, *to = NULL;
    int64_t n = 0;
    TRY(stage_output(&from, run, c->input));
    TRY(stage_output(&to, run, c->output));
    TRY(artefact_make_folder_of(&par_alone, to));
    TRY(export_weights(&n, to, from, run->arena));
    log_info("export: wrote %lld tensors of %s to %s", (long long)n, from, to);
    return OK;
}

static Status run_export(Run *run) { return par_agree(&run->par, run->par.rank == 0 ? export_file(run) : OK); }

static Status plan_export(Run *run, FILE *out)
{
    const ExportConfig *c = config_get(run->config, &export_section);
    char *from = NULL, *to = NULL;
    TRY(stage_output(&from, run, c->input));
    TRY(stage_output(&to, run, c->output));
    fprintf(out, "export: %s to %s\n", from, to);
    return OK;
}

const Stage export_stage = {
    .name = "export",
    .reads = "astroclip.ckpt.h5",
    .writes = "astroclip.ckpt",
    .help = "weights for PyTorch",
    .purpose = "Writes a checkpoint of ours as a file that torch.load opens, under the official names: AstroCLIP as a "
               "Lightning checkpoint,\n"
               "an image encoder alone as AstroDINO's teacher file, a spectrum encoder alone as SpecFormer's, the "
               "query encoder "
               "of MoCo v2 as\n"
               "a part of its Lightning checkpoint (strict=False).",
    .revision = 1,
    .sections = sections,
    .run = run_export,
    .plan = plan_export,
};
