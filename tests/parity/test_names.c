/* test_names.c - every parameter bears the name and the shape it has in the released checkpoints
   (golden/tensor_names.tsv). The sizes of the models are taken from a few rows of the table; all the others follow. */
#include <stdio.h>
#include <stdlib.h>

#include "golden.h"
#include "model/head.h"
#include "model/specformer.h"
#include "model/vit.h"

enum { MAX_ROWS = 4096, LINE_TEXT = 512 };

typedef struct {
    char name[PARAM_NAME];
    int n_dims;
    int64_t dims[PARAM_DIMS];
} Row;

/* The tensors of one checkpoint. */
typedef struct {
    int64_t n;
    Row *row;
} Table;

/* "1x145x1024"; false when it is no shape. */
static bool read_shape(Row *row, const char *text)
{
    char *end;
    for (row->n_dims = 0; row->n_dims < PARAM_DIMS; text = end + 1) {
        row->dims[row->n_dims] = strtoll(text, &end, 10);
        if (end == text || row->dims[row->n_dims++] < 1) return false;
        if (*end == '\0') return true;
        if (*end != 'x') return false;
    }
    return false;
}

static bool read_table(Table *out, const char *checkpoint)
{
    const char *path = test_golden("tensor_names.tsv");
    if (!test_needs_file(path)) return false;
    char line[LINE_TEXT], file[128], name[PARAM_NAME], shape[64];
    out->n = 0;
    CHECK_OK(arena_new(&out->row, &test_arena, MAX_ROWS));
    FILE *f = fopen(path, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%127s %127s %63s", file, name, shape) != 3 || strcmp(file, checkpoint) != 0) continue;
        CU_ASSERT_FATAL(out->n < MAX_ROWS);
        Row *row = &out->row[out->n++];
        strcpy(row->name, name);
        CU_ASSERT_FATAL(read_shape(row, shape));
    }
    fclose(f);
    if (out->n == 0) printf("%s has no tensor of %s\n", path, checkpoint);
    CU_ASSERT_FATAL(out->n > 0);
    return true;
}

/* Dimension `d` of the tensor prefix + name. */
static int64_t dim_of(const Table *t, const char *prefix, const char *name, int d)
{
    const char *full = golden_name("%s%s", prefix, name);
    for (int64_t i = 0; i < t->n; i++)
        if (strcmp(t->row[i].name, full) == 0 && d < t->row[i].n_dims) return t->row[i].dims[d];
    printf("no tensor '%s' of more than %d dimensions\n", full, d);
    CU_FAIL_FATAL("a tensor that tells a size is not in the table");
    return 0;
}

/* Tensors whose names begin with `start` and end with `end`. */
static int64_t count(const Table *t, const char *start, const char *end)
{
    int64_t n = 0;
    for (int64_t i = 0; i < t->n; i++) {
        const char *name = t->row[i].name;
        const size_t length = strlen(name);
        n += strncmp(name, start, strlen(start)) == 0 && length >= strlen(end) &&
             strcmp(name + length - strlen(end), end) == 0;
    }
    return n;
}

/* Numbers of heads are in no shape: 1 does. */
static VitConfig vit_config(const Table *t, const char *prefix)
{
    VitConfig c = {.num_heads = 1,
                   .embed_dim = dim_of(t, prefix, "cls_token", 2),
                   .patch_size = dim_of(t, prefix, "patch_embed.proj.weight", 2),
                   .depth = count(t, golden_name("%sblocks.", prefix), ".ls1.gamma")};
    const int64_t patches = dim_of(t, prefix, "pos_embed", 1) - 1;
    for (int64_t side = 1; side * side <= patches; side++) c.image_size = side * c.patch_size;
    if (count(t, golden_name("%sblocks.0.ls1.gamma", prefix), "") == 0) {
        const int64_t of_chunk = count(t, golden_name("%sblocks.0.", prefix), ".ls1.gamma");
        CU_ASSERT_FATAL(of_chunk > 0);
        c.block_chunks = c.depth / of_chunk;
    }
    return c;
}

static SpecformerConfig specformer_config(const Table *t, const char *prefix)
{
    return (SpecformerConfig){.num_heads = 1,
                              .slice_overlap = 0,
                              .embed_dim = dim_of(t, prefix, "data_embed.weight", 0),
                              .slice_section_length = dim_of(t, prefix, "data_embed.weight", 1) - 2,
                              .max_len = dim_of(t, prefix, "position_embed.weight", 0),
                              .num_layers = count(t, golden_name("%sblocks.", prefix), ".layernorm1.weight")};
}

static void declare_vit(Params *p, const Table *t, const char *prefix)
{
    Vit v;
    const VitConfig c = vit_config(t, prefix);
    CHECK_OK(vit_declare(&v, &c, p, prefix, &test_arena));
}

static void declare_specformer(Params *p, const Table *t, const char *prefix)
{
    Specformer s;
    const SpecformerConfig c = specformer_config(t, prefix);
    CHECK_OK(specformer_declare(&s, &c, p, prefix, &test_arena));
}

static void declare_head(Params *p, const Table *t, const char *prefix, int64_t token_dim)
{
    Head head;
    const HeadConfig c = {dim_of(t, prefix, "cross_attention.query", 2), 1, token_dim, false};
    CHECK_OK(head_declare(&head, &c, p, prefix));
}

/* Each tensor of the table is a parameter, and each parameter is there; `other` begins names of no part of ours. */
static void check_names(const Params *p, const Table *t, const char *other)
{
    int64_t found = 0;
    for (int64_t i = 0; i < t->n; i++) {
        const Row *row = &t->row[i];
        if (other && strncmp(row->name, other, strlen(other)) == 0) continue;
        const Param *param = params_find(p, row->name);
        bool same = param && param->n_dims == row->n_dims;
        for (int d = 0; same && d < row->n_dims; d++) same = param->dims[d] == row->dims[d];
        if (!same) printf("'%s' is %s\n", row->name, param ? "of another shape" : "no parameter");
        CU_ASSERT(same);
        found++;
    }
    CU_ASSERT_EQUAL(found, p->n_params);
}

static void astroclip(void)
{
    Table t;
    Params p;
    if (!read_table(&t, "astroclip.ckpt:state_dict")) return;
    CHECK_OK(params_init(&p, MAX_ROWS, &test_arena));
    declare_vit(&p, &t, "image_encoder.backbone.");
    declare_head(&p, &t, "image_encoder.", dim_of(&t, "image_encoder.backbone.", "cls_token", 2));
    declare_specformer(&p, &t, "spectrum_encoder.backbone.");
    declare_head(&p, &t, "spectrum_encoder.", dim_of(&t, "spectrum_encoder.backbone.", "data_embed.weight", 0));
    check_names(&p, &t, NULL);
}

static void specformer(void)
{
    Table t;
    Params p;
    if (!read_table(&t, "specformer.ckpt:state_dict")) return;
    CHECK_OK(params_init(&p, MAX_ROWS, &test_arena));
    declare_specformer(&p, &t, "");
    check_names(&p, &t, NULL);
}

/* Its projection head serves pretraining only. */
static void astrodino(void)
{
    Table t;
    Params p;
    if (!read_table(&t, "astrodino.ckpt:teacher")) return;
    CHECK_OK(params_init(&p, MAX_ROWS, &test_arena));
    declare_vit(&p, &t, "backbone.");
    check_names(&p, &t, "dino_head.");
}

TEST_MAIN("names", {"names and shapes of AstroCLIP are the published ones", astroclip},
          {"names and shapes of SpecFormer are the published ones", specformer},
          {"names and shapes of AstroDINO are the published ones", astrodino})
