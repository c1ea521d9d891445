/* torchfile_write.c - a checkpoint for PyTorch: one stored entry per tensor as it comes, then the pickle that names them. */
#include <string.h>

#include "io/torchfile.h"

struct TorchWritten {
    char *name;
    int n_dims;
    int64_t dims[TORCH_DIMS], n;
    TorchWritten *next;
};

Status torchfile_create(TorchWriter *w, const char *path, const char *map, Arena *a)
{
    *w = (TorchWriter){.map = map, .a = a};
    TRY(torch_zip_create(&w->zip, path, a));
    Status st = torch_zip_put(&w->zip, "archive/version", "3\n", 2);
    if (st == OK) st = torch_zip_put(&w->zip, "archive/byteorder", "little", 6);
    if (st != OK) torchfile_abandon(w);
    return st;
}

Status torchfile_put(TorchWriter *w, const char *name, const float *values, int n_dims, const int64_t *dims)
{
    char entry[64];
    TorchWritten *t;
    MUST(n_dims >= 0 && n_dims <= TORCH_DIMS);
    TRY(arena_new(&t, w->a, 1));
    TRY(arena_text(&t->name, w->a, name));
    t->n_dims = n_dims;
    t->n = 1;
    for (int d = 0; d < n_dims; d++) t->n *= t->dims[d] = dims[d];
    snprintf(entry, sizeof entry, "archive/data/%lld", (long long)w->n);
    TRY(torch_zip_put(&w->zip, entry, values, t->n * (int64_t)sizeof *values));
    if (w->last)
        w->last->next = t;
    else
        w->first = t;
    w->last = t;
    w->n++;
    return OK;
}

/* ---- the pickle ---- */

typedef struct {
    char *at;
    int64_t n, limit;
} Text;

static void add(Text *p, const void *bytes, size_t n)
{
    MUST(p->n + (int64_t)n <= p->limit);
    memcpy(p->at + p->n, bytes, n);
    p->n += (int64_t)n;
}

static void add_op(Text *p, uint8_t op) { add(p, &op, 1); }

static void add_number(Text *p, int64_t v)
{
    const int bytes = v <= INT32_MAX ? 4 : 8;
    uint8_t raw[8];
    for (int i = 0; i < 8; i++) raw[i] = (uint8_t)((uint64_t)v >> (8 * i));
    if (bytes == 4)
        add_op(p, 'J');
    else
        add(p, "\x8a\x08", 2);
    add(p, raw, (size_t)bytes);
}

static void add_text(Text *p, const char *text)
{
    const uint32_t n = (uint32_t)strlen(text);
    const uint8_t length[] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};
    add_op(p, 'X');
    add(p, length, 4);
    add(p, text, n);
}

static void add_literal(Text *p, const char *ops) { add(p, ops, strlen(ops)); }

static void add_numbers(Text *p, const int64_t *v, int n)
{
    add_op(p, '(');
    for (int i = 0; i < n; i++) add_number(p, v[i]);
    add_op(p, 't');
}

/* torch._utils._rebuild_tensor_v2(("storage", FloatStorage, key, "cpu", n), 0, sizes, strides, False, OrderedDict()) */
static void add_tensor(Text *p, const TorchWritten *t, int64_t number)
{
    char key[32];
    int64_t stride[TORCH_DIMS], step = 1;
    for (int d = t->n_dims - 1; d >= 0; d--) {
        stride[d] = step;
        step *= t->dims[d] > 1 ? t->dims[d] : 1;
    }
    snprintf(key, sizeof key, "%lld", (long long)number);
    add_literal(p, "ctorch._utils\n_rebuild_tensor_v2\n((");
    add_text(p, "storage");
    add_literal(p, "ctorch\nFloatStorage\n");
    add_text(p, key);
    add_text(p, "cpu");
    add_number(p, t->n);
    add_literal(p, "tQ");
    add_number(p, 0);
    add_numbers(p, t->dims, t->n_dims);
    add_numbers(p, stride, t->n_dims);
    add_literal(p, "\x89"
                   "ccollections\nOrderedDict\n)RtR");
}

/* What PyTorch Lightning looks for beside the weights. */
static void add_lightning(Text *p)
{
    add_text(p, "epoch");
    add_number(p, 0);
    add_text(p, "global_step");
    add_number(p, 0);
    add_text(p, "pytorch-lightning_version");
    add_text(p, "2.0.0");
}

Status torchfile_finish(TorchWriter *w)
{
    enum { PER_TENSOR = 512, AROUND = 1024 };
    Text p = {.limit = AROUND};
    for (const TorchWritten *t = w->first; t; t = t->next) p.limit += PER_TENSOR + (int64_t)strlen(t->name);
    TRY(arena_new(&p.at, w->a, p.limit));
    add_literal(&p, "\x80\x02}(");
    if (strcmp(w->map, "state_dict") == 0) add_lightning(&p);
    add_text(&p, w->map);
    add_literal(&p, "ccollections\nOrderedDict\n)R(");
    int64_t number = 0;
    for (const TorchWritten *t = w->first; t; t = t->next) {
        add_text(&p, t->name);
        add_tensor(&p, t, number++);
    }
    add_literal(&p, "uu.");
    TRY(torch_zip_put(&w->zip, "archive/data.pkl", p.at, p.n));
    return torch_zip_finish(&w->zip);
}

void torchfile_abandon(TorchWriter *w) { torch_zip_abandon(&w->zip); }
