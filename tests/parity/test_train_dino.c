/* test_train_dino.c - steps of self-distillation against golden/train_dino_tiny.h5, for both ways to balance the teacher:
   loss terms, gradients, norms, schedules, weights of student and teacher. Crops and masks are the file's. */
#include "model/dino.h"
#include "nn/optim.h"
#include "nn/schedule.h"
#include "parity.h"

/* golden README; parameters absolute, without key biases */
static const double loss_tolerance = TOLERANCE(2e-5, 1e-9), param_tolerance = TOLERANCE(1e-5, 1e-7);
/* iBOT's weights are 1 / n rounded to float in the reference, which the mean gradient feels by 2e-8. Norms drift with the
   parameters. */
static const double gradient_tolerance = TOLERANCE(5e-5, 1e-7), norm_tolerance = TOLERANCE(2e-4, 1e-6);

static const char student_names[] = "outputs/centering/final_student";

/* The settings of config_json that the file has nowhere else. */
enum {
    EPOCH = 2,
    EPOCHS = 4,
    WARMUP_EPOCHS = 1,
    TEMP_EPOCHS = 2,
    FROZEN_EPOCHS = 1,
    N_SCHEDULE = 12,
    SINKHORN_STEPS = 3
};
static const DinoSchedule lr = {0, 2e-3, 1e-6, WARMUP_EPOCHS *EPOCH, EPOCHS *EPOCH, 0};
static const DinoSchedule last_lr = {0, 2e-3, 1e-6, WARMUP_EPOCHS *EPOCH, EPOCHS *EPOCH, FROZEN_EPOCHS *EPOCH};
static const DinoSchedule decay = {0, 0.04, 0.4, 0, EPOCHS *EPOCH, 0};
static const DinoSchedule momentum = {0, 0.992, 1, 0, EPOCHS *EPOCH, 0};
static const DinoSchedule temperature = {0.04, 0.07, 0.07, TEMP_EPOCHS *EPOCH, TEMP_EPOCHS *EPOCH, 0};
static const double clip = 3, layer_decay = 0.9, patch_embed = 0.2, centre_momentum = 0.9;

/* The scales of lr come from one function; that of the last layer is a schedule of its own there. */
static double lr_of(const double *scale, const double *frozen, int64_t param, int64_t step)
{
    const double own = schedule_dino(&lr, step), last = schedule_dino(&last_lr, step);
    return last == 0 ? own * frozen[param] : own * scale[param];
}

typedef struct {
    Params params;
    Vit vit;
    Dino dino;
} Side;

typedef struct {
    H5File g;
    Side student, teacher;
    CropsConfig crops;
    int64_t n, prototypes, steps;
    real *d, *m, *v;
    double *lr_scale, *frozen_scale, *decay_scale;
    double *centre[DINO_PARTS], *offset[DINO_PARTS];
} Case;

static void make_side(Side *s, H5File *g)
{
    const VitConfig vit = {golden_int(g, "global_size"), golden_int(g, "patch_size"), golden_int(g, "embed_dim"),
                           golden_int(g, "depth"),       golden_int(g, "num_heads"),  golden_int(g, "block_chunks")};
    const DinoHeadConfig head = {vit.embed_dim, golden_int(g, "hidden_dim"), golden_int(g, "bottleneck_dim"),
                                 golden_int(g, "n_prototypes")};
    CHECK_OK(params_init(&s->params, vit_n_params(&vit) + DINOHEAD_PARAMS, &test_arena));
    CHECK_OK(vit_declare(&s->vit, &vit, &s->params, "backbone.", &test_arena));
    CHECK_OK(dinohead_declare(&s->dino.head, &head, &s->params, "dino_head."));
    s->dino.vit = &s->vit;
    s->dino.losses = (DinoLosses){0.1, 1, 1, 0.1};
    parity_load(&s->params, g, "params");
}

static double *doubles(int64_t n)
{
    double *x;
    CHECK_OK(arena_new(&x, &test_arena, n));
    return x;
}

static bool open_case(Case *c)
{
    if (!golden_open(&c->g, "train_dino_tiny.h5")) return false;
    make_side(&c->student, &c->g);
    make_side(&c->teacher, &c->g);
    const Params *p = &c->student.params;
    c->n = golden_int(&c->g, "batch_size");
    c->crops = (CropsConfig){.global_size = golden_int(&c->g, "global_size"),
                             .local_size = golden_int(&c->g, "local_size"),
                             .n_local = golden_int(&c->g, "n_local")};
    c->prototypes = c->student.dino.head.config.prototypes;
    c->steps = golden_int(&c->g, "steps");
    c->d = parity_gradients(p);
    c->m = parity_gradients(p);
    c->v = parity_gradients(p);
    c->lr_scale = doubles(p->n_params);
    c->frozen_scale = doubles(p->n_params);
    c->decay_scale = doubles(p->n_params);
    for (int k = 0; k < DINO_PARTS; k++) {
        c->centre[k] = doubles(c->prototypes);
        c->offset[k] = doubles(c->prototypes);
    }
    dino_lr_scale(c->lr_scale, &c->student.dino, p, layer_decay, patch_embed, false);
    dino_lr_scale(c->frozen_scale, &c->student.dino, p, layer_decay, patch_embed, true);
    dino_decay_scale(c->decay_scale, p);
    return true;
}

static void load_batch(DinoBatch *b, Case *c, int64_t t)
{
    H5Shape s;
    CHECK_OK(dino_batch(b, &c->crops, c->n, &test_arena));
    b->global = golden_f32(NULL, &c->g, golden_name("inputs/step%d/global_crops", (int)t));
    b->local = golden_f32(NULL, &c->g, golden_name("inputs/step%d/local_crops", (int)t));
    b->masks.mask = golden_u8(NULL, &c->g, golden_name("inputs/step%d/masks", (int)t));
    b->masks.index = golden_i64(&s, &c->g, golden_name("inputs/step%d/mask_indices", (int)t));
    b->masks.weight = golden_f32(NULL, &c->g, golden_name("inputs/step%d/masks_weight", (int)t));
    b->masks.n = s.dims[0];
}

/* ---- balance ---- */

/* The centre of a step comes of the logits of the steps before. */
static void centre_targets(Case *c, const DinoTeacher *t, double temp)
{
    double *sum[DINO_PARTS];
    for (int k = 0; k < DINO_PARTS; k++) {
        sum[k] = doubles(c->prototypes);
        for (int64_t i = 0; i < c->prototypes; i++) c->offset[k][i] = -c->centre[k][i] / temp;
    }
    CHECK_OK(dino_centre_sums(sum, t, &c->teacher.dino.head, &test_arena));
    for (int k = 0; k < DINO_PARTS; k++)
        for (int64_t i = 0; i < c->prototypes; i++)
            c->centre[k][i] =
                centre_momentum * c->centre[k][i] + (1 - centre_momentum) * sum[k][i] / (double)t->rows[k];
}

static void balance_targets(Case *c, const DinoTeacher *t, double temp)
{
    const DinoHead *h = &c->teacher.dino.head;
    double most[DINO_PARTS];
    CHECK_OK(dino_most(most, t, h, temp, &test_arena));
    for (int i = 0; i < 3; i++) {
        double *sum[DINO_PARTS] = {doubles(c->prototypes), doubles(c->prototypes)};
        CHECK_OK(dino_sinkhorn_sums(sum, t, h, i == 0 ? NULL : c->offset, most, temp, &test_arena));
        for (int k = 0; k < DINO_PARTS; k++)
            for (int64_t j = 0; j < c->prototypes; j++) c->offset[k][j] = 1 / sum[k][j];
    }
    for (int k = 0; k < DINO_PARTS; k++)
        for (int64_t j = 0; j < c->prototypes; j++) c->offset[k][j] = log(c->offset[k][j]);
}

/* ---- steps ---- */

static void check_number(H5File *g, const char *balance, const char *name, int64_t n, int64_t t, double got,
                         double allowed)
{
    const double want = golden_want(g, golden_name("outputs/%s/%s", balance, name), n)[t];
    if (!(fabs(got - want) <= allowed))
        printf("    %s %s, step %d: %.12g, not %.12g\n", balance, name, (int)t, got, want);
    CU_ASSERT(fabs(got - want) <= allowed);
}

/* Encoder and head are clipped each by its own norm, so are their norms compared. */
static void clip_module(Case *c, const char *balance, int64_t steps, int64_t t, const char *prefix, int which)
{
    const Params *p = &c->student.params;
    double squares = 0;
    for (int64_t i = 0; i < p->n_params; i++)
        if (strncmp(p->param[i].name, prefix, strlen(prefix)) == 0)
            squares += optim_squares(c->d + p->param[i].d_offset, p->param[i].n);
    const double norm = sqrt(squares);
    check_number(&c->g, balance, "grad_norm_backbone_head", 2 * steps, 2 * t + which, norm, norm_tolerance * norm);
    for (int64_t i = 0; i < p->n_params; i++)
        if (strncmp(p->param[i].name, prefix, strlen(prefix)) == 0)
            optim_scale(c->d + p->param[i].d_offset, optim_clip(norm, clip), p->param[i].n);
}

static void step_weights(Case *c, int64_t t)
{
    const Params *p = &c->student.params;
    for (int64_t i = 0; i < p->n_params; i++) {
        const int64_t at = p->param[i].d_offset;
        const AdamW adam = {lr_of(c->lr_scale, c->frozen_scale, i, t), schedule_dino(&decay, t) * c->decay_scale[i],
                            0.9, 0.999, golden_number(&c->g, "adamw_eps")};
        adamw_step(params_at(p, i), c->m + at, c->v + at, c->d + at, p->param[i].n, &adam, t + 1);
        ema_step(params_at(&c->teacher.params, i), params_at(p, i), schedule_dino(&momentum, t), p->param[i].n);
    }
    memset(c->d, 0, sizeof *c->d * (size_t)p->n_d_reals);
}

static void take_steps(Case *c, const char *balance, int64_t steps, bool recompute)
{
    const bool centred = strcmp(balance, "centering") == 0;
    for (int64_t t = 0; t < steps; t++) {
        const Mark mark = arena_mark(&test_arena);
        const double temp = schedule_dino(&temperature, t);
        DinoBatch b;
        DinoTeacher teacher;
        DinoTerms terms;
        load_batch(&b, c, t);
        CHECK_OK(dino_teach(&teacher, &c->teacher.dino, &b, &test_arena));
        (centred ? centre_targets : balance_targets)(c, &teacher, temp);
        const DinoTargets targets = {temp, {c->offset[DINO_CLASS], c->offset[DINO_PATCH]}};
        const DinoPass how = {.recompute = recompute};
        CHECK_OK(dino_learn(&terms, c->d, &c->student.dino, &b, &teacher, &targets, &how, &test_arena));
        check_number(&c->g, balance, "dino_local_crops_loss", steps, t, terms.local, loss_tolerance);
        check_number(&c->g, balance, "dino_global_crops_loss", steps, t, terms.global, loss_tolerance);
        check_number(&c->g, balance, "koleo_loss", steps, t, terms.koleo / 2, loss_tolerance);
        check_number(&c->g, balance, "ibot_loss", steps, t, terms.ibot / 2,
                     TOLERANCE(2e-5, 1e-7)); /* rounded weights */
        if (centred && t == 0)
            parity_gradients_near(&c->g, "grads/step0", &c->student.params, c->d, gradient_tolerance);
        clip_module(c, balance, steps, t, "backbone.", 0);
        clip_module(c, balance, steps, t, "dino_head.", 1);
        step_weights(c, t);
        arena_reset(&test_arena, mark);
    }
}

static bool is_key_bias(const char *name, int64_t i, int64_t n)
{
    return strstr(name, "attn.qkv.bias") && i >= n / 3 && i < 2 * n / 3;
}

static void check_weights(H5File *g, const Params *p, const char *group)
{
    for (int64_t i = 0; i < p->n_params; i++) {
        const Param *param = &p->param[i];
        const double *want = golden_want(g, golden_name("%s/%s", group, param->name), param->n);
        double worst = 0;
        for (int64_t k = 0; k < param->n; k++)
            if (!is_key_bias(param->name, k, param->n)) worst = fmax(worst, fabs((double)params_at(p, i)[k] - want[k]));
        if (!(worst <= param_tolerance)) printf("    %s/%s: off by %.3g\n", group, param->name, worst);
        CU_ASSERT(worst <= param_tolerance);
    }
}

static void centred_steps_agree(void)
{
    FOR_EACH_PROVIDER({
        Case c;
        if (!open_case(&c)) return;
        take_steps(&c, "centering", c.steps, false);
        check_weights(&c.g, &c.student.params, student_names);
        check_weights(&c.g, &c.teacher.params, "outputs/centering/final_teacher");
        CU_ASSERT(test_near_f64("centre", c.centre[DINO_CLASS],
                                golden_want(&c.g, "outputs/centering/center_dino_pending_applied", c.prototypes),
                                c.prototypes, TOLERANCE(1e-5, 1e-7)));
        CU_ASSERT(test_near_f64("centre of patches", c.centre[DINO_PATCH],
                                golden_want(&c.g, "outputs/centering/center_ibot_pending_applied", c.prototypes),
                                c.prototypes, TOLERANCE(1e-5, 1e-7)));
        CHECK_OK(h5_close(&c.g));
    })
}

static void balanced_steps_agree(void)
{
    Case c;
    CHECK_OK(gemm_choose("auto", 1));
    if (!open_case(&c)) return;
    take_steps(&c, "sinkhorn_knopp", SINKHORN_STEPS, true);
    CHECK_OK(h5_close(&c.g));
}

static void rates_agree(void)
{
    Case c;
    if (!open_case(&c)) return;
    const Params *p = &c.student.params;
    for (int64_t i = 0; i < p->n_params; i++) {
        const char *name = golden_name("params/%s", p->param[i].name);
        CU_ASSERT_DOUBLE_EQUAL(c.lr_scale[i], golden_number_of(&c.g, name, "lr_multiplier"), 1e-12);
        CU_ASSERT_EQUAL(c.decay_scale[i], golden_number_of(&c.g, name, "wd_multiplier"));
        CU_ASSERT_EQUAL(c.frozen_scale[i] == 0, golden_int_of(&c.g, name, "is_last_layer") == 1);
    }
    const struct {
        const char *name;
        const DinoSchedule *s;
    } schedule[] = {{"lr", &lr}, {"last", &last_lr}, {"wd", &decay}, {"mom", &momentum}, {"temp", &temperature}};
    for (int k = 0; k < 5; k++) {
        const double *want = golden_want(&c.g, golden_name("outputs/schedules/%s", schedule[k].name), N_SCHEDULE);
        for (int64_t t = 0; t < N_SCHEDULE; t++)
            CU_ASSERT_DOUBLE_EQUAL(schedule_dino(schedule[k].s, t), want[t], 1e-13);
    }
    CHECK_OK(h5_close(&c.g));
}

TEST_MAIN("steps of self-distillation", {"rates and schedules agree", rates_agree},
          {"steps with centred targets agree", centred_steps_agree},
          {"steps with balanced targets agree", balanced_steps_agree})
