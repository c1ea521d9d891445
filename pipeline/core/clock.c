/* clock.c - a small table of named wall clocks and the stack of those that run. */
#include "core/clock.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "core/fail.h"

static Clock table[CLOCK_MAX];
static int n_clocks;
static struct {
    int clock;
    double since;
} stack[CLOCK_DEPTH];
static int depth;
static atomic_uint_fast64_t ticks;
static _Atomic(const char *) waiting_file;
static atomic_int waiting_line;

void clock_tick(void) { atomic_fetch_add_explicit(&ticks, 1, memory_order_relaxed); }
uint64_t clock_ticks(void) { return atomic_load_explicit(&ticks, memory_order_relaxed); }

void clock_wait(const char *file, int line)
{
    clock_tick();
    atomic_store_explicit(&waiting_line, line, memory_order_relaxed);
    atomic_store_explicit(&waiting_file, file, memory_order_relaxed);
}

const char *clock_waiting(int *line)
{
    const char *file = atomic_load_explicit(&waiting_file, memory_order_relaxed);
    *line = atomic_load_explicit(&waiting_line, memory_order_relaxed);
    const char *slash = file ? strrchr(file, '/') : NULL;
    return slash ? slash + 1 : file;
}

double clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int find(const char *name)
{
    for (int i = 0; i < n_clocks; i++)
        if (strncmp(table[i].name, name, CLOCK_NAME - 1) == 0) return i;
    MUST(n_clocks < CLOCK_MAX);
    strncpy(table[n_clocks].name, name, CLOCK_NAME - 1);
    return n_clocks++;
}

void clock_begin(const char *name)
{
    MUST(depth < CLOCK_DEPTH);
    clock_tick();
    stack[depth].clock = find(name);
    stack[depth++].since = clock_now();
}

void clock_end(const char *name)
{
    MUST(depth > 0 && stack[depth - 1].clock == find(name));
    clock_tick();
    Clock *c = &table[stack[--depth].clock];
    c->seconds += clock_now() - stack[depth].since;
    c->count++;
}

void clock_add(const char *name, double seconds)
{
    Clock *c = &table[find(name)];
    c->seconds += seconds;
    c->count++;
}

const Clock *clock_table(int *n)
{
    *n = n_clocks;
    return table;
}

const char *clock_innermost(void) { return depth > 0 ? table[stack[depth - 1].clock].name : ""; }

void clock_reset(void)
{
    memset(table, 0, sizeof table);
    n_clocks = depth = 0;
}
