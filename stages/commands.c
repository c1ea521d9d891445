/* commands.c - list, about, reference: what can be said without a run file; and how one is read. */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#include "core/log.h"

Status command_configure(Run *run, const Command *c, const Par *par, Arena *a)
{
    char *text = NULL;
    int64_t bytes = 0;
    Config *config = NULL;
    TRY(par_read_file(&text, &bytes, par, c->target, a));
    TRY(config_parse(&config, c->target, text, (size_t)bytes, c->overrides, c->n_overrides, config_sections, NULL, a));
    *run = (Run){
        .par = *par, .arena = a, .config = config, .run_file = c->target, .dry_run = c->dry_run, .force = c->force};
    const RunConfig *rc = config_get(config, &run_section);
    if (rc->memory_gb > 0) {
        size_t limit = (size_t)(rc->memory_gb * 1e9);
        if (limit < a->limit) a->limit = limit;
    }
    return OK;
}

Status command_list(const Command *c)
{
    (void)c;
    for (const Stage *const *s = stage_table; *s; s++)
        printf("%-8s %s\n         reads  %s\n         writes %s\n", (*s)->name, (*s)->help, (*s)->reads, (*s)->writes);
    return OK;
}

Status command_about(const Command *c)
{
    const Stage *s = stage_find(c->target);
    if (!s) return FAIL(E_CONFIG, "there is no stage '%s'; astroclip list shows them", c->target);
    printf("%s - %s (revision %d)\n\n%s\n\nreads:  %s\nwrites: %s\n", s->name, s->help, s->revision, s->purpose,
           s->reads, s->writes);
    for (const ConfigSection *const *section = s->sections; *section; section++) {
        printf("\n");
        config_describe(stdout, *section);
    }
    return OK;
}

Status command_reference(const Command *c)
{
    (void)c;
    Arena a = {0};
    char *text = NULL;
    TRY(arena_init(&a, "reference", 64 << 20));
    Status st = config_reference(&text, config_sections, &a);
    if (st == OK) fputs(text, stdout);
    arena_free(&a);
    return st;
}
