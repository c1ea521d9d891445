/* test_import_moco.c - the released layout of MoCo v2 is recognised by its names and taken strictly. */
#include <stdio.h>
#include <string.h>

#include "test_main.h"
#include "train/import.h"

enum { WIDTH = 2, DIM = 5, QUEUE = 3 };

static const Envelope envelope = {
    .made_by = "import", .config = "", .specprod = "", .image_release = "", .provider = ""};

/* What is written in another way than it should. */
typedef struct {
    const char *without, *more, *shape; /* a tensor left out, one more, one of another shape */
} Flaw;

static Status put(TorchWriter *w, const Flaw *flaw, const char *prefix, const Param *p, const float *value)
{
    char name[PARAM_NAME];
    int64_t dims[PARAM_DIMS];
    memcpy(dims, p->dims, sizeof dims);
    snprintf(name, sizeof name, "%s%s", prefix, p->name + strlen(moco_prefix));
    if (flaw->without && strcmp(name, flaw->without) == 0) return OK;
    if (flaw->shape && strcmp(name, flaw->shape) == 0) dims[0]--;
    return torchfile_put(w, name, value, p->n_dims, dims);
}

/* Every batch norm counts its batches. */
static Status put_count(TorchWriter *w, const char *prefix, const Param *p)
{
    char name[PARAM_NAME];
    const size_t length = strlen(p->name) - strlen("running_mean");
    static const float n = 7;
    snprintf(name, sizeof name, "%s%.*snum_batches_tracked", prefix, (int)(length - strlen(moco_prefix)),
             p->name + strlen(moco_prefix));
    return torchfile_put(w, name, &n, 0, NULL);
}

static Status write_file(const char *path, const MocoConfig *c, const Flaw *flaw)
{
    static const char *const encoder[] = {"encoder_q.", "encoder_k."};
    static const float numbers[DIM * QUEUE] = {0.5f};
    TorchWriter w;
    Params p;
    Resnet net;
    TRY(moco_declare(&net, &p, c, &test_arena));
    TRY(params_allocate(&p));
    params_deterministic(&p, 1);
    TRY(torchfile_create(&w, path, "state_dict", &test_arena));
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < p.n_params; i++) {
            TRY(put(&w, flaw, encoder[k], &p.param[i], params_at(&p, i)));
            if (strstr(p.param[i].name, "running_mean")) TRY(put_count(&w, encoder[k], &p.param[i]));
        }
    for (int k = 0; k < 2; k++) {
        TRY(torchfile_put(&w, k ? "val_queue" : "queue", numbers, 2, (const int64_t[]){DIM, QUEUE}));
        TRY(torchfile_put(&w, k ? "val_queue_ptr" : "queue_ptr", numbers, 1, (const int64_t[]){1}));
    }
    if (flaw->more) TRY(torchfile_put(&w, flaw->more, numbers, 1, (const int64_t[]){1}));
    return torchfile_finish(&w);
}

static Status import_file(ImportReport *report, OfficialModel *m, const char *path, const char *to)
{
    TorchFile f = {0};
    Status st = torchfile_open(&f, path, &test_arena);
    if (st == OK) st = official_recognise(m, &f, &test_arena);
    if (st == OK) st = import_weights(report, to, &f, m, false, &envelope, &test_arena);
    torchfile_close(&f);
    return st;
}

static Status round_trip(ImportReport *report, OfficialModel *m, const MocoConfig *c, const Flaw *flaw)
{
    char path[512], to[512];
    snprintf(path, sizeof path, "%s/moco.ckpt", test_folder());
    snprintf(to, sizeof to, "%s/moco.ckpt.h5", test_folder());
    CHECK_OK(write_file(path, c, flaw));
    return import_file(report, m, path, to);
}

static void networks_are_recognised(void)
{
    static const Flaw none = {0};
    for (int backbone = RESNET18; backbone <= RESNET50; backbone++) {
        const MocoConfig c = {backbone, WIDTH, 96, DIM, backbone != RESNET34};
        const int64_t norms = backbone == RESNET18 ? 20 : backbone == RESNET34 ? 36 : 53;
        char to[512];
        ImportReport report;
        OfficialModel m;
        Params p;
        Resnet net;
        CU_ASSERT_FATAL(CHECK_OK(round_trip(&report, &m, &c, &none)));
        CU_ASSERT(m.moco.backbone == backbone && m.moco.width == WIDTH && m.moco.emb_dim == DIM);
        CU_ASSERT_EQUAL(m.moco.use_mlp, c.use_mlp);
        CU_ASSERT_EQUAL(report.tensors, m.params.n_params);
        CU_ASSERT_EQUAL(report.left_out, m.params.n_params + 2 * norms + 4);
        CHECK_OK(moco_declare(&net, &p, &c, &test_arena));
        CHECK_OK(params_allocate(&p));
        snprintf(to, sizeof to, "%s/moco.ckpt.h5", test_folder());
        CHECK_OK(checkpoint_load(&p, to, &test_arena));
        for (int64_t i = 0; i < p.n_params; i++)
            CU_ASSERT(params_at(&p, i)[0] ==
                      (float)params_deterministic_value(p.param[i].name, p.param[i].n_dims, p.param[i].dims, 0, 1));
    }
}

static void flaws_are_refused(void)
{
    static const MocoConfig c = {RESNET18, WIDTH, 96, DIM, true};
    static const Flaw flaws[] = {{.without = "encoder_q.layer3.0.bn2.running_var"},
                                 {.without = "encoder_q.fc.0.bias"},
                                 {.without = "encoder_q.conv1.weight"},
                                 {.without = "encoder_q.layer2.1.conv1.weight"}, /* blocks of no network */
                                 {.more = "encoder_q.layer4.2.bn1.weight"},
                                 {.more = "encoder_k.other"},
                                 {.more = "queue.more"},
                                 {.more = "encoder_q.bn9.num_batches_tracked"},
                                 {.shape = "encoder_q.layer1.0.conv1.weight"},
                                 {.shape = "encoder_q.fc.2.bias"}};
    for (size_t i = 0; i < sizeof flaws / sizeof *flaws; i++) {
        ImportReport report;
        OfficialModel m;
        CHECK_FAILS(round_trip(&report, &m, &c, &flaws[i]), E_INPUT);
    }
}

TEST_MAIN("import of MoCo v2", {"networks are recognised and their tensors taken", networks_are_recognised},
          {"what is missing, too much or of another shape is refused", flaws_are_refused})
