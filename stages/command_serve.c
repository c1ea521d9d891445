/* command_serve.c - `astroclip serve RUN.yaml`: the explorer of a run in a browser on this machine, until Ctrl-C. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "core/log.h"
#include "tables/explorer.h"

static volatile sig_atomic_t asked_to_stop;
static void stop(int signal) { asked_to_stop = signal; }

static void heed_signals(void)
{
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static Status serve(Explorer *x)
{
    HttpLimits limits = {(int)x->config->port, (int)x->config->connections, (int)x->config->timeout_seconds};
    void *server = NULL;
    Status st = http_open(&server, &limits, explorer_answer, x);
    if (st == OK) {
        printf("http://127.0.0.1:%d/\n", limits.port);
        fflush(stdout);
        log_info("serve: %lld objects; Ctrl-C ends it", (long long)x->n);
    }
    while (st == OK && !asked_to_stop) st = http_wait(server);
    http_close(server);
    return st;
}

static Status open_and_serve(Run *run, Arena *answers)
{
    Catalog catalog = {0};
    Embeddings embeddings = {0};
    Predictions predictions = {0};
    Explorer x = {.config = config_get(run->config, &serve_section),
                  .release = config_get(run->config, &release_section),
                  .spectra = config_get(run->config, &spectra_section),
                  .images = config_get(run->config, &images_section),
                  .catalog = &catalog,
                  .embeddings = &embeddings,
                  .arena = answers};
    char *path = NULL;
    Status st = OK;
    if (!http_available()) return http_open(&(void *){NULL}, NULL, NULL, NULL); /* says what is missing */
    TRY_DONE(stage_path(&path, run, "catalog.h5"));
    TRY_DONE(stage_made_by("catalog", catalog_open(&catalog, path, NULL, run->arena)));
    TRY_DONE(stage_path(&path, run, "embeddings.h5"));
    TRY_DONE(stage_made_by("embed", embeddings_open(&embeddings, path, NULL, run->arena)));
    TRY_DONE(stage_path(&path, run, "predictions.h5"));
    if (access(path, R_OK) == 0) {
        TRY_DONE(predictions_open(&predictions, path, NULL, run->arena));
        x.predictions = &predictions;
    }
    TRY_DONE(explorer_open(&x, run->arena));
    st = serve(&x);
done:
    explorer_close(&x);
    predictions_close(&predictions);
    embeddings_close(&embeddings);
    catalog_close(&catalog);
    return st;
}

Status command_serve(const Command *c)
{
    Arena a = {0}, answers = {0};
    Run run;
    heed_signals();
    Status st = arena_init(&a, "serve", 0);
    if (st == OK) st = arena_init(&answers, "answers", 0);
    if (st == OK) st = command_configure(&run, c, &par_alone, &a);
    if (st == OK) st = open_and_serve(&run, &answers);
    arena_free(&answers);
    arena_free(&a);
    return st;
}
