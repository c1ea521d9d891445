/* test_arena.c - memory that comes zeroed and aligned, goes back to marks, and runs out with a message. */
#include <sys/mman.h>
#include <unistd.h>

#include "test_main.h"

#include <string.h>

static Arena a;

static void memory_is_zero_aligned_and_apart(void)
{
    CHECK_OK(arena_init(&a, "here", 64 << 20));
    char *block[40];
    for (int i = 0; i < 40; i++) {
        CHECK_OK(arena_new(&block[i], &a, 1 + 97 * i));
        CU_ASSERT_EQUAL((uintptr_t)block[i] % 64, 0);
        for (int j = 0; j < 1 + 97 * i; j++) CU_ASSERT_EQUAL(block[i][j], 0);
        memset(block[i], i + 1, (size_t)(1 + 97 * i));
    }
    for (int i = 0; i < 40; i++) CU_ASSERT(block[i][0] == i + 1 && block[i][97 * i] == i + 1);
    arena_free(&a);
}

static void memory_after_a_reset_is_zero_again(void)
{
    CHECK_OK(arena_init(&a, "here", 64 << 20));
    Mark mark = arena_mark(&a);
    int64_t *x;
    CHECK_OK(arena_new(&x, &a, 100000));
    memset(x, 0xee, 100000 * sizeof *x);
    arena_reset(&a, mark);
    CU_ASSERT_EQUAL(a.used, mark.used);
    CHECK_OK(arena_new(&x, &a, 100000));
    int64_t bad = 0;
    for (int i = 0; i < 100000; i++) bad += x[i] != 0;
    CU_ASSERT_EQUAL(bad, 0);
    arena_free(&a);
}

/* What is not cleared is apart and aligned all the same, and what is taken there later is zero. */
static void uncleared_memory_is_as_good(void)
{
    enum { N = 1000 };
    double *before, *x, *after;
    CHECK_OK(arena_init(&a, "test", 1 << 20));
    CHECK_OK(arena_new(&before, &a, N));
    const Mark mark = arena_mark(&a);
    CHECK_OK(arena_uncleared(&x, &a, N));
    CU_ASSERT_EQUAL((uintptr_t)x % 64, 0);
    memset(x, 0xff, N * sizeof *x);
    for (int i = 0; i < N; i++) CU_ASSERT_EQUAL(before[i], 0);
    arena_reset(&a, mark);
    CHECK_OK(arena_new(&after, &a, N));
    for (int i = 0; i < N; i++) CU_ASSERT_EQUAL(after[i], 0);
    CU_ASSERT_EQUAL(arena_uncleared(&x, &a, 1 << 20), E_MEMORY);
    fail_clear();
    arena_free(&a);
}

static void what_stands_before_a_mark_survives_a_reset(void)
{
    CHECK_OK(arena_init(&a, "here", 64 << 20));
    char *kept, *gone;
    CHECK_OK(arena_text(&kept, &a, "kept"));
    Mark mark = arena_mark(&a);
    CHECK_OK(arena_printf(&gone, &a, "%s %d", "gone", 7));
    CU_ASSERT_STRING_EQUAL(gone, "gone 7");
    arena_reset(&a, mark);
    CU_ASSERT_STRING_EQUAL(kept, "kept");
    CU_ASSERT(a.peak > a.used);
    arena_free(&a);
}

/* Pages that are resident, of the first `bytes` of the arena. */
static int64_t resident(const Arena *arena, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = bytes / page;
    unsigned char there[4096];
    int64_t sum = 0;
    if (!arena->base || n > sizeof there || mincore(arena->base, bytes, there) != 0) return -1;
    for (size_t i = 0; i < n; i++) sum += there[i] & 1;
    return sum;
}

static void what_is_trimmed_goes_back_to_the_machine(void)
{
    enum { BYTES = 8 << 20 };
    CHECK_OK(arena_init(&a, "here", 64 << 20));
    char *kept, *gone, *again;
    CHECK_OK(arena_text(&kept, &a, "kept"));
    Mark mark = arena_mark(&a);
    CHECK_OK(arena_new(&gone, &a, BYTES - 4096));
    memset(gone, 1, BYTES - 4096);
    arena_reset(&a, mark);
    if (a.base) CU_ASSERT(resident(&a, BYTES) > 1000); /* else each allocation is its own */
    arena_trim(&a);
    if (a.base) CU_ASSERT_EQUAL(resident(&a, BYTES), 1);
    CU_ASSERT_STRING_EQUAL(kept, "kept");
    CHECK_OK(arena_new(&again, &a, BYTES - 4096));
    CU_ASSERT(again[0] == 0 && again[BYTES - 4097] == 0);
    arena_free(&a);
    arena_trim(&a);
}

static void none_of_something_is_a_valid_pointer(void)
{
    CHECK_OK(arena_init(&a, "here", 1 << 20));
    double *x;
    CHECK_OK(arena_new(&x, &a, 0));
    CU_ASSERT_PTR_NOT_NULL(x);
    arena_free(&a);
}

static void running_out_names_the_arena_and_leaves_it_usable(void)
{
    CHECK_OK(arena_init(&a, "step", 4 << 20));
    double *x;
    CU_ASSERT_EQUAL(arena_new(&x, &a, 1 << 20), E_MEMORY); /* 8 MB */
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "'step'"));
    fail_clear();
    CU_ASSERT_EQUAL(arena_new(&x, &a, INT64_MAX), E_MEMORY); /* n x size wraps around */
    fail_clear();
    CHECK_OK(arena_new(&x, &a, 1 << 10));
    x[1023] = 1;
    for (int i = 0; i < 4096 && fail_record()->status == OK; i++) (void)arena_new(&x, &a, 1 << 10);
    CU_ASSERT_EQUAL(fail_record()->status, E_MEMORY);
    CU_ASSERT(a.used <= a.limit);
    fail_clear();
    arena_free(&a);
}

static void freeing_twice_or_nothing_is_harmless(void)
{
    CHECK_OK(arena_init(&a, "here", 1 << 20));
    arena_free(&a);
    arena_free(&a);
    arena_free(NULL);
    CU_ASSERT_EQUAL(a.used, 0);
}

TEST_MAIN("arena", {"memory is zero, aligned and apart", memory_is_zero_aligned_and_apart},
          {"memory after a reset is zero again", memory_after_a_reset_is_zero_again},
          {"uncleared memory is as good", uncleared_memory_is_as_good},
          {"what stands before a mark survives a reset", what_stands_before_a_mark_survives_a_reset},
          {"what is trimmed goes back to the machine", what_is_trimmed_goes_back_to_the_machine},
          {"none of something is a valid pointer", none_of_something_is_a_valid_pointer},
          {"running out names the arena and leaves it usable", running_out_names_the_arena_and_leaves_it_usable},
          {"freeing twice or nothing is harmless", freeing_twice_or_nothing_is_harmless})
