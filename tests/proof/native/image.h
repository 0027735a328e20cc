/* What a disk may hold after the power went: built from a trace of steps.h, by the rules that POSIX leaves.
 *
 * Every 512-byte sector of every file holds what it held at some moment between the file's last sync and the cut; every change of a directory since its
 * last sync may be there or not; a file that was never synced may have no size yet. Sectors, not bytes, are whole.
 */
#ifndef IMAGE_H
#define IMAGE_H

#include "steps.h"

typedef enum {
    IMAGE_WHOLE,         /* all that was stored reached the disk */
    IMAGE_SYNCED,        /* only what was synced */
    IMAGE_PAGES,         /* each page new or old */
    IMAGE_PAGES_BETWEEN, /* each page of any moment between */
    IMAGE_TORN,          /* each sector of any moment between */
    IMAGE_CONTROL_NEW,   /* control and reader pages new, data old */
    IMAGE_CONTROL_OLD,   /* data new, control and reader pages old */
    IMAGE_ONE_PAGE,      /* all new but one page in 8 */
    IMAGE_MODES
} image_mode;

void image_write(const char *into, uint64_t seed, image_mode mode, uint64_t cut);

#endif
