/* arena.c - address space reserved once, pages committed as they are used, marks to go back to. */
#include "core/arena.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGNMENT = 64, COMMIT_STEP = 4 << 20 };

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

Status arena_init(Arena *a, const char *name, size_t limit)
{
    memset(a, 0, sizeof *a);
    a->name = name;
    if (limit == 0) limit = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE) / 2;
    a->limit = round_up(limit, COMMIT_STEP);
#ifndef ARENA_MALLOC
    void *base = mmap(NULL, a->limit, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return FAIL(E_MEMORY, "arena '%s': cannot reserve %zu MB of addresses", name, a->limit >> 20);
    madvise(base, a->limit, MADV_HUGEPAGE); /* fewer, larger pages where they fit: matrices are walked across rows */
    a->base = base;
#endif
    return OK;
}

#ifdef ARENA_MALLOC
/* Each allocation is preceded by this header and chained, newest first. */
typedef struct Block {
    struct Block *next;
    size_t bytes;
} Block;

static Status take(void **out, Arena *a, size_t bytes, bool clear)
{
    Block *block = NULL;
    if (posix_memalign((void **)&block, ALIGNMENT, ALIGNMENT + (bytes ? bytes : 1)) != 0)
        return FAIL(E_MEMORY, "arena '%s': malloc of %zu bytes failed", a->name, bytes);
    memset(block, clear ? 0 : 0xff, ALIGNMENT + (bytes ? bytes : 1));
    block->next = a->blocks;
    block->bytes = bytes;
    a->blocks = block;
    *out = (char *)block + ALIGNMENT;
    return OK;
}

static void drop(Arena *a, void *until)
{
    while (a->blocks && a->blocks != until) {
        Block *block = a->blocks;
        a->blocks = block->next;
        free(block);
    }
}
#else
static Status take(void **out, Arena *a, size_t bytes, bool clear)
{
    size_t end = a->used + bytes;
    if (end > a->committed) {
        size_t target = round_up(end, COMMIT_STEP);
        if (mprotect(a->base + a->committed, target - a->committed, PROT_READ | PROT_WRITE) != 0)
            return FAIL(E_MEMORY, "arena '%s': the machine gives no more memory at %zu MB", a->name, a->used >> 20);
        a->committed = target;
    }
    *out = a->base + a->used;
    if (clear) memset(*out, 0, bytes);
    return OK;
}
#endif

void arena_free(Arena *a)
{
    if (!a) return;
#ifdef ARENA_MALLOC
    drop(a, NULL);
#else
    if (a->base) munmap(a->base, a->limit);
#endif
    memset(a, 0, sizeof *a);
}

static Status take_checked(void **out, Arena *a, int64_t n, size_t size, bool clear)
{
    MUST(n >= 0 && size > 0);
    *out = NULL;
    if ((uint64_t)n > (a->limit - a->used) / size)
        return FAIL(E_MEMORY,
                    "arena '%s' is full: %zu MB used of %zu MB, %lld x %zu bytes asked for; raise run.memory_gb",
                    a->name, a->used >> 20, a->limit >> 20, (long long)n, size);
    size_t bytes = round_up((size_t)n * size, ALIGNMENT);
    if (bytes == 0) bytes = ALIGNMENT;
    if (bytes > a->limit - a->used)
        return FAIL(E_MEMORY, "arena '%s' is full: %zu MB used of %zu MB; raise run.memory_gb", a->name, a->used >> 20,
                    a->limit >> 20);
#ifdef ARENA_MALLOC
    TRY(take(out, a, (size_t)n * size, clear)); /* exact, so that an overrun by one element is seen */
#else
    TRY(take(out, a, bytes, clear));
#endif
    a->used += bytes;
    if (a->used > a->peak) a->peak = a->used;
    return OK;
}

Status arena_take(void **out, Arena *a, int64_t n, size_t size) { return take_checked(out, a, n, size, true); }

Status arena_take_uncleared(void **out, Arena *a, int64_t n, size_t size)
{
    return take_checked(out, a, n, size, false);
}

Status arena_text(char **out, Arena *a, const char *text)
{
    size_t bytes = strlen(text) + 1;
    TRY(arena_new(out, a, (int64_t)bytes));
    memcpy(*out, text, bytes);
    return OK;
}

Status arena_printf(char **out, Arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    Status st = arena_new(out, a, (int64_t)length + 1);
    if (st == OK) vsnprintf(*out, (size_t)length + 1, format, again);
    va_end(again);
    return st;
}

Mark arena_mark(const Arena *a) { return (Mark){a->used, a->blocks}; }

void arena_reset(Arena *a, Mark mark)
{
    MUST(mark.used <= a->used);
#ifdef ARENA_MALLOC
    drop(a, mark.blocks);
#elif !defined(NDEBUG)
    memset(a->base + mark.used, 0xff, a->used - mark.used); /* NaN to whoever still reads it */
#endif
    a->used = mark.used;
}

void arena_trim(Arena *a)
{
#ifdef ARENA_MALLOC
    (void)a; /* a reset has freed it */
#else
    size_t from = round_up(a->used, (size_t)sysconf(_SC_PAGESIZE));
    if (from < a->committed) madvise(a->base + from, a->committed - from, MADV_DONTNEED);
#endif
}
