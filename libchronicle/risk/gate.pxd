from libc.stdint cimport int64_t, uint8_t, uint16_t

from libchronicle.portfolio.account cimport Account
from libchronicle.risk.breakers cimport Breakers
from libchronicle.risk.checks cimport TokenBucket, chr_breach, chr_limits, chr_proposal


cdef class RiskGate:
    cdef readonly Account account
    cdef readonly Breakers breakers       # of the account's currency
    cdef TokenBucket bucket
    cdef chr_limits *limits               # by slot of the account
    cdef int64_t *bases                   # by slot: realised less fees when the round trip began
    cdef int count
    cdef object _limits, _allowed
    cdef bint _watches                    # whether there is any breaker
    cdef public bint killed
    cdef public int64_t open_orders       # the caller counts them
    cdef chr_breach breach                # of the last order refused

    cdef int add(self, int slot) except -1
    # Reject code, 0 = it may be sent. No Python object.
    cdef uint16_t judge(
        self, int slot, const chr_proposal *o, int64_t best_bid, int64_t best_ask, int64_t market_ts, int64_t now
    ) noexcept
    # After a fill that took the slot's position from `before`. The code of a breaker that this has tripped, else 0.
    cdef int filled(self, int slot, int64_t before, int64_t now) except -1
    # Equity as of now: call it when marks have moved. The code of a breaker that this has tripped, else 0.
    cdef int marked(self, int64_t now) except -1
    cdef int64_t exposure(self, int slot) noexcept
