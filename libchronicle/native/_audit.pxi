"""One segment looked at whole, by the core's own walk. Included by binding.pyx."""

_FOUND = {
    CHR_FOUND_FRAME: "frame",
    CHR_FOUND_SEQ: "seq",
    CHR_FOUND_EPOCH: "epoch",
    CHR_FOUND_TIME: "time",
    CHR_FOUND_LOST: "lost",
    CHR_FOUND_BAD_LOST: "bad lost",
    CHR_FOUND_TRAIL: "trail",
    CHR_FOUND_PADDING: "padding",
    CHR_FOUND_SEAL: "seal",
}
_SEALS = {CHR_SEAL_NONE: "none", CHR_SEAL_GOOD: "good", CHR_SEAL_CLOSED: "quarantined", CHR_SEAL_BAD: "bad"}
_SEAL_PARTS = {1: "end", 2: "frame count", 3: "last seq", 4: "last time", 5: "checksum of the data"}

_MENDED = {
    CHR_MENDED_CONTROL: "control page built anew from the segments",
    CHR_MENDED_NOTIFY: "notify page written anew",
    CHR_MENDED_HEADER: "segment header or length restored",
    CHR_MENDED_MARKS: "marks of the control page not gone by",
}


cdef str mended_words(uint32_t flags):
    return ", ".join([words for flag, words in _MENDED.items() if flags & flag])


@cython.final
cdef class Audit:
    """Carries what is due next from one segment to the next."""

    cdef chr_audit state

    def __cinit__(self):
        memset(&self.state, 0, sizeof(chr_audit))

    @property
    def next_seq(self):
        """Seq that is due next; None before the first record."""
        return self.state.seq if self.state.known else None

    @property
    def last_epoch(self):
        return self.state.epoch

    @property
    def last_ts_ns(self):
        return self.state.ts_ns

    def expect(self, uint64_t seq, int64_t ts_ns, uint32_t epoch):
        """What a segment's header says of the records before it."""
        self.state.seq = seq
        self.state.ts_ns = ts_ns
        self.state.epoch = epoch
        self.state.known = 1

    def segment(self, int fd, uint64_t bytes, uint32_t segment_size, uint64_t queue_id, upto=None):
        """Every frame of the segment open as `fd` (closed here), of which `bytes` are there, and its seal; as a dict.

        `upto` is the offset of the head where a writer may be at work: nothing at or behind it is judged.
        """
        cdef uint64_t limit = <uint64_t>0xFFFFFFFFFFFFFFFF if upto is None else upto
        cdef uint32_t seed = chr_crc_seed(queue_id)
        cdef Mapping mapping = map_file(fd, bytes)
        with nogil:
            chr_map_populate(mapping.map, 0, bytes, False)
            chr_audit_segment(&self.state, mapping.map.base, bytes, segment_size, seed, limit)
        if mapping.map.broken:
            raise errors.Broken(path="", reason="its bytes cannot be read")
        return self.result()

    def index(self, int index_fd, int fd, uint64_t bytes, uint32_t segment_size, uint32_t number, uint64_t queue_id):
        """The index of the segment just looked at (both descriptors are closed here): whether its header holds, entries that are empty and that are wrong."""
        cdef Mapping segment = map_file(fd, bytes)
        cdef Mapping index = map_file(index_fd, chr_index_bytes(segment_size))
        with nogil:
            chr_audit_index(&self.state, index.map.base, segment.map.base, bytes, segment_size, number, queue_id)
        return bool(self.state.index_header), self.state.index_empty, self.state.index_bad

    cdef dict result(self):
        cdef chr_audit *a = &self.state
        cdef uint32_t i
        findings = []
        for i in range(min(a.found, <uint32_t>CHR_FINDINGS)):
            f = a.findings[i]
            detail = ""
            if f.kind == CHR_FOUND_FRAME:
                detail = (<bytes>chr_verdict_text(-<int>f.detail)).decode()
            elif f.kind == CHR_FOUND_SEAL:
                detail = _SEAL_PARTS[f.detail]
            findings.append((_FOUND[f.kind], detail, f.offset, f.until, f.seq, f.to_seq))
        return {
            "frames": a.frames,
            "payload_bytes": a.payload_bytes,
            "lost": a.lost,
            "end": a.end,
            "ended": a.stopped == CHR_FRAME_OK,
            "seal": _SEALS[a.seal],
            "seal_end": a.seal_end,
            "seal_last_seq": a.seal_last_seq,
            "tail_clean": bool(a.tail_clean),
            "found": a.found,
            "findings": findings,
        }


def frame_at(int fd, uint32_t segment_size, uint64_t offset, uint64_t queue_id):
    """Seq of the frame at `offset` of the segment open as `fd` (closed here); None if none that holds stands there."""
    cdef uint64_t following = 0
    cdef uint64_t seq = 0
    cdef int verdict = 0
    cdef Mapping mapping = map_file(fd, segment_size)
    if offset >= 128 and offset % 32 == 0 and offset + 32 <= segment_size:
        verdict = chr_examine_full(mapping.map.base, offset, segment_size, chr_crc_seed(queue_id), &following)
        seq = (<const chr_frame_header *>(mapping.map.base + offset)).seq
    return seq if verdict == CHR_FRAME_OK else None


def parse_notify(bytes page not None):
    """The facts of notify.meta as a dict; None if these bytes are none."""
    cdef const chr_notify *n = <const chr_notify *><const char *>page
    if len(page) < 24 or n.magic != CHR_MAGIC_NOTIFY:
        return None
    return {"word": n.word, "queue_id": n.queue_id}


def reader_slots(bytes page not None):
    """Both slots of a reader page: "ok", "blank" (never written) or "bad"."""
    cdef const uint8_t *base = <const uint8_t *><const char *>page
    states = []
    for at in (64, 128):
        slot = page[at : at + 64]
        good = slot[:8] != bytes(8) and chr_checksum(base + <size_t>at, 60) == int.from_bytes(slot[60:64], "little")
        states.append("ok" if good else "bad" if slot.strip(b"\0") else "blank")
    return tuple(states)


# ---------------------------------------------------------------- single mendings, for `repair`

cdef int raise_if(int rc, chr_error *e, str path) except -1:
    if rc < 0:
        raise as_exception(e, path, None)
    return rc


def mend_notify(str path, uint64_t queue_id):
    """Write notify.meta anew if it is not this queue's; whether it had to be."""
    cdef chr_error e
    cdef bytes where = os.fsencode(path)
    return raise_if(chr_notify_mend(where, queue_id, &e), &e, path) > 0


def mend_segment(str path, uint64_t number, uint32_t segment_size, uint64_t queue_id):
    """Fill the segment up to its size and write its header anew if it does not hold; False: no record tells what it was."""
    cdef chr_error e
    cdef bytes where = os.fsencode(path)
    memset(&e, 0, sizeof(e))
    cdef chr_map *map = chr_segment_mend(where, number, segment_size, queue_id, &e)
    if map == NULL and e.code == CHR_E_NO_SPACE:
        raise as_exception(&e, path, None)
    chr_map_release(map)
    return map != NULL


def seal_segment(str path, uint64_t number, uint32_t segment_size, uint64_t queue_id, uint32_t end, bint quarantined):
    """Seal the segment anew, its records ending at `end`; `quarantined`: readers go on in the next one there."""
    cdef chr_error e
    cdef bytes where = os.fsencode(path)
    cdef chr_map *map = chr_segment_open(where, number, segment_size, queue_id, True, &e)
    raise_if(0 if map != NULL else -1, &e, path)
    memset(map.base + sizeof(chr_segment_header), 0, sizeof(chr_seal))
    chr_segment_seal(map, end, CHR_SEAL_QUARANTINED if quarantined else 0, chr_crc_seed(queue_id))
    chr_map_release(map)


def rebuild_index(str path, uint64_t number, uint32_t segment_size, uint64_t queue_id, uint64_t end):
    """Make the segment's index anew from its records below `end`."""
    cdef chr_error e
    cdef bytes where = os.fsencode(path)
    cdef chr_map *index
    cdef chr_map *segment = chr_segment_open(where, number, segment_size, queue_id, False, &e)
    raise_if(0 if segment != NULL else -1, &e, path)
    index = chr_index_open(where, number, segment_size, queue_id, True, &e)
    if index != NULL:
        memset(index.base + 32, 0, index.size - 32)
        chr_index_rebuild(index, segment, chr_crc_seed(queue_id), end)
        chr_map_release(index)
    chr_map_release(segment)
    raise_if(0 if index != NULL else -1, &e, path)
