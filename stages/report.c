/* report.c - the stage: report/index.html, for people. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "data/mock.h"
#include "stages.h"
#include "tables/report.h"

static const ConfigSection *const sections[] = {&report_section, &spectra_section, &images_section, NULL};

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *level)
{
    (void)info, (void)kind, (void)level;
    return remove(path);
}

static Status remove_folder(const char *path)
{
    if (access(path, F_OK) != 0 || nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0) return OK;
    return FAIL(E_OUTPUT, "%s cannot be removed: %s", path, strerror(errno));
}

/* Local. The folder is complete before it takes the place of the old one. */
static Status make(const Report *r, const char *folder, const char *part, const Fingerprint *fingerprint)
{
    TRY(FAIL_POINT("report.write"));
    TRY(report_write(r, part, fingerprint));
    TRY(remove_folder(folder));
    if (rename(part, folder) != 0) return FAIL(E_OUTPUT, "cannot rename %s to %s: %s", part, folder, strerror(errno));
    return OK;
}

static Fingerprint fingerprint_of(const Run *run, const Report *r)
{
    HashState *h = stage_hash(run, &report_stage);
    hash_add_text(h, report_inputs(r).text);
    return hash_close(h);
}

static Status run_report(Run *run)
{
    const RunConfig *c = config_get(run->config, &run_section);
    const Par *par = &run->par;
    const Report r = {.config = config_get(run->config, &report_section),
                      .release = config_get(run->config, &release_section),
                      .spectra = config_get(run->config, &spectra_section),
                      .images = config_get(run->config, &images_section),
                      .truth = ((const MockConfig *)config_get(run->config, &mock_section))->truth,
                      .output = c->output,
                      .arena = run->arena};
    char *folder = NULL, *part = NULL, *page = NULL;
    TRY(par_agree(par, stage_path(&folder, run, "report")));
    TRY(par_agree(par, stage_path(&part, run, "report.part")));
    TRY(par_agree(par, stage_path(&page, run, "report/index.html")));
    Fingerprint fingerprint = fingerprint_of(run, &r);
    int64_t current = !run->force && par->rank == 0 && page_is(page, &fingerprint);
    par_bcast(par, &current, sizeof current, 0);
    if (current) {
        log_info("report: %s is current, nothing to do", page);
        return OK;
    }
    if (run->ask) {
        run->stale = true;
        return OK;
    }
    TRY(par_agree(par, par->rank == 0 ? remove_folder(part) : OK));
    TRY(artefact_make_folder(par, part));
    TRY(par_agree(par, par->rank == 0 ? make(&r, folder, part, &fingerprint) : OK));
    log_info("report: wrote %s", page);
    return OK;
}

const Stage report_stage = {
    .name = "report",
    .reads = "what is in run.output, the release's spectra and images",
    .writes = "report/index.html and its plots",
    .help = "a page that shows what a run made",
    .purpose =
        "Writes a static page, to be opened from disk, with its plots (SVG, by gnuplot), pictures (PNG) and the "
        "numbers behind them\n"
        "(CSV): what was run, from what and how fast; the ledger; the sky; trainings; scores, predictions against "
        "truth, "
        "calibration; maps\n"
        "of the embeddings; the matches of `search`; outliers; galaxies and spectra. What a run has not made is left "
        "out.",
    .revision = 4,
    .sections = sections,
    .tells = true,
    .run = run_report,
};
