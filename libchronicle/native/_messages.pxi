"""Mapping and Message. Included by binding.pyx.

A file cut short under a mapping: what lay behind the cut reads as zeros (the SIGBUS handler of map.c), which must not be taken for data. A message
looks before it hands anything out and raises Broken; a view that was handed out before shows zeros from then on and cannot tell.
"""

@cython.final
@cython.no_gc
cdef class Mapping:
    """Keeps one mapped file alive."""

    def __dealloc__(self):
        if self.map != NULL:
            chr_map_release(self.map)


cdef chr_frame_header _NO_FRAME  # what a Message shows that never came from a queue
memset(&_NO_FRAME, 0, sizeof(_NO_FRAME))
_NO_FRAME.commit = CHR_COMMIT_TAG


@cython.final
@cython.freelist(1024)
@cython.no_gc
cdef class Message:
    """One record. Speaks the buffer protocol without a copy; the mapping lives as long as the message or a view of it.

    Raises Broken when the segment's file was truncated, or cannot be read, where this record stood.
    """

    def __cinit__(self):
        self.frame = &_NO_FRAME

    def __init__(self):
        raise TypeError("messages come from a Subscriber")

    cdef const chr_frame_header *header(self) except NULL:
        """A record's commit word is never 0, but where the file has lost it."""
        if self.frame.commit == 0:
            self.refuse()
        return self.frame

    cdef int look(self) except -1:
        """Before bytes are handed out: touch every page, so that what is gone shows now; then only a record that still checks may pass."""
        if self.mapping is not None:
            chr_touch(self.frame, 32 + self.size)
            if self.mapping.map.broken or self.frame.commit == 0:
                self.check()
        return 0

    cdef int refuse(self) except -1:
        where = self.mapping.path  # of a queue's directory, or of a file of the archive
        if not where.endswith((".q", ".zst")):
            where = f"{where}/{self.mapping.map.number:09d}.q"
        raise errors.Broken(path=where, reason="the bytes of a record that was read are gone")

    def check(self):
        """Verify the checksum again: for who keeps messages for long. Raises Broken."""
        cdef uint64_t following = 0
        cdef chr_map *map
        if self.mapping is None:
            return
        map = self.mapping.map
        chr_touch(self.frame, 32 + self.size)
        if chr_examine_full(map.base, <const uint8_t *>self.frame - map.base, map.size, self.mapping.seed, &following) != CHR_FRAME_OK:
            self.refuse()

    @property
    def seq(self):
        return self.header().seq

    @property
    def ts_ns(self):
        return self.header().ts_ns

    @property
    def type_id(self):
        return self.header().type_id

    @property
    def epoch(self):
        return self.header().epoch

    @property
    def flags(self):
        return self.header().flags

    @property
    def payload(self):
        """memoryview of the payload, zero copy."""
        return memoryview(self)

    def __len__(self):
        return self.size

    def __bytes__(self):
        self.look()
        return PyBytes_FromStringAndSize(<const char *>(self.frame + 1), self.size)

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        self.look()
        PyBuffer_FillInfo(buffer, self, <void *>(self.frame + 1), self.size, 1, flags)

    def __releasebuffer__(self, Py_buffer *buffer):
        pass

    def __repr__(self):
        return f"Message(seq={self.seq}, type_id={self.type_id}, ts_ns={self.ts_ns}, epoch={self.epoch}, size={self.size})"
