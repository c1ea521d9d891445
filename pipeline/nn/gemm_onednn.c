/* gemm_onednn.c - the matrix products through oneDNN (a build without the library has no such provider).

   A product of oneDNN is a primitive made for one number of rows, and another number may get another order of summation.
   Hence: forward and backward_x go in panels of PANEL rows through one primitive per matrix shape, tails padded with zero
   rows; W is brought into the order that this primitive asks for, once where it is kept. oneDNN runs on one thread, and
   threads of our own split the rows of the result. The primitives of the last shapes are kept.

   The same with factors rounded to bf16, where oneDNN has such products for this CPU. Sums over rows (backward_w) have no
   contract: sgemm. */
#include "nn/gemm.h"

#ifdef NN_ONEDNN /* not for double, which oneDNN does not multiply */

#include <dlfcn.h>
#include <dnnl.h>
#include <stdlib.h>
#include <string.h>

#include "gemm_parts.h"

enum {
    PANEL = 96,  /* rows of every product: whole panels of gemm_parts.c */
    SHAPES = 64, /* more than the matrices of a model have */
    ALIGN = 64,
};

static int n_threads = 1;

static void must(dnnl_status_t status) { MUST(status == dnnl_success); }

/* oneDNN asks OpenMP, whichever it was built with, how many threads there are; the answer is the calling thread's own. */
static void run_on_one_thread(void)
{
    void (*set)(int);
    *(void **)&set = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    if (set) set(1);
}

static dnnl_engine_t the_engine(void)
{
    static dnnl_engine_t engine;
    if (!engine && dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success) engine = NULL;
    return engine;
}

/* ---- a shape: y (PANEL, n) = x (PANEL, k) times W, which is stored (n, k), or (k, n) going backward ---- */

typedef struct {
    int64_t n, k;
    bool backward; /* adds to y; forward adds a bias */
    bool bf16;
} Key;

typedef struct {
    Key key;
    dnnl_primitive_t multiply, pack, round; /* round: x to bf16 */
    dnnl_memory_desc_t x, rounded, w, packed, b, y, scratch;
    real *no_bias;
} Shape;

static dnnl_memory_desc_t matrix(int64_t rows, int64_t columns, int64_t row_step, int64_t column_step,
                                 dnnl_data_type_t type)
{
    dnnl_memory_desc_t d;
    must(dnnl_memory_desc_init_by_strides(&d, 2, (dnnl_dims_t){rows, columns}, type,
                                          (dnnl_dims_t){row_step, column_step}));
    return d;
}

static dnnl_primitive_t reorder(const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to)
{
    dnnl_primitive_desc_t d;
    dnnl_primitive_t primitive;
    must(dnnl_reorder_primitive_desc_create(&d, from, the_engine(), to, the_engine(), NULL));
    must(dnnl_primitive_create(&primitive, d));
    must(dnnl_primitive_desc_destroy(d));
    return primitive;
}

/* The description of the product; NULL = oneDNN has none on this CPU. */
static dnnl_primitive_desc_t describe(const Shape *s)
{
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_attr_t attributes;
    dnnl_post_ops_t end;
    dnnl_matmul_desc_t d;
    dnnl_memory_desc_t any;
    must(dnnl_memory_desc_init_by_tag(&any, 2, (dnnl_dims_t){s->key.k, s->key.n}, s->rounded.data_type,
                                      dnnl_format_tag_any));
    must(dnnl_post_ops_create(&end));
    if (s->key.backward) must(dnnl_post_ops_append_sum(end, 1));
    must(dnnl_primitive_attr_create(&attributes));
    must(dnnl_primitive_attr_set_post_ops(attributes, end));
    must(dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user)); /* threads share primitives */
    if (dnnl_matmul_desc_init(&d, &s->rounded, &any, s->key.backward ? NULL : &s->b, &s->y) != dnnl_success ||
        dnnl_primitive_desc_create(&description, &d, attributes, the_engine(), NULL) != dnnl_success)
        description = NULL;
    must(dnnl_primitive_attr_destroy(attributes));
    must(dnnl_post_ops_destroy(end));
    return description;
}

static bool make_shape(Shape *s, Key key)
{
    const dnnl_data_type_t type = key.bf16 ? dnnl_bf16 : dnnl_f32;
    run_on_one_thread(); /* or the primitive is one for several */
    *s = (Shape){.key = key,
                 .x = matrix(PANEL, key.k, key.k, 1, dnnl_f32),
                 .rounded = matrix(PANEL, key.k, key.k, 1, type),
                 .w = matrix(key.k, key.n, key.backward ? key.n : 1, key.backward ? 1 : key.k, dnnl_f32),
                 .b = matrix(1, key.n, key.n, 1, dnnl_f32),
                 .y = matrix(PANEL, key.n, key.n, 1, dnnl_f32)};
    dnnl_primitive_desc_t d = describe(s);
    if (!d) return false;
    s->packed = *dnnl_primitive_desc_query_md(d, dnnl_query_weights_md, 0);
    s->scratch = *dnnl_primitive_desc_query_md(d, dnnl_query_scratchpad_md, 0);
    must(dnnl_primitive_create(&s->multiply, d));
    must(dnnl_primitive_desc_destroy(d));
    s->pack = reorder(&s->w, &s->packed);
    if (key.bf16) s->round = reorder(&s->x, &s->rounded);
    s->no_bias = calloc((size_t)key.n, sizeof *s->no_bias);
    MUST(s->no_bias != NULL);
    return true;
}

static void free_shape(Shape *s)
{
    if (s->multiply) must(dnnl_primitive_destroy(s->multiply));
    if (s->pack) must(dnnl_primitive_destroy(s->pack));
    if (s->round) must(dnnl_primitive_destroy(s->round));
    free(s->no_bias);
}

static bool same_key(const Key *a, const Key *b)
{
    return a->n == b->n && a->k == b->k && a->backward == b->backward && a->bf16 == b->bf16;
}

/* Holds until SHAPES other shapes were asked for. */
static const Shape *shape_of(Key key)
{
    static Shape shapes[SHAPES];
    static int next; /* to be replaced, in turn */
    for (int i = 0; i < SHAPES; i++)
        if (same_key(&shapes[i].key, &key)) return &shapes[i];
    Shape *s = &shapes[next];
    next = (next + 1) % SHAPES;
    free_shape(s);
    MUST(make_shape(s, key));
    return s;
}

/* ---- weights in the order of the primitive ---- */

/* `numbers` described by d, for one call of a primitive. */
static dnnl_memory_t as_memory(const dnnl_memory_desc_t *d, const void *numbers)
{
    dnnl_memory_t memory;
    must(dnnl_memory_create(&memory, d, the_engine(), (void *)numbers));
    return memory;
}

static dnnl_stream_t new_stream(void)
{
    dnnl_stream_t stream;
    must(dnnl_stream_create(&stream, the_engine(), dnnl_stream_default_flags));
    return stream;
}

static void pack(const Shape *s, void *packed, const real *w)
{
    dnnl_stream_t stream = new_stream();
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, as_memory(&s->w, w)},
                                         {DNNL_ARG_TO, as_memory(&s->packed, packed)}};
    run_on_one_thread();
    must(dnnl_primitive_execute(s->pack, stream, 2, arguments));
    for (int i = 0; i < 2; i++) must(dnnl_memory_destroy(arguments[i].memory));
    must(dnnl_stream_destroy(stream));
}

static size_t aligned(size_t bytes) { return (bytes + ALIGN - 1) / ALIGN * ALIGN; }

static void *memory_of(size_t bytes)
{
    void *memory = aligned_alloc(ALIGN, aligned(bytes));
    MUST(memory != NULL);
    return memory;
}

static const void *packed_weights(const Shape *s, const real *w)
{
    static void *packed;
    static size_t size;
    const real *kept = s->key.backward ? NULL : gemm_kept(w);
    if (kept) return kept;
    const size_t need = dnnl_memory_desc_get_size(&s->packed);
    if (need > size) {
        free(packed);
        packed = memory_of(need);
        size = need;
    }
    pack(s, packed, w);
    return packed;
}

static int64_t kept_reals(bool bf16, int64_t n_out, int64_t n_in)
{
    const size_t bytes = dnnl_memory_desc_get_size(&shape_of((Key){n_out, n_in, false, bf16})->packed);
    return (int64_t)((bytes + sizeof(real) - 1) / sizeof(real));
}

static void keep(bool bf16, real *kept, const real *w, int64_t n_out, int64_t n_in)
{
    pack(shape_of((Key){n_out, n_in, false, bf16}), kept, w);
}

/* ---- products ---- */

typedef struct {
    const Shape *shape;
    real *y;
    const real *x, *b;
    const void *packed;
} Product;

/* What a part of a product works in: whole panels for its tail, x rounded, and what the primitive asks for. */
typedef struct {
    char *memory;
    real *x, *y;
    void *rounded, *scratch;
} Room;

static Room make_room(const Shape *s)
{
    const size_t x = aligned(dnnl_memory_desc_get_size(&s->x)), y = aligned(dnnl_memory_desc_get_size(&s->y)),
                 rounded = s->round ? aligned(dnnl_memory_desc_get_size(&s->rounded)) : 0;
    char *memory = memory_of(x + y + rounded + dnnl_memory_desc_get_size(&s->scratch) + ALIGN);
    return (Room){memory, (real *)memory, (real *)(memory + x), memory + x + y, memory + x + y + rounded};
}

/* Shorter than a panel: zero rows below. */
static void pad(real *panel, const real *rows, int64_t n, int64_t row_size)
{
    memcpy(panel, rows, sizeof *panel * (size_t)(n * row_size));
    memset(panel + n * row_size, 0, sizeof *panel * (size_t)((PANEL - n) * row_size));
}

static void multiply_part(const void *product, int64_t from, int64_t to)
{
    const Product *p = product;
    const Shape *s = p->shape;
    const int64_t n = s->key.n, k = s->key.k;
    run_on_one_thread();
    dnnl_stream_t stream = new_stream();
    const Room room = make_room(s);
    dnnl_memory_t x = as_memory(&s->x, NULL), y = as_memory(&s->y, NULL),
                  rounded = as_memory(&s->rounded, room.rounded), w = as_memory(&s->packed, p->packed),
                  b = as_memory(&s->b, p->b), scratch = as_memory(&s->scratch, room.scratch);
    const dnnl_exec_arg_t to_round[] = {{DNNL_ARG_FROM, x}, {DNNL_ARG_TO, rounded}};
    const dnnl_exec_arg_t to_multiply[] = {{DNNL_ARG_SRC, s->round ? rounded : x},
                                           {DNNL_ARG_WEIGHTS, w},
                                           {DNNL_ARG_DST, y},
                                           {DNNL_ARG_SCRATCHPAD, scratch},
                                           {DNNL_ARG_BIAS, b}};
    for (int64_t row = from; row < to; row += PANEL) {
        const int64_t rows = to - row < PANEL ? to - row : PANEL;
        const real *some_x = p->x + row * k;
        real *some_y = p->y + row * n;
        if (rows < PANEL) {
            pad(room.x, some_x, rows, k);
            pad(room.y, some_y, rows, n);
            some_x = room.x;
            some_y = room.y;
        }
        must(dnnl_memory_set_data_handle(x, (void *)some_x));
        must(dnnl_memory_set_data_handle(y, some_y));
        if (s->round) must(dnnl_primitive_execute(s->round, stream, 2, to_round));
        must(dnnl_primitive_execute(s->multiply, stream, s->key.backward ? 4 : 5, to_multiply));
        if (rows < PANEL) memcpy(p->y + row * n, room.y, sizeof *p->y * (size_t)(rows * n));
    }
    dnnl_memory_t all[] = {x, y, rounded, w, b, scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) must(dnnl_memory_destroy(all[i]));
    must(dnnl_stream_destroy(stream));
    free(room.memory);
}

static void multiply(bool bf16, bool backward, real *y, const real *x, const real *w, const real *b, int64_t rows,
                     int64_t n, int64_t k)
{
    const Shape *s = shape_of((Key){n, k, backward, bf16});
    const Product p = {s, y, x, b ? b : s->no_bias, packed_weights(s, w)};
    gemm_parts(n_threads, rows, n * k, multiply_part, &p);
}

/* d_w (n_out, n_in) += d_y^T x */
typedef struct {
    real *d_w;
    const real *d_y, *x;
    int64_t rows, n_out, n_in;
} RowSum;

static void add_products(const void *product, int64_t from, int64_t to)
{
    const RowSum *p = product;
    run_on_one_thread();
    must(dnnl_sgemm('T', 'N', to - from, p->n_in, p->rows, 1, p->d_y + from, p->n_out, p->x, p->n_in, 1,
                    p->d_w + from * p->n_in, p->n_in));
}

static void backward_w(real *d_w, const real *d_y, const real *x, int64_t rows, int64_t n_out, int64_t n_in)
{
    if (rows > 0) gemm_parts(n_threads, n_out, n_in * rows, add_products, &(RowSum){d_w, d_y, x, rows, n_out, n_in});
}

/* ---- the providers ---- */

static void set_threads(int threads) { n_threads = threads; }

static const char *version(void)
{
    static const struct {
        dnnl_cpu_isa_t isa;
        const char *name;
    } isas[] = {{dnnl_cpu_isa_sse41, "sse41"},
                {dnnl_cpu_isa_avx, "avx"},
                {dnnl_cpu_isa_avx2, "avx2"},
                {dnnl_cpu_isa_avx2_vnni, "avx2_vnni"},
                {dnnl_cpu_isa_avx512_core, "avx512"},
                {dnnl_cpu_isa_avx512_core_vnni, "avx512_vnni"},
                {dnnl_cpu_isa_avx512_core_bf16, "avx512_bf16"},
                {dnnl_cpu_isa_avx512_core_amx, "amx"}};
    static char text[64];
    const dnnl_version_t *v = dnnl_version();
    const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    int at = snprintf(text, sizeof text, "%d.%d.%d ", v->major, v->minor, v->patch);
    snprintf(text + at, sizeof text - (size_t)at, "isa 0x%x", (unsigned)isa);
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++)
        if (isas[i].isa == isa) snprintf(text + at, sizeof text - (size_t)at, "%s", isas[i].name);
    return text;
}

static bool available(void) { return the_engine() != NULL; }

static void forward(real *y, const real *x, const real *w, const real *b, int64_t rows, int64_t n_out, int64_t n_in)
{
    multiply(false, false, y, x, w, b, rows, n_out, n_in);
}

static void backward_x(real *d_x, const real *d_y, const real *w, int64_t rows, int64_t n_out, int64_t n_in)
{
    multiply(false, true, d_x, d_y, w, NULL, rows, n_in, n_out);
}

static int64_t kept_reals_f32(int64_t n_out, int64_t n_in) { return kept_reals(false, n_out, n_in); }
static void keep_f32(real *kept, const real *w, int64_t n_out, int64_t n_in) { keep(false, kept, w, n_out, n_in); }

/* Whether there are products of bf16 for this CPU. */
static bool bf16_available(void)
{
    static int answer = -1;
    if (answer < 0) {
        Shape s = {0};
        answer = available() && make_shape(&s, (Key){16, 16, false, true});
        free_shape(&s);
    }
    return answer;
}

static void forward_bf16(real *y, const real *x, const real *w, const real *b, int64_t rows, int64_t n_out,
                         int64_t n_in)
{
    multiply(true, false, y, x, w, b, rows, n_out, n_in);
}

static void backward_x_bf16(real *d_x, const real *d_y, const real *w, int64_t rows, int64_t n_out, int64_t n_in)
{
    multiply(true, true, d_x, d_y, w, NULL, rows, n_in, n_out);
}

static void backward_w_bf16(real *d_w, const real *d_y, const real *x, int64_t rows, int64_t n_out, int64_t n_in)
{
    gemm_bf16.backward_w(d_w, d_y, x, rows, n_out, n_in);
}

static int64_t kept_reals_bf16(int64_t n_out, int64_t n_in) { return kept_reals(true, n_out, n_in); }
static void keep_bf16(real *kept, const real *w, int64_t n_out, int64_t n_in) { keep(true, kept, w, n_out, n_in); }

const GemmProvider gemm_onednn = {"onednn",   available,  version,        set_threads, forward,
                                  backward_x, backward_w, kept_reals_f32, keep_f32};
const GemmProvider gemm_onednn_bf16 = {"onednn bf16",   bf16_available,  version,         set_threads, forward_bf16,
                                       backward_x_bf16, backward_w_bf16, kept_reals_bf16, keep_bf16};

#else

static bool available(void) { return false; }

const GemmProvider gemm_onednn = {.name = "onednn", .available = available};
const GemmProvider gemm_onednn_bf16 = {.name = "onednn bf16", .available = available};

#endif
