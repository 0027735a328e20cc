/* The kill word as a hot loop sees it: one load. See kill_word.py for the file. */
#ifndef CHR_KILLSWITCH_H
#define CHR_KILLSWITCH_H

#include "chr_atomic.h"

#define CHR_TRADING_ALLOWED 0x574F4C4C41524843ull /* "CHRALLOW" */

/* Anything but the one word that allows is killed: zeros, garbage, a half-made file. */
static inline int chr_killed(const uint64_t *word) { return chr_load_relaxed64(word) != CHR_TRADING_ALLOWED; }

#endif
