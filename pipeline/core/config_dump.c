/* config_dump.c - prints configurations: the effective file, the reference file, a section's description, the text that
   is hashed.

   All of it walks the same tables that config.c reads with, and a value has one printed form, which reads back to the
   same bits. Lines are composed in memory streams. */
#include "config_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { COMMENT_COLUMN = 36, LINE_WIDTH = 120 };

typedef struct {
    FILE *out;
    bool help;      /* comments                                                     */
    bool reference; /* what could be written, instead of what was: all kinds, required keys */
    int off;        /* depth from which lines are commented out; -1 = none          */
    Arena *a;       /* for the defaults of kinds not chosen */
} Printer;

/* ---- values ---- */

/* What YAML 1.1 takes for printable and does not fold as a line break. */
static bool is_printable(uint32_t c)
{
    if (c < 0x7f) return c >= 0x20;
    return (c >= 0xa0 && c < 0xd800 && c != 0x2028 && c != 0x2029) || (c >= 0xe000 && c <= 0xfffd && c != 0xfeff) ||
           c >= 0x10000;
}

/* Letters, digits and _ . / - after a letter or a slash, and no word that YAML takes for something else. */
static bool is_plain(const char *text)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", NULL};
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/";
    for (int i = 0; words[i]; i++)
        if (strcasecmp(text, words[i]) == 0) return false;
    if (strspn(text, letters) == 0) return false;
    size_t n = 0;
    while (text[n] && (strchr(letters, text[n]) || strchr("0123456789_.-", text[n]))) n++;
    return text[n] == '\0';
}

static void print_text(FILE *out, const char *text)
{
    if (is_plain(text)) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    while (*text) {
        uint32_t c = (unsigned char)*text;
        int length = config_utf8(&c, text);
        if (*text == '"' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else if (*text == '\n')
            fputs("\\n", out);
        else if (length > 0 && is_printable(c))
            fwrite(text, 1, (size_t)length, out);
        else
            fprintf(out, c > 0xffff ? "\\U%08" PRIX32 : "\\u%04" PRIX32, c);
        text += length > 0 ? length : 1;
    }
    fputc('"', out);
}

/* The shortest of 15, 16, 17 digits that reads back to the same double. */
static void print_real(FILE *out, double value)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    fputs(text, out);
}

static void print_value(FILE *out, const ConfigField *f, const void *at)
{
    const ConfigTexts *texts = at;
    const ConfigReals *reals = at;
    switch (f->type) {
    case CONFIG_INT: fprintf(out, "%" PRId64, *(const int64_t *)at); break;
    case CONFIG_REAL: print_real(out, *(const double *)at); break;
    case CONFIG_BOOL: fputs(*(const bool *)at ? "true" : "false", out); break;
    case CONFIG_TEXT: print_text(out, *(const char *const *)at); break;
    case CONFIG_CHOICE: print_text(out, f->choices[*(const int *)at]); break;
    case CONFIG_TEXTS:
        fputc('[', out);
        for (int64_t i = 0; i < texts->n; i++) fputs(i ? ", " : "", out), print_text(out, texts->item[i]);
        fputc(']', out);
        break;
    case CONFIG_REALS:
        fputc('[', out);
        for (int64_t i = 0; i < reals->n; i++) fputs(i ? ", " : "", out), print_real(out, reals->item[i]);
        fputc(']', out);
        break;
    default: MUST(false);
    }
}

static FILE *stream_open(char **text, size_t *size)
{
    FILE *out = open_memstream(text, size);
    MUST(out != NULL);
    return out;
}

/* A malloc'ed text: the caller frees it. */
static char *value_text(const ConfigField *f, const void *at)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = stream_open(&text, &size);
    print_value(out, f, at);
    fclose(out);
    return text;
}

/* ---- comments ---- */

static void print_names(FILE *out, const char *what, const char *const *names)
{
    fputs(what, out);
    for (int i = 0; names[i]; i++) fprintf(out, "%s%s", i ? ", " : "", names[i]);
}

/* "peak learning rate; 0 .. 1", a malloc'ed text. */
static char *comment_text(const ConfigField *f)
{
    char *text = NULL, range[80];
    size_t size = 0;
    FILE *out = stream_open(&text, &size);
    fputs(f->help ? f->help : "", out);
    bool number = f->type == CONFIG_INT || f->type == CONFIG_REAL || f->type == CONFIG_REALS;
    if (number && config_range(range, sizeof range, f)) fprintf(out, "; %s", range);
    if (f->choices) print_names(out, f->type == CONFIG_TEXTS ? "; any of: " : "; one of: ", f->choices);
    if (f->kinds)
        for (int i = 0; f->kinds[i]; i++) fprintf(out, "%s%s", i ? ", " : "; kinds: ", f->kinds[i]->name);
    fclose(out);
    return text;
}

/* One line of the file: "  key: value    # comment", behind a # where the line is commented out. */
static void print_line(const Printer *p, int depth, const char *key, const char *value, const char *comment)
{
    const char *colon = *key && value ? ": " : *key ? ":" : "";
    int indent = p->off < 0 ? 2 * depth : 2 * p->off, inner = p->off < 0 ? 0 : 2 * (depth - p->off);
    bool commented = p->help && comment && *comment;
    int length =
        indent + inner + (p->off < 0 ? 0 : 2) + (int)(strlen(key) + strlen(colon) + (value ? strlen(value) : 0));
    int gap = length + 2 < COMMENT_COLUMN ? COMMENT_COLUMN - length : 2;
    bool beside = commented && length + gap + 2 + (int)strlen(comment) <= LINE_WIDTH;
    if (commented && !beside) fprintf(p->out, "%*s# %s\n", indent, "", comment);
    fprintf(p->out, "%*s%s%*s%s%s%s", indent, "", p->off < 0 ? "" : "# ", inner, "", key, colon, value ? value : "");
    if (beside) fprintf(p->out, "%*s# %s", gap, "", comment);
    fputc('\n', p->out);
}

/* ---- maps ---- */

static Status print_fields(Printer *p, const ConfigField *fields, const void *base, int depth);

static Status print_plugin(Printer *p, const ConfigPlugin *plugin, const void *config, int depth)
{
    print_line(p, depth, "kind", plugin->name, plugin->help);
    return print_fields(p, plugin->fields, config, depth);
}

/* The other kinds a user could choose, with their defaults, commented out. */
static Status print_other_kinds(Printer *p, const ConfigField *f, const ConfigPlugin *chosen, int depth)
{
    int off = p->off;
    for (int i = 0; f->kinds[i]; i++) {
        void *config;
        if (f->kinds[i] == chosen) continue;
        TRY(arena_take(&config, p->a, (int64_t)f->kinds[i]->size, 1));
        TRY(config_defaults(config, f->kinds[i]->fields, p->a));
        if (off < 0) p->off = depth;
        TRY(print_plugin(p, f->kinds[i], config, depth));
        p->off = off;
    }
    return OK;
}

/* A required key that nothing sets stands there as a comment. */
static void print_required(Printer *p, int depth, const char *key, const char *comment)
{
    int off = p->off;
    if (off < 0) p->off = depth;
    print_line(p, depth, key, "(required)", comment);
    p->off = off;
}

static Status print_kind(Printer *p, const ConfigField *f, const ConfigKind *kind, int depth)
{
    char *comment = comment_text(f);
    print_line(p, depth, f->name, NULL, comment);
    free(comment);
    if (kind->plugin)
        TRY(print_plugin(p, kind->plugin, kind->config, depth + 1));
    else
        print_required(p, depth + 1, "kind", NULL);
    return p->reference ? print_other_kinds(p, f, kind->plugin, depth + 1) : OK;
}

static Status print_fields(Printer *p, const ConfigField *fields, const void *base, int depth)
{
    for (const ConfigField *f = fields; f && f->type != CONFIG_END; f++) {
        const void *at = (const char *)base + f->offset;
        if (f->type == CONFIG_KIND) {
            TRY(print_kind(p, f, at, depth));
            continue;
        }
        char *comment = comment_text(f);
        if (f->type == CONFIG_GROUP) {
            print_line(p, depth, f->name, NULL, comment);
        } else if (!f->preset && (p->reference || p->off >= 0)) {
            print_required(p, depth, f->name, comment);
        } else {
            char *value = value_text(f, at);
            print_line(p, depth, f->name, value, comment);
            free(value);
        }
        free(comment);
        if (f->type == CONFIG_GROUP) TRY(print_fields(p, f->fields, at, depth + 1));
    }
    return OK;
}

/* ---- the two files ---- */

static Status print_section(Printer *p, const Config *c, int i)
{
    const ConfigSection *section = c->sections[i];
    if (i > 0) fputc('\n', p->out);
    if (p->help && section->help) fprintf(p->out, "# %s\n", section->help);
    p->off = !p->reference && !c->whole[i] ? 0 : -1; /* a section that was left out and cannot stand on its defaults */
    print_line(p, 0, section->name, NULL, NULL);
    return print_fields(p, section->fields, c->data[i], 1);
}

static Status print_sections(char **out, const Config *c, bool help, bool reference, Arena *a)
{
    Status st = OK;
    char *text = NULL;
    size_t size = 0;
    Printer p = {.out = stream_open(&text, &size), .help = help, .reference = reference, .a = a};
    for (int i = 0; i < c->n; i++) TRY_DONE(print_section(&p, c, i));
done:
    fclose(p.out);
    if (st == OK) st = arena_text(out, a, text);
    free(text);
    return st;
}

Status config_dump(char **out, const Config *c, bool help, Arena *a) { return print_sections(out, c, help, false, a); }

Status config_reference(char **out, const ConfigSection *const *sections, Arena *a)
{
    Config *defaults;
    TRY(config_parse(&defaults, "the tables of the program", "", 0, NULL, 0, sections, NULL, a));
    return print_sections(out, defaults, true, true, a);
}

/* ---- for people ---- */

static void describe_fields(FILE *out, const ConfigField *fields, const char *path);

static void describe_line(FILE *out, const char *name, const char *preset, const char *help)
{
    fprintf(out, "  %-40s %-14s %s\n", name, preset, help ? help : "");
}

static void describe_kinds(FILE *out, const ConfigField *f, const char *path)
{
    for (int i = 0; f->kinds[i]; i++) {
        const ConfigPlugin *kind = f->kinds[i];
        bool preset = f->preset && strcmp(f->preset, kind->name) == 0;
        char name[320];
        snprintf(name, sizeof name, "%s.kind=%s", path, kind->name);
        describe_line(out, name, preset ? "(default)" : f->preset ? "" : "(required)", kind->help);
        describe_fields(out, kind->fields, path);
    }
}

static void describe_fields(FILE *out, const ConfigField *fields, const char *path)
{
    for (const ConfigField *f = fields; f && f->type != CONFIG_END; f++) {
        char name[256];
        snprintf(name, sizeof name, "%s.%s", path, f->name);
        if (f->type == CONFIG_KIND) {
            describe_kinds(out, f, name);
        } else if (f->type == CONFIG_GROUP) {
            describe_fields(out, f->fields, name);
        } else {
            char *comment = comment_text(f);
            const char *preset = !f->preset ? "(required)" : *f->preset ? f->preset : "\"\"";
            describe_line(out, name, preset, comment);
            free(comment);
        }
    }
}

void config_describe(FILE *out, const ConfigSection *section)
{
    fprintf(out, "%s: %s\n", section->name, section->help ? section->help : "");
    describe_fields(out, section->fields, section->name);
}

/* ---- for fingerprints ---- */

static void hash_fields(FILE *out, const ConfigField *fields, const void *base, const char *path)
{
    for (const ConfigField *f = fields; f && f->type != CONFIG_END; f++) {
        const void *at = (const char *)base + f->offset;
        char below[256];
        snprintf(below, sizeof below, "%s.%s", path, f->name);
        if (f->type == CONFIG_GROUP) {
            hash_fields(out, f->fields, at, below);
        } else if (f->type == CONFIG_KIND) {
            const ConfigKind *kind = at;
            fprintf(out, "%s.kind=%s\n", below, kind->plugin ? kind->plugin->name : "");
            if (kind->plugin) hash_fields(out, kind->plugin->fields, kind->config, below);
        } else if (f->role == RESULT) {
            fprintf(out, "%s=", below);
            print_value(out, f, at);
            fputc('\n', out);
        }
    }
}

Status config_text(char **out, const Config *c, const ConfigSection *section, Arena *a)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = stream_open(&text, &size);
    hash_fields(stream, section->fields, config_get(c, section), section->name);
    fclose(stream);
    Status st = arena_text(out, a, text);
    free(text);
    return st;
}

void config_hash(HashState *h, const Config *c, const ConfigSection *section)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = stream_open(&text, &size);
    hash_fields(out, section->fields, config_get(c, section), section->name);
    fclose(out);
    hash_add(h, text, size);
    free(text);
}
