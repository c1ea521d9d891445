/* config_tree.c - YAML text to a tree of maps, lists and scalars, overrides put in. The only file that knows libyaml.

   libyaml's events carry everything that its document interface resolves away: aliases, anchors, tags and the second
   document are seen here and reported as mistakes with their place; libyaml itself lets duplicate keys pass, so each
   map is searched. Size, depth and number of nodes are bounded: a run file is a few hundred lines. */
#include "config_impl.h"

#include <ctype.h>
#include <string.h>

#include <yaml.h>

enum { MAX_BYTES = 1 << 20, MAX_NODES = 20000, MAX_DEPTH = 12 };

typedef struct {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; zeroed before the first */
    Mistakes *mistakes;
    const char *origin; /* of all places, when the text is not the file */
    int n_nodes;
    Arena *a;
} Builder;

int config_utf8(uint32_t *out, const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    int length = c[0] < 0x80             ? 1
                 : (c[0] & 0xe0) == 0xc0 ? 2
                 : (c[0] & 0xf0) == 0xe0 ? 3
                 : (c[0] & 0xf8) == 0xf0 ? 4
                                         : 0;
    if (length == 0) return 0;
    uint32_t code = length == 1 ? c[0] : c[0] & (0x7fu >> length);
    for (int i = 1; i < length; i++) {
        if ((c[i] & 0xc0) != 0x80) return 0; /* a NUL ends here too */
        code = code << 6 | (c[i] & 0x3f);
    }
    if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return 0;
    *out = code;
    return length;
}

/* ---- building from events ---- */

static Place place_of(const Builder *b, yaml_mark_t mark)
{
    if (b->origin) return (Place){b->origin, 0, 0};
    return (Place){NULL, (int)mark.line + 1, (int)mark.column + 1};
}

/* Nothing further can be read. E_CONFIG is this file's sign for that; what happened is in the list of mistakes. */
static Status stop(Builder *b, Place place, const char *why)
{
    config_mistake(b->mistakes, place, "%s", why);
    if (!b->origin) b->mistakes->broken = true;
    return E_CONFIG;
}

static Status next_event(Builder *b)
{
    yaml_event_delete(&b->event);
    if (yaml_parser_parse(&b->parser, &b->event)) return OK;
    memset(&b->event, 0, sizeof b->event);
    const yaml_parser_t *p = &b->parser;
    if (p->error == YAML_MEMORY_ERROR) return FAIL(E_MEMORY, "%s: libyaml got no memory", b->mistakes->name);
    yaml_mark_t mark = p->error == YAML_READER_ERROR ? p->mark : p->problem_mark;
    return stop(b, place_of(b, mark), p->problem ? p->problem : "this is not YAML");
}

static Status new_node(ConfigNode **out, Builder *b, NodeKind kind, Place place)
{
    if (++b->n_nodes > MAX_NODES) return stop(b, place, "too many entries for a run file");
    TRY(arena_new(out, b->a, 1));
    (*out)->kind = kind;
    (*out)->place = place;
    return OK;
}

static void append(ConfigNode *parent, ConfigNode *child)
{
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
}

ConfigNode *config_tree_find(const ConfigNode *map, const char *key)
{
    ConfigNode *child = map->first;
    while (child && strcmp(child->key, key) != 0) child = child->next;
    return child;
}

/* Anchors and tags are refused, their node is read all the same. */
static void refuse_decoration(Builder *b, ConfigNode *node, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor)
        config_mistake(b->mistakes, node->place, "anchors and aliases (&%s) are not used here: repeat the value",
                       config_shown((const char *)anchor).text);
    if (tag)
        config_mistake(b->mistakes, node->place, "tags (%s) are not used here", config_shown((const char *)tag).text);
    if (anchor || tag) node->bad = true;
}

static Status read_scalar(ConfigNode *node, Builder *b)
{
    const char *value = (const char *)b->event.data.scalar.value;
    size_t length = b->event.data.scalar.length;
    if (strlen(value) != length) {
        config_mistake(b->mistakes, node->place, "a text cannot hold a NUL character");
        node->kind = NODE_BAD;
        node->bad = true;
        return OK;
    }
    char *copy;
    TRY(arena_text(&copy, b->a, value));
    node->text = copy;
    node->quoted = b->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return OK;
}

static Status build(ConfigNode **out, Builder *b, int depth);

static Status read_list(ConfigNode *list, Builder *b, int depth)
{
    for (;;) {
        ConfigNode *item;
        TRY(next_event(b));
        if (b->event.type == YAML_SEQUENCE_END_EVENT) return OK;
        TRY(build(&item, b, depth));
        append(list, item);
    }
}

/* Whether the node may stand in the map under its key. */
static bool accept_key(ConfigNode *map, Builder *b, const ConfigNode *key)
{
    if (key->kind != NODE_SCALAR) {
        if (key->kind != NODE_BAD) config_mistake(b->mistakes, key->place, "a key must be a plain word");
        return false;
    }
    if (strcmp(key->text, "<<") == 0 && !key->quoted) {
        config_mistake(b->mistakes, key->place, "merge keys (<<) are not used here: repeat the values");
        return false;
    }
    const ConfigNode *before = config_tree_find(map, key->text);
    if (!before) return true;
    config_mistake(b->mistakes, key->place, "'%s' is already set on line %d", config_shown(key->text).text,
                   before->key_place.line);
    return false;
}

static Status read_map(ConfigNode *map, Builder *b, int depth)
{
    for (;;) {
        ConfigNode *key, *value;
        TRY(next_event(b));
        if (b->event.type == YAML_MAPPING_END_EVENT) return OK;
        TRY(build(&key, b, depth));
        bool accepted = accept_key(map, b, key);
        TRY(next_event(b));
        TRY(build(&value, b, depth));
        if (!accepted) {
            map->bad = true;
            continue;
        }
        value->bad |= key->bad;
        value->key = key->text;
        value->key_place = key->place;
        append(map, value);
    }
}

/* The node that the current event begins. */
static Status build(ConfigNode **out, Builder *b, int depth)
{
    const yaml_event_t *e = &b->event;
    TRY(new_node(out, b, NODE_BAD, place_of(b, e->start_mark)));
    if (depth > MAX_DEPTH) return stop(b, (*out)->place, "nested too deeply for a run file");
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        (*out)->kind = NODE_SCALAR;
        refuse_decoration(b, *out, e->data.scalar.anchor, e->data.scalar.tag);
        return read_scalar(*out, b);
    case YAML_SEQUENCE_START_EVENT:
        (*out)->kind = NODE_LIST;
        refuse_decoration(b, *out, e->data.sequence_start.anchor, e->data.sequence_start.tag);
        return read_list(*out, b, depth + 1);
    case YAML_MAPPING_START_EVENT:
        (*out)->kind = NODE_MAP;
        refuse_decoration(b, *out, e->data.mapping_start.anchor, e->data.mapping_start.tag);
        return read_map(*out, b, depth + 1);
    case YAML_ALIAS_EVENT:
        (*out)->bad = true;
        config_mistake(b->mistakes, (*out)->place, "aliases (*%s) are not used here: repeat the value",
                       config_shown((const char *)e->data.alias.anchor).text);
        return OK;
    default: return stop(b, (*out)->place, "this is not YAML");
    }
}

/* Stream start, document, node, then nothing more. `out` stays NULL for an empty text. */
static Status build_stream(ConfigNode **out, Builder *b)
{
    TRY(next_event(b));
    TRY(next_event(b));
    if (b->event.type == YAML_STREAM_END_EVENT) return OK;
    TRY(next_event(b));
    TRY(build(out, b, 0));
    TRY(next_event(b)); /* document end */
    TRY(next_event(b));
    if (b->event.type != YAML_STREAM_END_EVENT)
        return stop(b, place_of(b, b->event.start_mark), "a second document: a run file holds one");
    return OK;
}

static Status parse_yaml(ConfigNode **out, Mistakes *m, const char *text, size_t bytes, const char *origin, Arena *a)
{
    Builder b = {.mistakes = m, .origin = origin, .a = a};
    *out = NULL;
    if (!yaml_parser_initialize(&b.parser)) return FAIL(E_MEMORY, "%s: libyaml got no memory", m->name);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, bytes);
    Status st = build_stream(out, &b);
    if (st == E_CONFIG) { /* stop() has listed the reason; half a list is no value */
        if (origin && *out) (*out)->kind = NODE_BAD;
        st = OK;
    }
    yaml_event_delete(&b.event);
    yaml_parser_delete(&b.parser);
    return st;
}

/* ---- the file ---- */

static bool is_blank(const ConfigNode *node) { return node->kind == NODE_SCALAR && !node->quoted && !node->text[0]; }

Status config_tree_parse(ConfigNode **out, Mistakes *m, const char *text, size_t bytes, Arena *a)
{
    ConfigNode *root = NULL;
    int before = m->n;
    if (bytes > MAX_BYTES)
        config_mistake(m, (Place){0}, "%zu bytes: a run file has at most %d", bytes, (int)MAX_BYTES);
    else
        TRY(parse_yaml(&root, m, text, bytes, NULL, a));
    if (root && root->kind != NODE_MAP && !is_blank(root) && m->n == before)
        config_mistake(m, root->place, "expected sections such as 'run:' with keys below them");
    if (!root || root->kind != NODE_MAP) {
        TRY(arena_new(&root, a, 1));
        root->kind = NODE_MAP;
    }
    *out = root;
    return OK;
}

/* ---- overrides ---- */

static bool is_utf8(const char *text)
{
    uint32_t code;
    for (int length; *text; text += length)
        if ((length = config_utf8(&code, text)) == 0) return false;
    return true;
}

Status config_tree_value(ConfigNode **out, Mistakes *m, const char *text, Place place, Arena *a)
{
    while (isspace((unsigned char)*text)) text++;
    if (*text && strchr("[\"'", *text)) {
        TRY(parse_yaml(out, m, text, strlen(text), place.origin, a));
        if (*out) return OK;
    }
    TRY(arena_new(out, a, 1));
    (*out)->place = place;
    (*out)->kind = *text && strchr("[\"'", *text) ? NODE_BAD : NODE_SCALAR; /* bad: not YAML, reported above */
    if (!is_utf8(text)) {
        config_mistake(m, place, "not UTF-8 text");
        (*out)->kind = NODE_BAD;
    }
    char *copy;
    TRY(arena_text(&copy, a, text));
    for (size_t n = strlen(copy); n > 0 && isspace((unsigned char)copy[n - 1]); n--) copy[n - 1] = '\0';
    (*out)->text = copy;
    return OK;
}

/* Puts `node` where its key stands in the map, or at the end. */
static void put(ConfigNode *map, ConfigNode *node)
{
    ConfigNode *before = config_tree_find(map, node->key);
    if (!before) {
        append(map, node);
        return;
    }
    node->replaced = before->replaced ? before->replaced : before; /* the file's own, under several overrides too */
    node->next = before->next;
    if (map->first == before) map->first = node;
    for (ConfigNode *c = map->first; c; c = c->next)
        if (c->next == before) c->next = node;
    if (map->last == before) map->last = node;
}

/* The map under `key`, made if it is not there. A section that is no map is a mistake of the file, whatever the
   override says. */
static Status enter(ConfigNode **out, ConfigNode *map, Mistakes *m, const char *key, Place place, bool is_section,
                    Arena *a)
{
    ConfigNode *child = config_tree_find(map, key);
    *out = child;
    if (child && child->kind == NODE_MAP) return OK;
    if (is_section && child && child->kind != NODE_BAD && !is_blank(child))
        config_mistake(m, child->place, "%s: expected keys below it", config_shown(key).text);
    TRY(arena_new(out, a, 1));
    **out = (ConfigNode){.kind = NODE_MAP, .key = key, .place = place, .key_place = place};
    put(map, *out);
    return OK;
}

Status config_tree_set(ConfigNode *root, Mistakes *m, const char *override, Arena *a)
{
    char *origin, *path;
    TRY(arena_printf(&origin, a, "--set %s", config_shown(override).text));
    TRY(arena_text(&path, a, override));
    Place place = {origin, 0, 0};
    char *equals = strchr(path, '='), *key = path;
    if (equals) *equals = '\0';
    bool malformed =
        !equals || !strchr(path, '.') || !is_utf8(path) || strstr(path, "..") || path[0] == '.' || equals[-1] == '.';
    if (malformed) {
        config_mistake(m, place, "expected section.key=value");
        return OK;
    }
    ConfigNode *map = root, *value;
    int depth = 0;
    for (char *dot; (dot = strchr(key, '.')); key = dot + 1, depth++) {
        *dot = '\0';
        if (depth == MAX_DEPTH) {
            config_mistake(m, place, "nested too deeply");
            return OK;
        }
        TRY(enter(&map, map, m, key, place, depth == 0, a));
    }
    TRY(config_tree_value(&value, m, equals + 1, place, a));
    value->key = key;
    value->key_place = place;
    put(map, value);
    return OK;
}
