/* Memory of a node: what its first rank writes all its ranks read; pretended nodes have memory of their own. */
#include <stdlib.h>
#include <string.h>

#include "par/nodememory.h"
#include "test_main.h"

enum { NUMBERS = 100000 };

static void share(int64_t n_first)
{
    NodeMemory m;
    CU_ASSERT_TRUE_FATAL(CHECK_OK(nodememory_open(&m, &test_par, NUMBERS * (int64_t)sizeof(double))));
    double *x = m.base;
    if (m.first) CU_ASSERT_EQUAL(x[NUMBERS - 1], 0);
    const int first = test_par.rank - m.node.rank; /* ranks of a node follow one another here */
    if (m.first)
        for (int i = 0; i < NUMBERS; i++) x[i] = i + 0.5 * test_par.rank;
    nodememory_barrier(&m);
    CU_ASSERT_EQUAL(x[NUMBERS - 1], NUMBERS - 1 + 0.5 * first);
    int64_t firsts = m.first;
    par_sum_i64(&test_par, &firsts, 1);
    CU_ASSERT_EQUAL(firsts, n_first);
    nodememory_close(&m);
    nodememory_close(&m);
}

static void one_node(void) { share(1); }

static void nodes_of_two(void)
{
    setenv("ASTROCLIP_NODE_SIZE", "2", 1);
    share((test_par.n_ranks + 1) / 2);
    unsetenv("ASTROCLIP_NODE_SIZE");
}

/* More than there can be: all ranks hear of it, and nobody hangs. */
static void too_much(void)
{
    NodeMemory m;
    CHECK_FAILS(nodememory_open(&m, &test_par, INT64_MAX / 2), E_MEMORY);
}

TEST_MAIN("node memory", {"the ranks of a node share it", one_node}, {"nodes that are pretended", nodes_of_two},
          {"more than there can be", too_much})
