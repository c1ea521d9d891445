/* lock.h - one writer per output folder: FOLDER/.astroclip.lock says who writes, on which host, for which job.

   The file is made under a name of its own and linked to the final one, which exactly one process can do, on NFS and
   Lustre too. Its holder touches it every second (lock_beat). It is stale when the holder's process is gone from this
   host and the last touch is LOCK_GRACE old, or, from another host, when the last touch is LOCK_STALE old; ages are
   differences of times that the file system gave, so that clocks need not agree. A stale lock is replaced, and the log
   says so.

   `astroclip run` holds the lock for the whole chain and tells its stages in the environment (ASTROCLIP_LOCK); they
   touch it and leave it in place. Local, and for one process only: rank 0. */
#ifndef CORE_LOCK_H
#define CORE_LOCK_H

#include "core/fail.h"

enum { LOCK_PATH = 1100, LOCK_TOKEN = 128, LOCK_GRACE = 3 /* seconds */, LOCK_STALE = 600 /* seconds */ };

typedef struct {
    char path[LOCK_PATH];
    char token[LOCK_TOKEN]; /* what the file says when it is ours */
    bool held;              /* false also where nobody can write: then there is nothing to lock */
    bool inherited;         /* from `astroclip run`: not ours to remove */
} Lock;

/* Takes the lock of a folder that exists. `doing` ("embed") is what the others are told. E_OUTPUT names the holder. */
Status lock_take(Lock *l, const char *folder, const char *doing);

/* From any thread: says that the holder lives; is the lock still ours (or gone with its folder)? */
void lock_beat(const Lock *l);
bool lock_is_mine(const Lock *l);

/* Removes the file if it is ours. Twice-safe. */
void lock_release(Lock *l);

extern const char lock_variable[]; /* of the environment: "ASTROCLIP_LOCK" */

/* For `astroclip run`: processes started from now on inherit the lock. */
void lock_pass_on(const Lock *l);

#endif
