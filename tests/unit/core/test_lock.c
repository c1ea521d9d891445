/* One of many gets the lock of a folder, whether it is free or its holder is dead; the holder is named; nobody takes what
   lives. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/lock.h"
#include "core/log.h"
#include "test_main.h"

static char folder[64], path[128];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/astroclip-lock-XXXXXX");
    MUST(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/.astroclip.lock", folder);
}

static void remove_folder(void)
{
    unlink(path);
    CU_ASSERT_EQUAL(rmdir(folder), 0); /* nothing else was left in it */
}

static void write_lock(const char *host, long pid, int age)
{
    FILE *f = fopen(path, "w");
    fprintf(f, "token=other\nhost=%s\npid=%ld\nstarted=1\njob=77\ndoing=embed\nsince=2026-01-01T00:00:00Z\n", host,
            pid);
    fclose(f);
    struct timespec then[2];
    clock_gettime(CLOCK_REALTIME, &then[0]);
    then[0].tv_sec -= age;
    then[1] = then[0];
    utimensat(AT_FDCWD, path, then, 0);
}

static long dead_pid(void)
{
    pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, NULL, 0);
    return (long)child;
}

static void this_host(char out[128])
{
    gethostname(out, 128);
    out[127] = '\0';
}

/* 8 processes at once; each that wins keeps the lock until all have tried. Returns the number of winners. */
static int race(void)
{
    enum { N = 8 };
    int start[2], tried[2], n = 0;
    pid_t child[N];
    MUST(pipe(start) == 0 && pipe(tried) == 0);
    for (int i = 0; i < N; i++) {
        child[i] = fork();
        if (child[i] != 0) continue;
        Lock l;
        char byte;
        close(start[1]);
        ssize_t got = read(start[0], &byte, 1); /* ends when the parent closes its side */
        bool won = lock_take(&l, folder, "race") == OK && l.held;
        byte = won ? 'w' : 'l';
        got += write(tried[1], &byte, 1);
        if (won) sleep(30); /* until it is killed */
        _exit(got < 0);
    }
    close(start[0]);
    close(start[1]);
    for (int i = 0; i < N; i++) {
        char byte = 0;
        if (read(tried[0], &byte, 1) == 1) n += byte == 'w';
    }
    for (int i = 0; i < N; i++) {
        kill(child[i], SIGKILL);
        waitpid(child[i], NULL, 0);
    }
    close(tried[0]);
    close(tried[1]);
    return n;
}

static void one_of_eight_gets_a_free_lock(void)
{
    for (int round = 0; round < 20; round++) {
        make_folder();
        CU_ASSERT_EQUAL(race(), 1);
        remove_folder();
    }
}

static void one_of_eight_takes_over_a_stale_lock(void)
{
    char host[128];
    this_host(host);
    for (int round = 0; round < 4; round++) {
        make_folder();
        if (round % 2)
            write_lock(host, dead_pid(), LOCK_GRACE + 1);
        else
            write_lock("elsewhere", 1, LOCK_STALE + 1);
        CU_ASSERT_EQUAL(race(), 1);
        remove_folder();
    }
}

static void a_live_holder_is_named_and_kept(void)
{
    Lock l, other;
    make_folder();
    CU_ASSERT_EQUAL(lock_take(&l, folder, "embed"), OK);
    CU_ASSERT(l.held && lock_is_mine(&l));
    CU_ASSERT_EQUAL(lock_take(&other, folder, "run"), E_OUTPUT);
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld on", (long)getpid());
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, pid));
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "astroclip embed"));
    lock_release(&other); /* never had it */
    CU_ASSERT(lock_is_mine(&l) && access(path, F_OK) == 0);
    lock_release(&l);
    lock_release(&l);
    CU_ASSERT(access(path, F_OK) != 0);
    remove_folder();
}

static void a_holder_elsewhere_is_believed_while_it_touches_the_lock(void)
{
    Lock l;
    make_folder();
    write_lock("elsewhere", 1, LOCK_STALE - 60);
    CU_ASSERT_EQUAL(lock_take(&l, folder, "run"), E_OUTPUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_record()->text, "process 1 on elsewhere, job 77"));
    remove_folder();
}

static void a_number_that_another_process_bears_now_is_no_holder(void)
{
    char host[128];
    Lock l;
    this_host(host);
    make_folder();
    write_lock(host, (long)getpid(), LOCK_GRACE + 1); /* it says: started at tick 1 */
    CU_ASSERT_EQUAL(lock_take(&l, folder, "run"), OK);
    lock_release(&l);
    remove_folder();
}

/* Killed between making a file of its own and linking it, or between making and writing it. */
static void what_those_left_who_died_while_they_took_it_is_removed(void)
{
    char host[128], own[3][160];
    Lock l;
    this_host(host);
    make_folder();
    const long pid[3] = {dead_pid(), 1, 0};
    for (int i = 0; i < 3; i++) {
        snprintf(own[i], sizeof own[i], "%s.some.%d", path, i);
        write_lock(i == 1 ? "elsewhere" : host, pid[i], i == 1 ? 0 : LOCK_GRACE + 1);
        if (i == 2) MUST(truncate(path, 0) == 0);
        if (i == 2) utimensat(AT_FDCWD, path, (struct timespec[2]){{.tv_sec = 1}, {.tv_sec = 1}}, 0);
        MUST(rename(path, own[i]) == 0);
    }
    for (int taken_over = 0; taken_over < 2; taken_over++) {
        if (taken_over) write_lock(host, dead_pid(), LOCK_GRACE + 1);
        CU_ASSERT_EQUAL(lock_take(&l, folder, "run"), OK);
        lock_release(&l);
        CU_ASSERT(access(own[0], F_OK) != 0 && access(own[2], F_OK) != 0);
        CU_ASSERT_EQUAL(access(own[1], F_OK), 0); /* may live */
        write_lock(host, pid[0], LOCK_GRACE + 1);
        MUST(rename(path, own[0]) == 0); /* the second time over a stale lock */
    }
    CU_ASSERT_EQUAL(unlink(own[0]), 0);
    CU_ASSERT_EQUAL(unlink(own[1]), 0);
    remove_folder();
}

static void the_chain_s_stages_share_its_lock(void)
{
    Lock chain, stage;
    make_folder();
    CU_ASSERT_EQUAL(lock_take(&chain, folder, "run"), OK);
    lock_pass_on(&chain);
    CU_ASSERT_EQUAL(lock_take(&stage, folder, "embed"), OK);
    CU_ASSERT(stage.inherited);
    lock_release(&stage);
    CU_ASSERT(lock_is_mine(&chain) && access(path, F_OK) == 0);
    unsetenv(lock_variable);
    lock_release(&chain);
    remove_folder();
}

static void a_folder_that_nobody_can_write_needs_no_lock(void)
{
    Lock l;
    CU_ASSERT_EQUAL(lock_take(&l, "/proc/self", "run") == OK && l.held, false);
    CU_ASSERT_EQUAL(lock_take(&l, "/no/such/folder", "run"), E_OUTPUT);
}

TEST_MAIN("core/lock", {"one of eight gets a free lock", one_of_eight_gets_a_free_lock},
          {"one of eight takes over a stale lock", one_of_eight_takes_over_a_stale_lock},
          {"a live holder is named and kept", a_live_holder_is_named_and_kept},
          {"a holder elsewhere is believed while it touches the lock",
           a_holder_elsewhere_is_believed_while_it_touches_the_lock},
          {"a number that another process bears now is no holder",
           a_number_that_another_process_bears_now_is_no_holder},
          {"what those left who died while they took it is removed",
           what_those_left_who_died_while_they_took_it_is_removed},
          {"the chain's stages share its lock", the_chain_s_stages_share_its_lock},
          {"a folder that nobody can write needs no lock", a_folder_that_nobody_can_write_needs_no_lock})
