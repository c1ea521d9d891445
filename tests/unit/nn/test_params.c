/* test_params.c - parameters by name, and the deterministic weights of spec.md section 8. */
#include <string.h>

#include "core/hash.h"
#include "nn/params.h"
#include "test_main.h"

static Params two(void)
{
    Params p;
    int64_t index;
    CHECK_OK(params_init(&p, 2, &test_arena));
    CHECK_OK(params_declare(&index, &p, "a.", "weight", 2, (const int64_t[]){3, 5}));
    CHECK_OK(params_declare(&index, &p, "a.", "bias", 1, (const int64_t[]){3}));
    CU_ASSERT_EQUAL(index, 1);
    CHECK_OK(params_allocate(&p));
    return p;
}

static void found_by_full_name(void)
{
    const Params p = two();
    const Param *weight = params_find(&p, "a.weight");
    CU_ASSERT_PTR_NOT_NULL_FATAL(weight);
    CU_ASSERT_EQUAL(weight->n, 15);
    CU_ASSERT_PTR_EQUAL(params_find(&p, "a.bias"), &p.param[1]);
    CU_ASSERT_PTR_NULL(params_find(&p, "weight"));
}

static void values_are_apart_aligned_and_zero(void)
{
    const Params p = two();
    CU_ASSERT_EQUAL((uintptr_t)params_at(&p, 0) % 64, 0);
    CU_ASSERT_EQUAL((uintptr_t)params_at(&p, 1) % 64, 0);
    CU_ASSERT(params_at(&p, 1) >= params_at(&p, 0) + 15);
    for (int64_t i = 0; i < p.n_reals; i++) CU_ASSERT_EQUAL(p.value[i], 0);
}

/* The numbers that spec.md prints for seed 777; a cls_token is 0.5 u. */
static void check_values_of_the_specification(void)
{
    static const double u[] = {-0.7591482400894165, 0.3005714416503906, 0.9660730361938477, 0.33762216567993164};
    CU_ASSERT_EQUAL(hash_fnv1a("cls_token"), 0x4121142b781a9599u);
    for (int i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(params_deterministic_value("image_encoder.backbone.cls_token", 3, (const int64_t[]){1, 1, 8}, i,
                                                   777),
                        (double)(float)(0.5 * u[i]));
}

/* Largest and smallest of many values of a parameter: off +- scale. */
static void check_range(const char *name, int n_dims, const int64_t *dims, double off, double scale)
{
    double low = 1e9, high = -1e9;
    for (int64_t i = 0; i < 20000; i++) {
        const double v = params_deterministic_value(name, n_dims, dims, i, 1);
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    CU_ASSERT_DOUBLE_EQUAL(low, off - scale, scale * 1e-3); /* 20000 draws come within 1e-3 of the ends */
    CU_ASSERT_DOUBLE_EQUAL(high, off + scale, scale * 1e-3);
}

static void rules_by_name(void)
{
    const int64_t vector[] = {64}, matrix[] = {64, 48}, kernel[] = {64, 3, 2, 2};
    check_range("blocks.0.ls1.gamma", 1, vector, 0.5, 0.25);
    check_range("last_layer.weight_g", 2, (const int64_t[]){64, 1}, 1, 0.25);
    check_range("norm.weight", 1, vector, 1, 0.25);
    check_range("bn.running_var", 1, vector, 1, 0.25);
    check_range("bn.running_mean", 1, vector, 0, 0.1);
    check_range("norm.bias", 1, vector, 0, 0.1);
    check_range("cross_attention.multihead_attn.in_proj_bias", 1, vector, 0, 0.1);
    check_range("cross_attention.query", 3, (const int64_t[]){1, 1, 64}, 0, 0.5);
    check_range("pos_embed", 3, (const int64_t[]){1, 9, 64}, 0, 0.5);
    check_range("position_embed.weight", 2, matrix, 0, 0.5);
    check_range("mlp.fc1.weight", 2, matrix, 0, 0.25);          /* sqrt(3/48) */
    check_range("patch_embed.proj.weight", 4, kernel, 0, 0.5);  /* sqrt(3/12) */
    check_range("something", 1, (const int64_t[]){12}, 0, 0.5); /* 1-D without a rule: fan-in is its length */
}

static void filling_is_by_name_and_seed(void)
{
    Params p = two();
    params_deterministic(&p, 5);
    for (int64_t k = 0; k < p.n_params; k++)
        for (int64_t i = 0; i < p.param[k].n; i++)
            CU_ASSERT_EQUAL((double)params_at(&p, k)[i],
                            params_deterministic_value(p.param[k].name, p.param[k].n_dims, p.param[k].dims, i, 5));
    const real before = params_at(&p, 0)[0];
    params_deterministic(&p, 6);
    CU_ASSERT_NOT_EQUAL(params_at(&p, 0)[0], before);
}

TEST_MAIN("params", {"a parameter is found by its full name only", found_by_full_name},
          {"values are apart, aligned and zero at first", values_are_apart_aligned_and_zero},
          {"deterministic weights have the check values of the specification", check_values_of_the_specification},
          {"offset and scale follow the name", rules_by_name},
          {"filling depends on name and seed, not on the table", filling_is_by_name_and_seed})
