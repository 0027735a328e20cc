/* Is the writer there? Asked from outside; takes no lock, repairs nothing.
 *
 *   lock lost          nobody holds the lock on control.meta (probed, which takes nothing on Linux)
 *   heartbeat stale    the lock is held, but the loop that appends has not said so for ttl
 *   segment missing    the segment under the cursor, or the head's, has left the directory (not by retention)
 *   queue replaced     control.meta is another file, or is gone
 */
#include "chr_core.h"

#include <string.h>

/* One that was never made, is of another boot, or lies in the future (a damaged page, or a stranger's) says nothing: it must neither keep a writer alive
 * nor hold back retention for ever. */
int64_t chr_beat_age(const uint8_t boot_then[16], const uint8_t boot_now[16], int64_t beat_ns)
{
    int64_t now = chr_monotonic_ns();
    if (memcmp(boot_then, boot_now, 16) != 0 || beat_ns <= 0 || beat_ns > now)
        return INT64_MAX;
    return now - beat_ns;
}

int64_t chr_heartbeat_age(const chr_control *c)
{
    uint8_t boot[16];
    chr_boot_id(boot);
    return chr_beat_age(c->boot_id, boot, (int64_t)chr_load_relaxed64((const uint64_t *)&c->heartbeat_ns));
}

int chr_reader_disconnect(chr_subscriber *s, int64_t ttl_ns)
{
    char path[640];
    const chr_control *c = (const chr_control *)s->pages.control->base;
    chr_join(path, sizeof path, s->dir, "control.meta");
    if (!chr_same_file(s->pages.fd, path))
        return CHR_GONE_REPLACED;
    uint64_t head = chr_load_acquire64(&c->head) / s->segment_size, oldest = chr_load_acquire64(&c->oldest);
    uint32_t here = s->hot.map->number;
    bool removed = here >= oldest && !chr_segment_there(s->dir, here) && here >= chr_load_acquire64(&c->oldest);
    if (removed || !chr_segment_there(s->dir, head))
        return CHR_GONE_SEGMENT;
    if (!chr_lock_probe(s->pages.fd))
        return CHR_GONE_LOCK;
    return chr_heartbeat_age(c) > ttl_ns ? CHR_GONE_STALE : CHR_GONE_NOT;
}
