/* reuse.c - the earlier run: may its embeddings serve, and copying them into blocks. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "embed/embed.h"

const char *const reuse_sentence[N_REUSE] = {
    [REUSE_TAKEN] = "taken",
    [REUSE_NO_DATA] = "without data",
    [REUSE_OTHER_RECIPE] = "of another recipe",
    [REUSE_NEW_ROW] = "new",
    [REUSE_OTHER_PLACE] = "at another place (position, pixel, tile)",
    [REUSE_OTHER_FILE] = "with new or changed input files",
    [REUSE_UNSURE] = "flagged: other files had a part, or reading failed",
    [REUSE_NOT_THERE] = "not in the earlier run's volumes",
};

struct Reuse {
    char folder[H5_PATH]; /* of the earlier run */
    char plan_path[H5_PATH];
    Catalog catalog;
    Embeddings embeddings;
    H5File plan;
    bool usable[N_MODALITIES];
    int64_t n_changed; /* files in both manifests that differ */
};

static const char *const recipe_attribute[N_MODALITIES] = {"image_recipe", "spectrum_recipe"};
static const EmbeddingSet sets_of[N_MODALITIES][2] = {{SET_IMAGE, SET_ASTRODINO}, {SET_SPECTRUM, SET_SPECFORMER}};

/* Flags whose rows are computed again: pixels of bricks that the row's files do not name, missing neighbours, and what a
   better day may mend. */
static const int32_t unsure[N_MODALITIES] = {IMAGE_NO_BRICK | IMAGE_UNREADABLE | IMAGE_MOSAIC | IMAGE_PADDED |
                                                 IMAGE_BAD_EMBEDDING | IMAGE_NOT_ASKED | IMAGE_FILE_LOST,
                                             SPECTRUM_NO_FILE | SPECTRUM_UNREADABLE | SPECTRUM_BAD_EMBEDDING |
                                                 SPECTRUM_NOT_ASKED | SPECTRUM_FILE_LOST};

/* ---- recipes ---- */

/* The value of a line "key=value" of a recipe; NULL = there is none. */
static const char *value_of(const char *recipe, const char *key, size_t length)
{
    for (const char *line = recipe; *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (strncmp(line, key, length) == 0 && line[length] == '=') return line + length + 1;
    return NULL;
}

bool reuse_recipe_differs(char *out, size_t size, const char *here, const char *there)
{
    for (int side = 0; side < 2; side++) {
        const char *mine = side ? there : here, *other = side ? here : there;
        for (const char *line = mine; *line; line += strcspn(line, "\n"), line += *line == '\n') {
            size_t key = strcspn(line, "=\n"), length = strcspn(line, "\n");
            const char *value = line + key + (line[key] == '='), *found = value_of(other, line, key);
            size_t n = (size_t)(line + length - value);
            if (found && strcspn(found, "\n") == n && strncmp(found, value, n) == 0) continue;
            const char *a = side ? found : value, *b = side ? value : found;
            snprintf(out, size, "%.*s is %.*s here and %.*s there", (int)key, line, a ? (int)strcspn(a, "\n") : 6,
                     a ? a : "absent", b ? (int)strcspn(b, "\n") : 6, b ? b : "absent");
            return true;
        }
    }
    return false;
}

/* Local. Is there anything of the modality to take? One line says why not. */
static bool is_usable(Reuse *r, const Embedder *e, Modality m, Arena *a)
{
    char *there = NULL, what[600] = "";
    if (!h5_get_attr_text(&there, &r->embeddings.file, "/", recipe_attribute[m], a))
        snprintf(what, sizeof what, "it does not say how its embeddings of them were made");
    else
        reuse_recipe_differs(what, sizeof what, e->recipe[m], there);
    for (int s = 0; s < 2 && !what[0]; s++)
        if (e->dim[sets_of[m][s]] != 0 && r->embeddings.dim[sets_of[m][s]] != e->dim[sets_of[m][s]])
            snprintf(what, sizeof what, "it has no %s of this size", embedding_dataset[sets_of[m][s]]);
    if (what[0]) log_info("embed.reuse: no embedding of %s is taken from %s: %s", modality_name[m], r->folder, what);
    return what[0] == '\0';
}

/* ---- open ---- */

static bool same_folder(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Local. Both files of the earlier run, and do they belong together? */
static Status open_old(Reuse *r, const char *output, Arena *a)
{
    char path[H5_PATH + 32], *inputs = NULL;
    if (same_folder(r->folder, output))
        return FAIL(E_CONFIG, "embed.reuse names this run's own folder %s: name that of an earlier run", output);
    snprintf(path, sizeof path, "%s/catalog.h5", r->folder);
    Status st = catalog_open(&r->catalog, path, NULL, a);
    snprintf(path, sizeof path, "%s/embeddings.h5", r->folder);
    if (st == OK) st = embeddings_open(&r->embeddings, path, NULL, a);
    if (st != OK) {
        fail_note("embed.reuse wants the folder of an earlier run with its catalog.h5, embeddings.h5 and volumes");
        return st;
    }
    bool known = h5_get_attr_text(&inputs, &r->embeddings.file, "/", "inputs", a);
    if (r->embeddings.n != r->catalog.n || (known && strcmp(inputs, r->catalog.manifest.text) != 0))
        return FAIL(E_INPUT,
                    "embed.reuse: %s was not made from the catalog.h5 beside it: run `astroclip embed` there, or leave "
                    "embed.reuse empty",
                    path);
    return OK;
}

/* Local. This rank's part of the plan. */
static Status write_plan(Reuse *r, const ReusePlan *plan, int64_t first, int64_t n, Arena *a)
{
    int64_t *old = NULL;
    uint8_t(*why)[N_MODALITIES] = NULL;
    TRY(FAIL_POINT("embed.reuse"));
    TRY(arena_new(&old, a, n));
    TRY(arena_new(&why, a, n));
    for (int64_t i = 0; i < n; i++) {
        old[i] = plan[i].old_row;
        memcpy(why[i], plan[i].why, sizeof why[i]);
    }
    TRY(h5_write_rows(&r->plan, "old_row", H5_I64, 0, old, first, n));
    return h5_write_rows(&r->plan, "why", H5_U8, 0, why, first, n);
}

/* Collective. Works the plan out and writes it where blocks read it. */
static Status make_plan(Reuse *r, const Embedder *e, const char *folder, const Par *par, Arena *a)
{
    Status st = OK;
    ReusePlan *plan = NULL;
    int64_t first, last, n = e->catalog->n;
    char *volumes = NULL;
    const Mark mark = arena_mark(a);
    TRY(par_agree(par, arena_printf(&volumes, a, "%s/embeddings", folder)));
    TRY(artefact_make_folder(par, volumes));
    TRY(reuse_plan(&plan, &r->n_changed, e, &r->catalog, r->usable, par, a));
    par_share(&first, &last, par, n);
    snprintf(r->plan_path, sizeof r->plan_path, "%.1000s/reuse.h5", volumes);
    TRY_DONE(h5_create(&r->plan, r->plan_path, par));
    TRY_DONE(h5_new(&r->plan, "old_row", H5_I64, 0, (int64_t[]){n}, 1));
    TRY_DONE(h5_new(&r->plan, "why", H5_U8, 0, (int64_t[]){n, N_MODALITIES}, 2));
    TRY_DONE(par_agree(par, write_plan(r, plan, first, last - first, a)));
    TRY_DONE(h5_close(&r->plan));
    par_barrier(par);
    st = par_agree(par, h5_open(&r->plan, r->plan_path, NULL));
done:
    arena_reset(a, mark);
    return st;
}

Status reuse_open(Reuse **out, const Embedder *e, const char *old, const char *folder, const Par *par, Arena *a)
{
    Reuse *r = NULL;
    *out = NULL;
    if (!old[0]) return OK;
    TRY(par_agree(par, arena_new(&r, a, 1))); /* from here on all ranks close together */
    Status st = OK;
    if (strlen(old) > H5_PATH - 32) st = FAIL(E_CONFIG, "embed.reuse: the path is too long");
    if (st == OK) snprintf(r->folder, sizeof r->folder, "%s", old);
    if (st == OK) st = open_old(r, folder, a);
    st = par_agree(par, st);
    if (st == OK)
        for (int m = 0; m < N_MODALITIES; m++) r->usable[m] = e->want[m] && is_usable(r, e, (Modality)m, a);
    if (st == OK && (r->usable[0] || r->usable[1])) {
        clock_begin("plan reuse");
        st = make_plan(r, e, folder, par, a);
        clock_end("plan reuse");
        if (st == OK) *out = r;
    }
    if (!*out) reuse_close(r, par);
    return st;
}

void reuse_close(Reuse *r, const Par *par)
{
    if (!r) return;
    h5_close(&r->plan);
    catalog_close(&r->catalog);
    if (r->embeddings.file.id > 0) embeddings_close(&r->embeddings);
    par_barrier(par);
    if (par->rank == 0 && r->plan_path[0]) unlink(r->plan_path);
}

/* ---- blocks ---- */

/* What the old files hold of rows [first, first + n). */
typedef struct {
    int64_t *id;
    float *set[N_SETS], *stats[N_MODALITIES];
    int32_t *flag[N_MODALITIES];
} OldRows;

static const int64_t n_stats[N_MODALITIES] = {N_IMAGE_STATS, N_SPECTRUM_STATS};

static Status read_old(OldRows *out, Reuse *r, const Embedder *e, int64_t first, int64_t n, Arena *a)
{
    Embeddings *m = &r->embeddings;
    *out = (OldRows){0};
    TRY(arena_new(&out->id, a, n));
    TRY(embeddings_read_targets(out->id, m, first, n));
    for (int k = 0; k < N_MODALITIES; k++) {
        if (!r->usable[k]) continue;
        TRY(arena_new(&out->flag[k], a, n));
        TRY(embeddings_read_flags(out->flag[k], m, (Modality)k, first, n));
        TRY(arena_new(&out->stats[k], a, n * n_stats[k]));
        TRY(k == MODALITY_IMAGE ? embeddings_read_image_stats(out->stats[k], m, first, n)
                                : embeddings_read_spectrum_stats(out->stats[k], m, first, n));
        for (int s = 0; s < 2; s++) {
            EmbeddingSet set = sets_of[k][s];
            if (e->dim[set] == 0) continue;
            TRY(arena_new(&out->set[set], a, n * e->dim[set]));
            TRY(embeddings_read(out->set[set], m, set, first, n));
        }
    }
    return OK;
}

static bool all_finite(const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

/* Row k of the old rows into row i of the block, one modality; or why not. */
static ReuseWhy take_row(EmbedBlock *b, int64_t i, const OldRows *old, int64_t k, Modality m, const Embedder *e)
{
    int32_t flag = old->flag[m][k];
    bool zero_bands = e->images->missing_band == MISSING_BAND_ZERO;
    if (flag < 0) return REUSE_NOT_THERE; /* what a missing volume reads as */
    if (flag & unsure[m]) return REUSE_UNSURE;
    bool embedded = !flags_fatal(m, flag, zero_bands);
    for (int s = 0; s < 2; s++) {
        int64_t dim = e->dim[sets_of[m][s]];
        if (dim > 0 && embedded && !all_finite(old->set[sets_of[m][s]] + k * dim, dim)) return REUSE_NOT_THERE;
    }
    for (int s = 0; s < 2 && embedded; s++) {
        int64_t dim = e->dim[sets_of[m][s]];
        if (dim > 0)
            memcpy(b->set[sets_of[m][s]] + i * dim, old->set[sets_of[m][s]] + k * dim, (size_t)dim * sizeof(float));
    }
    float *stats = m == MODALITY_IMAGE ? b->image_stats : b->spectrum_stats;
    memcpy(stats + i * n_stats[m], old->stats[m] + k * n_stats[m], (size_t)n_stats[m] * sizeof(float));
    b->flag[m][i] = flag;
    b->taken[m][i] = 1;
    return REUSE_TAKEN;
}

/* Rows [from, from + n) of the block, whose old rows follow each other. */
static Status take_run(EmbedBlock *b, Reuse *r, const Embedder *e, int64_t from, int64_t n, int64_t old_row,
                       uint8_t (*why)[N_MODALITIES], Arena *a)
{
    const Mark mark = arena_mark(a);
    OldRows old;
    TRY(read_old(&old, r, e, old_row, n, a));
    for (int64_t k = 0; k < n; k++) {
        if (old.id[k] != b->row[from + k].targetid && old.id[k] != -1) /* -1: a missing volume */
            return FAIL(E_INPUT, "%s: row %lld is TARGETID %lld, in the catalog.h5 beside it %lld: remove embed.reuse",
                        r->embeddings.file.path, (long long)(old_row + k), (long long)old.id[k],
                        (long long)b->row[from + k].targetid);
        for (int m = 0; m < N_MODALITIES; m++)
            if (why[from + k][m] == REUSE_TAKEN)
                why[from + k][m] = (uint8_t)take_row(b, from + k, &old, k, (Modality)m, e);
    }
    arena_reset(a, mark);
    return OK;
}

Status reuse_take(EmbedBlock *b, Reuse *r, const Embedder *e, Arena *a)
{
    int64_t *old = NULL, n = b->n;
    uint8_t(*why)[N_MODALITIES] = NULL;
    for (int m = 0; m < N_MODALITIES; m++) TRY(arena_new(&b->taken[m], a, n));
    const Mark mark = arena_mark(a);
    TRY(arena_new(&old, a, n));
    TRY(arena_new(&why, a, n));
    TRY(h5_read_rows(old, &r->plan, "old_row", H5_I64, 0, b->first, n));
    TRY(h5_read_rows(why, &r->plan, "why", H5_U8, 0, b->first, n));
    for (int64_t i = 0, end; i < n; i = end) {
        end = i + 1;
        bool any = why[i][0] == REUSE_TAKEN || why[i][1] == REUSE_TAKEN;
        if (!any) continue;
        while (end < n && old[end] == old[end - 1] + 1 && (why[end][0] == REUSE_TAKEN || why[end][1] == REUSE_TAKEN))
            end++;
        TRY(take_run(b, r, e, i, end - i, old[i], why, a));
    }
    for (int64_t i = 0; i < n; i++)
        for (int m = 0; m < N_MODALITIES; m++)
            if (e->want[m]) b->reuse[m][why[i][m]]++;
    arena_reset(a, mark);
    return OK;
}

/* ---- what came out ---- */

void reuse_log(const Reuse *r, const Embedder *e, int64_t count[N_MODALITIES][N_REUSE])
{
    if (!r) return;
    for (int m = 0; m < N_MODALITIES; m++) {
        if (!e->want[m]) continue;
        char why[600] = "";
        int64_t computed = 0;
        for (int k = REUSE_OTHER_RECIPE; k < N_REUSE; k++) {
            size_t used = strlen(why);
            if (count[m][k] == 0) continue;
            snprintf(why + used, sizeof why - used, "%s%lld %s", computed ? ", " : ": ", (long long)count[m][k],
                     reuse_sentence[k]);
            computed += count[m][k];
        }
        log_info("embed: %s of %lld rows taken from %s, of %lld computed%s", modality_name[m],
                 (long long)count[m][REUSE_TAKEN], r->folder, (long long)computed, why);
    }
    log_info("embed: %lld files of spectra and images changed since %s", (long long)r->n_changed, r->folder);
}
