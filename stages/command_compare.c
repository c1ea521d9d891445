/* command_compare.c - `astroclip compare A B [--rows FILE.csv]`: what differs between two artefacts of one kind. As with
   diff the exit code is 0 when the data are equal and 1 when they differ; trouble has the codes of core/fail.h, which
   begin at 2. */
#include <stdio.h>

#include "commands.h"
#include "tables/compare.h"

Status command_compare(const Command *c, int *exit_code)
{
    Arena a = {0};
    bool equal = false;
    if (!c->target || !c->second) return FAIL(E_CONFIG, "astroclip compare wants two files: astroclip compare A B");
    TRY(arena_init(&a, "compare", 0));
    Status st = compare_files(&equal, c->target, c->second, c->rows, stdout, &a);
    arena_free(&a);
    *exit_code = equal ? 0 : 1;
    return st;
}
