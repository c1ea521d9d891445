/* fuzz_h5_training.c - our own HDF5 files of trainings: dataset.h5 and the states that a training goes on with. As in
   fuzz_h5_artefacts.c, files whose footer is gone are passed over unless FUZZ_BARE is set. */
#include <stdlib.h>

#include "data/dataset.h"
#include "fuzz.h"
#include "train/trainer.h"

enum { DATASET, STATE, N_FORMS, ENTRIES = 3, ROWS = 2, WIDTH = 3 };

static const char *const files[] = {"dataset.h5", "state-00000007.h5"};
static const char *const words[] = {"spectra", "images", "row",     "targetid", "split",   "flag", "checksum", "flux",
                                    "pixels",  "fatal",  "samples", "training", "moment1", "OHDR", "TREE",     "HEAP",
                                    "SNOD",    "OCHK",   "FRHP",    "BTHD",     "GCOL",    NULL};
static const Envelope envelope = {.made_by = "pack",
                                  .config = "run: {}\n",
                                  .fingerprint = {"00000000000000000000000000000007"}};

static Status put_dataset(const char *path, Arena *a)
{
    static const int32_t fatal[N_MODALITIES] = {IMAGE_NO_BRICK, SPECTRUM_NO_FILE};
    static const int64_t n[N_MODALITIES] = {1, ENTRIES}, first[N_MODALITIES] = {0, 0};
    DatasetEntries e[N_MODALITIES];
    Dataset d;
    TRY(dataset_create(&d, path, &envelope, n, fatal, &par_alone, a));
    for (int m = 0; m < N_MODALITIES; m++) {
        TRY(dataset_entries(&e[m], n[m], a));
        TRY(arena_new(&e[m].numbers, a, n[m] * dataset_numbers[m]));
        for (int64_t i = 0; i < n[m]; i++) e[m].row[i] = 2 * i, e[m].targetid[i] = 39627784728870929 + i;
    }
    TRY(dataset_write(&d, first, e, a));
    TRY(dataset_close(&d));
    return h5_put_footer(path);
}

/* A small model and its optimiser, with an average. */
static Status make_model(Params *p, Optimizer **o, Arena *a)
{
    static const OptimizerConfig config = {.adam = {0, 0, 0.9, 0.95, 1e-8}, .ema = 0.9, .n_replicas = 1};
    int64_t index;
    TRY(params_init(p, 1, a));
    TRY(params_declare(&index, p, "", "stem.weight", 2, (int64_t[]){ROWS, WIDTH}));
    TRY(params_allocate(p));
    return optimizer_open(o, p, &config, &par_alone, a);
}

static Status put_state(Arena *a)
{
    const TrainState state = {.step = 7, .best_step = 5, .best_loss = 0.5, .first_loss = 1};
    Params p;
    Optimizer *o;
    TRY(make_model(&p, &o, a));
    const Status st = state_save(&state, &p, o, fuzz_folder(), &envelope, &par_alone, a);
    optimizer_close(o);
    return st;
}

static Status seeds(Arena *a)
{
    TRY(put_dataset(fuzz_path(files[DATASET]), a));
    TRY(put_state(a));
    for (int i = 0; i < N_FORMS; i++) fuzz_seed_file(i, fuzz_path(files[i]));
    return state_remove_all(fuzz_folder(), &par_alone);
}

static void read_dataset(const char *path, Arena *a)
{
    Dataset d;
    Sample *sample;
    float *numbers;
    int64_t n = 0, count = 0;
    MUST(arena_new(&numbers, a, IMAGE_NUMBERS) == OK);
    if (!fuzz_ok(dataset_open(&d, path, a))) return;
    fuzz_ok(dataset_count_rows(&count, &d, a));
    if (fuzz_ok(dataset_samples(&sample, &n, &d, SAMPLES_PAIRS, SPLIT_TRAIN, a)))
        for (int64_t i = 0; i < n && i < ENTRIES; i++) {
            fuzz_ok(dataset_spectrum(numbers, &d, sample[i].spectrum));
            fuzz_ok(dataset_image(numbers, &d, sample[i].image));
        }
    for (int m = 0; m < N_MODALITIES; m++) {
        const int64_t entries = d.n[m] < ENTRIES ? d.n[m] : ENTRIES;
        fuzz_ok(dataset_count_good(&count, &d, (Modality)m, 0, entries, a));
        fuzz_ok(dataset_count_torn(&count, &d, (Modality)m, 0, entries, a));
    }
    fuzz_ok(dataset_close(&d));
    fuzz_ok(dataset_count_finished(&count, path, a));
}

static void read_state(Arena *a)
{
    TrainState state;
    Params p;
    Optimizer *o;
    bool found;
    MUST(make_model(&p, &o, a) == OK);
    fuzz_ok(state_load(&found, &state, &p, o, fuzz_folder(), &envelope.fingerprint, &par_alone, a));
    optimizer_close(o);
}

static void one(int kind, const char *path, const uint8_t *bytes, int64_t n, Arena *a)
{
    (void)bytes, (void)n;
    if (!h5_has_footer(path) && !getenv("FUZZ_BARE")) return;
    if (kind == DATASET)
        read_dataset(path, a);
    else
        read_state(a);
}

const FuzzTarget fuzz_target = {"h5_training", N_FORMS, seeds, one, files, words};
