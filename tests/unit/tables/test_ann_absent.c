/* A build without FAISS: an index says what is missing, and a configuration that asks for one is wrong. The file is compiled here without
   what the build found. */
#include "../../../pipeline/probe/ann.c"

#include <string.h>

#include "tables/queries.h"
#include "test_main.h"

static void an_index_says_what_it_lacks(void)
{
    Ann *a = (Ann *)&test_par;
    const float x[4] = {1, 0, 0, 1};
    int64_t found;
    CU_ASSERT_FALSE(ann_available());
    CU_ASSERT(ann_version()[0] == '\0');
    CU_ASSERT(ann_build(&a, ANN_IVF, x, 2, 2, 1) == E_CONFIG && strstr(fail_record()->text, "libfaiss-dev"));
    fail_clear();
    CU_ASSERT_PTR_NULL(a);
    CHECK_FAILS(ann_find(&found, a, x, 1, 1), E_CONFIG);
    ann_free(a);
}

static void a_configuration_cannot_ask_for_it(void)
{
    static const char *directions[] = {"image-image"};
    SearchConfig c = {.objects = "", .directions = {1, directions}, .index = INDEX_HNSW};
    CU_ASSERT(search_section.check(&c) == E_CONFIG && strstr(fail_record()->text, "without FAISS") &&
              strstr(fail_record()->text, "'hnsw'"));
    fail_clear();
    c.index = INDEX_EXACT;
    CHECK_OK(search_section.check(&c));
}

TEST_MAIN("ann_absent", {"a configuration cannot ask for it", a_configuration_cannot_ask_for_it},
          {"an index says what it lacks", an_index_says_what_it_lacks})
