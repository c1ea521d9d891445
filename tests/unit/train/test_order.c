/* test_order.c - batches of an epoch: a shuffle that depends on seed and epoch alone. */
#include <stdlib.h>
#include <string.h>

#include "test_main.h"
#include "train/order.h"

enum { N = 1003, BATCH = 7 };

static void take_epoch(int64_t *sample, Order *o, int64_t epoch)
{
    const int64_t steps = order_steps_per_epoch(o);
    for (int64_t s = 0; s < steps; s++) order_batch(sample + s * o->batch, o, epoch * steps + s, 0, o->batch);
}

static void each_sample_comes_once(void)
{
    static const int64_t block[] = {1, 16, 64, 5000}, window[] = {1, 64, 256, 100000};
    for (int k = 0; k < 4; k++) {
        Order o;
        int64_t sample[N];
        int seen[N] = {0};
        CHECK_OK(order_init(&o, N, BATCH, block[k], window[k], 5, &test_arena));
        const int64_t n = order_steps_per_epoch(&o) * BATCH;
        CU_ASSERT_EQUAL(n, N / BATCH * BATCH);
        for (int64_t epoch = 0; epoch < 3; epoch++) {
            take_epoch(sample, &o, epoch);
            memset(seen, 0, sizeof seen);
            for (int64_t i = 0; i < n; i++) {
                CU_ASSERT_FATAL(sample[i] >= 0 && sample[i] < N);
                seen[sample[i]]++;
            }
            int64_t once = 0;
            for (int64_t i = 0; i < N; i++) once += seen[i] == 1;
            CU_ASSERT_EQUAL(once, n);
        }
    }
}

static void a_batch_may_be_taken_in_any_parts_and_order(void)
{
    Order o, other;
    int64_t whole[N], part[3];
    CHECK_OK(order_init(&o, N, BATCH, 16, 64, 5, &test_arena));
    CHECK_OK(order_init(&other, N, BATCH, 16, 64, 5, &test_arena));
    take_epoch(whole, &o, 1);
    const int64_t steps = order_steps_per_epoch(&o);
    for (int64_t s = steps - 1; s >= 0; s -= 3) {
        order_batch(part, &other, steps + s, 2, 3);
        for (int i = 0; i < 3; i++) CU_ASSERT_EQUAL(part[i], whole[s * BATCH + 2 + i]);
    }
}

static void epochs_and_seeds_differ(void)
{
    Order o, other;
    int64_t a[N], b[N], c[N];
    CHECK_OK(order_init(&o, N, BATCH, 16, 64, 5, &test_arena));
    CHECK_OK(order_init(&other, N, BATCH, 16, 64, 6, &test_arena));
    take_epoch(a, &o, 0);
    take_epoch(b, &o, 1);
    take_epoch(c, &other, 0);
    int64_t same[2] = {0, 0};
    for (int64_t i = 0; i < N / BATCH * BATCH; i++) {
        same[0] += a[i] == b[i];
        same[1] += a[i] == c[i];
    }
    CU_ASSERT(same[0] < 20 && same[1] < 20); /* about one in N falls on its own place */
}

/* What a window mixes are whole blocks of the file. */
static void reads_stay_within_a_window(void)
{
    Order o;
    int64_t sample[N];
    CHECK_OK(order_init(&o, N, 1, 16, 64, 5, &test_arena));
    take_epoch(sample, &o, 0);
    for (int64_t at = 0; at + 64 <= N - 64; at += 16) {
        int64_t blocks = 0;
        bool seen[N / 16 + 1] = {false};
        for (int64_t i = at; i < at + 64; i++) {
            blocks += !seen[sample[i] / 16];
            seen[sample[i] / 16] = true;
        }
        CU_ASSERT(blocks <= 8); /* of two neighbouring windows */
    }
}

static void too_few_samples_are_refused(void)
{
    Order o;
    CU_ASSERT_EQUAL(order_init(&o, 6, BATCH, 16, 64, 5, &test_arena), E_INPUT);
    fail_clear();
}

TEST_MAIN("order of samples", {"each sample comes once an epoch", each_sample_comes_once},
          {"a batch may be taken in any parts and order", a_batch_may_be_taken_in_any_parts_and_order},
          {"epochs and seeds differ", epochs_and_seeds_differ},
          {"reads stay within a window of blocks", reads_stay_within_a_window},
          {"too few samples are refused", too_few_samples_are_refused})
