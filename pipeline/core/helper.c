/* helper.c - one queue, one thread that empties it. Signals that ask to stop are blocked in the thread, so that handlers
   run on the main one; those of a fault are not, for their handler says what happened. */
#include "core/helper.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "core/clock.h"

enum { QUEUED, RUNNING, DONE };

struct Helper {
    bool beside;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* under the mutex, as is the state of tasks */
    HelperTask *first; /* of those that are queued */
    bool end;
    atomic_bool unwanted; /* the task that runs */
};

static _Thread_local Helper *mine; /* of this thread; NULL on the main one */

Status helper_go_on(void)
{
    clock_tick();
    if (!mine || !atomic_load(&mine->unwanted)) return OK;
    return FAIL(E_INTERRUPTED, "given up: nobody waits for it");
}

static void work_at(HelperTask *t)
{
    const double since = clock_now();
    clock_tick();
    t->status = t->work(t);
    if (t->status != OK) t->failure = *fail_record();
    t->seconds = clock_now() - since;
    clock_tick();
}

static void *help(void *helper)
{
    Helper *h = mine = helper;
    pthread_mutex_lock(&h->mutex);
    while (!h->end) {
        HelperTask *t = h->first;
        if (!t) {
            pthread_cond_wait(&h->changed, &h->mutex);
            continue;
        }
        h->first = t->next;
        t->state = RUNNING;
        atomic_store(&h->unwanted, false);
        pthread_mutex_unlock(&h->mutex);
        work_at(t);
        pthread_mutex_lock(&h->mutex);
        t->state = DONE;
        pthread_cond_broadcast(&h->changed);
    }
    pthread_mutex_unlock(&h->mutex);
    return NULL;
}

static int begin(Helper *h)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int code = pthread_create(&h->thread, NULL, help, h);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

Status helper_open(Helper **out, bool beside, Arena *a)
{
    Helper *h;
    *out = NULL;
    TRY(arena_new(&h, a, 1));
    h->beside = beside;
    pthread_mutex_init(&h->mutex, NULL);
    pthread_cond_init(&h->changed, NULL);
    int code = beside ? begin(h) : 0;
    if (code != 0) return FAIL(E_MEMORY, "cannot start a thread: %s", strerror(code));
    *out = h;
    return OK;
}

bool helper_is_beside(const Helper *h) { return h->beside; }

void helper_close(Helper *h)
{
    if (!h) return;
    if (h->beside) {
        pthread_mutex_lock(&h->mutex);
        h->end = true;
        atomic_store(&h->unwanted, true);
        pthread_cond_broadcast(&h->changed);
        pthread_mutex_unlock(&h->mutex);
        pthread_join(h->thread, NULL);
    }
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->mutex);
}

void helper_start(Helper *h, HelperTask *t)
{
    t->next = NULL;
    t->given = h->beside && !t->on_main;
    if (!t->given) return;
    pthread_mutex_lock(&h->mutex);
    HelperTask **last = &h->first;
    while (*last) last = &(*last)->next;
    *last = t;
    t->state = QUEUED;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->mutex);
}

Status helper_wait(Helper *h, HelperTask *t, const char *waiting)
{
    if (!t->given) {
        clock_begin(t->clock);
        t->status = t->work(t);
        clock_end(t->clock);
        return t->status;
    }
    clock_begin(waiting);
    pthread_mutex_lock(&h->mutex);
    while (t->state != DONE) pthread_cond_wait(&h->changed, &h->mutex);
    pthread_mutex_unlock(&h->mutex);
    clock_end(waiting);
    clock_add(t->clock, t->seconds);
    if (t->status != OK) fail_store(&t->failure);
    return t->status;
}

void helper_drop(Helper *h, HelperTask *t)
{
    if (!t->given) return;
    pthread_mutex_lock(&h->mutex);
    for (HelperTask **at = &h->first; *at; at = &(*at)->next) {
        if (*at != t) continue;
        *at = t->next;
        t->state = DONE;
        break;
    }
    if (t->state == RUNNING) atomic_store(&h->unwanted, true);
    while (t->state == RUNNING) pthread_cond_wait(&h->changed, &h->mutex);
    pthread_mutex_unlock(&h->mutex);
}
