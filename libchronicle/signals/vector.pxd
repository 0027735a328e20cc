from libc.stdint cimport int64_t, uint64_t

from libchronicle.book.l2 cimport L2Book
from libchronicle.native.hot cimport chr_frame
from libchronicle.signals.core cimport Feature, Market


cdef class FeatureSet:
    cdef readonly tuple features, names
    cdef readonly str fingerprint
    cdef readonly Market market
    cdef readonly uint64_t records
    cdef dict places
    cdef list listeners, starts
    cdef object out                  # array('d'): the values of `computed`
    cdef double *values
    cdef int64_t computed_ns
    cdef uint64_t computed
    cdef bint blank                  # nothing to forget
    cdef L2Book own
    cdef int take(self, const chr_frame *frame, L2Book book) except -1
    cdef int feed_bytes(self, int type_id, const unsigned char *payload, Py_ssize_t size, int64_t ts_ns) except -1
    cdef int refresh(self, int64_t ts_ns) except -1
    cdef int ask(self, Feature feature, Py_ssize_t at) except -1
    cdef int lose(self) except -1
