/* Bricks: the grid, the published vectors, the boxes, who shows a position. */
#include <math.h>
#include <string.h>

#include "data/brick.h"
#include "test_main.h"

static const struct {
    double ra, dec;
    const char *name;
    int32_t id;
    double ra_c, dec_c; /* centre, to 1e-6 deg */
} vectors[] = {
    {0.1, 0.0, "0001p000", 330368, 0.125000, 0.0},         {180.0, 45.0, "1801p450", 564835, 180.176125, 45.0},
    {112.6, 22.25, "1126p222", 455939, 112.668666, 22.25}, {233.42, 33.11, "2334p330", 511250, 233.404959, 33.0},
    {150.1, 2.2, "1501p022", 343928, 150.125000, 2.25},    {359.99, -33.7, "3598m337", 148089, 359.850000, -33.75},
    {266.0, 65.5, "2658p655", 632220, 265.813953, 65.5},
};

static void positions_give_the_published_bricks(void)
{
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        Brick b;
        CU_ASSERT_FATAL(brick_at(&b, vectors[i].ra, vectors[i].dec));
        CU_ASSERT_STRING_EQUAL(b.name, vectors[i].name);
        CU_ASSERT_EQUAL(b.id, vectors[i].id);
        CU_ASSERT_DOUBLE_EQUAL(b.ra, vectors[i].ra_c, 6e-7);
        CU_ASSERT_DOUBLE_EQUAL(b.dec, vectors[i].dec_c, 1e-9);
    }
}

/* Values in the headers of two real bricks (DR5, DR6), which give 15 digits. */
static void boxes_are_those_of_real_headers(void)
{
    Brick b;
    CU_ASSERT_FATAL(brick_with_id(&b, 657438));
    CU_ASSERT_STRING_EQUAL(b.name, "0959p805");
    CU_ASSERT_DOUBLE_EQUAL(b.ra1, 95.206611570248, 1e-11);
    CU_ASSERT_DOUBLE_EQUAL(b.ra2, 96.6942148760331, 1e-11);
    CU_ASSERT_DOUBLE_EQUAL(b.ra, 95.9504132231405, 1e-11);
    CU_ASSERT_EQUAL(b.dec1, 80.375);
    CU_ASSERT_EQUAL(b.dec2, 80.625);
    CU_ASSERT_FATAL(brick_with_id(&b, 465217));
    CU_ASSERT_STRING_EQUAL(b.name, "1102p240");
    CU_ASSERT_DOUBLE_EQUAL(b.ra1, 110.075872534143, 1e-11);
    CU_ASSERT_DOUBLE_EQUAL(b.ra2, 110.349013657056, 1e-11);
}

static void the_sky_has_662174_bricks(void)
{
    int64_t n = 0;
    for (int64_t row = -1; row <= N_BRICK_ROWS; row++) n += brick_columns(row);
    CU_ASSERT_EQUAL(n, N_BRICKS);
    CU_ASSERT_EQUAL(brick_columns(-1), 0);
    CU_ASSERT_EQUAL(brick_columns(0), 1);
    CU_ASSERT_EQUAL(brick_columns(N_BRICK_ROWS - 1), 1);
    Brick b;
    CU_ASSERT(!brick_with_id(&b, 0));
    CU_ASSERT(!brick_with_id(&b, N_BRICKS + 1));
    CU_ASSERT(brick_with_id(&b, N_BRICKS));
    CU_ASSERT_EQUAL(b.dec, 90);
}

/* A sample of all bricks (every 37th): id, row and column, centre and low corner name the same brick. */
static void every_way_to_a_brick_agrees(void)
{
    int bad = 0;
    for (int64_t id = 1; id <= N_BRICKS; id += 37) {
        Brick a, b, c;
        CU_ASSERT_FATAL(brick_with_id(&a, id));
        CU_ASSERT_FATAL(brick_at(&b, a.ra, a.dec));
        CU_ASSERT_FATAL(brick_at_row(&c, a.row, a.col));
        if (a.id != id || brick_id_at(a.ra, a.dec) != id || b.id != id || c.id != id || strcmp(a.name, b.name) != 0)
            bad++;
        CU_ASSERT_FATAL(brick_at(&b, a.ra1 + 1e-9, a.dec1));
        if (b.id != id) bad++;
        if (b.ra1 != a.ra1 || a.ra2 <= a.ra1 || a.dec2 <= a.dec1) bad++;
    }
    CU_ASSERT_EQUAL(bad, 0);
}

static void right_ascension_wraps(void)
{
    Brick a, b;
    CU_ASSERT(brick_at(&a, 0.1, 0) && brick_at(&b, 360.1, 0));
    CU_ASSERT_EQUAL(a.id, b.id);
    CU_ASSERT(brick_at(&a, -0.1, 0) && brick_at(&b, 359.9, 0));
    CU_ASSERT_EQUAL(a.id, b.id);
    CU_ASSERT(brick_at(&a, 360, 0) && brick_at(&b, 0, 0));
    CU_ASSERT_EQUAL(a.id, b.id);
    CU_ASSERT(brick_at(&a, -1e-18, 0)); /* rounds to 360, which is 0 */
}

static void nonsense_is_no_position(void)
{
    Brick b;
    CU_ASSERT(!brick_at(&b, NAN, 0));
    CU_ASSERT_EQUAL(brick_id_at(NAN, 0), 0);
    CU_ASSERT(!brick_at(&b, 0, NAN));
    CU_ASSERT(!brick_at(&b, INFINITY, 0));
    CU_ASSERT(!brick_at(&b, 0, 90.001));
    CU_ASSERT(!brick_at(&b, -9999, 0));
    CU_ASSERT_EQUAL(brick_list((Brick[BRICK_LIST]){{0}}, NAN, 0, 0.13), 0);
    CU_ASSERT(brick_at(&b, 12, 90));
    CU_ASSERT_EQUAL(b.id, N_BRICKS);
    CU_ASSERT(brick_at(&b, 12, -90));
    CU_ASSERT_EQUAL(b.id, 1);
}

/* brick_list against all bricks within one degree, one by one. */
static void the_list_is_complete_and_ordered(void)
{
    static const double at[][2] = {{0.001, 0.12}, {359.999, 45.1}, {180, -30.124}, {17, 89.8},
                                   {200, -89.9},  {3, 90},         {95.2, 80.37},  {0, -89.62}};
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        Brick list[BRICK_LIST], b;
        int n = brick_list(list, at[i][0], at[i][1], 0.16), found = 0;
        CU_ASSERT(n > 0 && n < BRICK_LIST);
        for (int64_t row = 0; row < N_BRICK_ROWS; row++) {
            if (fabs(-90 + BRICK_SIZE * (double)row - at[i][1]) > 1) continue;
            for (int64_t col = 0; col < brick_columns(row); col++) {
                brick_at_row(&b, row, col);
                if (!brick_shows(&b, at[i][0], at[i][1], 0.16)) continue;
                CU_ASSERT(found < n && list[found].id == b.id);
                found++;
            }
        }
        CU_ASSERT_EQUAL(found, n);
        CU_ASSERT(brick_at(&b, at[i][0], at[i][1]));
        CU_ASSERT(brick_shows(&b, at[i][0], at[i][1], 0.131)); /* the image always shows its box */
    }
}

static void targetids_hold_release_brick_and_object(void)
{
    int16_t release;
    int32_t brick, object;
    CU_ASSERT_EQUAL(brick_targetid(9010, 330000, 1234), INT64_C(9010) << 42 | INT64_C(330000) << 22 | 1234);
    CU_ASSERT(brick_of_targetid(&release, &brick, &object, brick_targetid(10002, 662174, (1 << 22) - 1)));
    CU_ASSERT(release == 10002 && brick == 662174 && object == (1 << 22) - 1);
    CU_ASSERT(brick_targetid(-1, 1, 1) == -1 && brick_targetid(1 << 16, 1, 1) == -1);
    CU_ASSERT(brick_targetid(1, -1, 1) == -1 && brick_targetid(1, 1 << 20, 1) == -1);
    CU_ASSERT(brick_targetid(1, 1, -1) == -1 && brick_targetid(1, 1, 1 << 22) == -1);
    const int64_t other[] = {-1,       5, INT64_C(999) << 42, INT64_C(1) << 58, INT64_C(1) << 59, INT64_C(1) << 62,
                             INT64_MAX};
    for (int i = 0; i < 7; i++) CU_ASSERT(!brick_of_targetid(&release, &brick, &object, other[i]));
}

TEST_MAIN("brick", {"positions give the published bricks", positions_give_the_published_bricks},
          {"boxes are those of real headers", boxes_are_those_of_real_headers},
          {"the sky has 662174 bricks", the_sky_has_662174_bricks},
          {"every way to a brick agrees", every_way_to_a_brick_agrees},
          {"right ascension wraps", right_ascension_wraps}, {"nonsense is no position", nonsense_is_no_position},
          {"the list of bricks is complete and ordered", the_list_is_complete_and_ordered},
          {"TARGETIDs hold release, brick and object", targetids_hold_release_brick_and_object})
