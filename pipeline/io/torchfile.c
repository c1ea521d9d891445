/* torchfile.c - from the pickle's tree to tensors: the map of names, sizes and strides, the storages; and their values as float32. */
#include "io/torchfile.h"

#include <stdlib.h>
#include <string.h>

#include "io/torch_pickle.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "storages are read as they stand, little-endian");

static const struct {
    const char *storage; /* global of module torch */
    TorchType type;
    int bytes;
} types[] = {{"FloatStorage", TORCH_F32, 4},     {"DoubleStorage", TORCH_F64, 8}, {"HalfStorage", TORCH_F16, 2},
             {"BFloat16Storage", TORCH_BF16, 2}, {"LongStorage", TORCH_I64, 8},   {"IntStorage", TORCH_I32, 4},
             {"ShortStorage", TORCH_I16, 2},     {"CharStorage", TORCH_I8, 1},    {"ByteStorage", TORCH_U8, 1},
             {"BoolStorage", TORCH_BOOL, 1}};
enum { N_TYPES = sizeof types / sizeof *types, ROOT = 256, NAME = 512 };

/* What is needed while the tree is read. */
typedef struct {
    TorchFile *f;
    Pickle p;
    char root[ROOT]; /* folder of the archive, with its slash */
    Arena *a;
} Reader;

/* ---- one tensor ---- */

static const PickleNode *argument(const Reader *r, const PickleNode *call, int64_t k)
{
    return pickle_item(&r->p, pickle_node(&r->p, call->last), k);
}

static bool is_call_of(const Reader *r, const PickleNode *node, const char *module, const char *name)
{
    return node && node->kind == PICKLE_CALL && pickle_is_global(&r->p, pickle_node(&r->p, node->first), module, name);
}

/* The call that rebuilds a tensor, inside of what makes it a parameter; NULL if the node is no tensor. */
static const PickleNode *rebuilding(const Reader *r, const PickleNode *node)
{
    if (is_call_of(r, node, "torch._utils", "_rebuild_parameter")) node = argument(r, node, 0);
    return is_call_of(r, node, "torch._utils", "_rebuild_tensor_v2") ? node : NULL;
}

static Status read_sizes(int64_t *out, int *n_out, const Reader *r, const PickleNode *tuple, const char *name)
{
    if (!tuple || tuple->kind != PICKLE_TUPLE || tuple->n > TORCH_DIMS)
        return FAIL(E_INPUT, "%s: tensor %s has no sizes, or more than %d", r->f->zip.path, name, TORCH_DIMS);
    *n_out = (int)tuple->n;
    for (int d = 0; d < *n_out; d++) {
        const PickleNode *v = pickle_item(&r->p, tuple, d);
        if (v->kind != PICKLE_INT || v->whole < 0)
            return FAIL(E_INPUT, "%s: tensor %s has a size or stride that is not 0 or more", r->f->zip.path, name);
        out[d] = v->whole;
    }
    return OK;
}

/* ("storage", torch.FloatStorage, key, location, elements) */
static Status read_storage(TorchTensor *t, const Reader *r, const PickleNode *stored)
{
    const char *path = r->f->zip.path;
    const PickleNode *id = stored && stored->kind == PICKLE_STORED ? pickle_node(&r->p, stored->first) : NULL;
    const PickleNode *type = pickle_item(&r->p, id, 1), *name = pickle_item(&r->p, id, 2),
                     *n = pickle_item(&r->p, id, 4);
    if (!pickle_is_text(pickle_item(&r->p, id, 0), "storage") || !name || name->kind != PICKLE_TEXT || name->n > 64 ||
        !n || n->kind != PICKLE_INT || n->whole < 0)
        return FAIL(E_INPUT, "%s: tensor %s has no storage that could be read", path, t->name);
    int k = 0;
    while (k < N_TYPES && !pickle_is_global(&r->p, type, "torch", types[k].storage)) k++;
    if (k == N_TYPES)
        return FAIL(E_INPUT, "%s: tensor %s has a type that is not supported (complex or quantised?)", path, t->name);
    char entry[ROOT + 96];
    snprintf(entry, sizeof entry, "%sdata/%.*s", r->root, (int)name->n, name->text);
    t->type = types[k].type;
    t->n_stored = n->whole;
    t->storage = torch_zip_find(&r->f->zip, entry);
    if (!t->storage && n->whole > 0) return FAIL(E_INPUT, "%s: tensor %s: entry %s is missing", path, t->name, entry);
    if (t->storage && n->whole > t->storage->bytes / types[k].bytes)
        return FAIL(E_INPUT, "%s: tensor %s: its storage %s holds %lld bytes, too few for %lld elements of %d bytes",
                    path, t->name, entry, (long long)t->storage->bytes, (long long)n->whole, types[k].bytes);
    return OK;
}

/* Every element lies in the storage; there are no more elements than stored ones, so that the file bounds the memory. */
static Status check_bounds(TorchTensor *t, const Reader *r)
{
    int64_t last = t->offset;
    bool inside = t->offset >= 0;
    t->n = 1;
    for (int d = 0; d < t->n_dims; d++)
        if (t->dims[d] == 0) t->n = 0;
    for (int d = 0; d < t->n_dims && t->n > 0 && inside; d++) {
        int64_t reach = 0;
        inside = !__builtin_mul_overflow(t->dims[d] - 1, t->stride[d], &reach) &&
                 !__builtin_add_overflow(last, reach, &last) && !__builtin_mul_overflow(t->n, t->dims[d], &t->n) &&
                 t->n <= t->n_stored;
    }
    if (t->n == 0 || (inside && last < t->n_stored)) return OK;
    return FAIL(E_INPUT, "%s: tensor %s reaches beyond its storage of %lld elements, or repeats them", r->f->zip.path,
                t->name, (long long)t->n_stored);
}

static Status read_tensor(TorchTensor *t, const Reader *r, const PickleNode *node)
{
    const char *path = r->f->zip.path;
    int n_strides = 0;
    const PickleNode *call = rebuilding(r, node);
    if (!call)
        return FAIL(E_INPUT, "%s: '%s' in %s is not a tensor", path, t->name, r->f->map[0] ? r->f->map : "the file");
    const PickleNode *offset = argument(r, call, 1);
    TRY(read_storage(t, r, argument(r, call, 0)));
    TRY(read_sizes(t->dims, &t->n_dims, r, argument(r, call, 2), t->name));
    TRY(read_sizes(t->stride, &n_strides, r, argument(r, call, 3), t->name));
    if (n_strides != t->n_dims || !offset || offset->kind != PICKLE_INT)
        return FAIL(E_INPUT, "%s: tensor %s has %d sizes and %d strides", path, t->name, t->n_dims, n_strides);
    t->offset = offset->whole;
    return check_bounds(t, r);
}

/* ---- the map ---- */

/* Takes the wrappers' components off: "module.x.weight" is x.weight. */
static Status read_name(TorchTensor *t, const Reader *r, const PickleNode *key)
{
    static const char *const wrappers[] = {"module.", "_orig_mod.", "_fsdp_wrapped_module."};
    char name[NAME];
    size_t n = 0;
    if (!key || key->kind != PICKLE_TEXT || key->n == 0 || key->n >= NAME || memchr(key->text, '\0', (size_t)key->n))
        return FAIL(E_INPUT, "%s: the table of tensors has a name that is no text", r->f->zip.path);
    for (int64_t i = 0; i < key->n;) {
        size_t skip = 0;
        bool start = i == 0 || key->text[i - 1] == '.';
        for (size_t w = 0; start && w < sizeof wrappers / sizeof *wrappers; w++) {
            size_t length = strlen(wrappers[w]);
            if ((int64_t)length < key->n - i && memcmp(key->text + i, wrappers[w], length) == 0) skip = length;
        }
        if (skip == 0) name[n++] = key->text[i];
        i += skip > 0 ? (int64_t)skip : 1;
    }
    name[n] = '\0';
    char *copy = NULL;
    TRY(arena_text(&copy, r->a, name));
    t->name = copy;
    return OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const TorchTensor *)a)->name, ((const TorchTensor *)b)->name);
}

/* state_dict (Lightning), teacher (AstroDINO), or the file itself. */
static Status find_map(const PickleNode **out, Reader *r)
{
    static const char *const maps[] = {"state_dict", "teacher", NULL};
    const PickleNode *top = pickle_node(&r->p, r->p.root), *map = NULL;
    if (!top || top->kind != PICKLE_DICT) return FAIL(E_INPUT, "%s: holds no table of tensors", r->f->zip.path);
    r->f->map = "";
    for (const char *const *m = maps; *m && !map; m++)
        if ((map = pickle_value(&r->p, top, *m)) != NULL) r->f->map = *m;
    *out = map ? map : top;
    if ((*out)->kind == PICKLE_DICT && (*out)->n > 0) return OK;
    return FAIL(E_INPUT, "%s: %s holds no tensors", r->f->zip.path, r->f->map[0] ? r->f->map : "the file");
}

static Status read_map(Reader *r)
{
    const PickleNode *map = NULL;
    TRY(find_map(&map, r));
    TorchFile *f = r->f;
    TRY(arena_new(&f->tensor, r->a, map->n / 2));
    const PickleNode *key = pickle_node(&r->p, map->first);
    for (; key; f->n++) {
        const PickleNode *value = pickle_node(&r->p, key->last);
        TRY(read_name(&f->tensor[f->n], r, pickle_node(&r->p, key->first)));
        TRY(read_tensor(&f->tensor[f->n], r, pickle_node(&r->p, value->first)));
        key = pickle_node(&r->p, value->last);
    }
    qsort(f->tensor, (size_t)f->n, sizeof *f->tensor, by_name);
    for (int64_t i = 1; i < f->n; i++)
        if (strcmp(f->tensor[i - 1].name, f->tensor[i].name) == 0)
            return FAIL(E_INPUT, "%s: tensor %s stands in the file twice", f->zip.path, f->tensor[i].name);
    return OK;
}

/* ---- opening ---- */

/* The folder that holds data.pkl. */
static Status find_root(Reader *r)
{
    static const char pickle[] = "data.pkl";
    const TorchZip *z = &r->f->zip;
    int found = 0;
    for (int64_t i = 0; i < z->n; i++) {
        const char *slash = strchr(z->entry[i].name, '/');
        if (!slash || strcmp(slash + 1, pickle) != 0) continue;
        found++;
        if (snprintf(r->root, ROOT, "%.*s", (int)(slash - z->entry[i].name + 1), z->entry[i].name) >= ROOT) found = 0;
    }
    return found == 1 ? OK
                      : FAIL(E_INPUT, "%s: is no PyTorch checkpoint: it has %s data.pkl", z->path,
                             found == 0 ? "no" : "more than one");
}

static Status read_entry(char **out, int64_t *bytes, const Reader *r, const char *name, int64_t limit)
{
    char path[ROOT + 32];
    snprintf(path, sizeof path, "%s%s", r->root, name);
    TorchZipEntry *e = torch_zip_find(&r->f->zip, path);
    *out = NULL;
    if (!e) return OK;
    if (e->bytes > limit)
        return FAIL(E_INPUT, "%s: entry %s has %lld bytes, more than %lld", r->f->zip.path, path, (long long)e->bytes,
                    (long long)limit);
    *bytes = e->bytes;
    TRY(arena_new(out, r->a, e->bytes + 1));
    return torch_zip_read(*out, &r->f->zip, e, 0, e->bytes);
}

static Status read_all(Reader *r)
{
    char *order = NULL, *bytes = NULL;
    int64_t n = 0;
    TRY(find_root(r));
    TRY(read_entry(&order, &n, r, "byteorder", 64));
    if (order && strcmp(order, "little") != 0)
        return FAIL(E_INPUT,
                    "%s: was written on a big-endian machine; load it with PyTorch on this one and save it again",
                    r->f->zip.path);
    TRY(read_entry(&bytes, &n, r, "data.pkl", (int64_t)64 << 20));
    MUST(bytes != NULL);
    TRY(pickle_read(&r->p, r->f->zip.path, bytes, n, r->a));
    return read_map(r);
}

Status torchfile_open(TorchFile *f, const char *path, Arena *a)
{
    *f = (TorchFile){.map = ""};
    TRY(torch_zip_open(&f->zip, path, a));
    Reader r = {.f = f, .a = a};
    Status st = read_all(&r);
    if (st != OK) torchfile_close(f);
    return st;
}

void torchfile_close(TorchFile *f) { torch_zip_close(&f->zip); }

const TorchTensor *torchfile_find(const TorchFile *f, const char *name)
{
    const TorchTensor key = {.name = name};
    return f->n > 0 ? bsearch(&key, f->tensor, (size_t)f->n, sizeof key, by_name) : NULL;
}

Fingerprint torchfile_identity(const TorchFile *f)
{
    HashState *h = hash_open();
    for (int64_t i = 0; i < f->zip.n; i++) {
        const TorchZipEntry *e = &f->zip.entry[i];
        hash_add_text(h, e->name);
        hash_add(h, &e->bytes, sizeof e->bytes);
        hash_add(h, &e->crc, sizeof e->crc);
    }
    return hash_close(h);
}

/* ---- values ---- */

/* IEEE half: 1 sign, 5 exponent, 10 fraction bits. */
static float half(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3FF;
    uint32_t bits = sign | (exponent + 112) << 23 | fraction << 13;
    float f;
    if (exponent == 31) bits = sign | 0x7F800000 | fraction << 13;
    memcpy(&f, &bits, sizeof f);
    if (exponent > 0) return f;
    f = (float)fraction * 0x1p-24f; /* subnormal or zero */
    return sign ? -f : f;
}

static float upper_half(uint16_t h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

#define CONVERT(type, expression)                                                                                      \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
        type x;                                                                                                        \
        memcpy(&x, raw + i * (int64_t)sizeof x, sizeof x);                                                             \
        out[i] = (expression);                                                                                         \
    }                                                                                                                  \
    break

static void convert(float *out, const uint8_t *raw, int64_t n, TorchType type)
{
    switch (type) {
    case TORCH_F32: memcpy(out, raw, (size_t)n * sizeof *out); break;
    case TORCH_F64: CONVERT(double, (float)x);
    case TORCH_F16: CONVERT(uint16_t, half(x));
    case TORCH_BF16: CONVERT(uint16_t, upper_half(x));
    case TORCH_I64: CONVERT(int64_t, (float)x);
    case TORCH_I32: CONVERT(int32_t, (float)x);
    case TORCH_I16: CONVERT(int16_t, (float)x);
    case TORCH_I8: CONVERT(int8_t, (float)x);
    case TORCH_U8: CONVERT(uint8_t, (float)x);
    case TORCH_BOOL: CONVERT(uint8_t, (float)(x != 0));
    }
}

static bool is_contiguous(const TorchTensor *t)
{
    int64_t step = 1;
    for (int d = t->n_dims - 1; d >= 0; d--) {
        if (t->dims[d] != 1 && t->stride[d] != step) return false;
        step *= t->dims[d];
    }
    return true;
}

/* Elements in row-major order out of the span that begins with the first one. */
static void gather(uint8_t *out, const uint8_t *span, const TorchTensor *t, int bytes)
{
    int64_t index[TORCH_DIMS] = {0}, at = 0;
    for (int64_t i = 0; i < t->n; i++) {
        memcpy(out + i * bytes, span + at * bytes, (size_t)bytes);
        for (int d = t->n_dims - 1; d >= 0; d--) {
            at += t->stride[d];
            if (++index[d] < t->dims[d]) break;
            at -= t->stride[d] * t->dims[d];
            index[d] = 0;
        }
    }
}

Status torchfile_read(float *out, TorchFile *f, const TorchTensor *t, Arena *scratch)
{
    const int bytes = types[t->type].bytes;
    int64_t span = 1;
    if (t->n == 0) return OK;
    for (int d = 0; d < t->n_dims; d++) span += (t->dims[d] - 1) * t->stride[d];
    const bool straight = is_contiguous(t);
    if (straight && t->type == TORCH_F32) return torch_zip_read(out, &f->zip, t->storage, 4 * t->offset, 4 * t->n);
    const Mark mark = arena_mark(scratch);
    uint8_t *raw = NULL, *rows = NULL;
    TRY(arena_new(&raw, scratch, span * bytes));
    TRY(torch_zip_read(raw, &f->zip, t->storage, t->offset * bytes, span * bytes));
    rows = raw;
    if (!straight) {
        TRY(arena_new(&rows, scratch, t->n * bytes));
        gather(rows, raw, t, bytes);
    }
    convert(out, rows, t->n, t->type);
    arena_reset(scratch, mark);
    return OK;
}
