from libc.stdint cimport uint64_t

from libchronicle.sim.paper_feed cimport MarketReader


cdef class RecordedMarket(MarketReader):
    cdef object queue
    cdef object records            # the iteration in progress, None after a seek
    cdef object held               # the payload that the last frame points into
    cdef uint64_t next_seq
    cdef uint64_t limit            # no record from here on may be read yet
    cdef uint64_t start
