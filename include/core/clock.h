/* clock.h - nested wall clocks by name: clock_begin("read") ... clock_end("read"). par_print_clocks reduces them to min / mean /
   max over ranks and names the slowest rank. Local, main thread only, but for clock_now and signs of life. */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include <stdint.h>

enum { CLOCK_MAX = 48, CLOCK_NAME = 32, CLOCK_DEPTH = 16 };

typedef struct {
    char name[CLOCK_NAME];
    double seconds;
    int64_t count;
} Clock;

void clock_begin(const char *name);
void clock_end(const char *name);                 /* MUSTs that `name` is the innermost */
void clock_add(const char *name, double seconds); /* what another thread took */
double clock_now(void);                           /* monotonic seconds */
const Clock *clock_table(int *n_clocks);
const char *clock_innermost(void); /* "" outside all; what a watchdog prints */

/* Signs of life for the watchdog (par/watchdog.h), which reads them from its thread. Each start and end of a clock is
   one; clock_tick is for loops without clocks. Between clock_wait(file, line) and clock_wait(NULL, 0) this rank waits
   for others. */
void clock_tick(void);
void clock_wait(const char *file, int line);
uint64_t clock_ticks(void);
const char *clock_waiting(int *line); /* file name, NULL = does not wait */
void clock_reset(void);

#endif
