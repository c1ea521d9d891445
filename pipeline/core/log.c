/* log.c - lines on stderr, each with the seconds since the start. */
#include "core/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "core/clock.h"

static int my_rank, all_ranks = 1;
static double started;
static bool silent;

void log_init(int rank, int n_ranks)
{
    my_rank = rank;
    all_ranks = n_ranks;
    started = clock_now();
}

void log_quiet(bool quiet) { silent = quiet; }
double log_elapsed(void) { return started > 0 ? clock_now() - started : 0; }

/* One write per line, so that lines of several ranks do not mix. */
static void print_line(const char *prefix, const char *format, va_list args)
{
    char line[2048];
    int used = snprintf(line, sizeof line, "[%7.1fs] %s", log_elapsed(), prefix);
    int more = vsnprintf(line + used, sizeof line - (size_t)used, format, args);
    used += more;
    if (used > (int)sizeof line - 2) used = (int)sizeof line - 2;
    line[used++] = '\n';
    fwrite(line, 1, (size_t)used, stderr);
}

void log_info(const char *format, ...)
{
    if (my_rank != 0 || silent) return;
    va_list args;
    va_start(args, format);
    print_line("", format, args);
    va_end(args);
}

void log_warn(const char *format, ...)
{
    if (my_rank != 0 || silent) return;
    va_list args;
    va_start(args, format);
    print_line("warning: ", format, args);
    va_end(args);
}

void log_rank(const char *format, ...)
{
    if (silent) return;
    char prefix[32] = "";
    if (all_ranks > 1) snprintf(prefix, sizeof prefix, "rank %d: ", my_rank);
    va_list args;
    va_start(args, format);
    print_line(prefix, format, args);
    va_end(args);
}

void progress_start(Progress *p, const char *what, const char *unit, int64_t total)
{
    *p = (Progress){.what = what, .unit = unit, .total = total, .started = clock_now()};
    p->printed = p->started;
}

void progress_set(Progress *p, int64_t count)
{
    p->count = count;
    double now = clock_now(), gone = now - p->started;
    if (my_rank != 0 || now - p->printed < (isatty(STDERR_FILENO) ? 1.0 : 10.0) || gone <= 0) return;
    p->printed = now;
    double rate = (double)count / gone;
    log_info("%s: %lld/%lld %s  %.3g/s  %.0f s left", p->what, (long long)count, (long long)p->total, p->unit, rate,
             rate > 0 ? (double)(p->total - count) / rate : 0.0);
}

void progress_stop(Progress *p)
{
    double gone = clock_now() - p->started;
    log_info("%s: %lld %s in %.1f s (%.3g/s)", p->what, (long long)p->total, p->unit, gone,
             gone > 0 ? (double)p->total / gone : 0.0);
}
