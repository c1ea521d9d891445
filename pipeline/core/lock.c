/* lock.c - a lock file that survives its holder's death and is taken over by exactly one of those who find it stale. */
#include "core/lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"

enum { TEXT = 1024, VALUE = 128, GUARD_STALE = 30, PATIENCE = 15 /* seconds */ };
const char lock_variable[] = "ASTROCLIP_LOCK";
static const char guard_end[] = ".takeover";

/* What a lock file says. */
typedef struct {
    char token[LOCK_TOKEN], host[VALUE], job[VALUE], doing[VALUE], since[VALUE];
    long pid;
    unsigned long long started; /* of the process, in clock ticks since boot: tells it from a later one of its number */
} Holder;

typedef enum { HELD, STALE, PERHAPS } Judgement; /* PERHAPS: its end is near, look again */

/* ---- processes ---- */

/* When the process started, 0 if it is gone (or is a zombie). */
static unsigned long long start_of(long pid)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    bool got = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    char *at = got ? strrchr(line, ')') : NULL; /* the name before it may hold anything */
    if (!at || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X') return 0;
    at += 2;
    for (int field = 3; field < 22 && at; field++) {
        at = strchr(at, ' ');
        if (at) at++;
    }
    return at ? strtoull(at, NULL, 10) : 0;
}

static void name_host(char out[VALUE])
{
    if (gethostname(out, VALUE) != 0) snprintf(out, VALUE, "unknown");
    out[VALUE - 1] = '\0';
}

static void pause_briefly(void) { nanosleep(&(struct timespec){.tv_nsec = 200 * 1000 * 1000}, NULL); }

/* ---- the text ---- */

static void describe_self(Holder *me, const char *doing)
{
    memset(me, 0, sizeof *me);
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(me->since, sizeof me->since, "%Y-%m-%dT%H:%M:%SZ", &utc);
    name_host(me->host);
    me->pid = (long)getpid();
    me->started = start_of(me->pid);
    const char *job = getenv("SLURM_JOB_ID");
    snprintf(me->job, sizeof me->job, "%s", job ? job : "");
    snprintf(me->doing, sizeof me->doing, "%s", doing);
    snprintf(me->token, sizeof me->token, "%.64s.%ld.%llu.%lld%09ld", me->host, me->pid, me->started,
             (long long)now.tv_sec, now.tv_nsec);
}

static bool write_text(int fd, const Holder *h)
{
    char text[TEXT];
    int n = snprintf(text, sizeof text, "token=%s\nhost=%s\npid=%ld\nstarted=%llu\njob=%s\ndoing=%s\nsince=%s\n",
                     h->token, h->host, h->pid, h->started, h->job, h->doing, h->since);
    return n > 0 && n < (int)sizeof text && write(fd, text, (size_t)n) == n;
}

static void take_value(char *out, size_t size, const char *text, const char *key)
{
    size_t length = strlen(key);
    out[0] = '\0';
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (strncmp(line, key, length) == 0 && line[length] == '=')
            snprintf(out, size, "%.*s", (int)strcspn(line + length + 1, "\n"), line + length + 1);
}

/* False when there is no such file. A file that says nothing of use gives an empty token. */
static bool read_holder(Holder *h, const char *path)
{
    char text[TEXT] = "", number[VALUE];
    memset(h, 0, sizeof *h);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return errno != ENOENT;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    take_value(h->token, sizeof h->token, text, "token");
    take_value(h->host, sizeof h->host, text, "host");
    take_value(h->job, sizeof h->job, text, "job");
    take_value(h->doing, sizeof h->doing, text, "doing");
    take_value(h->since, sizeof h->since, text, "since");
    take_value(number, sizeof number, text, "pid");
    h->pid = strtol(number, NULL, 10);
    take_value(number, sizeof number, text, "started");
    h->started = strtoull(number, NULL, 10);
    return true;
}

/* ---- stale or not ---- */

/* Seconds between the last touch of `path` and now, both by the file system's clock: `mine` is touched to read it. */
static double age_of(const char *path, const char *mine)
{
    struct stat theirs, now;
    if (utimensat(AT_FDCWD, mine, NULL, 0) != 0 || stat(mine, &now) != 0 || stat(path, &theirs) != 0) return 0;
    return difftime(now.st_mtim.tv_sec, theirs.st_mtim.tv_sec) +
           1e-9 * (double)(now.st_mtim.tv_nsec - theirs.st_mtim.tv_nsec);
}

static Judgement judge(const Holder *h, const char *path, const char *mine)
{
    char here[VALUE];
    double age = age_of(path, mine);
    name_host(here);
    if (!h->token[0] || strcmp(h->host, here) != 0) {
        if (age > LOCK_STALE) return STALE;
        return h->token[0] || age > LOCK_GRACE ? HELD : PERHAPS; /* no token: is being written */
    }
    unsigned long long started = start_of(h->pid);
    if (started != 0 && started == h->started) return HELD;
    return age > LOCK_GRACE ? STALE : PERHAPS; /* its ranks may have a moment left */
}

/* Those who find a stale lock meet at a second file; who makes it looks again and replaces the lock. */
static bool take_over(const Lock *l, const char *mine, const Holder *found)
{
    char guard[LOCK_PATH + 16];
    Holder now;
    snprintf(guard, sizeof guard, "%s%s", l->path, guard_end);
    int fd = open(guard, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        if (errno == EEXIST && age_of(guard, mine) > GUARD_STALE) unlink(guard);
        return false;
    }
    close(fd);
    bool same =
        read_holder(&now, l->path) && strcmp(now.token, found->token) == 0 && judge(&now, l->path, mine) == STALE;
    bool taken = same && rename(mine, l->path) == 0;
    unlink(guard);
    if (!taken) return false;
    log_warn("%s: its holder is gone (astroclip %s, process %ld on %s, since %s): taken over", l->path, found->doing,
             found->pid, found->host, found->since);
    return true;
}

/* ---- taking it ---- */

/* A file of our own beside the lock. *writable = false where nobody can write: then there is nothing to lock. */
static Status make_own(char mine[LOCK_PATH + 160], bool *writable, const Lock *l, const Holder *me)
{
    snprintf(mine, LOCK_PATH + 160, "%s.%s", l->path, me->token);
    int fd = open(mine, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    *writable = !(fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM));
    if (!*writable) return OK;
    bool good = fd >= 0 && write_text(fd, me);
    if (fd >= 0 && close(fd) != 0) good = false;
    if (good) return OK;
    Status st = FAIL(E_OUTPUT, "%s: cannot be written: %s", l->path, strerror(errno));
    unlink(mine);
    return st;
}

/* True when the lock is ours. Where the file system has no links, the file is made in place. */
static bool claim(const Lock *l, const char *mine, const Holder *me)
{
    struct stat s;
    if (link(mine, l->path) == 0 || (stat(mine, &s) == 0 && s.st_nlink == 2)) return true; /* NFS may lose the answer */
    if (errno == EEXIST || errno == ENOENT) return false;
    int fd = open(l->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return false;
    bool good = write_text(fd, me);
    close(fd);
    return good;
}

static Status refuse(const Lock *l, const Holder *h)
{
    if (!h->token[0]) return FAIL(E_OUTPUT, "%s: the folder is in use by a run that cannot be told", l->path);
    return FAIL(E_OUTPUT,
                "the folder is in use by another run: astroclip %s, process %ld on %s%s%s, since %s. Wait for it or "
                "choose another run.output; if it is gone, remove %s",
                h->doing, h->pid, h->host, h->job[0] ? ", job " : "", h->job, h->since, l->path);
}

static Status settle(Lock *l, const char *mine, const Holder *me)
{
    const char *inherited = getenv(lock_variable);
    double started = clock_now();
    for (;;) {
        Holder found;
        l->held = claim(l, mine, me);
        if (l->held) return OK;
        if (!read_holder(&found, l->path)) {
            if (clock_now() - started > PATIENCE)
                return FAIL(E_OUTPUT, "%s: cannot be made: %s", l->path, strerror(errno));
            continue; /* was released */
        }
        if (inherited && *inherited && strcmp(found.token, inherited) == 0) {
            snprintf(l->token, sizeof l->token, "%s", inherited);
            l->held = l->inherited = true;
            return OK;
        }
        Judgement j = judge(&found, l->path, mine);
        if (j == HELD || clock_now() - started > PATIENCE) return refuse(l, &found);
        if (j == STALE && take_over(l, mine, &found)) {
            l->held = true;
            return lock_is_mine(l) ? OK : refuse(l, &found);
        }
        pause_briefly();
    }
}

/* Removes files of make_own whose processes died before they could. One without text is of a process that died, or is about
   to write it: a moment decides. */
static void sweep(const Lock *l)
{
    char folder[LOCK_PATH], path[LOCK_PATH + 300];
    const char *name = strrchr(l->path, '/') + 1;
    const size_t length = strlen(name);
    snprintf(folder, sizeof folder, "%.*s", (int)(name - l->path), l->path);
    DIR *dir = opendir(folder);
    if (!dir) return;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        Holder h;
        if (strncmp(entry->d_name, name, length) != 0 || entry->d_name[length] != '.') continue;
        snprintf(path, sizeof path, "%s%.255s", folder, entry->d_name);
        if (strcmp(entry->d_name + length, guard_end) == 0 || !read_holder(&h, path)) continue;
        if (judge(&h, path, l->path) == STALE || (!h.token[0] && age_of(path, l->path) > LOCK_GRACE)) unlink(path);
    }
    closedir(dir);
}

Status lock_take(Lock *l, const char *folder, const char *doing)
{
    Holder me;
    char mine[LOCK_PATH + 160];
    bool writable = true;
    memset(l, 0, sizeof *l);
    if (snprintf(l->path, sizeof l->path, "%s/.astroclip.lock", folder) >= (int)sizeof l->path)
        return FAIL(E_CONFIG, "the path '%.60s...' is too long", folder);
    describe_self(&me, doing);
    snprintf(l->token, sizeof l->token, "%s", me.token);
    TRY(make_own(mine, &writable, l, &me));
    if (!writable) return OK;
    Status st = settle(l, mine, &me);
    if (l->held && !l->inherited) sweep(l);
    unlink(mine);
    return st;
}

void lock_beat(const Lock *l)
{
    if (l->held) utimensat(AT_FDCWD, l->path, NULL, 0);
}

bool lock_is_mine(const Lock *l)
{
    Holder now;
    return !l->held || !read_holder(&now, l->path) || !now.token[0] || strcmp(now.token, l->token) == 0;
}

void lock_release(Lock *l)
{
    if (l->held && !l->inherited && lock_is_mine(l)) unlink(l->path);
    l->held = false;
}

void lock_pass_on(const Lock *l)
{
    if (l->held) setenv(lock_variable, l->token, 1);
}
