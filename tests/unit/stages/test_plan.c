/* Node-hours follow from rows, seconds, ranks of a node and their efficiency, and nothing else. */
#include "../../../stages/plan.h"
#include "test_main.h"

/* 76 million images of 0.5 s on 128 ranks at 80 %: 76e6 x 0.5 / (128 x 0.8) / 3600. */
static void rows_times_seconds(void)
{
    const StagePlan p = {.seconds = 1000, .seconds_shared = 76e6 * 0.5};
    CU_ASSERT_DOUBLE_EQUAL(plan_node_hours(&p, 128, 1, 0.8), 103.0816, 1e-4); /* rounded as written */
    CU_ASSERT_DOUBLE_EQUAL(plan_node_hours(&p, 128, 4, 0.8), 4 * 103.0816, 1e-3);
    CU_ASSERT_DOUBLE_EQUAL(plan_node_hours(&p, 128, 1, 0.4), 2 * 103.0816, 1e-3);
    CU_ASSERT_DOUBLE_EQUAL(plan_node_hours(&p, 64, 1, 0.8), 2 * 103.0816, 1e-3);
}

/* Eight replicas on a node of 128 cores: the other 120 are paid for, too. */
static void ranks_without_work_cost(void)
{
    const StagePlan p = {.max_ranks = 8, .seconds_shared = 3600 * 8};
    CU_ASSERT_DOUBLE_EQUAL(plan_node_hours(&p, 128, 1, 1), 1, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(plan_node_hours(&p, 4, 1, 1), 2, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(plan_node_hours(&p, 4, 8, 1), 8,
                           1e-12); /* ranks of more threads than a node has cores: one */
}

TEST_MAIN("plan", {"node-hours are rows x seconds / (ranks x efficiency)", rows_times_seconds},
          {"a node with few ranks counts whole", ranks_without_work_cost})
