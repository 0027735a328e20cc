from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from libchronicle.book.l2 cimport L2Book
from libchronicle.native.hot cimport chr_frame
from libchronicle.protocol.layout cimport chr_level_t


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
    cdef bint traded                # the record that came last is a trade
    cdef readonly bint whole        # of the book, as are all of the following: as they were after that record
    cdef bint has_bid, has_ask
    cdef chr_level_t bid_level, ask_level
    cdef double mid_price           # mantissa; NaN unless both sides have a level
    cdef uint32_t depth             # how many levels features look at
    cdef uint64_t book_version, top_version
    cdef chr_level_t *levels[2]
    cdef uint32_t level_count[2]
    cdef int take(self, const chr_frame *frame) except -1
    cdef int take_trade(self, const chr_frame *frame) except -1
    cdef int define(self, bytes definition) except -1
    cdef void look(self) noexcept
    cdef int deepen(self, uint32_t depth) except -1
    cdef uint32_t top(self, int side, const chr_level_t **levels) noexcept
    cdef bint two_sided(self, int64_t *bid, int64_t *ask) noexcept
    cdef int row_done(self) except -1


cdef class Feature:
    cdef int see(self, Market market) except -1
    cdef int emit(self, Market market, list buffers, Py_ssize_t at) except -1
    cdef tuple row(self, Market market)
    cdef object bad(self, str reason)


cdef class NumericFeature(Feature):
    cdef readonly tuple columns
    cdef readonly str spec
    cdef readonly uint32_t depth    # levels of the book it looks at
    cdef int name(self, str spec, tuple names) except -1
    cdef int compute(self, Market market, double *out) except -1
