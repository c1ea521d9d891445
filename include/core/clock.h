/* clock.h - nested wall clocks by name: clock_begin("read") ... clock_end("read"). par_print_clocks reduces them to min / mean /
   max over ranks and names the slowest rank. Local, main thread only. */
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
void clock_end(const char *name); /* MUSTs that `name` is the innermost */
double clock_now(void);           /* monotonic seconds */
const Clock *clock_table(int *n_clocks);
const char *clock_innermost(void); /* "" outside all; what a watchdog prints */
void clock_reset(void);

#endif
