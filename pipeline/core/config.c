/* config.c - reads the tree of a run file against the tables and fills the structs.

   Every map is read the same way: first its keys in the order of the file (unknown ones are compared with the known
   ones), then the defaults of whatever was not set. Nothing stops at a mistake: it is listed and the field keeps its
   zero. Cross-field checks of a section or plug-in run only when all its values are good, so that they may trust them.
   */
#include "config_impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    Mistakes *mistakes;
    int n_bad;     /* mistakes and spoilt nodes met so far: equal before and after = all good */
    int n_missing; /* required keys left unset so far */
    bool required; /* report them (the section is there, or needed) */
    Place around;  /* where to report a key that is missing */
    Arena *a;
} Reader;

#define WRONG(r, node, ...) ((r)->n_bad++, config_mistake((r)->mistakes, (node)->place, __VA_ARGS__))

/* ---- one scalar ---- */

static const char *found(const ConfigNode *node)
{
    return node->kind == NODE_LIST ? "a list" : node->kind == NODE_MAP ? "keys" : "a text in quotes";
}

/* The text of a scalar, or NULL after saying what was expected. `as_text`: quotes are welcome. */
static const char *scalar(Reader *r, const ConfigField *f, const ConfigNode *node, const char *expected, bool as_text)
{
    if (node->kind == NODE_BAD) return NULL;
    if (node->kind != NODE_SCALAR || (node->quoted && !as_text)) {
        WRONG(r, node, "%s: expected %s, found %s", f->name, expected, found(node));
        return NULL;
    }
    const char *t = node->text;
    bool nothing =
        !*t || strcmp(t, "~") == 0 || strcmp(t, "null") == 0 || strcmp(t, "Null") == 0 || strcmp(t, "NULL") == 0;
    if (!nothing || node->quoted || (!*t && as_text && node->place.origin)) return t;
    WRONG(r, node, "%s: no value; expected %s%s", f->name, expected, as_text ? " (\"\" for none)" : "");
    return NULL;
}

bool config_range(char *out, size_t size, const ConfigField *f)
{
    bool any = !(f->min == 0 && f->max == 0) && (f->min > -INFINITY || f->max < INFINITY);
    if (!any) return false;
    const char *format = f->max == INFINITY    ? "at least %.10g"
                         : f->min == -INFINITY ? "at most %.10g"
                                               : "%.10g .. %.10g";
    snprintf(out, size, format, f->max < INFINITY && f->min == -INFINITY ? f->max : f->min, f->max);
    return true;
}

static bool in_range(Reader *r, const ConfigField *f, const ConfigNode *node, double value)
{
    char range[80];
    if (!config_range(range, sizeof range, f) || (value >= f->min && value <= f->max)) return true;
    WRONG(r, node, "%s: %s is out of range (%s)", f->name, config_shown(node->text).text, range);
    return false;
}

static const char *skip_digits(const char *t)
{
    while (*t >= '0' && *t <= '9') t++;
    return t;
}

static void read_int(int64_t *out, Reader *r, const ConfigField *f, const ConfigNode *node)
{
    const char *text = scalar(r, f, node, "a whole number", false);
    if (!text) return;
    const char *digits = text + (*text == '-' || *text == '+');
    errno = 0;
    int64_t value = strtoll(text, NULL, 10);
    if (skip_digits(digits) == digits || *skip_digits(digits))
        WRONG(r, node, "%s: expected a whole number, found '%s'", f->name, config_shown(text).text);
    else if (errno == ERANGE)
        WRONG(r, node, "%s: %s is too large", f->name, config_shown(text).text);
    else if (in_range(r, f, node, (double)value))
        *out = value;
}

/* [sign] digits [. digits] [e [sign] digits] with a digit before or after the point; no hexadecimal, inf or nan. */
static bool is_decimal(const char *t)
{
    t += *t == '-' || *t == '+';
    const char *end = skip_digits(t);
    bool any = end > t;
    t = end;
    if (*t == '.') {
        end = skip_digits(t + 1);
        any |= end > t + 1;
        t = end;
    }
    if (any && (*t == 'e' || *t == 'E')) {
        t++;
        t += *t == '-' || *t == '+';
        end = skip_digits(t);
        any = end > t;
        t = end;
    }
    return any && *t == '\0';
}

static void read_real(double *out, Reader *r, const ConfigField *f, const ConfigNode *node)
{
    const char *text = scalar(r, f, node, "a number", false);
    if (!text) return;
    double value = is_decimal(text) ? strtod(text, NULL) : 0;
    if (!is_decimal(text))
        WRONG(r, node, "%s: expected a finite number, found '%s'", f->name, config_shown(text).text);
    else if (!isfinite(value))
        WRONG(r, node, "%s: %s is too large", f->name, config_shown(text).text);
    else if (in_range(r, f, node, value))
        *out = value;
}

static void read_bool(bool *out, Reader *r, const ConfigField *f, const ConfigNode *node)
{
    const char *text = scalar(r, f, node, "true or false", false);
    if (!text) return;
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        WRONG(r, node, "%s: expected true or false, found '%s'", f->name, config_shown(text).text);
    else
        *out = strcmp(text, "true") == 0;
}

/* ---- choices ---- */

/* Appends "a, b, c". */
static void join(char *out, size_t size, const char *name)
{
    size_t used = strlen(out);
    snprintf(out + used, size - used, "%s%s", used ? ", " : "", name);
}

/* Index of the text among the choices, -1 after a report. */
static int read_choice(Reader *r, const ConfigField *f, const ConfigNode *node, const char *text)
{
    char all[MISTAKE_TEXT - 120] = "";
    for (int i = 0; f->choices[i]; i++) {
        if (strcmp(f->choices[i], text) == 0) return i;
        join(all, sizeof all, f->choices[i]);
    }
    WRONG(r, node, "%s: '%s' is not one of: %s", f->name, config_shown(text).text, all);
    return -1;
}

static const ConfigPlugin *find_plugin(const ConfigField *f, const char *name)
{
    for (int i = 0; f->kinds[i]; i++)
        if (strcmp(f->kinds[i]->name, name) == 0) return f->kinds[i];
    return NULL;
}

static void report_kind(Reader *r, const ConfigField *f, const ConfigNode *node, const char *text)
{
    char all[MISTAKE_TEXT - 120] = "";
    for (int i = 0; f->kinds[i]; i++) join(all, sizeof all, f->kinds[i]->name);
    WRONG(r, node, "%s: kind '%s' is not one of: %s", f->name, config_shown(text).text, all);
}

/* ---- lists ---- */

/* A lone scalar is a list of one; the empty text of an override is a list of none. */
static bool list_items(Reader *r, const ConfigField *f, const ConfigNode *node, const ConfigNode **first, int64_t *n)
{
    *first = NULL;
    *n = 0;
    if (node->kind == NODE_SCALAR) {
        if (node->place.origin && !node->quoted && !node->text[0]) return true;
        *first = node;
        *n = 1;
        return true;
    }
    if (node->kind == NODE_MAP) WRONG(r, node, "%s: expected a list, found keys", f->name);
    if (node->kind != NODE_LIST) return false;
    *first = node->first;
    for (const ConfigNode *c = node->first; c; c = c->next, ++*n)
        if (c->bad) r->n_bad++;
    return true;
}

static Status read_texts(ConfigTexts *out, Reader *r, const ConfigField *f, const ConfigNode *node)
{
    const ConfigNode *item;
    int64_t n;
    if (!list_items(r, f, node, &item, &n)) return OK;
    TRY(arena_new(&out->item, r->a, n));
    out->n = n;
    for (int64_t i = 0; i < n; i++, item = item->next) {
        const char *text = scalar(r, f, item, "a text", true);
        out->item[i] = text ? text : "";
        if (text && f->choices) read_choice(r, f, item, text);
    }
    return OK;
}

static Status read_reals(ConfigReals *out, Reader *r, const ConfigField *f, const ConfigNode *node)
{
    const ConfigNode *item;
    int64_t n;
    if (!list_items(r, f, node, &item, &n)) return OK;
    TRY(arena_new(&out->item, r->a, n));
    out->n = n;
    for (int64_t i = 0; i < n; i++, item = item->next) read_real(&out->item[i], r, f, item);
    return OK;
}

/* ---- one field ---- */

/* `path` is the dotted name of the map, for what is not there; `kind` the KIND field whose map this is, or NULL. */
typedef struct {
    const char *path;
    const ConfigField *kind;
    const ConfigPlugin *dropped; /* the kind that the file chose before an override did */
} Level;

static Status read_map(Reader *r, void *base, const ConfigField *fields, const ConfigNode *map, Level level);

/* A group's or kind's map; an empty value is an empty map. */
static const ConfigNode *as_map(Reader *r, const ConfigField *f, const ConfigNode *node)
{
    if (!node || node->kind == NODE_MAP) return node;
    bool blank = node->kind == NODE_SCALAR && !node->quoted && !node->text[0];
    if (!blank && node->kind != NODE_BAD)
        WRONG(r, node, "%s: expected keys below it%s", f->name, f->type == CONFIG_KIND ? ", the first being kind" : "");
    return NULL;
}

static Status run_check(Reader *r, Status (*check)(const void *config), const void *config)
{
    Status st = check ? check(config) : OK;
    if (st != E_CONFIG) return st;
    r->n_bad++;
    config_mistake(r->mistakes, r->around, "%s", fail_record()->text);
    return OK;
}

static void report_missing(Reader *r, const char *path, const ConfigField *f)
{
    r->n_missing++;
    if (!r->required) return;
    r->n_bad++;
    config_mistake(r->mistakes, r->around, "%s.%s%s is required: %s", path, f->name,
                   f->type == CONFIG_KIND ? ".kind" : "", f->help ? f->help : "it has no default");
}

/* The plug-in that `kind:` names, else the default one; NULL after a report. */
static const ConfigPlugin *choose_plugin(Reader *r, const ConfigField *f, const ConfigNode *kind, const char *path)
{
    if (!kind && !f->preset) {
        report_missing(r, path, f);
        return NULL;
    }
    const ConfigNode preset = {.text = f->preset, .place = {.origin = "default"}}, *from = kind ? kind : &preset;
    if (from->bad || from->kind == NODE_BAD) r->n_bad++;
    const ConfigField as_field = {.name = "kind"};
    const char *name = scalar(r, &as_field, from, "a name", true);
    if (!name) return NULL;
    const ConfigPlugin *plugin = find_plugin(f, name);
    if (!plugin) report_kind(r, f, from, name);
    return plugin;
}

static Status read_kind(ConfigKind *out, Reader *r, const ConfigField *f, const ConfigNode *node, const char *path)
{
    const ConfigNode *map = as_map(r, f, node), *kind = map ? config_tree_find(map, "kind") : NULL;
    const ConfigPlugin *plugin = choose_plugin(r, f, kind, path);
    if (!plugin) return OK;
    out->plugin = plugin;
    TRY(arena_take(&out->config, r->a, (int64_t)plugin->size, 1));
    Level level = {.kind = f};
    char *below;
    TRY(arena_printf(&below, r->a, "%s.%s", path, f->name));
    level.path = below;
    if (kind && kind->replaced && kind->replaced->kind == NODE_SCALAR)
        level.dropped = find_plugin(f, kind->replaced->text);
    int bad = r->n_bad, missing = r->n_missing;
    TRY(read_map(r, out->config, plugin->fields, map, level));
    if (r->n_bad > bad || r->n_missing > missing) return OK;
    return run_check(r, plugin->check, out->config);
}

/* Reads a value into its place in the struct. `node` is NULL only for a group or kind that the file leaves out. */
static Status read_field(Reader *r, void *at, const ConfigField *f, const ConfigNode *node, const char *path)
{
    const Place outside = r->around;
    if (node && (node->bad || node->kind == NODE_BAD)) r->n_bad++;
    if (node && (f->type == CONFIG_GROUP || f->type == CONFIG_KIND)) r->around = node->key_place;
    Status st = OK;
    switch (f->type) {
    case CONFIG_INT: read_int(at, r, f, node); break;
    case CONFIG_REAL: read_real(at, r, f, node); break;
    case CONFIG_BOOL: read_bool(at, r, f, node); break;
    case CONFIG_TEXT:
    case CONFIG_CHOICE: {
        const char *text = scalar(r, f, node, "a text", true);
        if (text && f->type == CONFIG_TEXT) *(const char **)at = text;
        if (text && f->type == CONFIG_CHOICE) *(int *)at = read_choice(r, f, node, text);
        break;
    }
    case CONFIG_TEXTS: st = read_texts(at, r, f, node); break;
    case CONFIG_REALS: st = read_reals(at, r, f, node); break;
    case CONFIG_GROUP: {
        char *below;
        TRY(arena_printf(&below, r->a, "%s.%s", path, f->name));
        st = read_map(r, at, f->fields, as_map(r, f, node), (Level){.path = below});
        break;
    }
    case CONFIG_KIND: st = read_kind(at, r, f, node, path); break;
    case CONFIG_END: MUST(false);
    }
    r->around = outside;
    return st;
}

/* ---- maps ---- */

static const ConfigField *find_field(const ConfigField *fields, const char *name)
{
    for (const ConfigField *f = fields; f && f->type != CONFIG_END; f++)
        if (strcmp(f->name, name) == 0) return f;
    return NULL;
}

static void read_unknown(Reader *r, const ConfigField *fields, const ConfigNode *child, Level level)
{
    /* After --set x.kind=..., keys of the kind that the file had chosen are of no concern. */
    if (level.dropped && !child->key_place.origin && find_field(level.dropped->fields, child->key)) return;
    Nearest n = config_nearest_to(child->key);
    for (const ConfigField *f = fields; f && f->type != CONFIG_END; f++) config_nearest_offer(&n, f->name);
    if (level.kind) config_nearest_offer(&n, "kind");
    r->n_bad++;
    config_unknown(r->mistakes, child, "key", n);
}

/* A key that the file does not set. */
static Status read_absent(Reader *r, void *at, const ConfigField *f, const char *path)
{
    if (f->type == CONFIG_GROUP || f->type == CONFIG_KIND) return read_field(r, at, f, NULL, path);
    if (!f->preset) {
        report_missing(r, path, f);
        if (f->type == CONFIG_TEXT) *(const char **)at = "";
        if (f->type == CONFIG_TEXTS) return arena_new(&((ConfigTexts *)at)->item, r->a, 0);
        if (f->type == CONFIG_REALS) return arena_new(&((ConfigReals *)at)->item, r->a, 0);
        return OK;
    }
    char *origin;
    ConfigNode *node;
    TRY(arena_printf(&origin, r->a, "default of %s.%s", path, f->name));
    TRY(config_tree_value(&node, r->mistakes, f->preset, (Place){.origin = origin}, r->a));
    return read_field(r, at, f, node, path);
}

static Status read_map(Reader *r, void *base, const ConfigField *fields, const ConfigNode *map, Level level)
{
    for (const ConfigNode *child = map ? map->first : NULL; child; child = child->next) {
        const ConfigField *f = find_field(fields, child->key);
        if (level.kind && strcmp(child->key, "kind") == 0) continue; /* read_kind has it */
        if (f)
            TRY(read_field(r, (char *)base + f->offset, f, child, level.path));
        else
            read_unknown(r, fields, child, level);
    }
    for (const ConfigField *f = fields; f && f->type != CONFIG_END; f++)
        if (!map || !config_tree_find(map, f->name)) TRY(read_absent(r, (char *)base + f->offset, f, level.path));
    return OK;
}

/* ---- the whole file ---- */

static bool is_listed(const char *const *names, const char *name)
{
    for (; names && *names; names++)
        if (strcmp(*names, name) == 0) return true;
    return false;
}

static Status read_section(Config *c, int i, Mistakes *m, const ConfigNode *root, const char *const *need, Arena *a)
{
    const ConfigSection *section = c->sections[i];
    const ConfigNode *node = config_tree_find(root, section->name);
    const ConfigField as_group = {.type = CONFIG_GROUP, .name = section->name};
    Reader r = {.mistakes = m, .a = a, .required = node || is_listed(need, section->name)};
    if (node) r.around = node->key_place;
    if (node && (node->bad || node->kind == NODE_BAD)) r.n_bad++;
    const ConfigNode *map = as_map(&r, &as_group, node);
    c->has[i] = map && map->first;
    TRY(arena_take(&c->data[i], a, (int64_t)section->size, 1));
    TRY(read_map(&r, c->data[i], section->fields, map, (Level){.path = section->name}));
    c->whole[i] = r.n_missing == 0;
    return r.n_bad == 0 && r.n_missing == 0 ? run_check(&r, section->check, c->data[i]) : OK;
}

static void find_unknown_sections(Mistakes *m, const ConfigNode *root, const ConfigSection *const *sections)
{
    for (const ConfigNode *node = root->first; node; node = node->next) {
        Nearest n = config_nearest_to(node->key);
        for (int i = 0; sections[i]; i++) config_nearest_offer(&n, sections[i]->name);
        if (!n.name || n.distance > 0) config_unknown(m, node, "section", n);
    }
}

Status config_parse(Config **out, const char *name, const char *text, size_t bytes, const char *const *overrides,
                    int n_overrides, const ConfigSection *const *sections, const char *const *need, Arena *a)
{
    Config *c;
    Mistakes *m;
    ConfigNode *root;
    TRY(arena_new(&c, a, 1));
    TRY(arena_new(&m, a, 1));
    m->name = name;
    c->sections = sections;
    while (sections[c->n]) c->n++;
    TRY(arena_new(&c->data, a, c->n));
    TRY(arena_new(&c->has, a, c->n));
    TRY(arena_new(&c->whole, a, c->n));
    TRY(config_tree_parse(&root, m, text, bytes, a));
    for (int i = 0; i < n_overrides; i++) TRY(config_tree_set(root, m, overrides[i], a));
    if (!m->broken) { /* of half a file one would say that things are missing */
        find_unknown_sections(m, root, sections);
        for (int i = 0; i < c->n; i++) TRY(read_section(c, i, m, root, need, a));
    }
    if (m->n > 0) return config_report(m);
    *out = c;
    return OK;
}

Status config_defaults(void *base, const ConfigField *fields, Arena *a)
{
    Mistakes *m;
    TRY(arena_new(&m, a, 1));
    m->name = "the tables of the program";
    Reader r = {.mistakes = m, .a = a};
    TRY(read_map(&r, base, fields, NULL, (Level){.path = "defaults"}));
    return m->n > 0 ? config_report(m) : OK;
}

static int index_of(const Config *c, const ConfigSection *section)
{
    int i = 0;
    while (i < c->n && c->sections[i] != section) i++;
    MUST(i < c->n);
    return i;
}

const void *config_get(const Config *c, const ConfigSection *section) { return c->data[index_of(c, section)]; }
bool config_has(const Config *c, const ConfigSection *section) { return c->has[index_of(c, section)]; }

bool config_lists(const ConfigTexts *list, const char *item)
{
    for (int64_t i = 0; i < list->n; i++)
        if (strcmp(list->item[i], item) == 0) return true;
    return false;
}
