from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from libchronicle.book.l2 cimport L2Book
from libchronicle.native.hot cimport chr_frame


cdef class ColumnBuffer:
    cdef readonly str name, kind
    cdef Py_ssize_t room
    cdef int64_t *data  # doubles lie here too
    cdef uint8_t *known
    cdef Py_ssize_t count
    cdef int grow(self) except -1
    cdef int put_float(self, double value) except -1
    cdef int put_int(self, int64_t value) except -1
    cdef int put_null(self) except -1
    cdef int put(self, value) except -1


cdef class FeatureBatch:
    cdef readonly list columns


cdef class Market:
    cdef readonly L2Book book
    cdef readonly object instrument
    cdef readonly uint16_t type_id
    cdef readonly int64_t ts_ns, venue_ts_ns
    cdef readonly double price_scale, qty_scale
    cdef readonly int64_t trade_price, trade_qty
    cdef readonly int aggressor
    cdef readonly double buy_qty, sell_qty, traded_qty, traded_value
    cdef readonly uint64_t trades
    cdef readonly bint broken
    cdef const chr_frame *frame
    cdef int take(self, const chr_frame *frame) except -1
    cdef int define(self, bytes definition) except -1
    cdef bint two_sided(self, int64_t *bid, int64_t *ask) noexcept
    cdef int row_done(self) except -1


cdef class Feature:
    cdef int emit(self, Market market, list buffers, Py_ssize_t at) except -1
