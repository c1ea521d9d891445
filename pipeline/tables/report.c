/* report.c - the page: its table of sections, what was run, the ledger. */
#include "tables/report.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "core/version.h"
#include "io/artefact.h"
#include "probe/ann.h"

static const ConfigField report_fields[] = {
    FIELD_INT(ReportConfig, objects, "24", 0, 1000, RESULT, "galaxies in the gallery, chosen by their TARGETID"),
    FIELD_INT(ReportConfig, spectra, "6", 0, 1000, RESULT, "of these, spectra that are drawn"),
    FIELD_INT(ReportConfig, queries, "4", 0, 100, RESULT, "of matches.fits, those whose matches are shown"),
    FIELD_INT(ReportConfig, map_objects, "1000", 0, 5000, RESULT, "on the map of the embeddings"),
    FIELD_INT(ReportConfig, outliers, "8", 0, 50, RESULT, "of each kind"),
    FIELD_END};
const ConfigSection report_section = {"report", "the page that shows what a run made", report_fields,
                                      sizeof(ReportConfig), NULL};

static const ReportSection *const sections[] = {
    &report_artefacts,   &report_ledger,   &report_sky, &report_training, &report_scores,
    &report_predictions, &report_coverage, &report_map, &report_similar,  &report_outliers,
    &report_galaxies,    &report_truth,    NULL};
enum { N_SECTIONS = sizeof sections / sizeof *sections };

/* HDF5 artefacts that a run may have made, and files of text. */
static const char *const artefacts[] = {"catalog.h5",
                                        "dataset.h5",
                                        "spectrum.ckpt.h5",
                                        "image.ckpt.h5",
                                        "moco.ckpt.h5",
                                        "astroclip.ckpt.h5",
                                        "embeddings.h5",
                                        "baselines.h5",
                                        "probes.h5",
                                        "predictions.h5",
                                        NULL};
static const char *const tables[] = {"properties.fits", "matches.fits", NULL};
static const char *const texts[] = {"scores.csv",
                                    "table.csv",
                                    "coverage.csv",
                                    "pit.csv",
                                    "retrieval.csv",
                                    "train_spectrum/metrics.csv",
                                    "train_image/metrics.csv",
                                    "train_moco/metrics.csv",
                                    "align/metrics.csv",
                                    "baselines/resnet18/metrics.csv",
                                    "baselines/conv_att/metrics.csv",
                                    NULL};

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

typedef struct {
    int64_t in, out; /* -1 = the file does not say */
} TableRows;

/* What the header of a FITS artefact says. */
static bool peek_table(Envelope *e, TableRows *rows, const Report *r, const char *name)
{
    FitsFile f = {0};
    char *path, text[FITS_NAME] = "";
    *e = (Envelope){0};
    bool good = report_has(r, name) && report_path(&path, r, name) == OK && fitsfile_open(&f, path) == OK &&
                fitsfile_goto_number(&f, 0) == OK && fitsfile_get_text(text, sizeof text, &f, "FPRINT");
    if (good) {
        snprintf(e->fingerprint.text, sizeof e->fingerprint.text, "%.32s", text);
        fitsfile_get_f64(&e->seconds, &f, "SECONDS");
        fitsfile_get_i64(&e->ranks, &f, "NRANKS");
        if (!fitsfile_get_i64(&rows->in, &f, "ROWSIN")) rows->in = -1;
        if (!fitsfile_get_i64(&rows->out, &f, "ROWSOUT")) rows->out = -1;
    }
    fitsfile_close(&f);
    fail_clear();
    return good;
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
    for (int i = 0; tables[i]; i++) {
        Envelope e;
        TableRows rows;
        if (!peek_table(&e, &rows, r, tables[i])) continue;
        hash_add_text(h, tables[i]);
        hash_add_text(h, e.fingerprint.text);
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
    const char *title[N_SECTIONS] = {NULL};
    for (int i = 0, n = 0; sections[i]; i++)
        if (sections[i]->applies(r)) title[n++] = sections[i]->title;
    if (st == OK) page_contents(&p, title);
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

/* One line of a table of what a stage took: these differ from run to run, and are marked so. */
static void write_time(Page *p, const char *name, const Envelope *e, int64_t rows)
{
    char rate[32] = "", took[32];
    if (rows > 0 && e->seconds > 0)
        snprintf(rate, sizeof rate, (double)rows > 100 * e->seconds ? "%.0f" : "%.3g", (double)rows / e->seconds);
    snprintf(took, sizeof took, "%.1f", e->seconds);
    page_row(p, "%s\t%s\t%" PRId64 "\t%s\t%s", name, took, e->ranks, rate, e->provider ? e->provider : "");
}

static Status write_times(Page *p, const Report *r)
{
    TableRows rows;
    Envelope e;
    H5File f;
    page_table(p, "How long the stages took", "file\tseconds\tranks\trows per second\tmatrix products");
    p->row_class = "run";
    for (int i = 0; artefacts[i]; i++) {
        int64_t n = 0;
        if (!peek(&e, &f, r, artefacts[i])) continue;
        h5_get_attr_i64(&n, &f, "/", "rows_out");
        write_time(p, artefacts[i], &e, n);
        TRY(h5_close(&f));
    }
    for (int i = 0; tables[i]; i++)
        if (peek_table(&e, &rows, r, tables[i])) write_time(p, tables[i], &e, rows.in);
    p->row_class = NULL;
    page_table_end(p);
    return OK;
}

/* Files that the catalogue came from or leads to, by what they are for. */
static Status write_inputs(Page *p, const Report *r)
{
    enum { CHUNK = 4096, MOST = 16 };
    Catalog c = {0};
    ManifestRow *row = NULL;
    char *path, role[MOST][16];
    int64_t files[MOST] = {0}, absent[MOST] = {0};
    double bytes[MOST] = {0};
    int n = 0;
    Status st = OK;
    if (!report_has(r, "catalog.h5")) return OK;
    TRY(report_path(&path, r, "catalog.h5"));
    TRY_DONE(catalog_open(&c, path, NULL, r->arena));
    TRY_DONE(arena_new(&row, r->arena, CHUNK));
    for (int64_t at = 0; at < c.n_manifest; at += CHUNK) {
        const int64_t here = c.n_manifest - at < CHUNK ? c.n_manifest - at : CHUNK;
        TRY_DONE(catalog_read_manifest(row, &c, at, here, r->arena));
        for (int64_t i = 0; i < here; i++) { /* sorted by role */
            if (n == 0 || strcmp(role[n - 1], row[i].role) != 0) {
                if (n == MOST) break;
                snprintf(role[n++], sizeof *role, "%s", row[i].role);
            }
            files[n - 1]++;
            absent[n - 1] += row[i].size < 0;
            bytes[n - 1] += row[i].size > 0 ? (double)row[i].size : 0;
        }
    }
    page_table(p, "Input files", "files of\tfiles\tnot there\tMB");
    for (int i = 0; i < n; i++)
        page_row(p, "%s\t%" PRId64 "\t%" PRId64 "\t%.1f", role[i], files[i], absent[i], 1e-6 * bytes[i]);
    page_table_end(p);
done:
    catalog_close(&c);
    return st;
}

/* Of the program that writes the page; what made an artefact stands in the artefact. */
static void write_versions(Page *p)
{
    char text[1024];
    snprintf(text, sizeof text,
             "astroclip %s (%s)\nMPI       %s\nHDF5      %s\ncfitsio   %s\nFAISS     %s\nCPU       %s\n",
             program_version(), program_commit(), par_version(), h5_version(), fitsfile_version(),
             ann_available() ? ann_version() : "not built in", program_instructions());
    page_details(p, "Versions", text);
}

/* The configuration of the latest stage that tells it. */
static Status write_config(Page *p, const Report *r)
{
    Envelope e;
    H5File f;
    static const char *const tell[] = {"probes.h5", "embeddings.h5", "catalog.h5", NULL};
    for (int i = 0; tell[i]; i++) {
        char summary[128];
        if (!peek(&e, &f, r, tell[i])) continue;
        snprintf(summary, sizeof summary, "Configuration, as %s holds it", tell[i]);
        page_details(p, summary, e.config);
        return h5_close(&f);
    }
    return OK;
}

static Status write_artefacts(Page *p, const Report *r)
{
    TableRows rows;
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
    for (int i = 0; tables[i]; i++) {
        char cell[2][24] = {"", ""};
        if (!peek_table(&e, &rows, r, tables[i])) continue;
        if (rows.in >= 0) snprintf(cell[0], sizeof cell[0], "%" PRId64, rows.in);
        if (rows.out >= 0) snprintf(cell[1], sizeof cell[1], "%" PRId64, rows.out);
        page_row(p, "%s\t%s\t%s\t\t\t\t\t%.8s...", tables[i], cell[0], cell[1], e.fingerprint.text);
    }
    page_table_end(p);
    TRY(write_times(p, r));
    TRY(write_inputs(p, r));
    write_versions(p);
    return write_config(p, r);
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
