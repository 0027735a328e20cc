/* fileno(): one native thread per process turns futex words into eventfds, for epoll and asyncio. */
#include "chr_core.h"

#include <unistd.h>

int chr_reader_fileno(chr_reader *r)
{
    chr_subscriber *s = (chr_subscriber *)r;
    return chr_fail(&r->error, CHR_E_HOST, s->dir, "fileno is not there yet", 0, 0, 0);
}

void chr_reader_forget_fd(chr_subscriber *s)
{
    if (s->event_fd >= 0)
        close(s->event_fd);
    s->event_fd = -1;
}
