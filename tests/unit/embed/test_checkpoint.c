/* Weights in a file: what is written is what is read, and what does not fit is refused by name. */
#include <stdio.h>
#include <string.h>

#include "io/seal.h"
#include "test_main.h"
#include "train/checkpoint.h"

static const Envelope envelope = {
    .made_by = "train", .config = "", .specprod = "", .image_release = "", .provider = ""};

static void declare(Params *p, int64_t rows)
{
    int64_t index;
    CU_ASSERT_TRUE_FATAL(CHECK_OK(params_init(p, 8, &test_arena)));
    CU_ASSERT_TRUE(
        CHECK_OK(params_declare(&index, p, "image_encoder.", "mlp.encoder.weight", 2, (int64_t[]){rows, 3})));
    CU_ASSERT_TRUE(CHECK_OK(params_declare(&index, p, "image_encoder.", "mlp.encoder.bias", 1, (int64_t[]){rows})));
    CU_ASSERT_TRUE_FATAL(CHECK_OK(params_allocate(p)));
}

static const char *file_name(void)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/astroclip.ckpt.h5", test_folder());
    return path;
}

static void round_trip(void)
{
    Params a, b;
    declare(&a, 4);
    declare(&b, 4);
    params_deterministic(&a, 5);
    CU_ASSERT_TRUE_FATAL(CHECK_OK(checkpoint_save(file_name(), &a, &envelope)));
    CU_ASSERT_TRUE_FATAL(CHECK_OK(checkpoint_load(&b, file_name(), &test_arena)));
    for (int64_t i = 0; i < a.n_params; i++)
        CU_ASSERT_EQUAL(memcmp(params_at(&a, i), params_at(&b, i), (size_t)a.param[i].n * sizeof(real)), 0);
}

static void other_shapes_are_refused(void)
{
    Params a, b;
    declare(&a, 4);
    declare(&b, 5);
    CU_ASSERT_TRUE_FATAL(CHECK_OK(checkpoint_save(file_name(), &a, &envelope)));
    Status st = checkpoint_load(&b, file_name(), &test_arena);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "image_encoder.mlp.encoder.weight"));
    CHECK_FAILS(st, E_INPUT);
}

static void missing_and_extra_tensors_are_refused(void)
{
    Params a, b;
    int64_t index;
    declare(&a, 4);
    CU_ASSERT_TRUE(CHECK_OK(params_init(&b, 8, &test_arena)));
    CU_ASSERT_TRUE(CHECK_OK(params_declare(&index, &b, "image_encoder.", "mlp.encoder.weight", 2, (int64_t[]){4, 3})));
    CU_ASSERT_TRUE_FATAL(CHECK_OK(params_allocate(&b)));
    CU_ASSERT_TRUE_FATAL(CHECK_OK(checkpoint_save(file_name(), &a, &envelope)));
    CHECK_FAILS(checkpoint_load(&b, file_name(), &test_arena), E_INPUT);
    CU_ASSERT_TRUE_FATAL(CHECK_OK(checkpoint_save(file_name(), &b, &envelope)));
    CHECK_FAILS(checkpoint_load(&a, file_name(), &test_arena), E_INPUT);
}

static void nan_weights_are_refused(void)
{
    Params a;
    declare(&a, 4);
    params_at(&a, 1)[2] = NAN;
    CU_ASSERT_TRUE_FATAL(CHECK_OK(checkpoint_save(file_name(), &a, &envelope)));
    CHECK_FAILS(checkpoint_load(&a, file_name(), &test_arena), E_INPUT);
}

/* A value changed behind our back, as by a bad disk: found before anything is computed with it. */
static void changed_weights_are_refused(void)
{
    Params a;
    declare(&a, 4);
    params_deterministic(&a, 5);
    CU_ASSERT_TRUE_FATAL(CHECK_OK(checkpoint_save(file_name(), &a, &envelope)));
    uint8_t bytes[1 << 16];
    FILE *f = fopen(file_name(), "r+b");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    const size_t n = fread(bytes, 1, sizeof bytes, f);
    const uint8_t *at = memmem(bytes, n, params_at(&a, 1), 4 * sizeof(float));
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    fseek(f, at - bytes, SEEK_SET);
    fputc(at[0] ^ 1, f);
    fclose(f);
    const Status st = checkpoint_load(&a, file_name(), &test_arena);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, file_name()));
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "checksum"));
    CHECK_FAILS(st, E_INPUT);
}

/* Such a dataset's values are left out of the checksum of a file: as weights they would be read by nobody. */
static void weights_with_checksums_of_their_own_are_refused(void)
{
    Params a;
    H5File f = {0};
    declare(&a, 4);
    params_deterministic(&a, 5);
    CU_ASSERT_TRUE_FATAL(CHECK_OK(checkpoint_save(file_name(), &a, &envelope)));
    CU_ASSERT_TRUE_FATAL(CHECK_OK(h5_modify(&f, file_name(), NULL)));
    CHECK_OK(h5_put_attr_text(&f, "weights/image_encoder.mlp.encoder.bias", SEAL_ATTRIBUTE,
                              "weights/image_encoder.mlp.encoder.weight"));
    CHECK_OK(h5_close(&f));
    const Status st = checkpoint_load(&a, file_name(), &test_arena);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "checksums of its rows"));
    CHECK_FAILS(st, E_INPUT);
}

TEST_MAIN("checkpoint", {"what is written is what is read", round_trip},
          {"another shape is refused and the tensor named", other_shapes_are_refused},
          {"missing and extra tensors are refused", missing_and_extra_tensors_are_refused},
          {"NaN weights are refused", nan_weights_are_refused},
          {"weights that were changed on disk are refused", changed_weights_are_refused},
          {"weights with checksums of their own are refused", weights_with_checksums_of_their_own_are_refused})
