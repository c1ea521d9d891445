/* plan.h - what a stage will take: rows, bytes, memory and time, before anything is computed. For `check`, and through
   `check --plan` for jobs/submit, which sizes its jobs from it.

   Numbers are estimates: memory to be on the safe side, time as good as the rates (measure.c) it is made from. */
#ifndef STAGES_PLAN_H
#define STAGES_PLAN_H

#include "data/flags.h"
#include "stages.h"

/* Seconds per object on one rank alone, and whether they were measured here or are assumed. The image encoder makes aligned and
   own embeddings in a pass each. */
typedef struct {
    double embed[N_MODALITIES]; /* all of embed.sets; 0 = not in embed.modalities */
    double pass[N_MODALITIES];  /* tokens once, as trainings do                   */
    double reading;             /* of a row: its spectrum and cutout  */
    bool measured, read;        /* encoders; reading                  */
    double stretch;    /* encoders by the clock over their processor time, which was taken; 0 = the clock's was */
    char products[96]; /* who multiplied, and how precisely */
} Rates;

/* On r ranks a rank takes memory + memory_shared / r bytes and the stage seconds + seconds_shared / r. */
typedef struct {
    const Stage *stage;
    int64_t rows;        /* -1 = not known yet                       */
    int64_t read, write; /* bytes, -1 = not known yet                */
    int64_t max_ranks;   /* more would have nothing to do; 0 = not known */
    int64_t
        finished; /* units on disk that a restart keeps: blocks of embed, entries of pack, else 1 = the artefact is there */
    double memory, memory_shared;
    double seconds, seconds_shared;
    double encoding; /* of seconds_shared, what rows take in encoders, with the way back where they train; 0 = none */
} StagePlan;

/* Local. Rates that nobody measured: from the arithmetic of the encoders. */
Status rates_assume(Rates *out, const Run *run);

/* Local. Encodes a few objects and, where catalogue and release are there, reads a few rows; some seconds. */
Status rates_measure(Rates *out, Run *run);

/* Local. The plan of each stage of run.stages. `out` has room for all of them. For `rows` rows; 0 = those that there are. */
Status plan_stages(StagePlan *out, Run *run, const Rates *rates, int64_t rows);

/* Local. Node-hours of a stage's shared seconds: on nodes of `cores` cores a rank has `threads` of them and a part
   `efficiency` of the speed of a rank alone; a node with fewer ranks, because there is no work for more, counts whole. */
double plan_node_hours(const StagePlan *p, int64_t cores, int64_t threads, double efficiency);

/* Local. One line in the log: what memory the stage will take on each of the run's ranks. */
void plan_log_memory(const Run *run, const Stage *stage);

#endif
