/* compare_rows.c - two files row by row. Keys are sorted and walked; what they say of each row of A (its row in B) is
   kept in the order of A, so that A is read from front to end, and B, whose rows mostly come in the same order, nearly
   so. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare_impl.h"

enum { BLOCK_BYTES = 16 << 20, BLOCK_ROWS = 65536, EXAMPLES = 3, EXAMPLE_TEXT = 160 };

/* ---- numbers ---- */

bool distance_add(Distance *d, const double *x, const double *y, int64_t n)
{
    const int64_t before = d->n;
    for (int64_t i = 0; i < n; i++) {
        if (x[i] == y[i] || (isnan(x[i]) && isnan(y[i]))) continue;
        d->n++;
        if (isnan(x[i]) || isnan(y[i])) {
            d->one_sided++;
            continue;
        }
        double gap = fabs(x[i] - y[i]), size = fmax(fabs(x[i]), fabs(y[i]));
        d->absolute = fmax(d->absolute, gap);
        d->relative = fmax(d->relative, isfinite(size) ? gap / size : 1);
    }
    return d->n > before;
}

void distance_print(FILE *out, const Distance *d)
{
    if (d->n > d->one_sided) fprintf(out, "largest difference %.4g (relative %.2g)", d->absolute, d->relative);
    if (d->one_sided > 0)
        fprintf(out, "%s%" PRId64 " NaN on one side only", d->n > d->one_sided ? ", " : "", d->one_sided);
}

/* ---- columns ---- */

typedef struct {
    int a, b;                 /* its number in both files */
    bool source;              /* where the row came from: told of, but no change of the object */
    int modality;             /* of flags, -1 = other */
    const int64_t *translate; /* FILE of B -> of A; NULL = as it stands */
    int64_t n_translate;
    int64_t rows;
    Distance distance;
    int64_t gained[FLAG_BITS], lost[FLAG_BITS];
    char example[EXAMPLES][EXAMPLE_TEXT];
    int n_examples;
} Pairing;

typedef struct {
    Pairing *pair;
    int n;
    int64_t block;  /* rows read at a time */
    int64_t *match; /* (rows of A) row of B, -1 = none */
    int64_t common, added, dropped, changed, moved, out_of_order;
} Rows;

static bool is_any(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(name, *list) == 0) return true;
    return false;
}

static int modality_of(const char *name)
{
    if (strcmp(name, "image_flag") == 0 || strcmp(name, "IMAGE_FLAG") == 0) return MODALITY_IMAGE;
    if (strcmp(name, "spectrum_flag") == 0 || strcmp(name, "SPECTRUM_FLAG") == 0) return MODALITY_SPECTRUM;
    return -1;
}

/* ---- /files of catalogues: numbers of one file's list in terms of the other's ---- */

typedef struct {
    const char *name;
    int64_t number;
} Named;

static int by_name(const void *a, const void *b) { return strcmp(((const Named *)a)->name, ((const Named *)b)->name); }

static Status read_files(Named **out, int64_t *n, RowFile *f, Arena *a)
{
    H5Shape shape;
    char *cells = NULL;
    *n = 0;
    if (f->fits || !h5_has(&f->h5, "files")) return OK;
    TRY(h5_get((void **)&cells, &shape, &f->h5, "files", H5_TEXT, a));
    TRY(arena_new(out, a, shape.dims[0]));
    for (int64_t i = 0; i < shape.dims[0]; i++) {
        char *name = NULL;
        TRY(arena_printf(&name, a, "%.*s", (int)shape.width, cells + i * shape.width));
        (*out)[i] = (Named){name, i};
    }
    *n = shape.dims[0];
    return OK;
}

static Status translate_files(const int64_t **out, int64_t *n_out, Comparison *c)
{
    Named *a = NULL, *b = NULL;
    int64_t n_a = 0, n_b = 0, *to = NULL;
    TRY(read_files(&a, &n_a, &c->a, c->arena));
    TRY(read_files(&b, &n_b, &c->b, c->arena));
    TRY(arena_new(&to, c->arena, n_b));
    if (n_a > 0) qsort(a, (size_t)n_a, sizeof *a, by_name);
    for (int64_t i = 0; i < n_b; i++) {
        const Named *found = n_a > 0 ? bsearch(&b[i], a, (size_t)n_a, sizeof *a, by_name) : NULL;
        to[i] = found ? found->number : -2 - i; /* a file that A does not know */
    }
    *out = to;
    *n_out = n_b;
    return OK;
}

/* ---- which columns go together ---- */

static void alone(Comparison *c, const RowFile *f, const char *name, const char *side)
{
    (void)f;
    fprintf(c->out, "column %s: in %s only\n", name, side);
    c->differs = true;
}

static Status pair_columns(Rows *r, Comparison *c)
{
    static const char *const sources[] = {"FILE", "ROW", "IMAGE_FILE", "IMAGE_ROW", NULL};
    static const char *const files[] = {"FILE", "IMAGE_FILE", NULL};
    const int64_t *translate = NULL;
    int64_t n_translate = 0, widest = 1;
    TRY(arena_new(&r->pair, c->arena, c->a.n_columns));
    TRY(translate_files(&translate, &n_translate, c));
    for (int i = 0; i < c->a.n_columns; i++) {
        const RowColumn *x = &c->a.column[i];
        int k = rowfile_find(&c->b, x->name);
        if (k < 0) {
            alone(c, &c->a, x->name, "A");
            continue;
        }
        const RowColumn *y = &c->b.column[k];
        if (x->kind != y->kind || x->n != y->n) {
            fprintf(c->out,
                    "column %s: %" PRId64 " values a row in A, %" PRId64 " in B, or another type: not compared\n",
                    x->name, x->n, y->n);
            c->differs = true;
            continue;
        }
        Pairing *p = &r->pair[r->n++];
        *p = (Pairing){.a = i, .b = k, .source = is_any(x->name, sources), .modality = modality_of(x->name)};
        if (is_any(x->name, files)) p->translate = translate, p->n_translate = n_translate;
        if (x->bytes > widest) widest = x->bytes;
    }
    for (int i = 0; i < c->b.n_columns; i++)
        if (rowfile_find(&c->a, c->b.column[i].name) < 0) alone(c, &c->b, c->b.column[i].name, "B");
    r->block = BLOCK_BYTES / widest;
    if (r->block > BLOCK_ROWS) r->block = BLOCK_ROWS;
    if (r->block < 1) r->block = 1;
    return OK;
}

/* ---- keys ---- */

static void print_key(char *out, size_t size, const Comparison *c, const RowKey *k)
{
    const KeyPair *pair = &c->pairs.pair[rowkey_pair(k)];
    bool named = pair->survey[0] || pair->program[0];
    snprintf(out, size, "%" PRId64 "%s%s%s%s", k->targetid, named ? " " : "", pair->survey, named ? "/" : "",
             pair->program);
}

static void list_row(const Comparison *c, const RowKey *k, const char *change)
{
    const KeyPair *pair = &c->pairs.pair[rowkey_pair(k)];
    if (c->csv) fprintf(c->csv, "%" PRId64 ",%s,%s,%s,", k->targetid, pair->survey, pair->program, change);
}

static void note_alone(Comparison *c, const RowKey *k, const char *change, int64_t *count, char *examples, size_t size)
{
    char text[EXAMPLE_TEXT];
    if (++*count <= EXAMPLES) {
        print_key(text, sizeof text, c, k);
        size_t used = strlen(examples);
        snprintf(examples + used, size - used, "%s%s", used ? ", " : "", text);
    }
    list_row(c, k, change);
    if (c->csv) fputc('\n', c->csv);
}

/* Fills r->match and the counts. */
static Status match_keys(Rows *r, Comparison *c)
{
    RowKey *key_a = NULL, *key_b = NULL;
    char added[EXAMPLES * EXAMPLE_TEXT] = "", dropped[EXAMPLES * EXAMPLE_TEXT] = "";
    TRY(keypairs_init(&c->pairs, c->arena));
    TRY(arena_new(&r->match, c->arena, c->a.n));
    const Mark mark = arena_mark(c->arena);
    TRY(rowfile_keys(&key_a, &c->a, &c->pairs, c->arena));
    TRY(rowfile_keys(&key_b, &c->b, &c->pairs, c->arena));
    rowkeys_sort(key_a, c->a.n);
    rowkeys_sort(key_b, c->b.n);
    KeyWalk walk = {key_a, key_b, c->a.n, c->b.n};
    for (const RowKey *a, *b; keywalk_next(&walk, &a, &b);) {
        if (a) r->match[rowkey_row(a)] = b ? rowkey_row(b) : -1;
        if (a && b)
            r->common++;
        else if (a)
            note_alone(c, a, "dropped", &r->dropped, dropped, sizeof dropped);
        else
            note_alone(c, b, "added", &r->added, added, sizeof added);
    }
    arena_reset(c->arena, mark);
    int64_t last = -1;
    for (int64_t i = 0; i < c->a.n; i++) {
        if (r->match[i] < 0) continue;
        r->out_of_order += r->match[i] < last;
        last = r->match[i];
    }
    if (r->added)
        fprintf(c->out, "added    %" PRId64 " rows: %s%s\n", r->added, added, r->added > EXAMPLES ? ", ..." : "");
    if (r->dropped)
        fprintf(c->out, "dropped  %" PRId64 " rows: %s%s\n", r->dropped, dropped, r->dropped > EXAMPLES ? ", ..." : "");
    if (r->out_of_order) fprintf(c->out, "the common rows stand in another order (not a difference)\n");
    return OK;
}

/* ---- blocks of rows ---- */

/* The rows of a block of A that B has too. */
typedef struct {
    int64_t first, n;   /* rows of A */
    int64_t *at, *in_b; /* (n_common) offset in the block; row of B */
    int64_t n_common;
    uint8_t *changed, *moved; /* (n) */
    uint8_t *column;          /* (n, columns) for the CSV; NULL = nobody asks */
    RowKey *key;              /* (n) NULL until something differs */
} Block;

static bool cells_differ(Pairing *p, const RowColumn *x, const RowColumn *y, const char *a, const char *b)
{
    if (x->kind == ROW_REAL) return distance_add(&p->distance, (const double *)a, (const double *)b, x->n);
    if (x->kind == ROW_TEXT) {
        const size_t cell_a = (size_t)(x->bytes / x->n), cell_b = (size_t)(y->bytes / y->n);
        for (int64_t i = 0; i < x->n; i++, a += cell_a, b += cell_b) {
            size_t length = strnlen(a, cell_a);
            if (length != strnlen(b, cell_b) || memcmp(a, b, length) != 0) return true;
        }
        return false;
    }
    bool differ = false;
    for (int64_t i = 0; i < x->n; i++) {
        int64_t u = ((const int64_t *)a)[i], v = ((const int64_t *)b)[i];
        if (p->translate && v >= 0 && v < p->n_translate) v = p->translate[v];
        if (u == v) continue;
        differ = true;
        for (int bit = 0; p->modality >= 0 && bit < FLAG_BITS; bit++) {
            p->gained[bit] += (~u & v) >> bit & 1;
            p->lost[bit] += (u & ~v) >> bit & 1;
        }
        p->distance.absolute = fmax(p->distance.absolute, fabs((double)u - (double)v));
    }
    return differ;
}

static void print_cell(char *out, size_t size, const RowColumn *x, const char *cell)
{
    if (x->kind == ROW_TEXT)
        snprintf(out, size, "'%.*s'", (int)x->bytes, cell);
    else if (x->kind == ROW_REAL)
        snprintf(out, size, "%.9g", *(const double *)(const void *)cell);
    else
        snprintf(out, size, "%" PRId64, *(const int64_t *)(const void *)cell);
}

static void keep_example(Pairing *p, const Comparison *c, const RowKey *key, const char *a, const char *b)
{
    const RowColumn *x = &c->a.column[p->a], *y = &c->b.column[p->b];
    char name[64], from[40], to[40], *out = p->example[p->n_examples++];
    print_key(name, sizeof name, c, key);
    print_cell(from, sizeof from, x, a);
    print_cell(to, sizeof to, y, b);
    if (x->n == 1 && !p->translate)
        snprintf(out, EXAMPLE_TEXT, "%s (%s -> %s)", name, from, to);
    else
        snprintf(out, EXAMPLE_TEXT, "%s", name);
}

/* One column of the block. */
static Status compare_column(Rows *r, Comparison *c, Block *block, int k)
{
    Pairing *p = &r->pair[k];
    const RowColumn *x = &c->a.column[p->a], *y = &c->b.column[p->b];
    const Mark mark = arena_mark(c->arena);
    char *a = NULL, *b = NULL;
    TRY(arena_take((void **)&a, c->arena, block->n, (size_t)x->bytes));
    TRY(arena_take((void **)&b, c->arena, block->n_common, (size_t)y->bytes));
    TRY(rowfile_read(a, &c->a, p->a, block->first, block->n));
    TRY(rowfile_gather(b, &c->b, p->b, block->in_b, block->n_common, c->arena));
    for (int64_t i = 0; i < block->n_common; i++) {
        const int64_t at = block->at[i];
        const char *cell_a = a + at * x->bytes, *cell_b = b + i * y->bytes;
        if (!cells_differ(p, x, y, cell_a, cell_b)) continue;
        p->rows++;
        *(p->source ? &block->moved[at] : &block->changed[at]) = 1;
        if (block->column) block->column[at * r->n + k] = 1;
        if (p->n_examples == EXAMPLES) continue;
        if (!block->key[0].targetid && !block->key[0].rest)
            TRY(rowfile_read_keys(block->key, &c->a, &c->pairs, block->first, block->n, c->arena));
        keep_example(p, c, &block->key[at], cell_a, cell_b);
    }
    arena_reset(c->arena, mark);
    return OK;
}

static Status list_changed(Rows *r, Comparison *c, const Block *block)
{
    if (!block->column) return OK;
    TRY(rowfile_read_keys(block->key, &c->a, &c->pairs, block->first, block->n, c->arena));
    for (int64_t i = 0; i < block->n; i++) {
        if (!block->changed[i]) continue;
        list_row(c, &block->key[i], "changed");
        const char *between = "";
        for (int k = 0; k < r->n; k++) {
            if (!block->column[i * r->n + k]) continue;
            fprintf(c->csv, "%s%s", between, c->a.column[r->pair[k].a].name);
            between = " ";
        }
        fputc('\n', c->csv);
    }
    return OK;
}

static Status compare_block(Rows *r, Comparison *c, int64_t first, int64_t n)
{
    const Mark mark = arena_mark(c->arena);
    Block block = {.first = first, .n = n};
    TRY(arena_new(&block.at, c->arena, n));
    TRY(arena_new(&block.in_b, c->arena, n));
    TRY(arena_new(&block.changed, c->arena, n));
    TRY(arena_new(&block.moved, c->arena, n));
    TRY(arena_new(&block.key, c->arena, n));
    if (c->csv) TRY(arena_new(&block.column, c->arena, n * r->n));
    for (int64_t i = 0; i < n; i++) {
        if (r->match[first + i] < 0) continue;
        block.at[block.n_common] = i;
        block.in_b[block.n_common++] = r->match[first + i];
    }
    for (int k = 0; k < r->n && block.n_common > 0; k++) TRY(compare_column(r, c, &block, k));
    for (int64_t i = 0; i < n; i++) {
        r->changed += block.changed[i];
        r->moved += block.moved[i] && !block.changed[i];
    }
    TRY(list_changed(r, c, &block));
    arena_reset(c->arena, mark);
    return OK;
}

/* ---- what came out ---- */

static void print_column(const Comparison *c, const Pairing *p)
{
    const RowColumn *x = &c->a.column[p->a];
    fprintf(c->out, "  %-24s %10" PRId64 " rows", x->name, p->rows);
    if (x->kind == ROW_REAL) {
        fprintf(c->out, ", ");
        distance_print(c->out, &p->distance);
    }
    for (int i = 0; i < p->n_examples; i++) fprintf(c->out, "%s%s", i ? ", " : "; e.g. ", p->example[i]);
    fputc('\n', c->out);
    if (p->modality < 0) return;
    for (const FlagRow *row = flags_table((Modality)p->modality); row->bit; row++) {
        int bit = __builtin_ctz((unsigned)row->bit);
        if (p->gained[bit] || p->lost[bit])
            fprintf(c->out, "    %-22s gained by %" PRId64 " rows, lost by %" PRId64 " (%s)\n", row->name,
                    p->gained[bit], p->lost[bit], row->sentence);
    }
}

static void print_columns(const Rows *r, const Comparison *c, bool source, const char *title)
{
    bool told = false;
    for (int k = 0; k < r->n; k++) {
        const Pairing *p = &r->pair[k];
        if (p->rows == 0 || p->source != source) continue;
        if (!told) fprintf(c->out, "%s\n", title);
        told = true;
        print_column(c, p);
    }
}

Status compare_rows(Comparison *c)
{
    Rows r = {0};
    TRY(pair_columns(&r, c));
    if (c->csv) fprintf(c->csv, "TARGETID,SURVEY,PROGRAM,CHANGE,COLUMNS\n");
    TRY(match_keys(&r, c));
    for (int64_t first = 0; first < c->a.n; first += r.block)
        TRY(compare_block(&r, c, first, c->a.n - first < r.block ? c->a.n - first : r.block));
    fprintf(c->out,
            "rows: %" PRId64 " in A, %" PRId64 " in B; %" PRId64 " equal, %" PRId64 " changed, %" PRId64
            " added, %" PRId64 " dropped\n",
            c->a.n, c->b.n, r.common - r.changed, r.changed, r.added, r.dropped);
    print_columns(&r, c, false, "changed columns:");
    if (r.moved)
        fprintf(c->out, "%" PRId64 " of the equal rows come from another place in the survey's files\n", r.moved);
    print_columns(&r, c, true, "columns that say where a row came from:");
    if (r.changed || r.added || r.dropped || r.moved) c->differs = true;
    return OK;
}
