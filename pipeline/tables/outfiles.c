/* outfiles.c - keys of files, their names, and the places of rows. */
#include "tables/outfiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

static const char *const probes[] = {"ridge", "knn", "mlp", "flow", NULL};
static const char *const files[] = {"one", "program", "pixel", NULL};
static const char *const layouts[] = {"flat", "vac", NULL};

static const ConfigField tables_fields[] = {
    FIELD_INT(TablesConfig, chunk_rows, "2048", 1, 1e7, EFFORT, "rows that a rank holds in memory at a time"),
    FIELD_TEXT(TablesConfig, probe, "ridge", RESULT,
               "probe whose predictions are published: ridge, knn, mlp or flow; ridge where it has none"),
    FIELD_CHOICE(TablesConfig, files, "one", files, RESULT,
                 "one file, one per survey and program, or one per HEALPix pixel of these"),
    FIELD_CHOICE(TablesConfig, layout, "flat", layouts, RESULT,
                 "files in run.output, or in the folders of a DESI value-added catalogue below it"),
    FIELD_TEXT(TablesConfig, release, "dr1", RESULT, "data release in the folders of a value-added catalogue"),
    FIELD_TEXT(TablesConfig, name, "astroclip", RESULT, "name of the value-added catalogue"),
    FIELD_TEXT(TablesConfig, version, "v1.0", RESULT, "version of the value-added catalogue"),
    FIELD_BOOL(TablesConfig, hdf5, "false", RESULT, "the same columns as an HDF5 file too"),
    FIELD_TEXT(
        TablesConfig, match, "", RESULT,
        "redshift catalogue (FITS) whose rows, in its order, the one file has; empty = the catalogue's own rows"),
    FIELD_END};

static bool is_name(const char *text)
{
    return text[0] && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(text);
}

static Status check(const void *config)
{
    const TablesConfig *c = config;
    bool known = false;
    for (int i = 0; probes[i]; i++) known = known || strcmp(probes[i], c->probe) == 0;
    if (!known) return FAIL(E_CONFIG, "tables.probe: '%s' is not one of: ridge, knn, mlp, flow", c->probe);
    if (c->match[0] && c->files != FILES_ONE)
        return FAIL(E_CONFIG, "tables.match makes one file with the rows of another: set tables.files to one");
    if (is_name(c->release) && is_name(c->name) && is_name(c->version)) return OK;
    return FAIL(E_CONFIG,
                "tables.release, tables.name and tables.version name folders: letters, digits, '.', '_' and '-'");
}

const ConfigSection tables_section = {"tables", "the published catalogue", tables_fields, sizeof(TablesConfig), check};

/* ---- keys ---- */

static int compare(const void *a, const void *b)
{
    const OutKey *x = a, *y = b;
    int order = strncmp(x->survey, y->survey, sizeof x->survey);
    if (order == 0) order = strncmp(x->program, y->program, sizeof x->program);
    return order != 0 ? order : (x->pixel > y->pixel) - (x->pixel < y->pixel);
}

static OutKey key_of(const CatalogRow *row, int mode)
{
    OutKey key = {{0}, {0}, -1};
    if (mode == FILES_ONE) return key;
    memcpy(key.survey, row->survey, sizeof key.survey);
    memcpy(key.program, row->program, sizeof key.program);
    if (mode == FILES_PIXEL) key.pixel = row->healpix;
    return key;
}

/* Sorted, each once. */
static int64_t unique(OutKey *key, int64_t n)
{
    int64_t kept = 0;
    qsort(key, (size_t)n, sizeof *key, compare);
    for (int64_t i = 0; i < n; i++)
        if (kept == 0 || compare(&key[kept - 1], &key[i]) != 0) key[kept++] = key[i];
    return kept;
}

/* Local. One key per row of this rank. */
static Status read_keys(OutKey *key, const OutFiles *out, const TablesConfig *c, Catalog *catalog, Arena *a)
{
    for (int64_t at = 0; at < out->n; at += c->chunk_rows) {
        const int64_t n = out->n - at < c->chunk_rows ? out->n - at : c->chunk_rows;
        const Mark mark = arena_mark(a);
        CatalogRow *row;
        TRY(par_continue());
        TRY(arena_new(&row, a, n));
        TRY(catalog_read(row, catalog, out->first + at, n, a));
        for (int64_t i = 0; i < n; i++) key[at + i] = key_of(&row[i], c->files);
        arena_reset(a, mark);
    }
    return OK;
}

/* ---- names ---- */

/* Rows of image surveys have neither survey nor program. */
static const char *word(const char cell[8], char out[16])
{
    snprintf(out, 16, "%.8s", cell[0] ? cell : "none");
    return out;
}

/* The path below the base folder. */
static Status file_name(char **out, const OutKey *k, const TablesConfig *c, const char *flat, const char *specprod,
                        Arena *a)
{
    char survey[16], program[16];
    const bool vac = c->layout == LAYOUT_VAC;
    const char *stem = vac ? c->name : flat;
    word(k->survey, survey);
    word(k->program, program);
    if (c->files == FILES_ONE && !vac) return arena_printf(out, a, "%s.fits", stem);
    if (c->files == FILES_ONE) return arena_printf(out, a, "%s-%s.fits", stem, specprod);
    if (c->files == FILES_PROGRAM && vac)
        return arena_printf(out, a, "catalogs/%s-%s-%s-%s.fits", stem, specprod, survey, program);
    if (c->files == FILES_PROGRAM) return arena_printf(out, a, "%s-%s-%s.fits", stem, survey, program);
    return arena_printf(out, a, "%s/%s/%s/%d/%d/%s-%s-%s-%d.fits", vac ? "healpix" : flat, survey, program,
                        k->pixel < 0 ? 0 : k->pixel / 100, k->pixel, stem, survey, program, k->pixel);
}

/* Of the folder that the file `below` lies in: `{dr}_vac_{dr}_{vac}_{specprod}_{version}_{path}.sha256sum`. */
static Status sums_name(char **out, const char *below, const TablesConfig *c, const char *flat, const char *specprod,
                        Arena *a)
{
    const char *slash = strrchr(below, '/');
    const int folder = slash ? (int)(slash - below) : 0;
    char *path;
    if (c->layout == LAYOUT_FLAT && c->files == FILES_ONE) return arena_printf(out, a, "%s.sha256sum", below);
    if (c->layout == LAYOUT_FLAT)
        return arena_printf(out, a, "%.*s%s%s.sha256sum", folder, below, slash ? "/" : "", flat);
    TRY(arena_printf(&path, a, "%.*s%s", folder, below, slash ? "_" : ""));
    for (char *at = path; *at; at++)
        if (*at == '/') *at = '_';
    if (slash) path[strlen(path) - 1] = '\0';
    return arena_printf(out, a, "%.*s%s%s_vac_%s_%s_%s_%s%s%s.sha256sum", folder, below, slash ? "/" : "", c->release,
                        c->release, c->name, specprod, c->version, slash ? "_" : "", path);
}

static Status name_files(OutFiles *out, const OutKey *key, const TablesConfig *c, const char *flat,
                         const char *specprod, Arena *a)
{
    TRY(arena_new(&out->sums, a, out->n_files));
    for (int f = 0; f < out->n_files; f++) {
        char *below, *sums;
        OutFile *file = &out->file[f];
        file->key = key[f];
        TRY(file_name(&below, &key[f], c, flat, specprod, a));
        TRY(sums_name(&sums, below, c, flat, specprod, a));
        TRY(arena_printf(&file->path, a, "%s/%s", out->base, below));
        TRY(arena_printf(&file->part, a, "%s.part", file->path));
        TRY(arena_printf(&sums, a, "%s/%s", out->base, sums));
        if (out->n_sums == 0 ||
            strcmp(out->sums[out->n_sums - 1].path, sums) != 0) { /* files of a folder are neighbours */
            OutSums *s = &out->sums[out->n_sums++];
            s->path = sums;
            TRY(arena_printf(&s->part, a, "%s.part", sums));
            TRY(arena_printf(&s->folder, a, "%.*s", (int)(strrchr(file->path, '/') - file->path), file->path));
        }
        file->sums = out->n_sums - 1;
    }
    return OK;
}

/* ---- places ---- */

/* Collective. Places among this rank's rows of a file, then moved behind those of the ranks before. */
static Status place_rows(OutFiles *out, const OutKey *mine, const OutKey *all, const Par *par, Arena *a)
{
    int64_t *before;
    TRY(par_agree(par, arena_new(&before, a, out->n_files)));
    for (int64_t i = 0; i < out->n; i++) {
        const OutKey *found = bsearch(&mine[i], all, (size_t)out->n_files, sizeof *all, compare);
        out->of[i] = (int32_t)(found - all);
        out->at[i] = out->file[out->of[i]].n++;
    }
    for (int f = 0; f < out->n_files; f++) {
        before[f] = par_offset_i64(par, out->file[f].n);
        par_sum_i64(par, &out->file[f].n, 1);
        clock_tick();
    }
    for (int64_t i = 0; i < out->n; i++) out->at[i] += before[out->of[i]];
    return OK;
}

Status outfiles_plan(OutFiles *out, const char *folder, const char *stem, const TablesConfig *c, const char *specprod,
                     Catalog *catalog, const Par *par, Arena *a)
{
    int64_t last, n_keys = 0;
    OutKey *mine = NULL, *some = NULL, *all = NULL;
    *out = (OutFiles){.stem = c->layout == LAYOUT_VAC ? c->name : stem};
    par_share(&out->first, &last, par, catalog->n);
    out->n = last - out->first;
    const char *product = specprod[0] ? specprod : "none";
    Status st = c->layout == LAYOUT_FLAT ? arena_printf(&out->base, a, "%s", folder)
                                         : arena_printf(&out->base, a, "%s/vac/%s/%s/%s/%s", folder, c->release,
                                                        c->name, product, c->version);
    if (st == OK) st = arena_new(&out->of, a, out->n);
    if (st == OK) st = arena_new(&out->at, a, out->n);
    if (st == OK) st = arena_new(&mine, a, out->n);
    if (st == OK) st = arena_new(&some, a, out->n + 1);
    if (st == OK) st = read_keys(mine, out, c, catalog, a);
    TRY(par_agree(par, st));
    memcpy(some, mine, (size_t)out->n * sizeof *some);
    int64_t n = out->n;
    if (c->files == FILES_ONE && par->rank == 0 && n == 0) some[n++] = (OutKey){{0}, {0}, -1}; /* a file without rows */
    TRY(par_allgather((void **)&all, &n_keys, par, some, unique(some, n), sizeof *some, a));
    out->n_files = (int)unique(all, n_keys);
    st = arena_new(&out->file, a, out->n_files);
    if (st == OK) st = name_files(out, all, c, stem, product, a);
    TRY(par_agree(par, st));
    TRY(place_rows(out, mine, all, par, a));
    if (!c->match[0]) return OK;
    TRY(rowmatch(&out->match, out->at, c->match, catalog, out->first, out->n, par, a));
    out->file[0].n = out->match.rows;
    return OK;
}
