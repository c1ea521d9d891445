/* test_attention.c - attention against plain loops in double, and what holds whatever the numbers. */
#include <string.h>

#include "nn/attention.h"
#include "nn/pool.h"
#include "nn/gemm.h"
#include "test_main.h"

enum {
    HEADS = 3,
    WIDTH = 8,
    DIM = HEADS * WIDTH,
    MOST = 211
}; /* 211 tokens: more than one block of queries, no whole panel */

static const double rounding = 2e-6; /* of values around 1: two products and a softmax in float */

static real qkv[MOST * 3 * DIM];

static void fill(void)
{
    for (int i = 0; i < MOST * 3 * DIM; i++) qkv[i] = (real)(1.5 * sin(0.37 * i + 0.001 * i * (i % 17)));
}

static void plain(double *out, int64_t tokens, int head, int64_t query)
{
    double score[MOST], sum = 0;
    const real *q = qkv + query * 3 * DIM + head * WIDTH;
    for (int64_t t = 0; t < tokens; t++) {
        double s = 0;
        for (int c = 0; c < WIDTH; c++) s += (double)q[c] * (double)qkv[(t * 3 + 1) * DIM + head * WIDTH + c];
        score[t] = exp(s / sqrt(WIDTH));
        sum += score[t];
    }
    for (int c = 0; c < WIDTH; c++) out[c] = 0;
    for (int64_t t = 0; t < tokens; t++)
        for (int c = 0; c < WIDTH; c++) out[c] += score[t] / sum * (double)qkv[(t * 3 + 2) * DIM + head * WIDTH + c];
}

static void check(int64_t tokens)
{
    static real out[MOST * DIM];
    const size_t used = test_arena.used;
    CHECK_OK(attention_forward(out, qkv, tokens, HEADS, WIDTH, &test_arena));
    CU_ASSERT_EQUAL(test_arena.used, used);
    double worst = 0, want[WIDTH];
    for (int64_t t = 0; t < tokens; t++) {
        for (int head = 0; head < HEADS; head++) {
            plain(want, tokens, head, t);
            for (int c = 0; c < WIDTH; c++)
                worst = fmax(worst, fabs(want[c] - (double)out[t * DIM + head * WIDTH + c]));
        }
    }
    CU_ASSERT(worst < rounding);
}

static void agrees_with_plain_loops(void)
{
    fill();
    for (const GemmProvider *const *p = gemm_providers; *p; p++) {
        if (!(*p)->available() || !CHECK_OK(gemm_choose((*p)->name, 1))) continue;
        check(1);
        check(16);
        check(50);
        check(MOST);
    }
}

static void permuting_tokens_permutes_outputs(void)
{
    enum { TOKENS = 29 };
    static real turned[TOKENS * 3 * DIM], a[TOKENS * DIM], b[TOKENS * DIM];
    fill();
    for (int t = 0; t < TOKENS; t++)
        memcpy(turned + (t * 5 % TOKENS) * 3 * DIM, qkv + t * 3 * DIM, sizeof(real) * 3 * DIM);
    CHECK_OK(attention_forward(a, qkv, TOKENS, HEADS, WIDTH, &test_arena));
    CHECK_OK(attention_forward(b, turned, TOKENS, HEADS, WIDTH, &test_arena));
    for (int t = 0; t < TOKENS; t++)
        for (int i = 0; i < DIM; i++) CU_ASSERT_DOUBLE_EQUAL(a[t * DIM + i], b[(t * 5 % TOKENS) * DIM + i], rounding);
}

static void equal_keys_give_the_mean(void)
{
    enum { TOKENS = 20 };
    static real out[TOKENS * DIM];
    fill();
    for (int t = 0; t < TOKENS; t++)
        for (int i = 0; i < DIM; i++) qkv[(t * 3 + 1) * DIM + i] = 1;
    CHECK_OK(attention_forward(out, qkv, TOKENS, HEADS, WIDTH, &test_arena));
    for (int i = 0; i < DIM; i++) {
        double mean = 0;
        for (int t = 0; t < TOKENS; t++) mean += (double)qkv[(t * 3 + 2) * DIM + i] / TOKENS;
        CU_ASSERT_DOUBLE_EQUAL(out[7 * DIM + i], mean, rounding);
    }
}

static void huge_scores_do_not_overflow(void)
{
    enum { TOKENS = 4 };
    static real out[TOKENS * DIM];
    fill();
    for (int i = 0; i < TOKENS * 3 * DIM; i++) qkv[i] *= 1000;
    CHECK_OK(attention_forward(out, qkv, TOKENS, HEADS, WIDTH, &test_arena));
    for (int i = 0; i < TOKENS * DIM; i++) CU_ASSERT(isfinite(out[i]));
}

/* Tokens that are their own keys and values: a head sees its columns of a token, so its part of the result is there. */
static void pooling_is_attention_with_one_query(void)
{
    enum { TOKENS = 21, QUERY = 6 };
    static real x[TOKENS * DIM], key[HEADS * DIM], weights[HEADS * TOKENS], out[HEADS * DIM], all[TOKENS * DIM];
    fill();
    for (int t = 0; t < TOKENS; t++) {
        memcpy(x + t * DIM, qkv + (t * 3 + 1) * DIM, sizeof(real) * DIM);
        memcpy(qkv + (t * 3 + 2) * DIM, x + t * DIM, sizeof(real) * DIM);
    }
    for (int i = 0; i < DIM; i++) key[i / WIDTH * DIM + i] = qkv[QUERY * 3 * DIM + i] / R(sqrt)((real)WIDTH);
    CHECK_OK(attention_forward(all, qkv, TOKENS, HEADS, WIDTH, &test_arena));
    pool_forward(out, weights, key, x, TOKENS, HEADS, DIM);
    for (int i = 0; i < DIM; i++) CU_ASSERT_DOUBLE_EQUAL(out[i / WIDTH * DIM + i], all[QUERY * DIM + i], rounding);
    for (int head = 0; head < HEADS; head++) {
        double sum = 0;
        for (int t = 0; t < TOKENS; t++) sum += (double)weights[head * TOKENS + t];
        CU_ASSERT_DOUBLE_EQUAL(sum, 1, rounding);
    }
}

TEST_MAIN("attention", {"every provider agrees with plain loops, blocks and tails included", agrees_with_plain_loops},
          {"permuting tokens permutes outputs", permuting_tokens_permutes_outputs},
          {"equal keys give the mean of the values", equal_keys_give_the_mean},
          {"huge scores do not overflow", huge_scores_do_not_overflow},
          {"pooling is attention with one query, and its weights sum to one", pooling_is_attention_with_one_query})
