/* mock_index.c - which objects lie in a brick, without a look at all of them: skies have thousands of bricks. */
#include <stdlib.h>

#include "data/mock.h"

static int compare_bricks(const void *a, const void *b)
{
    const MockBrick *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static MockBrick *find(const MockSky *sky, int32_t brickid)
{
    const MockBrick key = {.id = brickid};
    return bsearch(&key, sky->by_id, (size_t)sky->n_bricks, sizeof key, compare_bricks);
}

/* Counts, then places: the objects of a brick keep the order of the sky. */
Status mock_index(MockSky *sky, Arena *a)
{
    TRY(arena_new(&sky->by_id, a, sky->n_bricks));
    TRY(arena_new(&sky->in_brick, a, sky->n));
    for (int64_t b = 0; b < sky->n_bricks; b++) sky->by_id[b].id = sky->brick[b].id;
    qsort(sky->by_id, (size_t)sky->n_bricks, sizeof *sky->by_id, compare_bricks);
    for (int64_t i = 0; i < sky->n; i++) find(sky, sky->object[i].brick.id)->n++;
    for (int64_t b = 1; b < sky->n_bricks; b++) sky->by_id[b].first = sky->by_id[b - 1].first + sky->by_id[b - 1].n;
    for (int64_t b = 0; b < sky->n_bricks; b++) sky->by_id[b].n = 0;
    for (int64_t i = 0; i < sky->n; i++) {
        MockBrick *b = find(sky, sky->object[i].brick.id);
        sky->in_brick[b->first + b->n++] = i;
    }
    return OK;
}

int64_t mock_brick_objects(const int64_t **number, const MockSky *sky, int32_t brickid)
{
    const MockBrick *b = find(sky, brickid);
    *number = b ? sky->in_brick + b->first : NULL;
    return b ? b->n : 0;
}

bool mock_has_brick(const MockSky *sky, int32_t brickid) { return find(sky, brickid) != NULL; }
