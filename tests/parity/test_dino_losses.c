/* test_dino_losses.c - head, losses, centres and Sinkhorn-Knopp of AstroDINO against golden/dino_losses.h5. */
#include "model/dinohead.h"
#include "nn/distill.h"
#include "nn/koleo.h"
#include "nn/linear.h"
#include "parity.h"

/* golden README */
static const double tolerance = TOLERANCE(1e-5, 1e-11), sinkhorn_tolerance = TOLERANCE(1e-4, 1e-11);
static const double ibot_tolerance = TOLERANCE(1e-5, 1e-7), koleo_tolerance = TOLERANCE(1e-5, 1e-7);
static const double koleo_gradient_tolerance = TOLERANCE(1e-2, 1e-7); /* at the near-duplicate rows */

static real *reals(int64_t n)
{
    real *x;
    CHECK_OK(arena_new(&x, &test_arena, n));
    return x;
}

static double *doubles(int64_t n)
{
    double *x;
    CHECK_OK(arena_new(&x, &test_arena, n));
    return x;
}

static bool near_scalar(H5File *g, const char *name, double got, double allowed)
{
    const double want = golden_scalar(g, name);
    if (!(fabs(got - want) <= allowed * fabs(want))) printf("    %s: %.12g, not %.12g\n", name, got, want);
    return fabs(got - want) <= allowed * fabs(want);
}

/* ---- the head ---- */

static void head_agrees(void)
{
    H5File g;
    H5Shape in;
    if (!golden_open(&g, "dino_losses.h5")) return;
    const DinoHeadConfig c = {golden_int(&g, "head_in"), golden_int(&g, "head_hidden"),
                              golden_int(&g, "head_bottleneck"), golden_int(&g, "head_out")};
    Params p;
    DinoHead head;
    CHECK_OK(params_init(&p, DINOHEAD_PARAMS, &test_arena));
    CHECK_OK(dinohead_declare(&head, &c, &p, "dino_head."));
    parity_load(&p, &g, "params");
    const real *x = golden_reals(&in, &g, "inputs/head/x"), *lossw = golden_reals(NULL, &g, "inputs/head/lossw");
    const int64_t rows = in.dims[0];
    FOR_EACH_PROVIDER({
        DinoHeadTrace t;
        real *w = reals(c.prototypes * c.bottleneck);
        real *norm = reals(c.prototypes);
        real *logits = reals(rows * c.prototypes);
        real *d_w = reals(c.prototypes * c.bottleneck);
        real *d_z = reals(gemm_pad(rows) * c.bottleneck);
        real *d_x = reals(gemm_pad(rows) * c.input);
        real *d_p = parity_gradients(&p);
        CHECK_OK(dinohead_forward(&t, &head, x, rows, &test_arena));
        dinohead_prototypes(w, norm, &head);
        linear_forward(logits, t.z, w, NULL, rows, c.prototypes, c.bottleneck);
        CU_ASSERT(parity_near(&g, "outputs/head/logits", logits, rows * c.prototypes, tolerance));
        linear_backward(d_z, d_w, NULL, lossw, t.z, w, rows, c.prototypes, c.bottleneck);
        dinohead_prototypes_backward(d_p, d_w, norm, &head);
        CHECK_OK(dinohead_backward(d_x, d_p, &t, &head, d_z, &test_arena));
        CU_ASSERT(parity_near(&g, "grads/head/x", d_x, rows * c.input, tolerance));
        parity_gradients_near(&g, "grads", &p, d_p, tolerance);
    })
    CHECK_OK(h5_close(&g));
}

/* ---- targets ---- */

/* Three steps: the centre of a step is the mean of the earlier ones' logits, and what it makes of this step's. */
static void centred_targets_agree(void)
{
    H5File g;
    H5Shape s;
    if (!golden_open(&g, "dino_losses.h5")) return;
    const double *temp = golden_f64(NULL, &g, "inputs/dino/teacher_temp");
    const double momentum = golden_number(&g, "center_momentum");
    const real *logits = golden_reals(&s, &g, "inputs/dino/teacher_logits");
    const int64_t rows = s.dims[1], n = s.dims[2];
    double *centre = doubles(n), *offset = doubles(n);
    real *p = reals(rows * n);
    for (int64_t t = 0; t < s.dims[0]; t++) {
        const double *want = golden_want(&g, golden_name("outputs/dino/step%d/center_used_after_apply", (int)t), n);
        CU_ASSERT(test_near_f64("centre", centre, want, n, t == 0 ? 1 : tolerance)); /* zero at first */
        for (int64_t k = 0; k < n; k++) offset[k] = -centre[k] / temp[t];
        distill_targets(p, logits + t * rows * n, offset, temp[t], rows, n);
        CU_ASSERT(parity_near(&g, golden_name("outputs/dino/step%d/teacher_probs", (int)t), p, rows * n, tolerance));
        for (int64_t k = 0; k < n; k++) {
            double mean = 0;
            for (int64_t r = 0; r < rows; r++) mean += (double)logits[(t * rows + r) * n + k] / (double)rows;
            centre[k] = momentum * centre[k] + (1 - momentum) * mean;
        }
    }
    CHECK_OK(h5_close(&g));
}

/* Rows in two lots, as two replicas have them. */
static double *sinkhorn_offsets(const real *logits, double temp, int64_t rows, int64_t n)
{
    enum { ITERATIONS = 3 };
    const int64_t lot = rows / 3;
    const double most =
        fmax(distill_most(logits, temp, lot * n), distill_most(logits + lot * n, temp, (rows - lot) * n));
    double *factor = doubles(n);
    for (int i = 0; i < ITERATIONS; i++) {
        double *sum = doubles(n);
        distill_sinkhorn(sum, logits, i == 0 ? NULL : factor, most, temp, lot, n);
        distill_sinkhorn(sum, logits + lot * n, i == 0 ? NULL : factor, most, temp, rows - lot, n);
        for (int64_t k = 0; k < n; k++) factor[k] = 1 / sum[k];
    }
    for (int64_t k = 0; k < n; k++) factor[k] = log(factor[k]);
    return factor;
}

static void balanced_targets_agree(void)
{
    static const char *const loss[] = {"dino", "ibot"};
    H5File g;
    H5Shape s;
    if (!golden_open(&g, "dino_losses.h5")) return;
    const double temp = golden_f64(NULL, &g, "inputs/dino/teacher_temp")[0];
    for (int i = 0; i < 2; i++) {
        const real *logits = golden_reals(&s, &g, golden_name("inputs/%s/teacher_logits", loss[i]));
        const int64_t rows = s.dims[1], n = s.dims[2];
        real *p = reals(rows * n);
        distill_targets(p, logits, sinkhorn_offsets(logits, temp, rows, n), temp, rows, n);
        CU_ASSERT(parity_near(&g, golden_name("outputs/%s/sinkhorn_probs", loss[i]), p, rows * n, sinkhorn_tolerance));
    }
    CHECK_OK(h5_close(&g));
}

/* ---- losses ---- */

static double *weights(double value, int64_t n)
{
    double *w = doubles(n);
    for (int64_t i = 0; i < n; i++) w[i] = value;
    return w;
}

static void class_losses_agree(void)
{
    H5File g;
    H5Shape s, l;
    if (!golden_open(&g, "dino_losses.h5")) return;
    const double temp = golden_number(&g, "student_temp");
    const real *target = golden_reals(&s, &g, "outputs/dino/step2/teacher_probs");
    const real *global = golden_reals(NULL, &g, "inputs/dino/student_global");
    const real *local = golden_reals(&l, &g, "inputs/dino/student_local");
    const int64_t rows = s.dims[0], n = s.dims[1], batch = rows / 2, crops = l.dims[0] / batch;
    const double parts = (double)(2 + 2 * crops);
    real *d = reals(l.dims[0] * n), *both = reals(batch * n);
    double loss = distill_loss(d, target, global, weights(2 / (parts * (double)rows), rows), temp, rows, n);
    CU_ASSERT(near_scalar(&g, "outputs/dino/global_loss_x2_div18", loss, tolerance));
    CU_ASSERT(parity_near(&g, "grads/dino/student_global", d, rows * n, tolerance));
    for (int64_t i = 0; i < batch * n; i++) both[i] = target[i] + target[batch * n + i];
    loss = 0;
    for (int64_t k = 0; k < crops; k++)
        loss += distill_loss(d + k * batch * n, both, local + k * batch * n,
                             weights(1 / (parts * (double)batch), batch), temp, batch, n);
    CU_ASSERT(near_scalar(&g, "outputs/dino/local_loss_div18", loss, tolerance));
    CU_ASSERT(parity_near(&g, "grads/dino/student_local", d, l.dims[0] * n, tolerance));
    CHECK_OK(h5_close(&g));
}

static void patch_loss_agrees(void)
{
    H5File g;
    H5Shape s, m;
    if (!golden_open(&g, "dino_losses.h5")) return;
    const double *weight = golden_f64(NULL, &g, "outputs/ibot/masks_weight");
    const real *target = golden_reals(&s, &g, "outputs/ibot/step1/teacher_probs");
    const real *logits = golden_reals(NULL, &g, "inputs/ibot/student_logits");
    CHECK_OK(h5_shape(&m, &g, "inputs/ibot/masks"));
    const int64_t rows = s.dims[0], n = s.dims[1];
    double *own = doubles(rows);
    real *d = reals(rows * n);
    for (int64_t i = 0; i < rows; i++) own[i] = weight[i] / (double)m.dims[0];
    const double loss = distill_loss(d, target, logits, own, golden_number(&g, "student_temp"), rows, n);
    CU_ASSERT(near_scalar(&g, "outputs/ibot/loss", loss, ibot_tolerance));
    CU_ASSERT(parity_near(&g, "grads/ibot/student_logits", d, rows * n, ibot_tolerance));
    CHECK_OK(h5_close(&g));
}

static void koleo_agrees(void)
{
    H5File g;
    H5Shape s;
    double loss;
    if (!golden_open(&g, "dino_losses.h5")) return;
    const real *x = golden_reals(&s, &g, "inputs/koleo/x");
    real *d = reals(s.dims[0] * s.dims[1]);
    CHECK_OK(koleo_loss(&loss, d, x, 1, s.dims[0], s.dims[1], &test_arena));
    CU_ASSERT(near_scalar(&g, "outputs/koleo/loss", loss, koleo_tolerance));
    CU_ASSERT(parity_near(&g, "grads/koleo/x", d, s.dims[0] * s.dims[1], koleo_gradient_tolerance));
    CHECK_OK(h5_close(&g));
}

TEST_MAIN("losses of self-distillation", {"the head agrees", head_agrees},
          {"centred targets agree", centred_targets_agree}, {"balanced targets agree", balanced_targets_agree},
          {"losses of class tokens agree", class_losses_agree}, {"the loss of patches agrees", patch_loss_agrees},
          {"KoLeo agrees", koleo_agrees})
