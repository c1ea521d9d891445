/* torch_pickle.c - the stack machine of pickles, reduced to what builds data. Nodes live in chunks, so that they never move; the stack and the table of
   remembered values hold node numbers. */
#include "io/torch_pickle.h"

#include <fnmatch.h>
#include <string.h>

enum { CHUNK_BITS = 12, CHUNK = 1 << CHUNK_BITS, MARK = -2 };
static const int64_t bytes_limit = (int64_t)64 << 20;
static const int64_t nodes_limit = (int64_t)8 << 20;

typedef struct {
    Pickle *p;
    const char *name;
    const uint8_t *in;
    int64_t n, at;
    int32_t *stack, *memo;
    int64_t depth, n_memo, next_memo;
    Arena *a;
} Machine;

const PickleNode *pickle_node(const Pickle *p, int32_t i)
{
    return i < 0 ? NULL : &p->chunk[i >> CHUNK_BITS][i & (CHUNK - 1)];
}

static PickleNode *edit(const Machine *m, int32_t i) { return &m->p->chunk[i >> CHUNK_BITS][i & (CHUNK - 1)]; }

static Status damaged(const Machine *m, const char *what)
{
    return FAIL(E_INPUT, "%s: %s at byte %lld of the pickle: not a checkpoint that PyTorch wrote, or damaged", m->name,
                what, (long long)m->at);
}

/* ---- nodes, stack, memo ---- */

static Status make(int32_t *out, Machine *m, PickleKind kind)
{
    if (m->p->n >= nodes_limit)
        return FAIL(E_INPUT, "%s: the pickle holds more than %lld objects", m->name, (long long)nodes_limit);
    PickleNode **chunk = &m->p->chunk[m->p->n >> CHUNK_BITS];
    if (!*chunk) TRY(arena_new(chunk, m->a, CHUNK));
    *out = m->p->n++;
    *edit(m, *out) = (PickleNode){.kind = kind, .first = PICKLE_NO_NODE, .last = PICKLE_NO_NODE};
    return OK;
}

/* Each opcode pushes one item at most, so that a stack as long as the pickle is long enough. */
static void push(Machine *m, int32_t item) { m->stack[m->depth++] = item; }

static Status pop(int32_t *out, Machine *m)
{
    if (m->depth == 0 || m->stack[m->depth - 1] == MARK) return damaged(m, "a value is missing");
    *out = m->stack[--m->depth];
    return OK;
}

/* Items above the topmost mark begin at *first. */
static Status find_mark(int64_t *first, const Machine *m)
{
    int64_t i = m->depth;
    while (i > 0 && m->stack[i - 1] != MARK) i--;
    *first = i;
    return i > 0 ? OK : damaged(m, "a mark is missing");
}

static Status push_new(Machine *m, PickleKind kind)
{
    int32_t i = 0;
    TRY(make(&i, m, kind));
    push(m, i);
    return OK;
}

static Status push_int(Machine *m, PickleKind kind, int64_t value)
{
    TRY(push_new(m, kind));
    edit(m, m->stack[m->depth - 1])->whole = value;
    return OK;
}

static Status remember(Machine *m, int64_t index)
{
    if (m->depth == 0 || m->stack[m->depth - 1] == MARK) return damaged(m, "a value is missing");
    if (index >= m->n_memo) return damaged(m, "an impossible memo number");
    m->memo[index] = m->stack[m->depth - 1] + 1; /* 0 = nothing */
    m->next_memo++;
    return OK;
}

static Status recall(Machine *m, int64_t index)
{
    if (index >= m->n_memo || m->memo[index] == 0) return damaged(m, "an unknown memo number");
    push(m, m->memo[index] - 1);
    return OK;
}

/* ---- bytes of the stream ---- */

static Status take(const uint8_t **out, Machine *m, int64_t n)
{
    if (n < 0 || n > m->n - m->at) return damaged(m, "the end");
    *out = m->in + m->at;
    m->at += n;
    return OK;
}

static Status take_number(int64_t *out, Machine *m, int bytes)
{
    const uint8_t *p = NULL;
    TRY(take(&p, m, bytes));
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--) v = v << 8 | p[i];
    *out = (int64_t)v;
    return OK;
}

static Status push_number(Machine *m, int bytes)
{
    int64_t v = 0;
    TRY(take_number(&v, m, bytes));
    return push_int(m, PICKLE_INT, bytes == 4 ? (int32_t)v : v);
}

/* A whole number of any length, little-endian two's complement; those beyond 64 bits are opaque (some random states). */
static Status push_long(Machine *m, int length_bytes)
{
    int64_t n = 0;
    const uint8_t *p = NULL;
    TRY(take_number(&n, m, length_bytes));
    TRY(take(&p, m, n));
    if (n > 8) return push_new(m, PICKLE_NONE);
    uint64_t v = n > 0 && p[n - 1] & 0x80 ? ~(uint64_t)0 : 0;
    for (int64_t i = n - 1; i >= 0; i--) v = v << 8 | p[i];
    return push_int(m, PICKLE_INT, (int64_t)v);
}

static Status push_real(Machine *m)
{
    const uint8_t *p = NULL;
    uint64_t v = 0;
    double x;
    TRY(take(&p, m, 8));
    for (int i = 0; i < 8; i++) v = v << 8 | p[i];
    memcpy(&x, &v, sizeof x);
    TRY(push_new(m, PICKLE_REAL));
    edit(m, m->stack[m->depth - 1])->real = x;
    return OK;
}

static Status make_text(int32_t *out, Machine *m, const uint8_t *p, int64_t n)
{
    TRY(make(out, m, PICKLE_TEXT));
    edit(m, *out)->text = (const char *)p;
    edit(m, *out)->n = n;
    return OK;
}

static Status push_text(Machine *m, int length_bytes)
{
    int64_t n = 0;
    int32_t i = 0;
    const uint8_t *p = NULL;
    TRY(take_number(&n, m, length_bytes));
    TRY(take(&p, m, n));
    TRY(make_text(&i, m, p, n));
    push(m, i);
    return OK;
}

static Status take_line(int32_t *out, Machine *m)
{
    const uint8_t *p = m->in + m->at, *end = memchr(p, '\n', (size_t)(m->n - m->at));
    if (!end) return damaged(m, "the end");
    m->at += end - p + 1;
    return make_text(out, m, p, end - p);
}

/* ---- containers ---- */

static Status append(Machine *m, int32_t container, int32_t item)
{
    int32_t cell = 0;
    TRY(make(&cell, m, PICKLE_CELL));
    edit(m, cell)->first = item;
    PickleNode *c = edit(m, container);
    if (c->last >= 0)
        edit(m, c->last)->last = cell;
    else
        c->first = cell;
    c->last = cell;
    c->n++;
    return OK;
}

/* A tuple of the items from `first` on; `below` = 1 takes the mark beneath them away too. */
static Status push_tuple(Machine *m, int64_t first, int below)
{
    int32_t tuple = 0;
    TRY(make(&tuple, m, PICKLE_TUPLE));
    for (int64_t i = first; i < m->depth; i++) {
        if (m->stack[i] == MARK) return damaged(m, "a value is missing");
        TRY(append(m, tuple, m->stack[i]));
    }
    m->depth = first - below;
    push(m, tuple);
    return OK;
}

static Status push_short_tuple(Machine *m, int64_t n)
{
    return m->depth >= n ? push_tuple(m, m->depth - n, 0) : damaged(m, "a value is missing");
}

/* Items from `first` on go into the container beneath; objects that are opaque swallow them. */
static Status fill(Machine *m, PickleKind kind, int64_t first, int below)
{
    const int64_t at = first - below - 1, n = m->depth - first;
    if (at < 0 || m->stack[at] == MARK) return damaged(m, "a container is missing");
    const PickleKind has = edit(m, m->stack[at])->kind;
    if (has != kind && has != PICKLE_CALL) return damaged(m, "items for what is no container");
    if (kind == PICKLE_DICT && n % 2 != 0) return damaged(m, "a key without a value");
    for (int64_t i = first; i < m->depth; i++) {
        if (m->stack[i] == MARK) return damaged(m, "a value is missing");
        if (has == kind) TRY(append(m, m->stack[at], m->stack[i]));
    }
    m->depth = at + 1;
    return OK;
}

static Status fill_marked(Machine *m, PickleKind kind)
{
    int64_t first = 0;
    TRY(find_mark(&first, m));
    return fill(m, kind, first, 1);
}

static Status fill_top(Machine *m, PickleKind kind, int64_t n)
{
    return m->depth >= n ? fill(m, kind, m->depth - n, 0) : damaged(m, "a value is missing");
}

/* ---- names and calls ---- */

/* Libraries whose objects are met in checkpoints. None of them is called; a name outside is a sign that the file was made to harm. */
static bool is_harmless(const char *module, const char *name)
{
    static const char *const libraries[] = {
        "torch*", "collections", "builtins",  "__builtin__", "lightning*",    "astroclip*",         "dinov2*",
        "numpy*", "argparse",    "functools", "omegaconf*",  "jsonargparse*", "pytorch_lightning*", "_codecs",
        NULL};
    static const char *const never[] = {"eval", "exec", "execfile", "compile", "open", "__import__", "input", NULL};
    for (const char *const *n = never; *n; n++)
        if (strcmp(name, *n) == 0) return false;
    for (const char *const *l = libraries; *l; l++)
        if (fnmatch(*l, module, 0) == 0) return true;
    return false;
}

static void copy_text(char out[128], const PickleNode *text)
{
    snprintf(out, 128, "%.*s", (int)(text->n < 127 ? text->n : 127), text->text);
    for (char *c = out; *c; c++)
        if (*c < ' ' || *c > '~') *c = '?';
}

static Status check_call(const Machine *m, int32_t callee)
{
    const PickleNode *g = pickle_node(m->p, callee);
    char module[128], name[128];
    if (g->kind != PICKLE_GLOBAL) return damaged(m, "a call of what has no name");
    copy_text(module, pickle_node(m->p, g->first));
    copy_text(name, pickle_node(m->p, g->last));
    if (is_harmless(module, name)) return OK;
    return FAIL(
        E_INPUT,
        "%s: the pickle calls '%s.%s', which no checkpoint needs: refused (nothing was executed); do not open this "
        "file with PyTorch either unless you trust it",
        m->name, module, name);
}

static Status push_global(Machine *m, int32_t module, int32_t name)
{
    if (edit(m, module)->kind != PICKLE_TEXT || edit(m, name)->kind != PICKLE_TEXT)
        return damaged(m, "a name that is no text");
    TRY(push_new(m, PICKLE_GLOBAL));
    PickleNode *g = edit(m, m->stack[m->depth - 1]);
    g->first = module;
    g->last = name;
    return OK;
}

static Status push_line_global(Machine *m)
{
    int32_t module = 0, name = 0;
    TRY(take_line(&module, m));
    TRY(take_line(&name, m));
    return push_global(m, module, name);
}

static Status push_stack_global(Machine *m)
{
    int32_t module = 0, name = 0;
    TRY(pop(&name, m));
    TRY(pop(&module, m));
    return push_global(m, module, name);
}

/* An ordered dictionary is a dictionary; any other object stays opaque. */
static Status push_call(Machine *m)
{
    int32_t callee = 0, arguments = 0;
    TRY(pop(&arguments, m));
    TRY(pop(&callee, m));
    if (edit(m, arguments)->kind != PICKLE_TUPLE) return damaged(m, "a call without arguments");
    TRY(check_call(m, callee));
    if (edit(m, arguments)->n == 0 && pickle_is_global(m->p, edit(m, callee), "collections", "OrderedDict"))
        return push_new(m, PICKLE_DICT);
    TRY(push_new(m, PICKLE_CALL));
    PickleNode *c = edit(m, m->stack[m->depth - 1]);
    c->first = callee;
    c->last = arguments;
    return OK;
}

static Status push_stored(Machine *m)
{
    int32_t id = 0;
    TRY(pop(&id, m));
    TRY(push_new(m, PICKLE_STORED));
    edit(m, m->stack[m->depth - 1])->first = id;
    return OK;
}

/* ---- opcodes ---- */

static Status drop(Machine *m)
{
    int32_t gone = 0;
    return pop(&gone, m);
}

static Status skip(Machine *m, int64_t n)
{
    const uint8_t *gone = NULL;
    return take(&gone, m, n);
}

static Status with_number(Machine *m, int bytes, Status (*action)(Machine *, int64_t))
{
    int64_t index = 0;
    TRY(take_number(&index, m, bytes));
    return action(m, index);
}

static Status drop_marked(Machine *m)
{
    int64_t first = 0;
    TRY(find_mark(&first, m));
    m->depth = first - 1;
    return OK;
}

static Status duplicate(Machine *m)
{
    if (m->depth == 0) return damaged(m, "a value is missing");
    push(m, m->stack[m->depth - 1]);
    return OK;
}

static Status push_marked_tuple(Machine *m)
{
    int64_t first = 0;
    TRY(find_mark(&first, m));
    return push_tuple(m, first, 1);
}

static Status structure(Machine *m, uint8_t op)
{
    switch (op) {
    case '(': push(m, MARK); return OK;
    case '0': return drop(m);
    case '1': return drop_marked(m);
    case '2': return duplicate(m);
    case 'q': return with_number(m, 1, remember);
    case 'r': return with_number(m, 4, remember);
    case 0x94: return remember(m, m->next_memo);
    case 'h': return with_number(m, 1, recall);
    case 'j': return with_number(m, 4, recall);
    case 't': return push_marked_tuple(m);
    case 0x85: return push_short_tuple(m, 1);
    case 0x86: return push_short_tuple(m, 2);
    case 0x87: return push_short_tuple(m, 3);
    case 's': return fill_top(m, PICKLE_DICT, 2);
    case 'u': return fill_marked(m, PICKLE_DICT);
    case 'a': return fill_top(m, PICKLE_LIST, 1);
    case 'e': return fill_marked(m, PICKLE_LIST);
    case 0x90: return fill_marked(m, PICKLE_SET);
    case 'c': return push_line_global(m);
    case 0x93: return push_stack_global(m);
    case 'R':
    case 0x81: return push_call(m);
    case 'b': return drop(m); /* the state of an object */
    case 'Q': return push_stored(m);
    default: break;
    }
    char text[64];
    snprintf(text, sizeof text, "opcode 0x%02x, which checkpoints do not use,", op);
    return damaged(m, text);
}

static Status operate(Machine *m, uint8_t op)
{
    switch (op) {
    case 0x80: return skip(m, 1); /* protocol */
    case 0x95: return skip(m, 8); /* frame    */
    case 'N': return push_new(m, PICKLE_NONE);
    case 0x88: return push_int(m, PICKLE_BOOL, 1);
    case 0x89: return push_int(m, PICKLE_BOOL, 0);
    case 'K': return push_number(m, 1);
    case 'M': return push_number(m, 2);
    case 'J': return push_number(m, 4);
    case 0x8a: return push_long(m, 1);
    case 0x8b: return push_long(m, 4);
    case 'G': return push_real(m);
    case 'U':
    case 'C':
    case 0x8c: return push_text(m, 1);
    case 'X':
    case 'T':
    case 'B': return push_text(m, 4);
    case 0x8d: return push_text(m, 8);
    case '}': return push_new(m, PICKLE_DICT);
    case ']': return push_new(m, PICKLE_LIST);
    case ')': return push_new(m, PICKLE_TUPLE);
    case 0x8f: return push_new(m, PICKLE_SET);
    default: return structure(m, op);
    }
}

Status pickle_read(Pickle *out, const char *name, const char *bytes, int64_t n_bytes, Arena *a)
{
    *out = (Pickle){.root = PICKLE_NO_NODE};
    if (n_bytes > bytes_limit)
        return FAIL(E_INPUT, "%s: the pickle has %lld bytes, more than %lld", name, (long long)n_bytes,
                    (long long)bytes_limit);
    Machine m = {.p = out, .name = name, .in = (const uint8_t *)bytes, .n = n_bytes, .a = a};
    m.n_memo = n_bytes / 2 + 1; /* remembering takes two bytes, numbered from 0 on */
    TRY(arena_new(&out->chunk, a, nodes_limit / CHUNK + 1));
    TRY(arena_new(&m.stack, a, n_bytes + 1));
    TRY(arena_new(&m.memo, a, m.n_memo));
    while (m.at < m.n) {
        uint8_t op = m.in[m.at++];
        if (op == '.') return pop(&out->root, &m);
        TRY(operate(&m, op));
    }
    return damaged(&m, "the end");
}

/* ---- looking ---- */

const PickleNode *pickle_item(const Pickle *p, const PickleNode *sequence, int64_t k)
{
    if (!sequence || (sequence->kind != PICKLE_TUPLE && sequence->kind != PICKLE_LIST) || k >= sequence->n) return NULL;
    const PickleNode *cell = pickle_node(p, sequence->first);
    while (k-- > 0) cell = pickle_node(p, cell->last);
    return pickle_node(p, cell->first);
}

bool pickle_is_text(const PickleNode *node, const char *text)
{
    return node && node->kind == PICKLE_TEXT && (size_t)node->n == strlen(text) &&
           memcmp(node->text, text, (size_t)node->n) == 0;
}

/* As in Python, the last one of equal keys counts. */
const PickleNode *pickle_value(const Pickle *p, const PickleNode *dict, const char *key)
{
    const PickleNode *found = NULL;
    if (!dict || dict->kind != PICKLE_DICT) return NULL;
    for (const PickleNode *k = pickle_node(p, dict->first); k; k = pickle_node(p, k->last)) {
        const PickleNode *v = pickle_node(p, k->last);
        if (pickle_is_text(pickle_node(p, k->first), key)) found = pickle_node(p, v->first);
        k = v;
    }
    return found;
}

bool pickle_is_global(const Pickle *p, const PickleNode *node, const char *module, const char *name)
{
    return node && node->kind == PICKLE_GLOBAL && pickle_is_text(pickle_node(p, node->first), module) &&
           pickle_is_text(pickle_node(p, node->last), name);
}
