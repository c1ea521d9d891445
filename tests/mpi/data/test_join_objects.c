/* Rows with spectra meet the objects of a stored image set: each row gets the right image, each object is used or left,
   and the result does not depend on the number of ranks or on who brings what. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/rng.h"
#include "data/brick.h"
#include "data/healpix.h"
#include "data/join.h"
#include "test_main.h"

enum { N_ROWS = 400, N_OBJECTS = 700 };
static const Par alone = {.rank = 0, .n_ranks = 1, .comm = NULL};

/* Object t of the set: the first half over the sky, across RA 0 and near the pole; the last ones without a position. */
static void make_object(CatalogRow *r, int64_t t)
{
    Rng g = rng_stream(11, "test.object", t, 0);
    catalog_new_row(r);
    r->targetid = 5000 + t;
    r->dec = t % 5 ? 20 * rng_uniform(&g) - 10 : 89.9 + 0.09 * rng_uniform(&g);
    r->ra = t % 2 && t % 5 ? 0.5 * rng_uniform(&g) - 0.25 : 360 * rng_uniform(&g);
    if (r->ra < 0) r->ra += 360;
    if (t >= N_OBJECTS - 50) r->ra = r->dec = NAN;
    r->healpix = 0;
    r->flux[0] = (float)t;
    r->source_file = r->image_file = (int32_t)(t % 3);
    r->source_row = r->image_row = t / 3;
    r->place = ((int64_t)r->image_file + 1) << 40 | (r->image_row + 1);
    r->has_image = 1;
}

/* Row i: every third by TARGETID (some of objects without position), every third half an arcsec from an object, every
   third beyond reach. */
static void make_row(CatalogRow *r, int64_t i)
{
    CatalogRow object;
    make_object(&object, i % 3 == 0 ? N_OBJECTS - 1 - i : i);
    catalog_new_row(r);
    r->has_spectrum = 1;
    r->targetid = i % 3 == 0 ? object.targetid : 100000 + i;
    r->ra = object.ra;
    r->dec = i % 3 == 1 ? object.dec - 0.5 / 3600 : -50; /* no object lies there */
    if (i % 6 == 1) r->ra = fmod(object.ra - 0.5 / 3600 / cos(object.dec * M_PI / 180) + 360, 360);
    if (i % 6 == 1) r->dec = object.dec;
}

typedef struct {
    CatalogRow *row, *left;
    int64_t n, n_left, n_rejects;
} Joined;

static int by_target(const void *a, const void *b)
{
    const CatalogRow *x = a, *y = b;
    return x->targetid < y->targetid ? -1 : x->targetid > y->targetid;
}

static bool join(Joined *out, const Par *par)
{
    static Arena scratch;
    CatalogRow *rows, *objects, *mine, *left;
    RejectList rejects = {.arena = &test_arena};
    int64_t n = 0, n_objects = 0, n_left = 0;
    if (!scratch.limit) CHECK_OK(arena_init(&scratch, "test scratch", (size_t)1 << 30));
    CHECK_OK(arena_new(&rows, &test_arena, N_ROWS));
    CHECK_OK(arena_new(&objects, &test_arena, N_OBJECTS));
    for (int64_t i = 0; i < N_ROWS; i++) /* rows are with the owners of their TARGETIDs, as join_unique leaves them */
        make_row(&rows[i], i);
    for (int64_t i = 0; i < N_ROWS; i++)
        if (hash_mix((uint64_t)rows[i].targetid) % (uint64_t)par->n_ranks == (uint64_t)par->rank) rows[n++] = rows[i];
    if (n > 0) qsort(rows, (size_t)n, sizeof *rows, by_target);
    for (int64_t t = 0; t < N_OBJECTS; t++)
        if (t * 7 % par->n_ranks == par->rank) make_object(&objects[n_objects++], t);
    if (!CHECK_OK(join_objects(rows, n, &left, &n_left, &rejects, objects, n_objects, 1.0, par, &scratch, &test_arena)))
        return false;
    out->n_rejects = rejects.n;
    par_sum_i64(par, &out->n_rejects, 1);
    CHECK_OK(par_sort((void **)&mine, &n, par, rows, n, sizeof *rows, by_target, &test_arena));
    CHECK_OK(par_allgather((void **)&out->row, &out->n, par, mine, n, sizeof *mine, &test_arena));
    CHECK_OK(par_sort((void **)&mine, &n_left, par, left, n_left, sizeof *left, by_target, &test_arena));
    CHECK_OK(par_allgather((void **)&out->left, &out->n_left, par, mine, n_left, sizeof *mine, &test_arena));
    return true;
}

static void each_row_gets_its_image(void)
{
    Joined j;
    int64_t by_id = 0, by_position = 0;
    if (!join(&j, &test_par)) return;
    CU_ASSERT_EQUAL_FATAL(j.n, N_ROWS);
    for (int64_t k = 0; k < j.n; k++) {
        const CatalogRow *r = &j.row[k];
        bool id = r->targetid < 100000;
        int64_t i = r->targetid - 100000, t = id ? r->targetid - 5000 : i;
        bool matched = id || i % 3 == 1;
        CU_ASSERT_EQUAL(r->has_image, matched);
        CU_ASSERT_EQUAL(r->match, !matched ? MATCH_NONE : id ? MATCH_ID : MATCH_POSITION);
        CU_ASSERT_EQUAL(r->image_file, matched ? t % 3 : -1);
        if (matched) CU_ASSERT_EQUAL(r->image_row, t / 3);
        if (matched) CU_ASSERT_EQUAL(r->flux[0], (float)t);
        by_id += r->match == MATCH_ID;
        by_position += r->match == MATCH_POSITION;
    }
    CU_ASSERT(by_id > 100 && by_position > 100);
}

static void each_object_is_used_or_left(void)
{
    Joined j;
    bool used[N_OBJECTS] = {false};
    int64_t n_used = 0;
    if (!join(&j, &test_par)) return;
    for (int64_t k = 0; k < j.n; k++)
        if (j.row[k].has_image) used[3 * j.row[k].image_row + j.row[k].image_file] = true;
    for (int64_t t = 0; t < N_OBJECTS; t++) n_used += used[t];
    for (int64_t k = 0; k < j.n_left; k++) CU_ASSERT(!used[j.left[k].targetid - 5000]);
    CU_ASSERT_EQUAL(n_used + j.n_left, N_OBJECTS);
    CU_ASSERT_EQUAL(n_used, j.n_rejects);
}

static void any_number_of_ranks_gives_the_same(void)
{
    Joined here, one;
    if (!join(&here, &test_par) || !join(&one, &alone)) return;
    CU_ASSERT_EQUAL_FATAL(here.n, one.n);
    CU_ASSERT_EQUAL(memcmp(here.row, one.row, (size_t)one.n * sizeof *one.row), 0);
    CU_ASSERT_EQUAL_FATAL(here.n_left, one.n_left);
    CU_ASSERT_EQUAL(memcmp(here.left, one.left, (size_t)one.n_left * sizeof *one.left), 0);
}

static void nothing_on_either_side_is_fine(void)
{
    Arena scratch = {0};
    CatalogRow row, *left;
    RejectList rejects = {.arena = &test_arena};
    int64_t n_left;
    make_row(&row, 1);
    if (!CHECK_OK(arena_init(&scratch, "test scratch", (size_t)1 << 28))) return;
    CHECK_OK(join_objects(NULL, 0, &left, &n_left, &rejects, NULL, 0, 1.0, &test_par, &scratch, &test_arena));
    CU_ASSERT_EQUAL(n_left, 0);
    CHECK_OK(join_objects(&row, 1, &left, &n_left, &rejects, NULL, 0, 0.0, &test_par, &scratch, &test_arena));
    CU_ASSERT_EQUAL(row.has_image, 0);
    arena_free(&scratch);
}

/* A target of one photometric release, its image-only row of another: one row stays, whichever rank holds which. */
static void one_object_is_one_row(void)
{
    enum { N = 60 };
    CatalogRow *rows, *out, *all;
    RejectList rejects = {.arena = &test_arena};
    int64_t n = 0, n_out = 0, n_all = 0;
    CHECK_OK(arena_new(&rows, &test_arena, 2 * N));
    for (int64_t i = 0; i < N; i++) {
        CatalogRow spectrum, image;
        catalog_new_row(&spectrum);
        spectrum.targetid = brick_targetid(9010, 300000, i);
        spectrum.has_spectrum = 1;
        spectrum.match = i % 3 ? MATCH_POSITION : MATCH_NONE;
        spectrum.release = i % 3 ? 10000 : 9010;
        spectrum.brickid = 300000;
        spectrum.brick_objid = (int32_t)(1000 + i);
        catalog_new_row(&image);
        image.targetid = brick_targetid(10000, 300000, 1000 + i);
        image.match = MATCH_ID;
        if (i % test_par.n_ranks == test_par.rank) rows[n++] = spectrum;
        if ((i + 1) % test_par.n_ranks == test_par.rank) rows[n++] = image;
    }
    if (!CHECK_OK(join_same_objects(&out, &n_out, &rejects, rows, n, &test_par, &test_arena))) return;
    CHECK_OK(par_allgather((void **)&all, &n_all, &test_par, out, n_out, sizeof *out, &test_arena));
    CU_ASSERT_EQUAL(n_all, N + N / 3);
    for (int64_t k = 0; k < n_all; k++) CU_ASSERT(all[k].has_spectrum || (all[k].targetid % (1 << 22) - 1000) % 3 == 0);
    for (int64_t k = 0; k < rejects.n; k++) CU_ASSERT_EQUAL(rejects.row[k].reason, REJECT_HAS_SPECTRUM);
}

TEST_MAIN("join_objects", {"each row gets its image", each_row_gets_its_image},
          {"each object is used or left", each_object_is_used_or_left},
          {"any number of ranks gives the same", any_number_of_ranks_gives_the_same},
          {"one object is one row", one_object_is_one_row},
          {"nothing on either side is fine", nothing_on_either_side_is_fine})
