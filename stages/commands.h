/* commands.h - what the program does besides stages; none of these initialises MPI. */
#ifndef STAGES_COMMANDS_H
#define STAGES_COMMANDS_H

#include "stages.h"

/* The command line, taken apart. */
typedef struct {
    const char *program;    /* argv[0]                               */
    const char *command;    /* "run", "embed", ...                   */
    const char *target;     /* the run file, the stage, the artefact */
    const char *second;     /* the artefact to compare it with       */
    const char *rows;       /* --rows: a CSV of the rows that differ */
    const char **overrides; /* values of --set                       */
    int n_overrides;
    int64_t ranks;   /* -n; 0 = chosen here                   */
    int64_t objects; /* --objects: rows to plan for; 0 = counted */
    bool dry_run, force, verify;
    bool plan, measure, current; /* of check */
} Command;

/* Parses the run file named by the command for rank `par` and fills `run`. Collective if par is. */
Status command_configure(Run *run, const Command *c, const Par *par, Arena *a);

Status command_list(const Command *c);
Status command_about(const Command *c);
Status command_reference(const Command *c);
Status command_check(const Command *c);
Status command_run(const Command *c, int *exit_code);
Status command_inspect(const Command *c);
Status command_serve(const Command *c);                   /* until it is told to stop */
Status command_compare(const Command *c, int *exit_code); /* 0 equal, 1 different */

#endif
