/* The clean thread's work for a writer: seal, sync, unmap what it left; then retention. */
#include "chr_core.h"

#include <stdlib.h>
#include <unistd.h>

static chr_retired *take_retired(chr_publisher *p)
{
    chr_retired *stack = __atomic_exchange_n(&p->retired, NULL, __ATOMIC_ACQUIRE), *ordered = NULL;
    while (stack != NULL) { /* oldest first */
        chr_retired *next = stack->next;
        stack->next = ordered;
        ordered = stack;
        stack = next;
    }
    return ordered;
}

int64_t chr_clean_run(void *owner)
{
    chr_publisher *p = owner;
    for (chr_retired *r = take_retired(p), *next; r != NULL; r = next) {
        next = r->next;
        chr_segment_seal(r->segment, r->end, 0, p->hot.crc_seed);
        chr_map_release_now(r->segment);
        chr_map_release_now(r->index);
        free(r);
    }
    return 1000000000;
}

int chr_budget_admit(chr_publisher *p, chr_error *e)
{
    (void)p;
    (void)e;
    return 0;
}

int chr_writer_flush(chr_writer *w, bool all)
{
    chr_publisher *p = (chr_publisher *)w;
    (void)all;
    if (fdatasync(p->segment->fd) != 0)
        return chr_fail_sys(&w->error, p->dir, "sync", 0);
    return 0;
}
