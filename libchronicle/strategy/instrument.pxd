from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t, uint8_t

from libchronicle.protocol.layout cimport chr_instrument_t
from libchronicle.signals.vector cimport FeatureSet
from libchronicle.risk.exits cimport Exits
from libchronicle.strategy.bookview cimport Book
from libchronicle.strategy.order cimport Order
from libchronicle.strategy.tracker cimport Position

cdef enum:
    KIND_BOOK = 1
    KIND_TRADE = 2
    KIND_QUOTE = 4


cdef class Instrument:
    cdef readonly str name
    cdef readonly str venue
    cdef readonly str symbol
    cdef readonly uint64_t id
    cdef chr_instrument_t definition
    cdef bint defined
    cdef bint synced               # its book is right, so its data may reach the strategy
    cdef uint32_t kinds            # subscribed: bits of KIND_*
    cdef Book _book
    cdef Position _position
    cdef FeatureSet watched        # features that are kept up to date, or None
    cdef Exits exits               # stop-loss and take-profit of its position, or None
    cdef dict mistakes             # the context's: orders that could not be made, by error; or None

    cdef object mistaken(self, object error)

    cdef int watch(self, FeatureSet features) except -1
    cdef int define(self, const chr_instrument_t *definition) except -1
    cdef int64_t _mantissa(self, object value, int exponent, object error, str what) except? -1
    cdef int64_t _price(self, object value) except? -1
    cdef int64_t _qty(self, object value) except? -1
    cdef Order _build(self, uint8_t type, uint8_t side, int64_t price, int64_t qty, uint8_t tif, uint16_t flags)
    cdef int _need(self) except -1
    cdef int _check_price(self, int64_t price) except -1
    cdef int _check_tif(self, uint8_t tif, bint post_only, int64_t expire_ns) except -1
    cdef int _finish(self, Order order, int64_t valid_for_ms, uint8_t stp, str tag) except -1
    cdef str _off(self, str step, int64_t size)
