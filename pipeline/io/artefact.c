/* artefact.c - the envelope in HDF5 and in FITS, and how a file gets its final name.

   HDF5 root attribute    FITS primary keyword    what
   kind, version          ASTKIND, ASTVER         which artefact, which layout
   program                PROGRAM                 "astroclip"
   program_version        PROGVER                 version and commit
   created                DATE                    UTC, ISO 8601
   made_by                MADEBY                  the stage
   config                 CONFIG                  effective YAML; in FITS with "\n" for newlines
   seed                   SEED
   fingerprint            FPRINT                  of what the result depends on
   specprod               SPECPROD                spectroscopic production
   image_release          IMGREL                  imaging release
   gemm                   GEMM                    provider and instruction set
   seconds                SECONDS                 wall time of the stage
   ranks                  NRANKS                  MPI processes */
#include "io/artefact.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"
#include "core/version.h"

static const char program[] = "astroclip";

static void utc_now(char out[32])
{
    time_t now = time(NULL);
    struct tm t;
    gmtime_r(&now, &t);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &t);
}

static const char *text_or_empty(const char *text) { return text ? text : ""; }

/* ---- HDF5 ---- */

/* All ranks write the same attributes: what may differ between them is rank 0's. */
Status artefact_write(H5File *f, const Envelope *e)
{
    struct {
        char created[32];
        double seconds;
    } same = {.seconds = e->seconds};
    utc_now(same.created);
    if (f->par) par_bcast(f->par, &same, sizeof same, 0);
    char version[128];
    snprintf(version, sizeof version, "%s %s", program_version(), program_commit());

    TRY(h5_put_attr_text(f, "/", "kind", e->kind));
    TRY(h5_put_attr_i64(f, "/", "version", e->version));
    TRY(h5_put_attr_text(f, "/", "program", program));
    TRY(h5_put_attr_text(f, "/", "program_version", version));
    TRY(h5_put_attr_text(f, "/", "created", same.created));
    TRY(h5_put_attr_text(f, "/", "made_by", e->made_by));
    TRY(h5_put_attr_text(f, "/", "config", text_or_empty(e->config)));
    TRY(h5_put_attr_i64(f, "/", "seed", e->seed));
    TRY(h5_put_attr_text(f, "/", "fingerprint", e->fingerprint.text));
    TRY(h5_put_attr_text(f, "/", "specprod", text_or_empty(e->specprod)));
    TRY(h5_put_attr_text(f, "/", "image_release", text_or_empty(e->image_release)));
    TRY(h5_put_attr_text(f, "/", "gemm", text_or_empty(e->provider)));
    TRY(h5_put_attr_f64(f, "/", "seconds", same.seconds));
    return h5_put_attr_i64(f, "/", "ranks", e->ranks);
}

Status artefact_put_seconds(H5File *f)
{
    double seconds = log_elapsed();
    if (f->par) par_bcast(f->par, &seconds, sizeof seconds, 0);
    return h5_put_attr_f64(f, "/", "seconds", seconds);
}

static const char *text_of(H5File *f, const char *name, Arena *a)
{
    char *text = NULL;
    return h5_get_attr_text(&text, f, "/", name, a) ? text : "";
}

bool artefact_peek(Envelope *out, H5File *f, Arena *a)
{
    *out = (Envelope){.kind = text_of(f, "kind", a), .made_by = text_of(f, "made_by", a)};
    bool ours = out->kind[0] && h5_get_attr_i64(&out->version, f, "/", "version");
    out->config = text_of(f, "config", a);
    out->specprod = text_of(f, "specprod", a);
    out->image_release = text_of(f, "image_release", a);
    out->provider = text_of(f, "gemm", a);
    snprintf(out->fingerprint.text, sizeof out->fingerprint.text, "%s", text_of(f, "fingerprint", a));
    h5_get_attr_i64(&out->seed, f, "/", "seed");
    h5_get_attr_f64(&out->seconds, f, "/", "seconds");
    h5_get_attr_i64(&out->ranks, f, "/", "ranks");
    return ours;
}

static Status check_kind(const Envelope *e, const char *path, const char *kind, int64_t version, const char *made_by)
{
    if (strcmp(e->kind, kind) != 0)
        return FAIL(E_INPUT, "%s is '%s' version %lld, not '%s'; `astroclip %s` writes those", path, e->kind,
                    (long long)e->version, kind, made_by);
    if (e->version != version)
        return FAIL(E_INPUT, "%s is '%s' version %lld, this program reads version %lld; run `astroclip %s` again", path,
                    kind, (long long)e->version, (long long)version, made_by);
    return OK;
}

Status artefact_read(Envelope *out, H5File *f, const char *kind, int64_t version, const char *made_by, Arena *a)
{
    Status st = OK;
    if (!artefact_peek(out, f, a))
        st = FAIL(E_INPUT,
                  "%s is not a file of ours (it has no attributes 'kind' and 'version'); `astroclip %s` writes '%s'",
                  f->path, made_by, kind);
    else
        st = check_kind(out, f->path, kind, version, made_by);
    return f->par ? par_agree(f->par, st) : st;
}

/* ---- FITS ---- */

/* FITS text is printable ASCII on one line. */
static Status one_line(char **out, const char *text, Arena *a)
{
    TRY(arena_new(out, a, 2 * (int64_t)strlen(text) + 1));
    char *to = *out;
    for (const char *c = text; *c; c++) {
        if (*c == '\n' || *c == '\\' || *c == '\t') {
            *to++ = '\\';
            *to++ = *c == '\n' ? 'n' : *c == '\t' ? 't' : '\\';
        } else {
            *to++ = *c >= ' ' && *c <= '~' ? *c : '?';
        }
    }
    return OK;
}

static Status put_line(FitsFile *f, const char *key, const char *text, const char *comment)
{
    Arena a;
    TRY(arena_init(&a, "FITS keyword", 2 * strlen(text) + 4096));
    char *line = NULL;
    Status st = one_line(&line, text, &a);
    if (st == OK) st = fitsfile_put_text(f, key, line, comment);
    arena_free(&a);
    return st;
}

/* DEPNAMnn, DEPVERnn: the convention of DESI for what a file was made with. */
static Status put_libraries(FitsFile *f, const Envelope *e)
{
    char version[128];
    snprintf(version, sizeof version, "%s %s", program_version(), program_commit());
    const char *names[] = {program, "MPI", "HDF5", "cfitsio", "gemm"};
    const char *versions[] = {version, par_version(), h5_version(), fitsfile_version(), text_or_empty(e->provider)};
    for (unsigned i = 0, n = 0; i < 5; i++) {
        if (!versions[i][0]) continue; /* a stage without matrix products */
        char name_key[9], version_key[9];
        snprintf(name_key, sizeof name_key, "DEPNAM%02u", n % 100);
        snprintf(version_key, sizeof version_key, "DEPVER%02u", n++ % 100);
        TRY(put_line(f, name_key, names[i], "made with"));
        TRY(put_line(f, version_key, versions[i], ""));
    }
    return OK;
}

static Status put_seconds(FitsFile *f, double seconds)
{
    return fitsfile_put_f64(f, "SECONDS", seconds, "[s] wall time of the stage");
}

Status artefact_write_fits(FitsFile *f, const Envelope *e)
{
    char created[32];
    utc_now(created);
    TRY(put_line(f, "ASTKIND", e->kind, "what this file is"));
    TRY(fitsfile_put_i64(f, "ASTVER", e->version, "version of its layout"));
    TRY(put_line(f, "PROGRAM", program, ""));
    TRY(put_line(f, "PROGVER", program_version(), ""));
    TRY(put_line(f, "DATE", created, "UTC"));
    TRY(put_line(f, "MADEBY", e->made_by, "stage that wrote it"));
    TRY(fitsfile_put_i64(f, "SEED", e->seed, "of all random numbers"));
    TRY(put_line(f, "FPRINT", e->fingerprint.text, "fingerprint"));
    TRY(put_line(f, "SPECPROD", text_or_empty(e->specprod), "spectroscopic production"));
    TRY(put_line(f, "IMGREL", text_or_empty(e->image_release), "imaging release"));
    TRY(put_line(f, "GEMM", text_or_empty(e->provider), "matrix products by"));
    TRY(put_seconds(f, e->seconds));
    TRY(fitsfile_put_i64(f, "NRANKS", e->ranks, "MPI processes"));
    TRY(put_libraries(f, e));
    return put_line(f, "CONFIG", text_or_empty(e->config), "");
}

Status artefact_put_seconds_fits(FitsFile *f)
{
    TRY(fitsfile_goto_number(f, 0));
    TRY(put_seconds(f, log_elapsed()));
    return fitsfile_put_checksum(f);
}

/* ---- is it current? ---- */

static bool h5_is_current(const char *path, const char *kind, int64_t version, const Fingerprint *fingerprint)
{
    H5File f = {0};
    Arena a;
    Envelope e;
    if (arena_init(&a, "envelope", (size_t)64 << 20) != OK) return false;
    bool same = h5_open(&f, path, NULL) == OK && artefact_peek(&e, &f, &a) && strcmp(e.kind, kind) == 0 &&
                e.version == version && strcmp(e.fingerprint.text, fingerprint->text) == 0;
    h5_close(&f);
    arena_free(&a);
    return same;
}

static bool fits_is_current(const char *path, const char *kind, int64_t version, const Fingerprint *fingerprint)
{
    FitsFile f = {0};
    char its_kind[FITS_NAME] = "", print[FITS_NAME] = "";
    int64_t its_version = -1;
    bool same = fitsfile_open(&f, path) == OK && fitsfile_goto_number(&f, 0) == OK &&
                fitsfile_get_text(its_kind, sizeof its_kind, &f, "ASTKIND") && strcmp(its_kind, kind) == 0 &&
                fitsfile_get_i64(&its_version, &f, "ASTVER") && its_version == version &&
                fitsfile_get_text(print, sizeof print, &f, "FPRINT") && strcmp(print, fingerprint->text) == 0;
    fitsfile_close(&f);
    return same;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

bool artefact_is_current(const char *path, const char *kind, int64_t version, const Fingerprint *fingerprint)
{
    struct stat s;
    if (fingerprint->text[0] == '\0' || stat(path, &s) != 0) return false;
    bool fits = ends_with(path, ".fits") || ends_with(path, ".fits.gz");
    bool same =
        fits ? fits_is_current(path, kind, version, fingerprint) : h5_is_current(path, kind, version, fingerprint);
    if (!same) fail_clear(); /* a file that cannot be read is not current, and no failure */
    return same;
}

/* ---- folders and names ---- */

static Status make_folders(const char *path)
{
    char part[H5_PATH];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return FAIL(E_CONFIG, "the path '%.60s...' is longer than %d characters", path, H5_PATH - 1);
    for (char *c = part + (part[0] == '/');; c++) {
        if (*c != '/' && *c != '\0') continue;
        char kept = *c;
        *c = '\0';
        if (part[0] && mkdir(part, 0777) != 0 && errno != EEXIST)
            return FAIL(E_OUTPUT, "cannot make the folder %s: %s", part, strerror(errno));
        *c = kept;
        if (kept == '\0') break;
    }
    struct stat s;
    if (path[0] && (stat(path, &s) != 0 || !S_ISDIR(s.st_mode)))
        return FAIL(E_OUTPUT, "%s is not a folder; move it away or change the output folder", path);
    return OK;
}

Status artefact_make_folder(const Par *par, const char *path)
{
    return par_agree(par, par->rank == 0 ? make_folders(path) : OK);
}

Status artefact_make_folder_of(const Par *par, const char *file)
{
    char folder[H5_PATH];
    const char *slash = strrchr(file, '/');
    if (!slash || slash == file) return OK;
    Status st = slash - file < (ptrdiff_t)sizeof folder ? OK : FAIL(E_CONFIG, "the path '%.60s...' is too long", file);
    if (st == OK) snprintf(folder, sizeof folder, "%.*s", (int)(slash - file), file);
    TRY(par_agree(par, st));
    return artefact_make_folder(par, folder);
}

static Status sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    int bad = fd < 0 || fsync(fd) != 0;
    Status st = bad && errno != EINVAL ? FAIL(E_OUTPUT, "%s: cannot be synced to disk: %s", path, strerror(errno)) : OK;
    if (fd >= 0) close(fd);
    return st;
}

static Status publish(const char *path)
{
    char part[H5_PATH + 8], folder[H5_PATH];
    if (snprintf(folder, sizeof folder, "%s", path) >= (int)sizeof folder)
        return FAIL(E_CONFIG, "the path '%.60s...' is longer than %d characters", path, H5_PATH - 1);
    snprintf(part, sizeof part, "%s.part", path);
    TRY(sync_path(part, O_RDONLY));
    if (rename(part, path) != 0) return FAIL(E_OUTPUT, "cannot rename %s to %s: %s", part, path, strerror(errno));
    return sync_path(dirname(folder), O_RDONLY | O_DIRECTORY); /* the name itself; some file systems cannot (EINVAL) */
}

Status artefact_publish(const Par *par, const char *path)
{
    TRY(par_agree(par, FAIL_POINT("artefact.publish")));
    return par_agree(par, par->rank == 0 ? publish(path) : OK);
}
