/* A build without libmicrohttpd: the explorer says what is missing. The file is compiled here without what the build found. */
#include "../../../pipeline/tables/http.c"

#include "test_main.h"

static void a_server_says_what_it_lacks(void)
{
    void *server = &test_par;
    CU_ASSERT_FALSE(http_available());
    Status st = http_open(&server, NULL, NULL, NULL);
    CU_ASSERT(st == E_CONFIG && strstr(fail_record()->text, "libmicrohttpd-dev") != NULL);
    fail_clear();
    CU_ASSERT_PTR_NULL(server);
    CU_ASSERT_PTR_NULL(http_value(NULL, "row"));
    CHECK_OK(http_wait(server));
    http_close(server);
}

TEST_MAIN("http_absent", {"a server says what it lacks", a_server_says_what_it_lacks})
