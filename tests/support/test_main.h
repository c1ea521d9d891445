/* test_main.h - one test program = one table of properties. TEST_MAIN runs it under MPI when started by mpirun (label mpi, fault), else serially.

       static void masked_pixels_are_ignored(void) { CU_ASSERT(...); }
       TEST_MAIN("spectra", {"masked pixels do not change the embedding", masked_pixels_are_ignored})

   test_par is this program's Par. Exit code: 0 all passed, 1 a failure on any rank, 77 nothing ran (every test called test_skip). */
#ifndef TEST_MAIN_H
#define TEST_MAIN_H

#include <CUnit/CUnit.h>
#include <stdbool.h>

#include "core/arena.h"
#include "par/par.h"

extern Par test_par;     /* ranks of this program */
extern Arena test_arena; /* reset before every test */

/* The test needs something that is not here: prints why; counts as skipped. Use: if (!test_needs_file(path)) return; */
void test_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool test_needs_file(const char *path);

/* $ASTROCLIP_SHARED (default ../shared from the project's root) / name; $ASTROCLIP_GOLDEN (default $ASTROCLIP_SHARED/golden) / name.
   Relative values count from the working folder, under ctest the project's root. */
const char *test_shared(const char *name);
const char *test_golden(const char *name);
/* A fresh folder of this program for files, the same on all ranks; removed at the end. */
const char *test_folder(void);

/* Asserts that a call fails with `status`, prints its message when it does not; clears the record. */
#define CHECK_FAILS(call, expected) test_check_fails((call), (expected), #call, __FILE__, __LINE__)
/* Asserts OK and shows the record if not. */
#define CHECK_OK(call) test_check_ok((call), #call, __FILE__, __LINE__)
bool test_check_ok(Status st, const char *what, const char *file, int line);
bool test_check_fails(Status st, Status expected, const char *what, const char *file, int line);

/* max |a-b| / max |b| <= tolerance (golden README: `rel`); prints the figure either way when ASTROCLIP_VERBOSE is set. */
bool test_near_f64(const char *what, const double *a, const double *b, int64_t n, double tolerance);
bool test_near_f32(const char *what, const float *a, const double *b, int64_t n, double tolerance);

int test_run(const char *suite, CU_TestInfo *tests, int argc, char **argv);

#define TEST_MAIN(suite, ...)                                                                                          \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        CU_TestInfo tests[] = {__VA_ARGS__, CU_TEST_INFO_NULL};                                                        \
        return test_run(suite, tests, argc, argv);                                                                     \
    }

#endif
