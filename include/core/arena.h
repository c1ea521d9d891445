/* arena.h - memory with three lifetimes: the stage (run->arena), one unit of work (step), one call (mark and reset).

   An arena reserves address space once and commits pages as they are used: addresses never move, a reset costs nothing, and
   a limit in bytes makes running out a clear message that names the arena. With -DARENA_MALLOC=ON every allocation is its own
   malloc, so that AddressSanitizer sees each bound. All memory comes zeroed and 64-byte aligned. */
#ifndef CORE_ARENA_H
#define CORE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "core/fail.h"

typedef struct {
    const char *name; /* borrowed: a string literal */
    char *base;
    size_t limit;     /* bytes reserved             */
    size_t committed; /* bytes with memory behind   */
    size_t used;
    size_t peak;
    void *blocks; /* ARENA_MALLOC only          */
} Arena;

typedef struct {
    size_t used;
    void *blocks;
} Mark;

/* Local. `limit` bytes at most; 0 = half of the machine's memory. Address space only, until used. */
Status arena_init(Arena *a, const char *name, size_t limit);
void arena_free(Arena *a); /* NULL-safe, twice-safe */

/* Local. n objects of `size` bytes, all zero; E_MEMORY names the arena and the request. n = 0 yields a valid pointer. */
Status arena_take(void **out, Arena *a, int64_t n, size_t size);

/* The same, but nothing is cleared: for large arrays of which everything is written before it is read. With ARENA_MALLOC they are
   full of NaN. */
Status arena_take_uncleared(void **out, Arena *a, int64_t n, size_t size);

/* TRY(arena_new(&x, arena, n)) with x of any object pointer type. */
#define arena_new(pointer, arena, n)       arena_take((void **)(pointer), (arena), (n), sizeof **(pointer))
#define arena_uncleared(pointer, arena, n) arena_take_uncleared((void **)(pointer), (arena), (n), sizeof **(pointer))

/* Local. Copies of text; printf into the arena. */
Status arena_text(char **out, Arena *a, const char *text);
Status arena_printf(char **out, Arena *a, const char *format, ...) __attribute__((format(printf, 3, 4)));

Mark arena_mark(const Arena *a);
void arena_reset(Arena *a, Mark mark); /* everything taken since the mark is gone */
void arena_trim(Arena *a);             /* what is not used goes back to the machine: a reset alone keeps it at hand */

#endif
