/* torch_pickle.h - a pickle read as data: a tree of nodes, never anything executed (spec.md 7.2).

   Numbers, texts and containers become what they are; a call of a class or function becomes an opaque PICKLE_CALL that remembers the name and the
   arguments. Nothing recurses, and what a stream can make us allocate is bounded by its own length and by a limit of nodes. Local. */
#ifndef IO_TORCH_PICKLE_H
#define IO_TORCH_PICKLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"

typedef enum {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_REAL,
    PICKLE_TEXT,   /* text, n bytes, not terminated; byte strings too          */
    PICKLE_GLOBAL, /* first: text node of the module, last: of the name        */
    PICKLE_TUPLE,  /* first .. last: chain of cells, n items                   */
    PICKLE_LIST,
    PICKLE_SET,
    PICKLE_DICT,   /* cells hold key, value, key, value; n of both; OrderedDict too */
    PICKLE_CALL,   /* first: what is called, last: arguments                     */
    PICKLE_STORED, /* persistent id: first: its tuple                            */
    PICKLE_CELL,   /* first: the item, last: the next cell                       */
} PickleKind;

enum { PICKLE_NO_NODE = -1 };

typedef struct {
    PickleKind kind;
    int32_t first, last; /* nodes; PICKLE_NO_NODE = none */
    int64_t n;
    union {
        int64_t whole;
        double real;
        const char *text; /* in the bytes that were read */
    };
} PickleNode;

typedef struct {
    PickleNode **chunk; /* nodes by the thousand; they never move */
    int32_t n;          /* nodes */
    int32_t root;
} Pickle;

/* Reads `bytes` bytes, which must outlive the tree; `name` stands in messages. E_INPUT for anything that is cut off, that is none of the opcodes that
   checkpoints use, or that calls a name outside of the libraries that write checkpoints. */
Status pickle_read(Pickle *out, const char *name, const char *bytes, int64_t n_bytes, Arena *a);

const PickleNode *pickle_node(const Pickle *p, int32_t i); /* NULL for PICKLE_NO_NODE */
/* Item k of a tuple or list, value of a text key of a dict; NULL when there is none or the container is of another kind. */
const PickleNode *pickle_item(const Pickle *p, const PickleNode *sequence, int64_t k);
const PickleNode *pickle_value(const Pickle *p, const PickleNode *dict, const char *key);
bool pickle_is_text(const PickleNode *node, const char *text);
/* True for a global of this name: pickle_is_global(p, node, "torch", "FloatStorage"). */
bool pickle_is_global(const Pickle *p, const PickleNode *node, const char *module, const char *name);

#endif
