/* Training over ranks has the bits of one rank; it learns, stops and fails as it says. */
#include <math.h>
#include <string.h>

#include "core/hash.h"
#include "core/rng.h"
#include "probe/net.h"
#include "test_main.h"

enum { DIM = 5 };

/* This rank's share of `total` rows: y = a line of x; in a shuffled order, so that ranks hold rows of all parts. */
static RowSet rows_of(int64_t total, bool weighted, bool bad, const Par *par)
{
    int64_t first, last, *id;
    float *x;
    double *y, *w;
    par_share(&first, &last, par, total);
    const int64_t n = last - first;
    if (arena_new(&x, &test_arena, n * DIM) != OK || arena_new(&y, &test_arena, n) != OK ||
        arena_new(&w, &test_arena, n) != OK || arena_new(&id, &test_arena, n) != OK)
        CU_FAIL_FATAL("no memory");
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = first + i;
        Rng g = rng_stream(3, "test.rows", row, 0);
        for (int d = 0; d < DIM; d++) x[i * DIM + d] = (float)rng_normal(&g);
        y[i] = bad && row == total / 2 ? NAN : x[i * DIM] - 0.5 * x[i * DIM + 1] + 0.1 * rng_normal(&g);
        id[i] = 39627000000000000 + 3 * row;
        w[i] = 0.1 + rng_uniform(&g);
    }
    return (RowSet){n, x, y, id, weighted ? w : NULL};
}

static const NetConfig net = {.n_in = DIM, .n_out = 1, .n_hidden = 1, .hidden = {8}, .dropout = 0.1, .loss = NET_MSE};
static const RowTraining usual = {.batch = 32, .epochs = 6, .parts = 4, .lr = 1e-2, .lr_last = 1e-2};

static Status trained(double *p, RowReport *report, const RowTraining *c, int64_t total, bool weighted, bool bad,
                      const Par *par)
{
    const RowModel model = net_model(&net);
    const RowSet rows = rows_of(total, weighted, bad, par);
    net_init(p, &net, 1);
    return rows_train(report, p, &model, &rows, c, 9, par, &test_arena);
}

static void check_same(const RowTraining *c, int64_t total, bool weighted)
{
    Par alone;
    double p[2][64];
    RowReport report[2];
    par_serial(&alone);
    CU_ASSERT_FATAL(net_params(&net) <= 64);
    memset(p, 0, sizeof p);
    if (!CHECK_OK(trained(p[0], &report[0], c, total, weighted, false, &test_par)) ||
        !CHECK_OK(trained(p[1], &report[1], c, total, weighted, false, &alone)))
        return;
    CU_ASSERT_EQUAL(memcmp(p[0], p[1], sizeof p[0]), 0);
    CU_ASSERT_EQUAL(memcmp(&report[0].loss, &report[1].loss, sizeof(double)), 0);
    CU_ASSERT(report[0].n_train == report[1].n_train && report[0].n_train + report[0].n_val == total);
}

static void the_bits_of_one_rank(void)
{
    RowTraining c = usual;
    check_same(&c, 333, false);
    check_same(&c, 333, true);
    c.val_fraction = 0.2, c.keep_best = true, c.lr_last = 1e-4;
    check_same(&c, 200, false);
    c.parts = 7;
    check_same(&c, 5, false); /* fewer rows than parts */
    c.parts = 1;              /* ranks without a part */
    check_same(&c, 100, false);
}

static void it_learns(void)
{
    double p[64];
    RowReport r;
    RowTraining c = usual;
    c.epochs = 40, c.val_fraction = 0.25, c.keep_best = true, c.lr_last = 1e-4;
    if (!CHECK_OK(trained(p, &r, &c, 800, false, false, &test_par))) return;
    CU_ASSERT(r.val_loss < 0.1); /* of a variance of 1.25, with noise of 0.01 */
    CU_ASSERT(r.n_val > 150 && r.n_val < 250 && r.epochs == 40);
}

static void it_stops_early(void)
{
    double p[64];
    RowReport r;
    RowTraining c = usual;
    c.epochs = 60, c.lr = c.lr_last = 0.3, c.val_fraction = 0.2, c.stop_after = 5, c.stop_window = 5;
    if (!CHECK_OK(trained(p, &r, &c, 300, false, false, &test_par))) return;
    CU_ASSERT(r.epochs > 5 && r.epochs < 60);
}

static void a_loss_that_is_no_number_fails_on_all_ranks(void)
{
    double p[64];
    RowReport r;
    CHECK_FAILS(trained(p, &r, &usual, 200, false, true, &test_par), E_NUMERIC);
}

static void no_rows_change_nothing(void)
{
    double p[64], q[64];
    RowReport r;
    net_init(q, &net, 1);
    if (!CHECK_OK(trained(p, &r, &usual, 0, false, false, &test_par))) return;
    CU_ASSERT_EQUAL(memcmp(p, q, (size_t)net_params(&net) * sizeof *p), 0);
    CU_ASSERT(isnan(r.loss) && r.epochs == 0);
}

TEST_MAIN("rowtrain", {"any number of ranks: the bits of one", the_bits_of_one_rank}, {"it learns", it_learns},
          {"it stops early", it_stops_early},
          {"a loss that is no number fails on all ranks", a_loss_that_is_no_number_fails_on_all_ranks},
          {"no rows change nothing", no_rows_change_nothing})
