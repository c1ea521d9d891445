/* report.c - the page: its table of sections, what was run, the ledger. */
#include "tables/report.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "core/version.h"
#include "data/flags.h"
#include "io/artefact.h"

static const ConfigField report_fields[] = {
    FIELD_INT(ReportConfig, objects, "24", 0, 1000, RESULT, "galaxies in the gallery, chosen by their TARGETID"),
    FIELD_INT(ReportConfig, spectra, "6", 0, 1000, RESULT, "of these, spectra that are drawn"), FIELD_END};
const ConfigSection report_section = {"report", "the page that shows what a run made", report_fields,
                                      sizeof(ReportConfig), NULL};

static const ReportSection *const sections[] = {&report_artefacts, &report_galaxies, &report_truth,
                                                &report_scores,    &report_training, NULL};

/* HDF5 artefacts that a run may have made, and files of text. */
static const char *const artefacts[] = {"catalog.h5",        "dataset.h5",    "spectrum.ckpt.h5", "image.ckpt.h5",
                                        "astroclip.ckpt.h5", "embeddings.h5", "probes.h5",        NULL};
static const char *const texts[] = {
    "scores.csv", "retrieval.csv", "train_spectrum/metrics.csv", "train_image/metrics.csv", "align/metrics.csv", NULL};

Status report_path(char **out, const Report *r, const char *name)
{
    return arena_printf(out, r->arena, "%s/%s", r->output, name);
}

bool report_has(const Report *r, const char *name)
{
    char *path;
    const Mark mark = arena_mark(r->arena);
    const bool there = report_path(&path, r, name) == OK && access(path, R_OK) == 0;
    arena_reset(r->arena, mark);
    return there;
}

/* ---- what it depends on ---- */

/* The last column of metrics.csv is seconds: they differ from run to run and are not shown. */
static void hash_text_file(HashState *h, const Report *r, const char *name)
{
    char *path, line[4096];
    const bool timed = strstr(name, "metrics.csv") != NULL;
    const Mark mark = arena_mark(r->arena);
    FILE *f = report_path(&path, r, name) == OK ? fopen(path, "r") : NULL;
    hash_add_text(h, f ? name : "");
    while (f && fgets(line, sizeof line, f)) {
        char *last = timed ? strrchr(line, ',') : NULL;
        if (last) *last = 0;
        hash_add_text(h, line);
    }
    if (f) fclose(f);
    arena_reset(r->arena, mark);
}

static bool peek(Envelope *e, H5File *f, const Report *r, const char *name)
{
    char *path;
    memset(f, 0, sizeof *f);
    if (!report_has(r, name) || report_path(&path, r, name) != OK) return false;
    if (h5_open(f, path, NULL) == OK && artefact_peek(e, f, r->arena)) return true;
    if (h5_close(f) != OK || true) fail_clear(); /* the stage that reads it will say what is wrong */
    return false;
}

Fingerprint report_inputs(const Report *r)
{
    HashState *h = hash_open();
    const Mark mark = arena_mark(r->arena);
    for (int i = 0; artefacts[i]; i++) {
        Envelope e;
        H5File f;
        if (!peek(&e, &f, r, artefacts[i])) continue;
        hash_add_text(h, artefacts[i]);
        hash_add_text(h, e.fingerprint.text);
        if (h5_close(&f) != OK) fail_clear();
    }
    for (int i = 0; texts[i]; i++) hash_text_file(h, r, texts[i]);
    hash_add_text(h, report_has(r, r->truth) ? "truth" : "");
    arena_reset(r->arena, mark);
    return hash_close(h);
}

Status report_write(const Report *r, const char *folder, const Fingerprint *fingerprint)
{
    Page p = {0};
    Status st = page_open(&p, folder, "What this run made", fingerprint);
    for (int i = 0; sections[i] && st == OK; i++) {
        const Mark mark = arena_mark(r->arena);
        if (!sections[i]->applies(r)) continue;
        page_section(&p, sections[i]->title);
        st = sections[i]->write(&p, r);
        if (st != OK) fail_note("in section '%s' of the report", sections[i]->title);
        arena_reset(r->arena, mark);
    }
    const Status closed = page_close(&p);
    return st != OK ? st : closed;
}

/* ---- what was run ---- */

static bool always(const Report *r)
{
    (void)r;
    return true;
}

static void write_counts(Page *p, H5File *f, Modality m)
{
    char dataset[32];
    snprintf(dataset, sizeof dataset, "%s_flag", modality_name[m]);
    if (!h5_has(f, dataset)) return;
    for (const FlagRow *row = flags_table(m); row->bit; row++) {
        char name[64];
        int64_t n = 0;
        snprintf(name, sizeof name, "N_%s", row->name);
        if (h5_get_attr_i64(&n, f, dataset, name) && n > 0)
            page_row(p, "%s\t%s\t%" PRId64 "\t%s", modality_name[m], row->name, n, row->sentence);
    }
}

static Status write_artefacts(Page *p, const Report *r)
{
    static const char *const count[] = {"rows_in", "rows_out", "rows_rejected", "rows_skipped"};
    Envelope e;
    H5File f;
    page_text(p,
              "astroclip %s. Source rows are rows of the catalogue or rejected, each with its reason; every row of the "
              "catalogue is a row of what follows, with flags where something is missing.",
              program_version());
    page_table(p, "Artefacts and their ledgers",
               "file\trows in\trows out\trejected\tskipped\tspectra\timages\tfingerprint");
    for (int i = 0; artefacts[i]; i++) {
        char cell[4][24] = {"", "", "", ""};
        if (!peek(&e, &f, r, artefacts[i])) continue;
        for (int k = 0; k < 4; k++) {
            int64_t n;
            if (h5_get_attr_i64(&n, &f, "/", count[k])) snprintf(cell[k], sizeof cell[k], "%" PRId64, n);
        }
        page_row(p, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.8s...", artefacts[i], cell[0], cell[1], cell[2], cell[3],
                 e.specprod ? e.specprod : "", e.image_release ? e.image_release : "", e.fingerprint.text);
        TRY(h5_close(&f));
    }
    page_table_end(p);
    if (!peek(&e, &f, r, "embeddings.h5")) return OK;
    page_table(p, "Flags of the embeddings", "modality\tflag\trows\tmeaning");
    for (int m = 0; m < N_MODALITIES; m++) write_counts(p, &f, (Modality)m);
    page_table_end(p);
    return h5_close(&f);
}

const ReportSection report_artefacts = {"What was run", always, write_artefacts};

/* ---- tables of text ---- */

Status report_csv(Page *p, const Report *r, const char *name, const char *caption, int64_t most)
{
    char *path, line[2048];
    TRY(report_path(&path, r, name));
    FILE *f = fopen(path, "r");
    if (!f) return FAIL(E_INPUT, "%s cannot be read", path);
    for (int64_t i = 0; i <= most && fgets(line, sizeof line, f); i++) {
        line[strcspn(line, "\n")] = 0;
        for (char *c = line; *c; c++)
            if (*c == ',') *c = '\t';
        if (i == 0)
            page_table(p, caption, line);
        else
            page_row(p, "%s", line);
    }
    fclose(f);
    page_table_end(p);
    return OK;
}
