/* baselines_moco.c - of the stage `baselines`: what the network of MoCo v2, trained here or released by Stein et al., says of
   the image of every row. Stein et al. use its features (predict.py of ssl-legacysurvey); the scripts of AstroCLIP
   (embed_provabgs.py) leave the projection on, and give it images as AstroCLIP prepares them, which it was not trained on. */
#include <math.h>
#include <string.h>

#include "baselines.h"
#include "core/clock.h"
#include "core/log.h"
#include "model/mocoview.h"

static const char name[] = "moco";

enum { PIECE = 256, OUTPUT_FEATURES = 0 }; /* rows that are written at once; of moco_outputs */

Status baselines_moco_open(BaselinesJob *j)
{
    Arena *a = j->run->arena;
    char *path;
    TRY(moco_declare(&j->moco_net, &j->moco, config_get(j->run->config, &moco_section), a));
    TRY(params_allocate(&j->moco));
    TRY(stage_output(&path, j->run, j->config->moco));
    const Status st = checkpoint_load(&j->moco, path, a);
    if (st != OK)
        fail_note("loading the weights of MoCo v2, which `astroclip train_moco` or `astroclip import` writes");
    return st;
}

/* Maps of a single image: no batch is held. What is wrong with the sizes, the stage says. */
void baselines_moco_cost(BaselinesCost *out, const Run *run)
{
    const BaselinesConfig *c = config_get(run->config, &baselines_section);
    const Mark mark = arena_mark(run->arena);
    Params p;
    Resnet net;
    if (moco_declare(&net, &p, config_get(run->config, &moco_section), run->arena) == OK) {
        out->passes[MODALITY_IMAGE] += 1;
        out->operations += resnet_operations(&net);
        out->row_bytes +=
            sizeof(float) * (double)(c->moco_output == OUTPUT_FEATURES ? net.n_features : net.config.n_out);
        out->memory = fmax(out->memory, sizeof(real) * (double)resnet_step_reals(&net, 1)) +
                      sizeof(real) * (double)p.n_reals; /* the weights are there from the first model on */
    }
    fail_clear();
    arena_reset(run->arena, mark);
}

/* value (dim) of an entry. */
static Status encode(float *value, const BaselinesJob *j, int64_t entry, Arena *a)
{
    const int64_t size = j->moco_net.config.size;
    const Mark mark = arena_mark(a);
    float *pixels, *view;
    clock_tick();
    TRY(arena_new(&pixels, a, IMAGE_NUMBERS));
    TRY(arena_new(&view, a, N_BANDS * size * size));
    TRY(dataset_image(pixels, (Dataset *)&j->dataset, entry));
    TRY(mocoview_centre(view, pixels, CUTOUT_PIXELS, size));
    TRY(j->config->moco_output == OUTPUT_FEATURES ? resnet_features(value, &j->moco_net, view, 1, a)
                                                  : resnet_predict(value, &j->moco_net, view, 1, a));
    arena_reset(a, mark);
    return OK;
}

static Status encode_rows(BaselinesJob *j, const DatasetEntries *entries, int64_t dim)
{
    Arena *a = j->run->arena;
    Progress progress = {0};
    int64_t at = 0;
    float *value;
    TRY(arena_new(&value, a, PIECE * dim));
    progress_start(&progress, "baselines: moco", "rows", j->n);
    for (int64_t first = 0; first < j->n; first += PIECE) {
        const int64_t n = j->n - first < PIECE ? j->n - first : PIECE;
        TRY(par_continue());
        for (int64_t i = 0; i < n; i++) {
            const int64_t entry = baselines_entry(&at, entries, j->dataset.fatal[MODALITY_IMAGE], j->first + first + i);
            for (int64_t k = 0; k < dim; k++) value[i * dim + k] = NAN;
            if (entry >= 0) TRY(encode(value + i * dim, j, entry, a));
        }
        TRY(baselines_write(&j->file, name, value, j->first + first, n));
        progress_set(&progress, first + n);
    }
    progress_stop(&progress);
    return OK;
}

Status baselines_moco(BaselinesJob *j)
{
    const Par *par = &j->run->par;
    const bool features = j->config->moco_output == OUTPUT_FEATURES;
    const int64_t dim = features ? j->moco_net.n_features : j->moco_net.config.n_out;
    DatasetEntries entries;
    TRY(par_agree(par, dataset_index(&entries, &j->dataset, MODALITY_IMAGE, j->run->arena)));
    TRY(baselines_new(&j->file, name, NULL, dim, par));
    return par_agree(par, encode_rows(j, &entries, dim));
}
