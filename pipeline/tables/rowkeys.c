/* rowkeys.c - keys of rows: numbers for pairs of texts, the sort, the walk. */
#include "tables/rowkeys.h"

#include <stdlib.h>
#include <string.h>

Status keypairs_init(KeyPairs *p, Arena *a)
{
    *p = (KeyPairs){0};
    return arena_new(&p->pair, a, KEY_PAIRS);
}

static Status take_word(char out[KEY_WORD], const char *cell, size_t size)
{
    size_t length = strnlen(cell, size);
    if (length >= KEY_WORD)
        return FAIL(E_INPUT, "SURVEY or PROGRAM '%.*s...' has more than %d characters", KEY_WORD, cell, KEY_WORD - 1);
    memset(out, 0, KEY_WORD);
    memcpy(out, cell, length);
    return OK;
}

Status keypairs_number(int64_t *number, KeyPairs *p, const char *survey, size_t survey_cell, const char *program,
                       size_t program_cell)
{
    KeyPair wanted;
    TRY(take_word(wanted.survey, survey, survey_cell));
    TRY(take_word(wanted.program, program, program_cell));
    int64_t i = p->last; /* rows of one pair stand together */
    if (p->n == 0 || memcmp(&p->pair[i], &wanted, sizeof wanted) != 0)
        for (i = 0; i < p->n && memcmp(&p->pair[i], &wanted, sizeof wanted) != 0;) i++;
    if (i == KEY_PAIRS)
        return FAIL(E_INPUT, "more than %d different pairs of SURVEY and PROGRAM; is this a catalogue?", KEY_PAIRS);
    if (i == p->n) p->pair[p->n++] = wanted;
    *number = p->last = i;
    return OK;
}

RowKey rowkey(int64_t targetid, int64_t pair, int64_t row)
{
    return (RowKey){.targetid = targetid, .rest = (uint64_t)pair << 40 | (uint64_t)row};
}

static int compare_rows(const void *a, const void *b)
{
    const RowKey *x = a, *y = b;
    if (x->targetid != y->targetid) return x->targetid < y->targetid ? -1 : 1;
    return (x->rest > y->rest) - (x->rest < y->rest);
}

void rowkeys_sort(RowKey *key, int64_t n)
{
    if (n > 1) qsort(key, (size_t)n, sizeof *key, compare_rows);
}

/* Of the keys alone, without the rows. */
static int compare_keys(const RowKey *x, const RowKey *y)
{
    if (x->targetid != y->targetid) return x->targetid < y->targetid ? -1 : 1;
    return (rowkey_pair(x) > rowkey_pair(y)) - (rowkey_pair(x) < rowkey_pair(y));
}

bool keywalk_next(KeyWalk *w, const RowKey **a, const RowKey **b)
{
    *a = *b = NULL;
    if (w->n_a == 0 && w->n_b == 0) return false;
    int order = w->n_a == 0 ? 1 : w->n_b == 0 ? -1 : compare_keys(w->a, w->b);
    if (order <= 0) *a = w->a++, w->n_a--;
    if (order >= 0) *b = w->b++, w->n_b--;
    return true;
}
