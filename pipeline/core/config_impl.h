/* config_impl.h - what the files of config share: the tree of a run file, the list of mistakes, the filled structs.
   config_tree.c makes the tree from YAML and overrides, config.c reads it against the tables, config_mistakes.c words
   what is wrong, config_dump.c prints. */
#ifndef CORE_CONFIG_IMPL_H
#define CORE_CONFIG_IMPL_H

#include "core/config.h"

/* Where a value stands: in the file, or on the command line (`origin` = "--set train.lr=3"), or in a table ("default of
   train.lr"). */
typedef struct {
    const char *origin; /* NULL = the file */
    int line, column;   /* from 1; 0 = nowhere in particular */
} Place;

typedef enum {
    NODE_SCALAR,
    NODE_LIST,
    NODE_MAP,
    NODE_BAD /* has no usable value; reported already */
} NodeKind;

typedef struct ConfigNode ConfigNode;
struct ConfigNode {
    NodeKind kind;
    const char *key;  /* its name in the map around it; NULL in a list     */
    const char *text; /* NODE_SCALAR                                       */
    bool quoted;      /* a quoted scalar is a text, never a number         */
    bool bad;         /* something about it is reported already            */
    Place place, key_place;
    ConfigNode *first, *last, *next; /* children in order of appearance; the next sibling */
    const ConfigNode *replaced;      /* what the file said before an override */
};

enum { MISTAKES_SHOWN = 20, MISTAKE_TEXT = 400 };
typedef struct {
    Place place;
    int order;
    char text[MISTAKE_TEXT];
} Mistake;

typedef struct {
    const char *name; /* of the file */
    int n;            /* all of them */
    bool broken;      /* the file could not be read to its end */
    Mistake item[MISTAKES_SHOWN];
} Mistakes;

void config_mistake(Mistakes *m, Place place, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Text that is safe inside a message: cut short, control characters masked. */
typedef struct {
    char text[64];
} Shown;
Shown config_shown(const char *text);

/* Keeps the nearest of the names offered for one that is not known. */
typedef struct {
    const char *wanted, *name; /* name = NULL: none is near */
    int distance;
} Nearest;
Nearest config_nearest_to(const char *wanted);
void config_nearest_offer(Nearest *n, const char *name);
void config_unknown(Mistakes *m, const ConfigNode *node, const char *what, Nearest n);

/* One E_CONFIG record for all mistakes, in the order of the file, then those of the command line. */
Status config_report(Mistakes *m);

/* The tree of a file: a NODE_MAP without a key, empty for an empty file. What is wrong with the YAML goes to `m`. */
Status config_tree_parse(ConfigNode **out, Mistakes *m, const char *text, size_t bytes, Arena *a);

/* Puts "section.key=value" into the tree. */
Status config_tree_set(ConfigNode *root, Mistakes *m, const char *override, Arena *a);

/* The value part of an override or a default: a flow list or a quoted scalar in YAML, anything else as it stands. */
Status config_tree_value(ConfigNode **out, Mistakes *m, const char *text, Place place, Arena *a);

ConfigNode *config_tree_find(const ConfigNode *map, const char *key);

/* Decodes one UTF-8 character at `text`; its length in bytes, 0 if it is none. */
int config_utf8(uint32_t *out, const char *text);

struct Config {
    const ConfigSection *const *sections;
    int n;
    void **data; /* (n) filled structs                                             */
    bool *has;   /* (n) the file or an override sets a key of it                   */
    bool *whole; /* (n) no required key is unset (only left-out sections lack one) */
};

/* "1 .. 1000"; false when any value will do (min = max = 0, or both infinite). */
bool config_range(char *out, size_t size, const ConfigField *f);

/* Fills `base` with the defaults of `fields`; required ones stay 0 or "". For config_reference. */
Status config_defaults(void *base, const ConfigField *fields, Arena *a);

#endif
