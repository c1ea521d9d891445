/* verify.h - what `astroclip inspect --verify` recomputes: checksums, the ledger, ranges, NaN and flags. Local. */
#ifndef STAGES_VERIFY_H
#define STAGES_VERIFY_H

#include "io/artefact.h"

/* An open artefact of ours. Prints a line per check; E_INPUT when one does not hold. */
Status verify_h5(H5File *f, const Envelope *e, Arena *a);
Status verify_fits(FitsFile *f, Arena *a);

#endif
