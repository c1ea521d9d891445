/* stages.h - a stage: one row of the table in stages/stages.c, one thin file. To add one: a file, a row, its config section, a test. */
#ifndef STAGES_H
#define STAGES_H

#include "core/config.h"
#include "data/catalog.h"
#include "embed/embeddings.h"
#include "io/artefact.h"
#include "par/par.h"

/* What a stage gets. */
typedef struct {
    Par par;
    Arena *arena; /* lives as long as the stage */
    const Config *config;
    const char *run_file; /* path of the YAML file      */
    bool dry_run;         /* say what would be done; write nothing */
    bool force;           /* do it although the output is current */
    bool ask;             /* compute and write nothing: set `stale` unless the output is current. Stages with `tells` */
    bool stale;
} Run;

typedef struct {
    const char *name;
    const char *reads, *writes;           /* for `list` and `about` */
    const char *help;                     /* one line               */
    const char *purpose;                  /* a paragraph for `about` */
    int revision;                         /* bump when results change for the same input */
    const ConfigSection *const *sections; /* NULL-terminated: those it reads and fingerprints */
    bool tells;                           /* run() heeds Run.ask; others always count as stale */
    Status (*run)(Run *run);              /* Collective   */
    /* Local. Cross-checks and the plan (rows, files, bytes, memory per rank) printed to `out`, for `check` and --dry-run; may be NULL. */
    Status (*plan)(Run *run, FILE *out);
} Stage;

extern const Stage *const stage_table[];             /* NULL-terminated, in the order of a run */
extern const ConfigSection *const config_sections[]; /* NULL-terminated: every section of a run file */
const Stage *stage_find(const char *name);

extern const Stage mock_stage, import_stage, catalog_stage, pack_stage, train_spectrum_stage, train_image_stage,
    train_moco_stage, align_stage, embed_stage, baselines_stage, probe_stage, tables_stage, search_stage, report_stage,
    export_stage;
extern const ConfigSection mock_section, import_section, train_spectrum_section, train_image_section,
    train_moco_section, align_section, baselines_section, probe_section, tables_section,
    export_section; /* catalog_section: data/cuts.h, pack_section: data/pack.h */

/* Section "run". */
enum { LAUNCHER_AUTO, LAUNCHER_MPIRUN, LAUNCHER_SRUN };
typedef struct {
    const char *output; /* folder of all artefacts; relative to the working folder */
    ConfigTexts stages; /* what `astroclip run` does, in order */
    int64_t seed;
    int launcher;                 /* LAUNCHER_*: auto = srun inside an allocation, else mpirun */
    int64_t threads;              /* per rank */
    const char *gemm;             /* provider: auto, amx, avx512, openblas, onednn, ref */
    double max_rejected_fraction; /* a stage fails above it */
    double stall_minutes;         /* no sign of life on a rank: the job is ended; 0 = never */
    double stop_seconds;          /* from a request to stop to giving up what is in hand */
    double time_limit_minutes;    /* then as by SIGUSR1; 0 = no limit */
    double memory_gb;             /* limit of each arena of a rank, 0 = half of the machine */
    int64_t node_cores;           /* of a node whose hours `check` counts */
    double node_efficiency;       /* speed of a rank on a full node over that of a rank alone */
} RunConfig;
extern const ConfigSection run_section;

/* Hash of stage name and revision and of its sections' RESULT fields; the caller adds its inputs' fingerprints and closes it. */
HashState *stage_hash(const Run *run, const Stage *stage);

/* What `probe` depends on: configuration, labels and splits (the catalogue's), embeddings. `tables` refuses probes of anything else. */
Status probe_fingerprint(Fingerprint *out, const Run *run, const Catalog *catalog, const Embeddings *e);

/* Local. Hands `st` of opening a stage's artefact on, and adds to a failure which stage makes it. */
Status stage_made_by(const char *stage, Status st);

/* OUTPUT/name in the arena. */
Status stage_path(char **out, const Run *run, const char *name);

/* The path itself if it is absolute, else OUTPUT/path. */
Status stage_output(char **out, const Run *run, const char *path);

/* Fills program-wide parts of an envelope: effective config, seed, SPECPROD, image release, provider, ranks, seconds so far. */
Status stage_envelope(Envelope *e, const Run *run, const char *kind, int64_t version, const Stage *stage,
                      Fingerprint fingerprint);

#endif
