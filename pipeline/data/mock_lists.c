/* mock_lists.c - the tables that list the whole sky: redshift catalogues, labels, truth, votes. All ranks draw objects,
   some thousands of bricks' worth at a time, and all get them; each table is written by one rank, in the order of the
   bricks, so that its bytes do not depend on how many ranks there are and its memory not on how many objects. */
#include "core/clock.h"
#include "core/log.h"
#include "data/mock_table.h"

enum { MOST_LISTS = 6, OBJECTS_AT_ONCE = 1024 }; /* of one rank */

typedef struct {
    MockList *list[MOST_LISTS]; /* NULL = another rank's, or not asked for */
    Arena *arena;
} Lists;

/* Table t is that of rank t modulo n_ranks. */
static Status begin(Lists *l, const MockSky *sky, const MockLists *want, const Par *par)
{
    int t = 0;
#define MINE (t++ % par->n_ranks == par->rank)
    if (want->desi && MINE) TRY(mock_zcatalog_begin(&l->list[0], sky, want->desi, "bright", l->arena));
    if (want->desi && MINE) TRY(mock_zcatalog_begin(&l->list[1], sky, want->desi, "dark", l->arena));
    if (want->fastspec && MINE) TRY(mock_fastspec_begin(&l->list[2], sky, want->fastspec, l->arena));
    if (want->labels && MINE) TRY(mock_labels_begin(&l->list[3], sky, want->labels, l->arena));
    if (want->truth && MINE) TRY(mock_truth_begin(&l->list[4], sky, want->truth, l->arena));
    if (want->votes && MINE) TRY(mock_votes_begin(&l->list[5], sky, want->votes, l->arena));
#undef MINE
    return OK;
}

/* Objects come brick by brick. */
static Status add(Lists *l, const MockSky *sky, const MockObject *object, int64_t n)
{
    for (int64_t first = 0, end; first < n; first = end) {
        for (end = first; end < n && object[end].brick.id == object[first].brick.id; end++) continue;
        for (int i = 0; i < MOST_LISTS; i++) {
            if (!l->list[i]) continue;
            Mark mark = arena_mark(l->arena);
            TRY(l->list[i]->add(l->list[i], sky, object + first, end - first, l->arena));
            arena_reset(l->arena, mark);
        }
    }
    return OK;
}

/* Each list ends, well or ill: its file is closed. */
static Status end(Lists *l, const MockSky *sky, Status st)
{
    for (int i = 0; i < MOST_LISTS; i++) {
        if (!l->list[i]) continue;
        Status ended = l->list[i]->end(l->list[i], sky, st == OK, l->arena);
        if (st == OK) st = ended;
    }
    return st;
}

/* The next bricks of this rank, drawn; sent to all. */
static Status share(MockObject **all, int64_t *n_all, const MockSky *sky, int64_t at, int64_t step, const Par *par,
                    Arena *a)
{
    MockObject *mine = NULL;
    int64_t n = 0, first = at + par->rank * step, last = first + step;
    if (first > sky->n_bricks) first = sky->n_bricks;
    if (last > sky->n_bricks) last = sky->n_bricks;
    void *received = NULL;
    clock_begin("draw objects");
    Status st = mock_objects(&mine, &n, sky, first, last, a);
    clock_end("draw objects");
    TRY(par_agree(par, st));
    TRY(par_allgather(&received, n_all, par, mine, n, sizeof *mine, a));
    *all = received;
    return OK;
}

Status mock_write_lists(const MockSky *sky, const MockLists *want, const Par *par, Arena *a)
{
    Lists l = {.arena = a};
    const int64_t step = sky->per_brick < OBJECTS_AT_ONCE ? OBJECTS_AT_ONCE / sky->per_brick : 1;
    Mark mark = arena_mark(a);
    Status st = begin(&l, sky, want, par);
    for (int64_t at = 0; at < sky->n_bricks; at += step * par->n_ranks) {
        MockObject *object;
        int64_t n;
        if ((st = par_agree(par, st)) != OK) break;
        Mark here = arena_mark(a);
        if ((st = share(&object, &n, sky, at, step, par, a)) != OK) break;
        st = add(&l, sky, object, n);
        if (st == OK) st = par_continue();
        arena_reset(a, here);
    }
    st = par_agree(par, end(&l, sky, st));
    arena_reset(a, mark);
    return st;
}
