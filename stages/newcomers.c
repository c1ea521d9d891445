/* newcomers.c - a file becomes rows as the survey of its kind would list them, their spectra or cutouts are read by that survey's
   reader, and the model takes them. */
#include "newcomers.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "data/cutouts.h"
#include "data/desi.h"
#include "data/extinction.h"
#include "data/sdss.h"
#include "embedder.h"
#include "nn/gemm.h"

enum { BATCH = 64 }; /* objects read at a time */

/* A file and the numbers [first, first + n) of its objects among all newcomers. */
typedef struct {
    char *path; /* absolute */
    Modality modality;
    bool sdss;
    int64_t first, n;
} NewFile;

typedef struct {
    const Run *run;
    const Model *model;
    int64_t dim;
    NewFile *file;
    int64_t n_files, n;
} Newcomers;

/* What the surveys' readers want to know where a file stands alone. */
static const DesiConfig desi_alone = {.root = "", .specprod = "", .redshifts = REDSHIFTS_COADD};
static const SdssConfig sdss_alone = {
    .root = "", .run2d = "", .catalog = "", .layout = SDSS_FLAT, .mask_bits = UINT32_MAX};
static const CutoutsConfig cutouts_alone = {.root = "", .release = ""};

static const SpectrumSurvey *survey_of(const NewFile *f, const void **config)
{
    *config = f->sdss ? (const void *)&sdss_alone : &desi_alone;
    return f->sdss ? &sdss_survey : &desi_survey;
}

/* ---- files ---- */

static Status add_file(Newcomers *w, const char *name, Modality m)
{
    char path[PATH_MAX];
    SdssName sdss;
    NewFile *f = &w->file[w->n_files];
    if (!realpath(name, path))
        return FAIL(E_INPUT, "search.%s: %s: %s", m == MODALITY_IMAGE ? "cutouts" : "spectra", name, strerror(errno));
    *f = (NewFile){.modality = m, .first = w->n, .n = 1};
    TRY(arena_text(&f->path, w->run->arena, path));
    f->sdss = sdss_parse_name(&sdss, path);
    if (m == MODALITY_SPECTRUM) {
        const void *config;
        const SpectrumSurvey *survey = survey_of(f, &config);
        TRY(survey->count_redshifts(&f->n, config, f->path, w->run->arena));
    }
    w->n += f->n;
    w->n_files++;
    return OK;
}

static Status list_files(Newcomers *w, const SearchConfig *c)
{
    TRY(arena_new(&w->file, w->run->arena, c->spectra.n + c->cutouts.n));
    for (int64_t i = 0; i < c->spectra.n; i++) TRY(add_file(w, c->spectra.item[i], MODALITY_SPECTRUM));
    for (int64_t i = 0; i < c->cutouts.n; i++) TRY(add_file(w, c->cutouts.item[i], MODALITY_IMAGE));
    return OK;
}

/* ---- objects ---- */

static void name_query(Query *q, const NewFile *f, const CatalogRow *row, int64_t number)
{
    const char *slash = strrchr(f->path, '/');
    *q = (Query){.key = {.targetid = row->targetid, .row = -1, .ra = row->ra, .dec = row->dec, .z = row->z},
                 .offset = NAN,
                 .flag = QUERY_NEW};
    if (f->n > 1)
        snprintf(q->asked, sizeof q->asked, "%.30s:%lld", slash + 1, (long long)number);
    else
        snprintf(q->asked, sizeof q->asked, "%.39s", slash + 1);
}

static void tell(const NewFile *f, int64_t number, int32_t flag)
{
    for (const FlagRow *row = flags_table(f->modality); row->bit; row++)
        if (flag & row->bit) log_rank("%s: object %lld: %s (%s)", f->path, (long long)number, row->name, row->sentence);
}

/* Spectra [from, from + n) of a file. input[i] = NULL where one cannot be embedded. */
static Status read_spectra(CatalogRow *row, const float **input, const Newcomers *w, const NewFile *f, int64_t from,
                           int64_t n)
{
    const SpectraConfig *options = config_get(w->run->config, &spectra_section);
    const void *config;
    const SpectrumSurvey *survey = survey_of(f, &config);
    SpectrumBatch batch;
    TRY(survey->read_redshifts(row, config, f->path, from, n, w->run->arena));
    TRY(spectra_batch(&batch, n, w->run->arena));
    TRY(survey->read_spectra(&batch, 0, config, options, f->path, row, n, w->run->arena));
    spectra_correct(&batch, 0, options, row, n);
    for (int64_t i = 0; i < n; i++) {
        const bool bad = flags_fatal(MODALITY_SPECTRUM, batch.flag[i], false);
        input[i] = bad ? NULL : batch.flux + i * GRID_PIXELS;
        if (bad) tell(f, from + i, batch.flag[i]);
    }
    return OK;
}

static Status read_cutout(CatalogRow *row, const float **input, const Newcomers *w, const NewFile *f)
{
    const ImagesConfig *options = config_get(w->run->config, &images_section);
    int64_t skipped[N_REJECTS] = {0}, n_rows = 0;
    char *path = f->path;
    const FileList files = {&path, 1};
    ImageSource source = {.config = &cutouts_alone, .files = &files};
    ImageBatch batch;
    TRY(cutouts_survey.read_objects(row, &n_rows, skipped, &cutouts_alone, f->path, 0, 1, w->run->arena));
    row->image_file = 0;
    row->image_row = 0;
    TRY(images_batch(&batch, 1, w->run->arena));
    TRY(cutouts_survey.cutouts(&batch, 0, &source, options, row, 1, w->run->arena));
    const bool bad = flags_fatal(MODALITY_IMAGE, batch.flag[0], options->missing_band == MISSING_BAND_ZERO);
    *input = bad ? NULL : batch.pixels;
    if (bad) tell(f, 0, batch.flag[0]);
    return OK;
}

/* Objects [from, from + n) of a file, n <= BATCH, to rows of x (n, dim), NaN when they come. */
static Status embed_some(Query *query, float *x, const Newcomers *w, const NewFile *f, int64_t from, int64_t n)
{
    Arena *a = w->run->arena;
    const Mark mark = arena_mark(a);
    const bool image = f->modality == MODALITY_IMAGE;
    CatalogRow *row = NULL;
    const float *input[BATCH] = {NULL};
    TRY(arena_new(&row, a, n));
    TRY(image ? read_cutout(row, input, w, f) : read_spectra(row, input, w, f, from, n));
    for (int64_t i = 0; i < n; i++) {
        name_query(&query[i], f, &row[i], from + i);
        if (!input[i]) continue;
        TRY(par_continue());
        TRY(image ? model_image(x + i * w->dim, NULL, w->model, input[i], CUTOUT_PIXELS, a)
                  : model_spectrum(x + i * w->dim, NULL, w->model, input[i], GRID_PIXELS, a));
    }
    arena_reset(a, mark);
    return OK;
}

/* Local. Newcomers [first, last). */
static Status embed_share(Query *query, float *x[N_MODALITIES], const Newcomers *w, int64_t first, int64_t last)
{
    TRY(FAIL_POINT("search.newcomers"));
    for (int m = 0; m < N_MODALITIES; m++)
        for (int64_t i = 0; i < (last - first) * w->dim; i++) x[m][i] = NAN;
    for (int64_t k = 0; k < w->n_files; k++) {
        const NewFile *f = &w->file[k];
        const int64_t begin = first > f->first ? first : f->first;
        const int64_t end = last < f->first + f->n ? last : f->first + f->n;
        for (int64_t at = begin; at < end; at += BATCH)
            TRY(embed_some(query + at - first, x[f->modality] + (at - first) * w->dim, w, f, at - f->first,
                           end - at < BATCH ? end - at : BATCH));
    }
    return OK;
}

/* ---- the model ---- */

static Status check_recipe(const Run *run, const Model *model, const WeightSums *sums, Embeddings *e,
                           const Newcomers *w)
{
    static const char *const attribute[N_MODALITIES] = {"image_recipe", "spectrum_recipe"};
    Embedder here;
    embedder_set_up(&here, run, model, NULL);
    TRY(embedder_make_recipes(&here, run, sums));
    for (int64_t k = 0; k < w->n_files; k++) {
        const Modality m = w->file[k].modality;
        char *there = NULL, what[256];
        if (!h5_get_attr_text(&there, &e->file, "/", attribute[m], run->arena) || !here.recipe[m])
            return FAIL(E_INPUT, "%s does not say how its embeddings were made: run `astroclip embed` again",
                        e->file.path);
        if (reuse_recipe_differs(what, sizeof what, here.recipe[m], there))
            return FAIL(E_INPUT,
                        "%s was made otherwise than new objects would be: %s. Set what the run file says to that, or "
                        "run `astroclip embed` again",
                        e->file.path, what);
    }
    return OK;
}

/* Collective. Embeds this rank's part and joins the parts. */
static Status embed_all(FreshObjects *out, const Newcomers *w)
{
    const Par *par = &w->run->par;
    Arena *a = w->run->arena;
    int64_t first, last, n;
    Query *query = NULL;
    float *x[N_MODALITIES] = {NULL};
    par_share(&first, &last, par, w->n);
    Status st = arena_new(&query, a, last - first);
    for (int m = 0; m < N_MODALITIES && st == OK; m++) st = arena_new(&x[m], a, (last - first) * w->dim);
    if (st == OK) st = embed_share(query, x, w, first, last);
    TRY(par_agree(par, st));
    TRY(par_allgather((void **)&out->query, &out->n, par, query, last - first, sizeof *query, a));
    for (int m = 0; m < N_MODALITIES; m++)
        TRY(par_allgather((void **)&out->x[m], &n, par, x[m], last - first, (size_t)w->dim * sizeof **x, a));
    return OK;
}

Status newcomers_embed(FreshObjects *out, const Run *run, const SearchConfig *c, Embeddings *e)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    const EmbedConfig *embed = config_get(run->config, &embed_section);
    const Par *par = &run->par;
    Model *model = NULL;
    NodeMemory memory = {0};
    WeightSums sums;
    Newcomers w = {.run = run};
    Status st = OK;
    *out = (FreshObjects){0};
    if (c->spectra.n + c->cutouts.n == 0) return OK;
    TRY(par_agree(par, list_files(&w, c)));
    TRY(par_agree(par, gemm_choose(rc->gemm, (int)rc->threads)));
    TRY(par_agree(par, gemm_precision(embed_precisions[embed->precision])));
    TRY_DONE(par_agree(par, model_declare(&model, config_get(run->config, &model_section), run->arena)));
    TRY_DONE(embedder_load_weights(&memory, &sums, model, embed, par, run->arena));
    TRY_DONE(par_agree(par, check_recipe(run, model, &sums, e, &w)));
    w.model = model;
    w.dim = out->dim = model_embed_dim(model);
    log_info("search: %lld new objects from %lld files", (long long)w.n, (long long)w.n_files);
    TRY_DONE(embed_all(out, &w));
done:
    gemm_keep_none();
    nodememory_close(&memory);
    gemm_precision("f32");
    return st;
}
