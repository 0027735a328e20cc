/* Segment files: made, opened, begun, sealed; and their seek index.
 *
 *   prepared   under its final name, zero but for a header without first_seq     (prepare thread, or the writer at a stall)
 *   begun      header complete                                                     (writer, just before it commits the padding of the one before)
 *   left       its last frame is a padding, or recovery has quarantined it
 *   sealed     the seal is written, once; not one byte changes after it           (clean thread, or recovery)
 *
 * A published file is never truncated nor made anew: one that is there already is opened, one of another queue is moved aside. In memory its pages may serve
 * another segment once it is removed and nobody has it (stock.c).
 */
#include "chr_core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void chr_segment_name(char out[32], uint64_t number, const char *suffix)
{
    snprintf(out, 32, "%09llu.%s", (unsigned long long)number, suffix);
}

bool chr_segment_there(const char *dir, uint64_t number)
{
    char name[32], path[640];
    chr_segment_name(name, number, "q");
    chr_join(path, sizeof path, dir, name);
    return access(path, F_OK) == 0;
}

bool chr_segment_header_valid(const chr_map *map, uint64_t queue_id)
{
    const chr_segment_header *h = (const chr_segment_header *)map->base;
    return h->magic == CHR_MAGIC_SEGMENT && h->version == CHR_FORMAT_VERSION && h->queue_id == queue_id && h->number == map->number &&
           h->size == map->size && h->features_incompat == 0 && h->crc == chr_checksum(h, offsetof(chr_segment_header, crc));
}

bool chr_segment_read_header(const char *dir, uint64_t number, uint64_t queue_id, chr_segment_header *out)
{
    char name[32], path[640];
    chr_segment_name(name, number, "q");
    chr_join(path, sizeof path, dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : pread(fd, out, sizeof *out, 0);
    if (fd >= 0)
        close(fd);
    return n == (ssize_t)sizeof *out && out->magic == CHR_MAGIC_SEGMENT && out->queue_id == queue_id && out->number == number &&
           out->crc == chr_checksum(out, offsetof(chr_segment_header, crc));
}

void chr_segment_write_header(uint8_t *base, uint64_t queue_id, uint32_t number, uint32_t size, uint64_t first_seq, int64_t first_ts, uint32_t prev_epoch)
{
    chr_segment_header h = {.magic = CHR_MAGIC_SEGMENT, .version = CHR_FORMAT_VERSION, .queue_id = queue_id, .number = number, .size = size};
    h.first_seq = first_seq;
    h.first_ts = first_ts;
    h.prev_epoch = prev_epoch;
    h.crc = chr_checksum(&h, offsetof(chr_segment_header, crc));
    memcpy(base, &h, sizeof h);
}

void chr_segment_begin(chr_map *map, uint64_t first_seq, int64_t first_ts, uint32_t prev_epoch)
{
    const chr_segment_header *h = (const chr_segment_header *)map->base;
    chr_segment_write_header(map->base, h->queue_id, map->number, (uint32_t)map->size, first_seq, first_ts, prev_epoch);
}

/* Another version says so under a checksum that holds; a single flipped bit is damage. */
static bool flipped(const chr_segment_header *h)
{
    return h->crc != chr_checksum(h, offsetof(chr_segment_header, crc)) &&
           __builtin_popcount(h->version ^ CHR_FORMAT_VERSION) + __builtin_popcount(h->features_incompat) == 1;
}

/* It bore this name when it was looked up, and was another segment by the time it was open. One that retention only removed meanwhile is as it was. */
static bool of_another(const chr_map *map, const char *path)
{
    const chr_segment_header *h = (const chr_segment_header *)map->base;
    bool same = h->magic == CHR_MAGIC_SEGMENT && h->number == map->number;
    return !same && !chr_same_file(map->fd, path);
}

/* The file as it is, whatever its header says. Here as elsewhere: an open of a pipe in a file's place must not wait. */
chr_map *chr_segment_map(const char *dir, uint64_t number, uint32_t size, bool writable, chr_error *e)
{
    char name[32], path[640];
    struct stat st;
    chr_segment_name(name, number, "q");
    chr_join(path, sizeof path, dir, name);
    int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        if (errno == EWOULDBLOCK && access(path, F_OK) == 0)
            errno = EWOULDBLOCK; /* somebody's lease; the writer hides a file before it takes one */
        chr_fail_sys(e, path, "open", 0);
        return NULL;
    }
    if (fstat(fd, &st) != 0 || (uint64_t)st.st_size < size) {
        close(fd);
        chr_fail(e, CHR_E_BROKEN, path, "shorter than its queue's segments", number, 0, 0);
        return NULL;
    }
    chr_map *map = chr_map_fd(fd, size, writable, (uint32_t)number);
    if (map == NULL) {
        chr_fail_sys(e, path, "map", size);
        return NULL;
    }
    if (of_another(map, path)) {
        chr_map_release_now(map);
        errno = ENOENT;
        chr_fail_sys(e, path, "open", 0);
        return NULL;
    }
    return map;
}

chr_map *chr_segment_open(const char *dir, uint64_t number, uint32_t size, uint64_t queue_id, bool writable, chr_error *e)
{
    char name[32], path[640];
    chr_map *map = chr_segment_map(dir, number, size, writable, e);
    if (map == NULL || chr_segment_header_valid(map, queue_id))
        return map;
    chr_segment_name(name, number, "q");
    chr_join(path, sizeof path, dir, name);
    const chr_segment_header *h = (const chr_segment_header *)map->base;
    if (h->magic == CHR_MAGIC_SEGMENT && (h->version != CHR_FORMAT_VERSION || h->features_incompat) && !flipped(h))
        chr_fail(e, CHR_E_VERSION, path, "segment", h->version, CHR_FORMAT_VERSION, 0);
    else
        chr_fail(e, CHR_E_CORRUPT, path, "segment header", number, 0, 0);
    chr_map_release_now(map);
    return NULL;
}

/* What another queue has left lying about is moved aside or begun anew. Where its control page stands it is not left: the directory was replaced under
 * this writer, which is about to find that out. */
static int left_over(const char *dir, uint64_t queue_id, chr_error *e)
{
    uint64_t stands = chr_control_queue(dir);
    return stands == 0 || stands == queue_id ? 0 : chr_fail(e, CHR_E_REPLACED, dir, NULL, stands, queue_id, 0);
}

/* Leftovers of another queue, or of a crash before the header was written, must not be used and must not be destroyed. */
static void move_aside(const char *path)
{
    char aside[700];
    snprintf(aside, sizeof aside, "%s.stale-%lld", path, (long long)chr_realtime_ns());
    rename(path, aside);
}

static int publish(const char *dir, const char *name, uint64_t size, const void *head, size_t head_size, chr_error *e)
{
    char temp[640], path[640], unique[96];
    chr_temp_name(unique, sizeof unique, name);
    chr_join(temp, sizeof temp, dir, unique);
    chr_join(path, sizeof path, dir, name);
    mode_t mode = chr_file_mode(dir);
    int fd = open(temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return chr_fail_sys(e, temp, "create", size);
    errno = chr_reserve_space(fd, size);
    if (errno != 0 || (fchmod(fd, mode) != 0 && errno != EPERM) || pwrite(fd, head, head_size, 0) != (ssize_t)head_size) {
        chr_fail_sys(e, path, "reserve", size);
        close(fd);
        unlink(temp);
        return -1;
    }
    int made = link(temp, path) == 0; /* unlike rename this never replaces a published file */
    if (!made)
        chr_fail_sys(e, path, "publish", size);
    unlink(temp);
    if (!made) {
        close(fd);
        return -1;
    }
    return fd;
}

chr_map *chr_segment_make(const char *dir, uint64_t number, uint32_t size, uint64_t queue_id, chr_error *e)
{
    char name[32], path[640];
    uint8_t header[sizeof(chr_segment_header)];
    if (number > CHR_SEGMENT_LAST) {
        chr_fail(e, CHR_E_CONTROL, dir, "marks beyond every segment", number, 0, 0);
        return NULL;
    }
    chr_segment_name(name, number, "q");
    chr_join(path, sizeof path, dir, name);
    if (access(path, F_OK) == 0) {
        chr_map *map = chr_segment_open(dir, number, size, queue_id, true, e);
        if (map != NULL && chr_load_acquire32((const uint32_t *)(map->base + CHR_SEGMENT_DATA)) == 0)
            return map;
        if (map != NULL) {
            chr_map_release_now(map);
            chr_fail(e, CHR_E_CORRUPT, path, "a segment to come holds frames already", number, CHR_SEGMENT_DATA, 0);
            return NULL;
        }
        if ((e->code != CHR_E_CORRUPT && e->code != CHR_E_BROKEN) || left_over(dir, queue_id, e) < 0)
            return NULL;
        move_aside(path);
    }
    chr_segment_write_header(header, queue_id, (uint32_t)number, size, CHR_SEQ_UNKNOWN, 0, 0);
    int fd = publish(dir, name, size, header, sizeof header, e);
    if (fd < 0)
        return NULL;
    chr_map *map = chr_map_fd(fd, size, true, (uint32_t)number);
    if (map == NULL)
        chr_fail_sys(e, path, "map", size);
    return map;
}

/* ---------------------------------------------------------------- seal */

bool chr_seal_valid(const chr_map *map)
{
    const chr_seal *s = (const chr_seal *)(map->base + sizeof(chr_segment_header));
    return s->magic == CHR_MAGIC_SEAL && s->crc == chr_checksum(s, offsetof(chr_seal, crc)) && s->end_offset <= map->size;
}

/* Walks the whole segment once: what a seal vouches for has been looked at. */
void chr_segment_seal(chr_map *map, uint32_t end, uint32_t flags, uint32_t crc_seed)
{
    const chr_seal *old = (const chr_seal *)(map->base + sizeof(chr_segment_header));
    if (chr_seal_valid(map) && (flags == 0 || (old->flags & CHR_SEAL_QUARANTINED)))
        return; /* only a seal that a power cut turned into a lie, for the bytes under it are gone, is replaced: by a quarantine */
    const chr_segment_header *h = (const chr_segment_header *)map->base;
    chr_seal s = {.magic = CHR_MAGIC_SEAL, .end_offset = end, .flags = flags, .last_seq = h->first_seq - 1, .last_ts = h->first_ts};
    uint64_t next;
    for (uint64_t at = CHR_SEGMENT_DATA; at < end; at = next) {
        const chr_frame_header *f = (const chr_frame_header *)(map->base + at);
        if (chr_examine(map->base, at, map->size, crc_seed, &next) != CHR_FRAME_OK)
            break; /* a bad frame inside: verify and readers will name it, the seal does not hide it */
        s.frames++;
        s.last_seq = f->seq;
        s.last_ts = f->ts_ns;
    }
    s.data_crc = chr_checksum(map->base + CHR_SEGMENT_DATA, end - CHR_SEGMENT_DATA);
    s.crc = chr_checksum(&s, offsetof(chr_seal, crc));
    memcpy(map->base + sizeof(chr_segment_header), &s, sizeof s);
}

/* The first valid frame at or behind `from`, before `upto`, with that seq or a higher one; 0 = there is none. A frame's copy inside a payload has a lower
 * seq than what it stands in. */
uint64_t chr_segment_next_good(const chr_map *map, uint32_t crc_seed, uint64_t from, uint64_t upto, uint64_t seq)
{
    uint64_t next;
    for (uint64_t at = from; at + CHR_FRAME_HEADER <= map->size && at < upto; at += CHR_ALIGN) {
        const chr_frame_header *f = (const chr_frame_header *)(map->base + at);
        if ((chr_load_acquire32(&f->commit) & ~CHR_LENGTH_MASK) == CHR_COMMIT_TAG && f->seq >= seq &&
            chr_examine_full(map->base, at, map->size, crc_seed, &next) == CHR_FRAME_OK)
            return at;
    }
    return 0;
}

/* ---------------------------------------------------------------- index */

static bool of_another_queue(int fd, uint64_t queue_id)
{
    chr_index_header is;
    return pread(fd, &is, sizeof is, 0) == (ssize_t)sizeof is && is.magic == CHR_MAGIC_INDEX && is.queue_id != queue_id;
}

chr_map *chr_index_open(const char *dir, uint64_t number, uint32_t size, uint64_t queue_id, bool writable, chr_error *e)
{
    char name[32], path[640];
    struct stat st;
    uint64_t bytes = chr_index_bytes(size);
    chr_segment_name(name, number, "idx");
    chr_join(path, sizeof path, dir, name);
    chr_index_header want = {.magic = CHR_MAGIC_INDEX, .queue_id = queue_id, .version = CHR_FORMAT_VERSION, .number = (uint32_t)number};
    want.slots = chr_index_slots(size);
    int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && writable && errno == ENOENT) {
        fd = publish(dir, name, bytes, &want, sizeof want, e);
        if (fd < 0)
            return NULL;
    }
    if (writable && fd >= 0 && of_another_queue(fd, queue_id) && left_over(dir, queue_id, e) < 0) {
        close(fd);
        return NULL;
    }
    bool there = fd >= 0 && fstat(fd, &st) == 0;
    if (there && (uint64_t)st.st_size < bytes) {
        errno = writable ? chr_reserve_space(fd, bytes) : EIO; /* only a hint: filled up, and begun anew below */
        there = errno == 0;
    }
    if (!there) {
        chr_fail_sys(e, path, "open", bytes);
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    chr_map *map = chr_map_fd(fd, bytes, writable, (uint32_t)number);
    if (map == NULL) {
        chr_fail_sys(e, path, "map", bytes);
        return NULL;
    }
    if (memcmp(map->base, &want, sizeof want) == 0)
        return map;
    if (!writable) {
        chr_map_release_now(map);
        chr_fail(e, CHR_E_CORRUPT, path, "index header", number, 0, 0);
        return NULL;
    }
    memset(map->base, 0, bytes); /* only a hint: begin it anew */
    memcpy(map->base, &want, sizeof want);
    return map;
}

static void put_entry(chr_map *index, uint64_t slot, const chr_map *segment, uint64_t offset)
{
    const chr_frame_header *f = (const chr_frame_header *)(segment->base + offset);
    chr_index_entry entry = {.seq = f->seq, .ts_ns = f->ts_ns, .offset = (uint32_t)offset};
    entry.crc = chr_checksum(&entry, offsetof(chr_index_entry, crc));
    memcpy(index->base + sizeof(chr_index_header) + slot * sizeof entry, &entry, sizeof entry);
}

/* Every entry up to that slot; a power cut may have taken some of its pages. */
bool chr_index_whole(const chr_map *index, uint64_t last_slot)
{
    const chr_index_entry *entry = (const chr_index_entry *)(index->base + sizeof(chr_index_header));
    for (uint64_t slot = 0; slot <= last_slot; slot++, entry++)
        if (entry->offset == 0 || entry->crc != chr_checksum(entry, offsetof(chr_index_entry, crc)))
            return false;
    return true;
}

/* A lost or damaged index, made again from the segment. */
void chr_index_rebuild(chr_map *index, const chr_map *segment, uint32_t crc_seed, uint64_t upto)
{
    uint64_t next, last = CHR_SEGMENT_DATA, slot = 0;
    for (uint64_t at = CHR_SEGMENT_DATA; at < upto; at = next) {
        const chr_frame_header *f = (const chr_frame_header *)(segment->base + at);
        if (chr_examine_full(segment->base, at, segment->size, crc_seed, &next) != CHR_FRAME_OK || f->type_id == CHR_TYPE_PADDING)
            break;
        for (; slot * CHR_STEP <= at; slot++)
            put_entry(index, slot, segment, slot * CHR_STEP == at || slot == 0 ? at : last);
        last = at;
    }
}

/* Slot i names a committed frame at or before byte i * 64 KiB: the last one known when the writer passed that byte. */
void chr_index_fill(chr_map *index, uint64_t first_slot, uint64_t last_slot, const chr_map *segment, uint64_t offset)
{
    uint64_t slots = chr_index_slots((uint32_t)segment->size);
    if (index == NULL || offset == 0)
        return;
    if (first_slot <= 1)
        put_entry(index, 0, segment, CHR_SEGMENT_DATA);
    for (uint64_t slot = first_slot ? first_slot : 1; slot <= last_slot && slot < slots; slot++)
        put_entry(index, slot, segment, offset);
}
