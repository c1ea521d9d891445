/* tally.c - counts of the catalogue, exact over ranks. */
#include "data/tally.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

Status tally_sum(Tally *t, const CatalogRow *rows, int64_t n, const RejectList *rejects, const int64_t *skipped,
                 const Par *par)
{
    int64_t files = t->source_files; /* known to all, not to be added */
    t->rows = n;
    t->rejected = rejects->n;
    for (int64_t i = 0; i < rejects->n; i++) t->reason[rejects->row[i].reason]++;
    for (int64_t k = 0; k < files * N_REJECTS; k++) {
        t->reason[k % N_REJECTS] += skipped[k];
        t->skipped += skipped[k];
    }
    for (int64_t i = 0; i < n; i++) {
        t->match[rows[i].match]++;
        t->split[rows[i].split]++;
        for (int l = 0; l < N_LABELS; l++) t->label[l] += !isnan(rows[i].label[l]);
    }
    par_sum_i64(par, (int64_t *)t, sizeof *t / sizeof(int64_t));
    t->source_files = files;
    int64_t lost = t->source_rows - t->rows - t->rejected - t->skipped;
    if (lost != 0)
        return FAIL(E_BUG,
                    "%lld source rows became %lld rows, %lld rejected and %lld skipped ones: %lld are lost or doubled",
                    (long long)t->source_rows, (long long)t->rows, (long long)t->rejected, (long long)t->skipped,
                    (long long)lost);
    return OK;
}

/* Rows of one survey and program. */
typedef struct {
    char survey[8], program[8];
    int64_t rows;
} Program;

static int compare_programs(const void *a, const void *b) { return memcmp(a, b, offsetof(Program, rows)); }

/* One more in the program's line, which is made if need be. */
static Status count_program(Program **list, int64_t *n, int64_t *room, const CatalogRow *row, Arena *a)
{
    for (int64_t i = 0; i < *n; i++) {
        Program *p = &(*list)[i];
        if (memcmp(p->survey, row->survey, 8) || memcmp(p->program, row->program, 8)) continue;
        p->rows++;
        return OK;
    }
    if (*n == *room) {
        Program *bigger;
        TRY(arena_new(&bigger, a, *room * 2 + 16));
        if (*n) memcpy(bigger, *list, (size_t)*n * sizeof **list);
        *list = bigger;
        *room = *room * 2 + 16;
    }
    Program *p = &(*list)[(*n)++];
    memcpy(p->survey, row->survey, 8);
    memcpy(p->program, row->program, 8);
    p->rows = 1;
    return OK;
}

static Status log_programs(const CatalogRow *rows, int64_t n, const Par *par, Arena *a)
{
    Program *mine = NULL, *all = NULL;
    int64_t n_mine = 0, room = 0, n_all = 0;
    Status st = OK;
    for (int64_t i = 0; i < n && st == OK; i++) st = count_program(&mine, &n_mine, &room, &rows[i], a);
    TRY(par_agree(par, st));
    TRY(par_gather((void **)&all, &n_all, par, mine, n_mine, sizeof *all, a));
    if (n_all > 0) qsort(all, (size_t)n_all, sizeof *all, compare_programs);
    for (int64_t i = 0, next; i < n_all; i = next) {
        int64_t sum = all[i].rows;
        for (next = i + 1; next < n_all && compare_programs(&all[i], &all[next]) == 0; next++) sum += all[next].rows;
        log_info("catalog: %.8s/%.8s %lld rows", all[i].survey, all[i].program, (long long)sum);
    }
    return OK;
}

Status tally_log(const Tally *t, const CatalogRow *rows, int64_t n, const Par *par, Arena *scratch)
{
    log_info("catalog: %lld source rows in %lld files = %lld rows + %lld rejected + %lld outside the selection",
             (long long)t->source_rows, (long long)t->source_files, (long long)t->rows, (long long)t->rejected,
             (long long)t->skipped);
    for (int r = 0; r < N_REJECTS; r++)
        if (t->reason[r] > 0)
            log_info("catalog: rejected %s %lld (%s)", reject_table[r].name, (long long)t->reason[r],
                     reject_table[r].sentence);
    log_info("catalog: photometry by identifier %lld, by position %lld, none %lld; %lld files read, %lld absent",
             (long long)t->match[MATCH_ID], (long long)t->match[MATCH_POSITION], (long long)t->match[MATCH_NONE],
             (long long)t->photometry_files, (long long)t->photometry_absent);
    for (int l = 0; l < N_LABELS; l++)
        log_info("catalog: label %s %lld rows", label_table[l].name, (long long)t->label[l]);
    log_info("catalog: split train %lld, val %lld, test %lld", (long long)t->split[SPLIT_TRAIN],
             (long long)t->split[SPLIT_VAL], (long long)t->split[SPLIT_TEST]);
    Mark mark = arena_mark(scratch);
    TRY(log_programs(rows, n, par, scratch));
    arena_reset(scratch, mark);
    return OK;
}
