"""Pages as bytes, for `inspect` and `verify`: no lock taken, nothing mapped. Included by binding.pyx."""

def parse_control(bytes page not None):
    """The facts of a control page as a dict; None if these bytes are none."""
    cdef const chr_control *c = <const chr_control *><const char *>page
    if len(page) < sizeof(chr_control) or c.magic != CHR_MAGIC_CONTROL:
        return None
    facts = control_metrics(<chr_control *>c)
    facts.update(
        version=c.version,
        queue_id=c.queue_id,
        segment_size=c.segment_size,
        created_ns=c.created_ns,
        sound=c.crc == chr_checksum(c, 60),
        last_ts_ns=c.last_ts,
        pid=c.pid,
        start_time=c.start_time,
        closed=bool(c.closed),
        heartbeat_age_ns=chr_heartbeat_age(c),
        heartbeat_real_ns=c.heartbeat_real_ns,
        checked=c.checked,
        touched=c.touched,
        budget_bytes=c.budget_bytes,
        max_lag_bytes=c.max_lag_bytes,
        on_full=("fail", "block", "evict")[c.on_full % 3],
        reader_ttl_ns=c.reader_ttl_ns,
        durable=tuple([os.fsdecode(name) for name in (<bytes>c.durable[:min(c.durable_size, CHR_DURABLE_BYTES)]).split(b"\0") if name]),
    )
    return facts


def parse_reader(bytes page not None):
    """The facts of a reader page as a dict; None if these bytes are none. `slot` says which of the two holds, -1 none yet, -2 both bad."""
    cdef const chr_reader_page *r = <const chr_reader_page *><const char *>page
    cdef chr_slot slot
    cdef uint64_t generation = 0
    cdef int which
    cdef uint8_t boot[16]
    if len(page) < sizeof(chr_reader_page) or r.magic != CHR_MAGIC_READER:
        return None
    memset(&slot, 0, sizeof(slot))
    chr_boot_id(boot)
    which = chr_page_read(r, &slot, &generation)
    return {
        "version": r.version,
        "pid": r.pid,
        "start_time": r.start_time,
        "boot_id": (<bytes>(<const char *>r.boot_id)[:16]),
        "heartbeat_ns": r.heartbeat_ns,
        "heartbeat_age_ns": chr_beat_age(r.boot_id, boot, r.heartbeat_ns),
        "slot": which,
        "generation": generation,
        "queue_id": slot.queue_id,
        "position": slot.position,
        "seq": slot.seq,
        "epoch": slot.epoch,
    }


def parse_segment(bytes head not None):
    """Header and seal (the first 128 bytes of a segment) as a dict; None if these bytes are none."""
    cdef const chr_segment_header *h = <const chr_segment_header *><const char *>head
    cdef const chr_seal *s = <const chr_seal *>(<const char *>head + sizeof(chr_segment_header))
    if len(head) < 128 or h.magic != CHR_MAGIC_SEGMENT:
        return None
    sealed = s.magic == CHR_MAGIC_SEAL and s.crc == chr_checksum(s, 56)
    return {
        "version": h.version,
        "queue_id": h.queue_id,
        "number": h.number,
        "size": h.size,
        "begun": h.first_seq != CHR_SEQ_UNKNOWN,
        "first_seq": h.first_seq,
        "first_ts_ns": h.first_ts,
        "prev_epoch": h.prev_epoch,
        "sound": h.crc == chr_checksum(h, 56),
        "sealed": sealed,
        "quarantined": sealed and bool(s.flags & CHR_SEAL_QUARANTINED),
        "end_offset": s.end_offset if sealed else 0,
        "last_seq": s.last_seq if sealed else 0,
        "last_ts_ns": s.last_ts if sealed else 0,
        "frames": s.frames if sealed else 0,
        "data_crc": s.data_crc if sealed else 0,
    }


def lock_held(int fd):
    """Does any process hold the OFD lock of this file? Takes none."""
    return bool(chr_lock_probe(fd))


def boot_id():
    """16 bytes that differ from one start of the machine to the next; all zero where the host does not tell."""
    cdef uint8_t out[16]
    chr_boot_id(out)
    return (<char *>out)[:16]


def platform_facts(int fd):
    """What works for files such as `fd`, which must be empty and open for writing: name -> 0, or the errno it is refused with."""
    cdef chr_platform_facts facts
    with nogil:
        chr_platform_probe(fd, &facts)
    return {
        "reserve": facts.reserve,
        "prefault": facts.prefault,
        "lock": facts.lock,
        "shared_words": facts.shared_words,
        "many_words": facts.many_words,
    }


cdef Mapping map_file(int fd, uint64_t size):
    """`fd`, which now belongs to the mapping, mapped read-only. A file cut short reads as zeros instead of raising SIGBUS."""
    cdef Mapping mapping = Mapping.__new__(Mapping)
    mapping.map = chr_map_fd(fd, size, False, 0)
    if mapping.map == NULL:
        raise OSError(errno, os.strerror(errno))
    return mapping


cdef Mapping map_memory(uint64_t size):
    """Zeroed memory of that size, writable, that messages may point into like into a file."""
    cdef Mapping mapping = Mapping.__new__(Mapping)
    mapping.map = chr_map_fd(-1, size, True, 0)
    if mapping.map == NULL:
        raise OSError(errno, os.strerror(errno))
    return mapping


cdef Mapping map_bytes(bytes data):
    """`data` as it lies, read-only: nothing is copied."""
    cdef Mapping mapping = Mapping.__new__(Mapping)
    mapping.map = chr_map_lent(<uint8_t *>PyBytes_AS_STRING(data), <uint64_t>PyBytes_GET_SIZE(data))
    if mapping.map == NULL:
        raise OSError(errno, os.strerror(errno))
    mapping.lender = data
    return mapping


cdef int populate(Mapping mapping, uint64_t upto) except -1:
    """Fault the pages of the first `upto` bytes in, at once."""
    with nogil:
        chr_map_populate(mapping.map, 0, upto, False)
    return 0


def verdict_text(int verdict):
    """What is wrong with a frame, in a word or two."""
    return (<bytes>chr_verdict_text(verdict)).decode()
