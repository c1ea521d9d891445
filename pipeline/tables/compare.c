/* compare.c - opens two artefacts of one kind, tells how their envelopes differ, and hands them to what compares the
   kind. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "compare_impl.h"

/* ---- lines "a.b.c = value" of a configuration ---- */

enum { CONFIG_DEPTH = 16, CONFIG_KEY = 256 };
typedef struct {
    const char *key, *value;
} Setting;
typedef struct {
    Setting *item;
    int64_t n;
} Settings;

static int by_key(const void *a, const void *b) { return strcmp(((const Setting *)a)->key, ((const Setting *)b)->key); }

static int64_t count_lines(const char *text)
{
    int64_t n = 1;
    for (; *text; text++) n += *text == '\n';
    return n;
}

/* The effective configuration as artefacts hold it (config_dump): maps by indentation, every value on its line. */
static Status read_settings(Settings *out, const char *yaml, Arena *a)
{
    struct {
        int64_t indent;
        char path[CONFIG_KEY];
    } above[CONFIG_DEPTH] = {{-1, ""}};
    int depth = 0;
    *out = (Settings){0};
    TRY(arena_new(&out->item, a, count_lines(yaml)));
    for (const char *line = yaml, *end; *line; line = *end ? end + 1 : end) {
        end = line + strcspn(line, "\n");
        int64_t indent = (int64_t)strspn(line, " ");
        const char *word = line + indent, *colon = memchr(word, ':', (size_t)(end - word));
        if (word >= end || *word == '#' || !colon) continue;
        while (depth > 0 && above[depth].indent >= indent) depth--;
        char path[CONFIG_KEY];
        snprintf(path, sizeof path, "%s%s%.*s", above[depth].path, above[depth].path[0] ? "." : "", (int)(colon - word),
                 word);
        const char *value = colon + 1 + strspn(colon + 1, " ");
        if (value >= end) {
            if (depth + 1 < CONFIG_DEPTH) above[++depth].indent = indent;
            snprintf(above[depth].path, CONFIG_KEY, "%s", path);
            continue;
        }
        char *key = NULL, *text = NULL;
        TRY(arena_text(&key, a, path));
        TRY(arena_printf(&text, a, "%.*s", (int)(end - value), value));
        out->item[out->n++] = (Setting){key, text};
    }
    if (out->n > 0) qsort(out->item, (size_t)out->n, sizeof *out->item, by_key);
    return OK;
}

/* Lines "key=value" (the recipes of embeddings); those with a dot are settings, which the configuration tells of. */
static Status read_recipe(Settings *out, const char *text, Arena *a)
{
    *out = (Settings){0};
    TRY(arena_new(&out->item, a, count_lines(text)));
    for (const char *line = text, *end; *line; line = *end ? end + 1 : end) {
        end = line + strcspn(line, "\n");
        const char *equals = memchr(line, '=', (size_t)(end - line));
        if (!equals || memchr(line, '.', (size_t)(equals - line))) continue;
        char *key = NULL, *value = NULL;
        TRY(arena_printf(&key, a, "%.*s", (int)(equals - line), line));
        TRY(arena_printf(&value, a, "%.*s", (int)(end - equals - 1), equals + 1));
        out->item[out->n++] = (Setting){key, value};
    }
    if (out->n > 0) qsort(out->item, (size_t)out->n, sizeof *out->item, by_key);
    return OK;
}

static void print_settings(FILE *out, const char *what, const Settings *a, const Settings *b)
{
    for (int64_t i = 0, k = 0; i < a->n || k < b->n;) {
        int order = i == a->n ? 1 : k == b->n ? -1 : strcmp(a->item[i].key, b->item[k].key);
        const Setting *x = order <= 0 ? &a->item[i++] : NULL, *y = order >= 0 ? &b->item[k++] : NULL;
        if (x && y && strcmp(x->value, y->value) == 0) continue;
        fprintf(out, "  %s %s: %s -> %s\n", what, x ? x->key : y->key, x ? x->value : "(none)",
                y ? y->value : "(none)");
    }
}

/* ---- envelopes ---- */

static void print_text(FILE *out, const char *what, const char *a, const char *b)
{
    if (strcmp(a, b) != 0) fprintf(out, "  %s: %s -> %s\n", what, a[0] ? a : "(none)", b[0] ? b : "(none)");
}

static const char *attribute(RowFile *f, const char *name, Arena *a)
{
    char *text = NULL;
    return !f->fits && h5_get_attr_text(&text, &f->h5, "/", name, a) ? text : "";
}

/* Told of, not counted: files of the same data may come from other versions and settings. */
static Status print_envelopes(Comparison *c)
{
    static const char *const recipes[] = {"image_recipe", "spectrum_recipe"};
    static const char *const names[] = {"image", "spectrum"};
    const Envelope *a = &c->a.envelope, *b = &c->b.envelope;
    FILE *out = c->out;
    Settings x, y;
    fprintf(out, "A: %s\nB: %s\nboth are '%s'; envelope:\n", c->a.path, c->b.path, a->kind);
    if (a->version != b->version)
        fprintf(out, "  layout: version %" PRId64 " -> %" PRId64 "\n", a->version, b->version);
    print_text(out, "program", c->a.program, c->b.program);
    if (a->seed != b->seed) fprintf(out, "  seed: %" PRId64 " -> %" PRId64 "\n", a->seed, b->seed);
    print_text(out, "SPECPROD", a->specprod, b->specprod);
    print_text(out, "image release", a->image_release, b->image_release);
    print_text(out, "matrix products", a->provider, b->provider);
    print_text(out, "fingerprint", a->fingerprint.text, b->fingerprint.text);
    print_text(out, "inputs", attribute(&c->a, "inputs", c->arena), attribute(&c->b, "inputs", c->arena));
    TRY(read_settings(&x, a->config ? a->config : "", c->arena));
    TRY(read_settings(&y, b->config ? b->config : "", c->arena));
    print_settings(out, "config", &x, &y);
    for (int m = 0; m < 2; m++) {
        TRY(read_recipe(&x, attribute(&c->a, recipes[m], c->arena), c->arena));
        TRY(read_recipe(&y, attribute(&c->b, recipes[m], c->arena), c->arena));
        print_settings(out, names[m], &x, &y);
    }
    return OK;
}

/* ---- the kinds ---- */

static Status compare_kind(Comparison *c)
{
    const char *kind = c->a.envelope.kind;
    if (strcmp(kind, "probes") == 0) return compare_probes(c);
    if (c->a.n < 0 || c->b.n < 0) return compare_datasets(c);
    TRY(compare_rows(c));
    if (strcmp(kind, "catalog") != 0) return OK;
    TRY(compare_rejected(c));
    return compare_manifest(c);
}

static Status compare_open(Comparison *c, const char *rows)
{
    if (strcmp(c->a.envelope.kind, c->b.envelope.kind) != 0)
        return FAIL(E_INPUT, "%s is '%s', %s is '%s': only files of one kind can be compared", c->a.path,
                    c->a.envelope.kind, c->b.path, c->b.envelope.kind);
    if (rows && (c->a.n < 0 || c->b.n < 0))
        return FAIL(E_CONFIG, "--rows lists rows; '%s' has none", c->a.envelope.kind);
    if (rows && !(c->csv = fopen(rows, "w"))) return FAIL(E_OUTPUT, "%s: cannot be written", rows);
    return OK;
}

Status compare_files(bool *equal, const char *path_a, const char *path_b, const char *rows, FILE *out, Arena *a)
{
    Status st = OK;
    Comparison *c = NULL;
    TRY(arena_new(&c, a, 1));
    c->out = out;
    c->arena = a;
    TRY_DONE(rowfile_open(&c->a, path_a, a));
    TRY_DONE(rowfile_open(&c->b, path_b, a));
    TRY_DONE(compare_open(c, rows));
    TRY_DONE(print_envelopes(c));
    TRY_DONE(compare_kind(c));
    fprintf(out, "%s\n", c->differs ? "the data differ" : "the data are equal");
    *equal = !c->differs;
done:
    if (c->csv && fclose(c->csv) != 0 && st == OK) st = FAIL(E_OUTPUT, "%s: cannot be written to its end", rows);
    rowfile_close(&c->a);
    rowfile_close(&c->b);
    return st;
}
