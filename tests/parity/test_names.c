/* test_names.c - at the published sizes every parameter bears the name and the shape it has in the released
   checkpoint (golden/tensor_names.tsv). */
#include <stdio.h>

#include "golden.h"
#include "model/head.h"
#include "model/specformer.h"
#include "model/vit.h"

static const char section[] = "astroclip.ckpt:state_dict";

/* The published model without its weights: names and shapes only. */
static void declare(Params *p)
{
    const VitConfig vit = {144, 12, 1024, 24, 16, 4};
    const SpecformerConfig specformer = {768, 6, 6, 800, 20, 10};
    const HeadConfig image = {1024, 4, 1024, false}, spectrum = {1024, 4, 768, true};
    Vit v;
    Specformer s;
    Head head;
    CHECK_OK(params_init(p, vit_n_params(&vit) + specformer_n_params(&specformer) + 2 * HEAD_PARAMS, &test_arena));
    CHECK_OK(vit_declare(&v, &vit, p, "image_encoder.backbone.", &test_arena));
    CHECK_OK(head_declare(&head, &image, p, "image_encoder."));
    CHECK_OK(specformer_declare(&s, &specformer, p, "spectrum_encoder.backbone.", &test_arena));
    CHECK_OK(head_declare(&head, &spectrum, p, "spectrum_encoder."));
}

static void shape_text(char *out, size_t size, const Param *p)
{
    size_t used = 0;
    for (int d = 0; d < p->n_dims; d++)
        used += (size_t)snprintf(out + used, size - used, "%s%lld", d ? "x" : "", (long long)p->dims[d]);
}

static void names_and_shapes_are_the_published_ones(void)
{
    const char *path = test_golden("tensor_names.tsv");
    if (!test_needs_file(path)) return;
    Params p;
    declare(&p);
    FILE *f = fopen(path, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    char line[512], file[128], name[256], shape[64], ours[64];
    int64_t found = 0;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%127s %255s %63s", file, name, shape) != 3 || strcmp(file, section) != 0) continue;
        const Param *param = params_find(&p, name);
        CU_ASSERT_PTR_NOT_NULL(param);
        if (!param) {
            printf("no parameter '%s'\n", name);
            continue;
        }
        shape_text(ours, sizeof ours, param);
        CU_ASSERT_STRING_EQUAL(ours, shape);
        found++;
    }
    fclose(f);
    CU_ASSERT_EQUAL(found, p.n_params); /* none of ours is missing there either */
    CU_ASSERT(found > 0);
}

TEST_MAIN("names", {"names and shapes are the published ones", names_and_shapes_are_the_published_ones})
