/* watchdog.h - a thread beside each rank's main one that looks at the clock: it ends a job that hangs, one that does not
   stop when told to, and one whose time is up; and it touches the lock of the output folder.

   A rank hangs when it shows no sign of life (core/clock.h: clocks, units of work, agreements) for the time given;
   twice that where it waits for the others, who may have more to do. It prints its rank and innermost clock and ends the
   process with E_STALLED, whereupon the launcher ends the others; each of them says where it was. The thread calls
   neither MPI nor HDF5. */
#ifndef PAR_WATCHDOG_H
#define PAR_WATCHDOG_H

#include "core/lock.h"
#include "par/par.h"

typedef struct {
    double stall_seconds; /* 0 = never                                       */
    double stop_seconds;  /* between being told to stop and giving up the unit in hand */
    double limit_seconds; /* since log_init: then as by SIGUSR1; 0 = no limit */
    Lock *lock;           /* of rank 0; NULL = none                           */
} WatchdogConfig;

/* Local. `config` is copied. One at a time. */
Status watchdog_start(const Par *par, const WatchdogConfig *config);
void watchdog_stop(void); /* twice-safe */

#endif
