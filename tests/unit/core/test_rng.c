/* test_rng.c - Philox against the known answers of its authors; streams that depend on their names only; moments. */
#include "test_main.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

/* Random123, file kat_vectors, philox4x32 with 10 rounds. */
static void philox_gives_its_known_answers(void)
{
    static const struct {
        uint32_t counter[4], key[2], answer[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint32_t out[4];
        philox4x32(out, known[i].counter, known[i].key);
        CU_ASSERT_EQUAL(memcmp(out, known[i].answer, sizeof out), 0);
    }
}

static void a_stream_is_philox_of_its_counter(void)
{
    int64_t object = 0x123456789abcdef;
    Rng r = rng_stream(7, "test", object, 42);
    for (uint32_t draw = 0; draw < 3; draw++) {
        uint32_t counter[4] = {draw, 42, 0x89abcdef, 0x01234567}, out[4];
        philox4x32(out, counter, r.key);
        for (int i = 0; i < 4; i++) CU_ASSERT_EQUAL(rng_u32(&r), out[i]);
    }
}

static void each_part_of_the_name_changes_the_stream(void)
{
    Rng base = rng_stream(1, "mock.noise", 5, 0), others[] = {rng_stream(2, "mock.noise", 5, 0),
                                                              rng_stream(1, "mock.sky", 5, 0),
                                                              rng_stream(1, "mock.noise", 6, 0),
                                                              rng_stream(1, "mock.noise", 5, 1),
                                                              rng_stream(1, "mock.noise", 5 + (1LL << 32), 0),
                                                              rng_stream(1 + (1ULL << 32), "mock.noise", 5, 0)};
    uint64_t first = rng_u64(&base);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) CU_ASSERT_NOT_EQUAL(rng_u64(&others[i]), first);
    Rng again = rng_stream(1, "mock.noise", 5, 0);
    CU_ASSERT_EQUAL(rng_u64(&again), first);
}

/* Mean of N uniforms within 5 sigma = 5 / sqrt(12 N); the same rule for the moments of the normal. */
static void uniforms_and_normals_have_their_moments(void)
{
    enum { N = 200000 };
    Rng r = rng_stream(3, "moments", 0, 0);
    double sum = 0, least = 1, most = 0, mean = 0, square = 0, fourth = 0;
    for (int i = 0; i < N; i++) {
        double u = rng_uniform(&r);
        sum += u;
        least = fmin(least, u);
        most = fmax(most, u);
    }
    CU_ASSERT(least >= 0 && least < 1e-3 && most < 1 && most > 0.999);
    CU_ASSERT_DOUBLE_EQUAL(sum / N, 0.5, 5 / sqrt(12.0 * N));
    for (int i = 0; i < N; i++) {
        double x = rng_normal(&r);
        mean += x / N;
        square += x * x / N;
        fourth += x * x * x * x / N;
    }
    CU_ASSERT_DOUBLE_EQUAL(mean, 0, 5 / sqrt((double)N));
    CU_ASSERT_DOUBLE_EQUAL(square, 1, 5 * sqrt(2.0 / N));
    CU_ASSERT_DOUBLE_EQUAL(fourth, 3, 5 * sqrt(96.0 / N));
}

static void many_normals_are_normal_and_stay_in_bounds(void)
{
    enum { N = 100001 };
    float *x, *few;
    CHECK_OK(arena_new(&x, &test_arena, N));
    CHECK_OK(arena_new(&few, &test_arena, 4));
    Rng r = rng_stream(4, "normals", 9, 1), again = rng_stream(4, "normals", 9, 1);
    rng_normals(x, N, &r);
    rng_normals(few, 3, &again);
    CU_ASSERT(memcmp(x, few, 3 * sizeof *x) == 0 && few[3] == 0);
    double mean = 0, square = 0, neighbours = 0;
    for (int i = 0; i < N; i++) mean += x[i] / N, square += (double)x[i] * x[i] / N;
    for (int i = 1; i < N; i++) neighbours += (double)x[i] * x[i - 1] / N;
    CU_ASSERT_DOUBLE_EQUAL(mean, 0, 5 / sqrt((double)N));
    CU_ASSERT_DOUBLE_EQUAL(square, 1, 5 * sqrt(2.0 / N));
    CU_ASSERT_DOUBLE_EQUAL(neighbours, 0, 5 / sqrt((double)N));
}

static void below_is_even_and_within(void)
{
    int64_t count[7] = {0};
    Rng r = rng_stream(5, "below", 0, 0);
    for (int i = 0; i < 70000; i++) {
        int64_t k = rng_below(&r, 7);
        CU_ASSERT_FATAL(k >= 0 && k < 7);
        count[k]++;
    }
    for (int k = 0; k < 7; k++) CU_ASSERT(llabs(count[k] - 10000) < 500); /* 5 sigma = 463 */
    CU_ASSERT_EQUAL(rng_below(&r, 1), 0);
    int64_t big = (1LL << 62) + 1, upper = 0;
    for (int i = 0; i < 1000; i++) {
        int64_t k = rng_below(&r, big);
        CU_ASSERT(k >= 0 && k < big);
        upper += k >= big / 2;
    }
    CU_ASSERT(upper > 400 && upper < 600); /* 6 sigma */
}

TEST_MAIN("rng", {"Philox gives its known answers", philox_gives_its_known_answers},
          {"a stream is Philox of (draw, step, object)", a_stream_is_philox_of_its_counter},
          {"each part of the name changes the stream", each_part_of_the_name_changes_the_stream},
          {"uniforms and normals have their moments", uniforms_and_normals_have_their_moments},
          {"many normals at once are normal and stay in bounds", many_normals_are_normal_and_stay_in_bounds},
          {"numbers below n are even and within", below_is_even_and_within})
