/* config.h - one YAML file per campaign, validated whole by every stage, against tables that stand beside the structs
   they fill.

   A section is a struct with a table of ConfigField rows; a row gives name, type, default, range, help and offset.
   Mistakes are collected (the first 20) and reported at once as file:line:column, with the nearest known name. Nested
   rows: FIELD_GROUP holds a table of its own; FIELD_KIND reads `kind:` and then that kind's own table into its own
   memory (a plug-in: a survey, an encoder). RESULT fields enter the stage's fingerprint, EFFORT fields (batch sizes,
   paths, ranks) do not. YAML 1.1 subset: maps, flow or block sequences of scalars, scalars; aliases, merge keys and
   tags are mistakes; booleans are true and false only. Files are flat text: no expressions, no environment. Local, all
   of it. */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/arena.h"
#include "core/hash.h"

typedef enum {
    CONFIG_INT,    /* int64_t                                             */
    CONFIG_REAL,   /* double; finite                                      */
    CONFIG_BOOL,   /* bool                                                */
    CONFIG_TEXT,   /* const char *; never NULL                            */
    CONFIG_CHOICE, /* int: index into `choices`                           */
    CONFIG_TEXTS,  /* ConfigTexts: a sequence of strings                  */
    CONFIG_REALS,  /* ConfigReals: a sequence of numbers                  */
    CONFIG_GROUP,  /* a struct at `offset` with its own table `fields`    */
    CONFIG_KIND,   /* ConfigKind at `offset`; `kinds` lists the plug-ins  */
    CONFIG_END
} ConfigType;

typedef enum { EFFORT, RESULT } ConfigRole;

typedef struct {
    int64_t n;
    const char **item;
} ConfigTexts;

typedef struct {
    int64_t n;
    double *item;
} ConfigReals;

typedef struct ConfigField ConfigField;

/* One plug-in's part of a KIND field. The plug-in tables (surveys, encoders, probes) begin with this struct. */
typedef struct {
    const char *name; /* value of `kind:`            */
    const char *help;
    const ConfigField *fields;
    size_t size;                         /* bytes of its config struct  */
    Status (*check)(const void *config); /* cross-field rules; may be NULL */
} ConfigPlugin;

typedef struct {
    const ConfigPlugin *plugin; /* which kind was chosen       */
    void *config;               /* its struct, in the config's arena */
} ConfigKind;

struct ConfigField {
    ConfigType type;
    const char *name;
    size_t offset;
    const char *preset;               /* default as YAML text; NULL = required ("" is the empty string) */
    double min, max;                  /* numbers, inclusive; 0, 0 = no range */
    const char *const *choices;       /* NULL-terminated; for TEXTS: the values allowed, or NULL */
    const ConfigField *fields;        /* GROUP                   */
    const ConfigPlugin *const *kinds; /* KIND, NULL-terminated   */
    ConfigRole role;
    const char *help; /* one line, with the unit */
};

#define FIELD_INT(T, f, preset, lo, hi, role, help)                                                                    \
    {                                                                                                                  \
        CONFIG_INT, #f, offsetof(T, f), preset, lo, hi, NULL, NULL, NULL, role, help                                   \
    }
#define FIELD_REAL(T, f, preset, lo, hi, role, help)                                                                   \
    {                                                                                                                  \
        CONFIG_REAL, #f, offsetof(T, f), preset, lo, hi, NULL, NULL, NULL, role, help                                  \
    }
#define FIELD_BOOL(T, f, preset, role, help)                                                                           \
    {                                                                                                                  \
        CONFIG_BOOL, #f, offsetof(T, f), preset, 0, 0, NULL, NULL, NULL, role, help                                    \
    }
#define FIELD_TEXT(T, f, preset, role, help)                                                                           \
    {                                                                                                                  \
        CONFIG_TEXT, #f, offsetof(T, f), preset, 0, 0, NULL, NULL, NULL, role, help                                    \
    }
#define FIELD_CHOICE(T, f, preset, choices, role, help)                                                                \
    {                                                                                                                  \
        CONFIG_CHOICE, #f, offsetof(T, f), preset, 0, 0, choices, NULL, NULL, role, help                               \
    }
#define FIELD_TEXTS(T, f, preset, choices, role, help)                                                                 \
    {                                                                                                                  \
        CONFIG_TEXTS, #f, offsetof(T, f), preset, 0, 0, choices, NULL, NULL, role, help                                \
    }
#define FIELD_REALS(T, f, preset, lo, hi, role, help)                                                                  \
    {                                                                                                                  \
        CONFIG_REALS, #f, offsetof(T, f), preset, lo, hi, NULL, NULL, NULL, role, help                                 \
    }
#define FIELD_GROUP(T, f, fields, help)                                                                                \
    {                                                                                                                  \
        CONFIG_GROUP, #f, offsetof(T, f), "", 0, 0, NULL, fields, NULL, RESULT, help                                   \
    }
#define FIELD_KIND(T, f, preset, kinds, help)                                                                          \
    {                                                                                                                  \
        CONFIG_KIND, #f, offsetof(T, f), preset, 0, 0, NULL, NULL, kinds, RESULT, help                                 \
    }
#define FIELD_END                                                                                                      \
    {                                                                                                                  \
        CONFIG_END, NULL, 0, NULL, 0, 0, NULL, NULL, NULL, EFFORT, NULL                                                \
    }

typedef struct {
    const char *name; /* "embed"                                    */
    const char *help; /* one line                                   */
    const ConfigField *fields;
    size_t size;                         /* bytes of the struct    */
    Status (*check)(const void *config); /* cross-field rules, or NULL; FAILs with E_CONFIG */
} ConfigSection;

typedef struct Config Config;

/* Local. Parses `text` (named `name` in messages) and then each override "section.key=value" against `sections`
   (NULL-terminated) into `a`. All mistakes at once as one E_CONFIG record: "3 mistakes in run.yaml\n  run.yaml:3:3:
   unknown key 'stpes', did you mean 'steps'?". A section that the file leaves out gets its defaults; a required key (no
   preset) that is missing is a mistake only if its section appears in the file or in an override (its groups and kinds
   included), or `need` (NULL or NULL-terminated names of sections) lists the section. Elsewhere it stays 0, "" or
   empty, and `check` is not called. Overrides: the last one wins; the value is a flow list ("[a, b]"), a quoted scalar,
   or else taken as it stands up to surrounding blanks; empty is the empty text or list. "x.kind=NAME" switches the
   plug-in: keys that the file set for the other one are then passed over. `check` runs when its section or plug-in has
   no mistakes; its message is listed like any other. */
Status config_parse(Config **out, const char *name, const char *text, size_t bytes, const char *const *overrides,
                    int n_overrides, const ConfigSection *const *sections, const char *const *need, Arena *a);

/* Local. The filled struct of a section: `const EmbedConfig *c = config_get(config, &embed_section);` */
const void *config_get(const Config *c, const ConfigSection *section);

/* Local. True when the file or an override sets any key of the section. */
bool config_has(const Config *c, const ConfigSection *section);

/* Local. The effective file as YAML, with each field's help as a comment when `help`; parses back to the same values. A
   section that was left out and has required keys stands there commented out. */
Status config_dump(char **out, const Config *c, bool help, Arena *a);

/* Local. What `config/reference.yaml` is: every section with every key, default, range and help; each KIND with all its
   plug-ins, all but the default one commented out; required keys commented out as "# key: (required)". It parses once
   those are set. */
Status config_reference(char **out, const ConfigSection *const *sections, Arena *a);

/* Local. One section's keys with defaults and help, for `astroclip about`. */
void config_describe(FILE *out, const ConfigSection *section);

/* Local. Adds "section.key=value" of every RESULT field to the hash, in table order. */
void config_hash(HashState *h, const Config *c, const ConfigSection *section);
/* Local. What config_hash adds: lines "section.key=value" of every RESULT field. */
Status config_text(char **out, const Config *c, const ConfigSection *section, Arena *a);

/* Local. Is `item` one of the texts of a list? */
bool config_lists(const ConfigTexts *list, const char *item);

#endif
