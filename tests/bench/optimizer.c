/* optimizer.c - the time of a step of the optimiser beside the time that its memory traffic needs at the bandwidth of
   this machine, measured in the same run by all ranks at once. One replica per rank.

   bench_optimizer [reals [repeats]]: one JSON line per way of keeping the moments.

   Bytes that must move, of all ranks together, for n reals on P ranks: the gradient is read for the norm (4 n); AdamW
   reads gradient, weight and two moments and writes the last three (28 n, on each rank unless sharded). With P > 1 every
   gradient is read once by its sender, written by the receiver and read again for the sum, which is written (4 n (3 P - 1)
   in all); then each rank but the owner gets the result (8 n (P - 1): the weights, or the summed gradient). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "train/optimizer.h"

enum { STREAM = 1 << 25 };

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *t, int64_t n)
{
    qsort(t, (size_t)n, sizeof *t, by_value);
    return t[n / 2];
}

/* Collective. Seconds since `since`, of the slowest rank. */
static double seconds(double since, const Par *par)
{
    double t = clock_now() - since;
    par_max_f64(par, &t, 1);
    return t;
}

/* Collective. Bytes per second of all ranks together: x += c y. */
static Status bandwidth(double *out, int64_t repeats, const Par *par, Arena *a)
{
    const Mark mark = arena_mark(a);
    float *x, *y;
    double *t;
    TRY(arena_new(&x, a, STREAM));
    TRY(arena_new(&y, a, STREAM));
    TRY(arena_new(&t, a, repeats));
    for (int64_t k = 0; k < repeats; k++) {
        par_barrier(par);
        const double since = clock_now();
        for (int64_t i = 0; i < STREAM; i++) x[i] += 0.5f * y[i];
        t[k] = seconds(since, par);
    }
    *out = 12.0 * STREAM * par->n_ranks / median(t, repeats);
    arena_reset(a, mark);
    return OK;
}

static Status make_table(Params *p, int64_t n, Arena *a)
{
    const int64_t dims[2] = {768, 768};
    const int64_t n_params = n / (dims[0] * dims[1]) + 1;
    char name[32];
    int64_t index;
    TRY(params_init(p, n_params, a));
    for (int64_t i = 0; i < n_params; i++) {
        snprintf(name, sizeof name, "%lld.weight", (long long)i);
        TRY(params_declare(&index, p, "", name, 2, dims));
    }
    return params_allocate(p);
}

/* Collective. Median time from complete gradients to new weights on all ranks. */
static Status measure(double *out, Params *p, bool sharded, int64_t repeats, const Par *par, Arena *a)
{
    const OptimizerConfig c = {.adam = {0, 0, 0.9, 0.95, 1e-8},
                               .max_norm = 1,
                               .n_replicas = par->n_ranks,
                               .sharded = sharded};
    Optimizer *o = NULL;
    StepReport report;
    double *t;
    TRY(optimizer_open(&o, p, &c, par, a));
    TRY(par_agree(par, arena_new(&t, a, repeats)));
    for (int64_t k = 0; k < repeats; k++) {
        real *d = optimizer_gradient(o, par->rank);
        for (int64_t i = 0; i < p->n_d_reals; i++) d[i] = (real)(i % 1000) * (real)1e-6;
        par_barrier(par);
        const double since = clock_now();
        optimizer_collect(o, par->rank);
        TRY(optimizer_step(&report, o, 1e-4, 0.1, NULL, NULL, k + 1));
        t[k] = seconds(since, par);
    }
    *out = median(t, repeats);
    optimizer_close(o);
    return OK;
}

static Status run(int64_t n, int64_t repeats, const Par *par, Arena *a)
{
    Params p;
    double speed;
    TRY(bandwidth(&speed, repeats, par, a));
    TRY(par_agree(par, make_table(&p, n, a)));
    for (int sharded = 0; sharded < (par->n_ranks > 1 ? 2 : 1); sharded++) {
        const Mark mark = arena_mark(a);
        double ours;
        TRY(measure(&ours, &p, sharded, repeats, par, a));
        const double reals = (double)p.n_d_reals, ranks = par->n_ranks;
        const double sums = par->n_ranks > 1 ? 4 * (3 * ranks - 1) + 8 * (ranks - 1) : 0;
        const double bytes = reals * (4 + 28 * (sharded ? 1 : ranks) + sums), theirs = bytes / speed;
        if (par->rank == 0)
            printf(
                "{\"name\": \"optimizer_step %s\", \"ours\": %.4f, \"theirs\": %.4f, \"unit\": \"s\", \"ratio\": %.3f, "
                "\"threads\": 1, \"repeats\": %lld, \"ranks\": %d, \"reals\": %.0f, \"against\": \"%.3g bytes at %.3g "
                "GB/s\"}\n",
                sharded ? "sharded" : "whole", ours, theirs, theirs / ours, (long long)repeats, par->n_ranks, reals,
                bytes, speed / 1e9);
        arena_reset(a, mark);
    }
    return OK;
}

int main(int argc, char **argv)
{
    Par par;
    Arena a = {0};
    if (par_launched()) {
        if (par_init(&par, &argc, &argv) != OK) return par_finish(&par, E_CONFIG);
    } else {
        par_serial(&par);
    }
    const int64_t n = argc > 1 ? atoll(argv[1]) : 43000000, repeats = argc > 2 ? atoll(argv[2]) : 7;
    Status st = par_agree(&par, arena_init(&a, "bench", 0));
    if (st == OK)
        st = n > 0 && repeats > 0 ? run(n, repeats, &par, &a) : FAIL(E_CONFIG, "bench_optimizer [reals [repeats]]");
    arena_free(&a);
    return par_finish(&par, st);
}
