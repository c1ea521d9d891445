/* command_check.c - `astroclip check RUN.yaml`: is the run file valid, and what will each stage take? With --plan as a
   table for programs (jobs/submit). Nothing is computed but, with --measure, a few embeddings that nobody keeps. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "data/survey.h"
#include "plan.h"

typedef enum { NOT_ASKED, CURRENT, STALE } State;
static const char *const state_name[] = {[NOT_ASKED] = "-", [CURRENT] = "current", [STALE] = "stale"};

/* ---- which outputs are current ---- */

/* A stage whose inputs are not there, or not readable, has something to do. */
static Status ask(State *state, Run *run, const Stage *stage)
{
    *state = STALE;
    if (!stage->tells) return OK;
    Mark mark = arena_mark(run->arena);
    run->ask = true;
    run->stale = false;
    Status st = stage->run(run);
    if (st == OK && !run->stale) *state = CURRENT;
    run->ask = false;
    arena_reset(run->arena, mark);
    if (st != E_INPUT) return st;
    fail_clear();
    return OK;
}

/* What follows a stage that has something to do will have, too. */
static Status ask_all(State *state, Run *run)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    bool stale = false;
    for (int64_t i = 0; i < rc->stages.n; i++) {
        state[i] = STALE;
        if (!stale) TRY(ask(&state[i], run, stage_find(rc->stages.item[i])));
        stale = state[i] == STALE;
    }
    return OK;
}

/* ---- for people ---- */

static Status print_words(Run *run)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    printf("%s: configuration is valid; output in %s\n", run->run_file, rc->output);
    for (int64_t i = 0; i < rc->stages.n; i++) {
        const Stage *s = stage_find(rc->stages.item[i]);
        if (!s->plan) continue;
        Status st = s->plan(run, stdout);
        if (st == E_INPUT) { /* what is missing now may be made by the stages before */
            printf("%s: not known yet: %s\n", s->name, fail_record()->text);
            fail_clear();
        } else {
            TRY(st);
        }
    }
    return OK;
}

static const char *gigabytes(char out[16], double bytes)
{
    snprintf(out, 16, bytes < 0 ? "?" : "%.3g GB", 1e-9 * bytes);
    return out;
}

static const char *duration(char out[16], double seconds)
{
    if (seconds < 100)
        snprintf(out, 16, "%.0f s", seconds);
    else if (seconds < 6000)
        snprintf(out, 16, "%.0f min", seconds / 60);
    else
        snprintf(out, 16, "%.1f h", seconds / 3600);
    return out;
}

static void print_table(const StagePlan *plan, const State *state, int64_t n, const Command *c, const RunConfig *rc)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t ranks = c->ranks > 0 ? c->ranks : cores > rc->threads ? cores / rc->threads : 1;
    printf("\n%-14s %-8s %12s %10s %10s %6s %14s %9s\n", "stage", "output", "rows", "reads", "writes", "ranks",
           "memory/rank", "time");
    for (int64_t i = 0; i < n; i++) {
        const StagePlan *p = &plan[i];
        char text[4][16], rows[24] = "?";
        int64_t r = p->max_ranks > 0 && p->max_ranks < ranks ? p->max_ranks : ranks;
        if (p->rows >= 0) snprintf(rows, sizeof rows, "%lld", (long long)p->rows);
        bool known = p->rows >= 0;
        printf("%-14s %-8s %12s %10s %10s %6lld %14s %9s\n", p->stage->name, state_name[state[i]], rows,
               gigabytes(text[0], known ? (double)p->read : -1), gigabytes(text[1], known ? (double)p->write : -1),
               (long long)r, gigabytes(text[2], p->memory + p->memory_shared / (double)r),
               known ? duration(text[3], p->seconds + p->seconds_shared / (double)r) : "?");
    }
}

static void print_rates(const Rates *r)
{
    printf("seconds per object and rank: image %.3g, spectrum %.3g (%s%s), reading %.3g (%s)\n",
           r->embed[MODALITY_IMAGE], r->embed[MODALITY_SPECTRUM],
           r->measured ? "measured here, matrix products by " : "assumed; --measure measures",
           r->measured ? r->products : "", r->reading, r->read ? "measured here" : "assumed");
    if (r->stretch > 1.1)
        printf("other programs were running: by the clock encoding took %.1f times as long as on a core of its own\n",
               r->stretch);
}

/* What embedding and training cost on whole nodes. */
static void print_cost(const StagePlan *plan, int64_t n, const Rates *r, const RunConfig *rc)
{
    bool any = false;
    for (int64_t i = 0; i < n; i++) {
        const StagePlan *p = &plan[i];
        if (p->encoding <= 0) continue;
        if (!any)
            printf("\nnode-hours on nodes of %lld cores (run.node_cores), ranks of %lld, at %.0f %% of the speed of a "
                   "rank "
                   "alone (run.node_efficiency):\n",
                   (long long)rc->node_cores, (long long)rc->threads, 100 * rc->node_efficiency);
        any = true;
        printf("  %-14s %10.4g   %lld %s x %.3g s, %.0f %% of it in encoders%s\n", p->stage->name,
               plan_node_hours(p, rc->node_cores, rc->threads, rc->node_efficiency), (long long)p->rows,
               p->stage == &embed_stage ? "rows" : "samples", p->seconds_shared / (double)p->rows,
               100 * p->encoding / p->seconds_shared,
               p->stage == &embed_stage ? "" : ", where the way back is taken as twice the way forth");
    }
    if (any)
        printf("measured: %s%s; extrapolated: all the rest\n",
               r->measured ? "seconds of an object in encoders, one rank alone on this machine" : "nothing (--measure)",
               r->read ? ", and of reading a row" : "");
}

/* ---- for programs ---- */

/* Lines KEY <tab> VALUE, an empty line, then a table with its heading. */
static void print_for_programs(const StagePlan *plan, const State *state, int64_t n, const Run *run, const Rates *r)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    const ReleaseConfig *release = config_get(run->config, &release_section);
    printf("output\t%s\nthreads\t%lld\n", rc->output, (long long)rc->threads);
    printf("release.spectra.root\t%s\nrelease.images.root\t%s\nrelease.labels\t%s\n",
           release_spectra(release)->root(release->spectra.config),
           release_images(release)->root(release->images.config), release->labels);
    printf("seconds_per_image\t%.6g\nseconds_per_spectrum\t%.6g\nseconds_reading\t%.6g\nmeasured\t%d\n\n",
           r->embed[MODALITY_IMAGE], r->embed[MODALITY_SPECTRUM], r->reading, r->measured);
    printf("stage\tstate\tfinished\trows\tread_bytes\twrite_bytes\tmax_ranks\trank_bytes\tshared_bytes\tseconds\t"
           "rank_seconds\n");
    for (int64_t i = 0; i < n; i++) {
        const StagePlan *p = &plan[i];
        printf("%s\t%s\t%lld\t%lld\t%lld\t%lld\t%lld\t%.0f\t%.0f\t%.3f\t%.3f\n", p->stage->name, state_name[state[i]],
               (long long)p->finished, (long long)p->rows, (long long)p->read, (long long)p->write,
               (long long)p->max_ranks, p->memory, p->memory_shared, p->seconds, p->seconds_shared);
    }
}

static Status check(Run *run, const Command *c)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    StagePlan *plan = NULL;
    State *state = NULL;
    Rates rates;
    TRY(arena_new(&plan, run->arena, rc->stages.n));
    TRY(arena_new(&state, run->arena, rc->stages.n));
    if (!c->plan) TRY(print_words(run));
    TRY(c->measure ? rates_measure(&rates, run) : rates_assume(&rates, run));
    if (c->current) TRY(ask_all(state, run));
    TRY(plan_stages(plan, run, &rates, c->objects));
    if (c->plan) {
        print_for_programs(plan, state, rc->stages.n, run, &rates);
        return OK;
    }
    print_table(plan, state, rc->stages.n, c, rc);
    print_rates(&rates);
    print_cost(plan, rc->stages.n, &rates, rc);
    return OK;
}

Status command_check(const Command *c)
{
    Arena a = {0};
    Run run;
    TRY(arena_init(&a, "check", 0));
    Status st = command_configure(&run, c, &par_alone, &a);
    if (st == OK) st = check(&run, c);
    arena_free(&a);
    return st;
}
