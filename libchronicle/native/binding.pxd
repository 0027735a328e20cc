"""What another Cython module may cimport: the handles, and how a core error becomes a Python exception.

    from libchronicle.native.binding cimport Publisher, Subscriber, raise_reader, raise_writer
    from libchronicle.native.hot cimport chr_append, chr_frame, chr_next

    cdef chr_frame f
    n = chr_next(subscriber.r, &f)      # nogil; 1 frame, 0 nothing yet, < 0 error
    if n < 0:
        raise_reader(subscriber)

`w` and `r` are NULL once the handle is closed; open handles must be checked once, not per message.
"""

from libc.stdint cimport uint32_t, uint64_t

from libchronicle.native.hot cimport chr_control, chr_frame_header, chr_map, chr_reader, chr_writer


cdef class Mapping:
    cdef chr_map *map
    cdef str path       # of the queue
    cdef uint32_t seed  # of its checksums
    cdef bytes lender   # whose memory it is, of one that is no file's


cdef class Message:
    cdef const chr_frame_header *frame
    cdef Mapping mapping
    cdef Py_ssize_t size
    cdef const chr_frame_header *header(self) except NULL
    cdef int look(self) except -1
    cdef int refuse(self) except -1


cdef class Publisher:
    cdef chr_writer *w
    cdef readonly str path
    cdef readonly object config
    cdef int full_blocks
    cdef long long block_timeout_ns
    cdef int check(self) except -1
    cdef long long append_object(self, int type_id, object payload, long long ts_ns) except -1
    cdef chr_writer *leaving
    cdef int inside
    cdef chr_writer *enter(self) except NULL
    cdef void leave(self) noexcept
    cdef long long wait_or_raise(self, long long deadline) except -1
    cdef chr_control *control(self) except NULL


cdef class Subscriber:
    cdef chr_reader *r
    cdef chr_map *mapped
    cdef Mapping mapping
    cdef readonly str path
    cdef readonly object name
    cdef readonly object config
    cdef chr_reader *leaving
    cdef int inside
    cdef uint64_t row_bytes  # of a record, as drain_columns found them lately
    cdef object pending  # an error told by the next read: records that came before it went out first
    cdef chr_reader *enter(self) except NULL
    cdef void leave(self) noexcept
    cdef int check(self) except -1
    cdef int keep_error(self, bint later) except -1
    cdef int raise_pending(self) except -1
    cdef Message take(self)
    cdef int moved(self, int rc) except -1
    cdef int after(self, int rc) except -1
    cdef int remap(self) except -1
    cdef chr_control *control(self) except NULL


cdef int raise_writer(Publisher publisher) except -1
cdef int raise_reader(Subscriber subscriber) except -1
cdef Mapping map_file(int fd, uint64_t size)
cdef Mapping map_memory(uint64_t size)
cdef Mapping map_bytes(bytes data)
cdef int populate(Mapping mapping, uint64_t upto) except -1
