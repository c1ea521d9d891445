/* Morphology over ranks has the bits of one rank; both modes learn what is planted. */
#include "planted.h"
#include "probe/morphology.h"

static double hidden[] = {16};

static ProbeConfig config_of(MorphologyMode mode)
{
    static const char *both[] = {"logistic", "mlp"};
    ProbeConfig c = planted_config(NULL, 0);
    c.morphology = (MorphologyConfig){.votes = "none.csv",
                                      .probes = {2, both},
                                      .mode = mode,
                                      .train_votes = 3,
                                      .test_votes = 5,
                                      .hidden = {1, hidden},
                                      .dropout = 0.1,
                                      .lr = 1e-2,
                                      .decay = 1e-4,
                                      .epochs = 30,
                                      .batch = 64,
                                      .parts = 3};
    return c;
}

/* Votes for two of three rows: the answers' chances follow from the features. */
static MorphologyVotes votes_of(const ProbeRows *rows, const Planted *p)
{
    VoteRow *row;
    int64_t *match;
    MorphologyVotes v = {.counts = {.rows = p->total, .kept = p->total}};
    if (arena_new(&row, &test_arena, rows->n) != OK || arena_new(&match, &test_arena, rows->n) != OK)
        CU_FAIL_FATAL("no memory");
    for (int64_t i = 0; i < rows->n; i++) {
        double x[PLANTED_DIM];
        const int64_t at = rows->first + i;
        planted_features(x, at);
        match[i] = at % 3 == 2 ? -1 : i;
        row[i].order = at;
        for (int q = 0; q < N_VOTE_QUESTIONS; q++) {
            double sum = 0;
            row[i].total[q] = (float)(at % 20);
            for (int k = 0; k < vote_questions[q].n_answers; k++)
                sum += exp(2 * x[k] / (1 + k)); /* feature k has a standard deviation of 1 + k */
            for (int k = 0; k < vote_questions[q].n_answers; k++)
                row[i].share[q][k] = (float)(exp(2 * x[k] / (1 + k)) / sum);
        }
        row[i].share[3][1] = at % 5 == 0 ? NAN : row[i].share[3][1];
    }
    v.row = row;
    v.match = match;
    return v;
}

static Status fit_all(MorphologyFit fit[MORPHOLOGY_FITS], int *n, Planted *p, const ProbeConfig *c, const char *name,
                      const Par *par)
{
    ProbeRows rows;
    uint8_t *usable;
    Predictions out;
    ProbeInput input = {.row = &planted_input};
    char path[H5_PATH];
    const ProbeFeatures features = {PLANTED_DIM, planted_read, p};
    const Envelope e = {.kind = "predictions", .version = PREDICTIONS_VERSION, .made_by = "probe", .config = ""};
    planted_rows(&rows, p, par);
    *n = 0;
    TRY(arena_new(&usable, &test_arena, rows.n));
    TRY(probe_standardise(&input, usable, &rows, &features, par, &test_arena));
    const MorphologyVotes votes = votes_of(&rows, p);
    const ProbeTask task = {
        .config = c, .rows = &rows, .usable = usable, .features = &features, .input = &input, .par = par, .seed = 1};
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    TRY(predictions_create(&out, path, &e, p->total, par, &test_arena));
    Status st = morphology_fit(fit, n, &votes, 0, &task, &out, &test_arena);
    if (st == OK) st = predictions_publish(&out, par, &test_arena);
    predictions_close(&out);
    return st;
}

static void check_same(MorphologyMode mode)
{
    Par alone;
    MorphologyFit spread[MORPHOLOGY_FITS], single[MORPHOLOGY_FITS];
    Planted p = {.total = 256 * 4 + 5, .scale = 1, .bad_every = 11};
    const ProbeConfig c = config_of(mode);
    char name[32];
    int n = 0, m = 0;
    par_serial(&alone);
    snprintf(name, sizeof name, "alone%d.h5", test_par.rank);
    if (!CHECK_OK(fit_all(spread, &n, &p, &c, "spread.h5", &test_par)) ||
        !CHECK_OK(fit_all(single, &m, &p, &c, name, &alone)))
        return;
    CU_ASSERT_EQUAL_FATAL(n, MORPHOLOGY_FITS);
    CU_ASSERT_EQUAL_FATAL(m, n);
    for (int i = 0; i < n; i++) {
        const MorphologyFit *a = &spread[i], *b = &single[i];
        CU_ASSERT(a->n_weights == b->n_weights && a->n_weights > 0);
        CU_ASSERT(memcmp(a->weight, b->weight, (size_t)a->n_weights * sizeof *a->weight) == 0);
        CU_ASSERT(memcmp(a->score, b->score, sizeof a->score) == 0);
        /* chance is 1 in 2 to 6; the three answers of the first question are planted without noise */
        CU_ASSERT(a->score[SPLIT_TEST].n > 50 &&
                  a->score[SPLIT_TEST].accuracy > (i % N_VOTE_QUESTIONS == 0 ? 0.75 : 0.5));
        CU_ASSERT(a->score[SPLIT_TEST].f1 > 0.4 && a->score[SPLIT_TEST].nll > 0);
    }
}

static void sane(void) { check_same(MORPHOLOGY_SANE); }
static void released(void) { check_same(MORPHOLOGY_RELEASED); }

TEST_MAIN("morphology", {"mode sane: learnt, and the bits of one rank", sane},
          {"mode released: learnt, and the bits of one rank", released})
