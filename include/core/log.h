/* log.h - what the program says while it works, all on stderr (stdout is for asked-for results).

   log_info prints once (rank 0); log_rank prints from any rank with its number; log_warn prints once, marked.
   Each line: "[  12.3s] text". A Progress line comes at most every 10 s in a batch job, every second on a terminal. */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include <stdbool.h>
#include <stdint.h>

void log_init(int rank, int n_ranks); /* Local. Starts the clock that stamps lines. */
void log_quiet(bool quiet);           /* Local. Tests silence log_info. */
double log_elapsed(void);             /* seconds since log_init */
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_rank(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "embed: 10240/512000 rows  2.1e4/s  24 s left", from rank 0. */
typedef struct {
    const char *what; /* "embed"; borrowed */
    const char *unit; /* "rows"; borrowed  */
    int64_t total, count;
    double started, printed; /* seconds */
} Progress;

void progress_start(Progress *p, const char *what, const char *unit, int64_t total);
void progress_set(Progress *p, int64_t count);
void progress_stop(Progress *p); /* the closing line: total, seconds, rate */

#endif
