/* test_main.c - runs one table of properties on one rank or on all ranks of mpirun, and says in one line how it went.

   CUnit keeps the failures of its own process. At the end the outcomes of all ranks are joined: a test has failed when
   it failed anywhere; it was skipped when any rank skipped it and none failed. Rank 0 prints every failure with its
   rank. An argument selects the tests whose name contains it: `mpi_sort "equal shares"`. */
#include "test_main.h"

#include <ftw.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"

enum {
    MAX_TESTS = 256,
    PATH_TEXT = 1024,
    N_PATHS = 16,
    FAILURES_TEXT = 1 << 16,
    MESSAGE_TEXT = FAIL_TEXT + 2 * FAIL_NOTE
};

Par test_par;
Arena test_arena;

static int64_t failed[MAX_TESTS], skipped[MAX_TESTS];
static int current = -1; /* index of the running test */
static char folder[PATH_TEXT];

static bool verbose(void) { return getenv("ASTROCLIP_VERBOSE") != NULL; }

/* ---- paths ---- */

/* The next of a few buffers, so that several paths can be held at once. */
static const char *join(const char *base, const char *name)
{
    static char buffers[N_PATHS][PATH_TEXT];
    static int next;
    char path[PATH_TEXT]; /* `base` may itself be one of the buffers */
    MUST(snprintf(path, sizeof path, "%s%s%s", base, *name ? "/" : "", name) < PATH_TEXT);
    return strcpy(buffers[next++ % N_PATHS], path);
}

const char *test_shared(const char *name)
{
    const char *shared = getenv("ASTROCLIP_SHARED");
    if (shared && *shared) return join(shared, name);
    const char *root = getenv("ASTROCLIP_SOURCE");
    return join(join(root && *root ? root : TEST_ROOT, "../shared"), name);
}

const char *test_golden(const char *name)
{
    const char *golden = getenv("ASTROCLIP_GOLDEN");
    return join(golden && *golden ? golden : test_shared("golden"), name);
}

const char *test_folder(void) { return folder; }

static void make_folder(void)
{
    if (test_par.rank == 0) {
        const char *base = getenv("TMPDIR");
        snprintf(folder, sizeof folder, "%s/astroclip-test-XXXXXX", base && *base ? base : "/tmp");
        if (!mkdtemp(folder)) par_abort(&test_par, "cannot make a folder like %s for the files of the tests", folder);
    }
    par_bcast(&test_par, folder, sizeof folder, 0);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static void remove_folder(void)
{
    par_barrier(&test_par);
    if (test_par.rank == 0) nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- inside a test ---- */

void test_skip(const char *format, ...)
{
    if (current >= 0) skipped[current] = 1;
    if (test_par.rank != 0) return;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "skipped: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
}

bool test_needs_file(const char *path)
{
    if (access(path, R_OK) == 0) return true;
    test_skip("%s is not here (ASTROCLIP_SHARED, ASTROCLIP_GOLDEN say where to look)", path);
    return false;
}

static void note_failure(const char *text, const char *file, int line)
{
    CU_assertImplementation(CU_FALSE, (unsigned)line, text, file, "", CU_FALSE);
}

bool test_check_ok(Status st, const char *what, const char *file, int line)
{
    if (st == OK) {
        CU_assertImplementation(CU_TRUE, (unsigned)line, what, file, "", CU_FALSE);
        return true;
    }
    const FailRecord *r = fail_record();
    char text[MESSAGE_TEXT];
    snprintf(text, sizeof text, "%s: error (%s): %s%s%s (%s:%d)", what, fail_kind(st), r->text,
             *r->note ? " while " : "", r->note, r->file, r->line);
    note_failure(text, file, line);
    fail_clear();
    return false;
}

bool test_check_fails(Status st, Status expected, const char *what, const char *file, int line)
{
    const FailRecord *r = fail_record();
    bool told = r->status == (int)st && r->text[0] != '\0';
    bool good = st == expected && st != OK && told;
    if (verbose() && st != OK) fail_print(stderr, test_par.n_ranks);
    if (good) {
        CU_assertImplementation(CU_TRUE, (unsigned)line, what, file, "", CU_FALSE);
    } else {
        char text[MESSAGE_TEXT];
        snprintf(text, sizeof text, "%s: expected an error (%s), got (%s)%s: %s", what, fail_kind(expected),
                 fail_kind(st), st != OK && !told ? " without a record of its own" : "", st != OK ? r->text : "");
        note_failure(text, file, line);
    }
    fail_clear();
    return good;
}

/* `worst` and `largest` are max |a-b| and max |b|; a NaN anywhere arrives as a NaN in `worst`. */
static bool near(const char *what, double worst, double largest, double tolerance)
{
    double relative = largest > 0 ? worst / largest : worst;
    bool good = relative <= tolerance;
    if (!good || verbose())
        fprintf(stderr, "%s: rel %.3g, allowed %.3g%s\n", what, relative, tolerance, good ? "" : "  TOO FAR");
    return good;
}

bool test_near_f64(const char *what, const double *a, const double *b, int64_t n, double tolerance)
{
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs(a[i] - b[i]);
        if (!(d <= worst)) worst = d;
        if (isnan(d)) return near(what, NAN, 0, tolerance);
        largest = fmax(largest, fabs(b[i]));
    }
    return near(what, worst, largest, tolerance);
}

bool test_near_f32(const char *what, const float *a, const double *b, int64_t n, double tolerance)
{
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - b[i]);
        if (!(d <= worst)) worst = d;
        if (isnan(d)) return near(what, NAN, 0, tolerance);
        largest = fmax(largest, fabs(b[i]));
    }
    return near(what, worst, largest, tolerance);
}

/* ---- the run ---- */

static void on_start(const CU_pTest test, const CU_pSuite suite)
{
    (void)suite;
    current++;
    arena_reset(&test_arena, (Mark){0});
    fail_clear();
    if (verbose() && test_par.rank == 0) fprintf(stderr, "-- %s\n", test->pName);
}

static void on_end(const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord failures)
{
    (void)test, (void)suite;
    failed[current] = failures != NULL;
}

/* All ranks' failures, printed by rank 0 in rank order. */
static void print_failures(const char *suite)
{
    static char text[FAILURES_TEXT];
    size_t used = 0;
    for (CU_pFailureRecord f = CU_get_failure_list(); f && used < sizeof text - 1; f = f->pNext) {
        used += (size_t)snprintf(text + used, sizeof text - used, "  %s: \"%s\" rank %d: %s:%u: %s\n", suite,
                                 f->pTest ? f->pTest->pName : "", test_par.rank, f->strFileName ? f->strFileName : "",
                                 f->uiLineNumber, f->strCondition ? f->strCondition : "");
        if (used > sizeof text - 1) used = sizeof text - 1;
    }
    for (int r = 0; r < test_par.n_ranks; r++) {
        static char theirs[FAILURES_TEXT];
        memcpy(theirs, text, sizeof text);
        int64_t length = (int64_t)used;
        par_bcast(&test_par, &length, sizeof length, r);
        par_bcast(&test_par, theirs, length, r);
        if (test_par.rank == 0) fwrite(theirs, 1, (size_t)length, stderr);
    }
}

static int summary(const char *suite, int n)
{
    int n_failed = 0, n_skipped = 0;
    par_max_i64(&test_par, failed, n);
    par_max_i64(&test_par, skipped, n);
    for (int i = 0; i < n; i++) {
        n_failed += failed[i] != 0;
        n_skipped += skipped[i] && !failed[i];
    }
    if (n_failed > 0) print_failures(suite);
    if (test_par.rank == 0) {
        printf("%s: %d passed, %d failed, %d skipped on %d rank%s\n", suite, n - n_failed - n_skipped, n_failed,
               n_skipped, test_par.n_ranks, test_par.n_ranks > 1 ? "s" : "");
        fflush(stdout);
    }
    return n_failed > 0 ? 1 : n_skipped == n ? 77 : 0;
}

/* Keeps the tests whose name contains `wanted`, in place. */
static int select_tests(CU_TestInfo *tests, const char *wanted)
{
    int n = 0;
    for (int i = 0; tests[i].pName; i++)
        if (!wanted || strstr(tests[i].pName, wanted)) tests[n++] = tests[i];
    tests[n] = (CU_TestInfo)CU_TEST_INFO_NULL;
    return n;
}

int test_run(const char *suite, CU_TestInfo *tests, int argc, char **argv)
{
    if (par_launched()) {
        if (par_init(&test_par, &argc, &argv) != OK) return 1;
    } else {
        par_serial(&test_par);
    }
    log_quiet(!verbose());
    int n = select_tests(tests, argc > 1 ? argv[1] : NULL);
    MUST(n <= MAX_TESTS);
    MUST(arena_init(&test_arena, "test", 0) == OK);
    make_folder();

    CU_SuiteInfo suites[] = {{suite, NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
    CU_set_error_action(CUEA_IGNORE);
    MUST(CU_initialize_registry() == CUE_SUCCESS);
    MUST(CU_register_suites(suites) == CUE_SUCCESS); /* two tests of one name are refused here */
    CU_set_test_start_handler(on_start);
    CU_set_test_complete_handler(on_end);
    CU_run_all_tests();
    MUST(current + 1 == n);

    int code = summary(suite, n);
    CU_cleanup_registry();
    remove_folder();
    arena_free(&test_arena);
    fail_clear();
    par_finish(&test_par, OK);
    return code;
}
