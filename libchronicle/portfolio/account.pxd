"""account.h for Cython, and the Account that a simulation drives with no Python object per order."""

from libc.stdint cimport int64_t, int8_t, uint8_t, uint32_t, uint64_t

from libchronicle.portfolio.fees cimport chr_fees
from libchronicle.portfolio.position cimport chr_i128, chr_pos, chr_terms

cdef extern from "account.h" nogil:
    ctypedef struct chr_currency:
        int64_t balance, locked, held, initial, maintenance, open, shortfall, scale
        int8_t exponent, priced, flip
        uint32_t slot, next

    ctypedef struct chr_account_slot:
        chr_terms terms
        chr_pos position
        int64_t funding, mark, held, initial, maintenance, locked_base, locked_settle
        int64_t base_scale, qty_times, qty_over, leverage, maintenance_rate, liquidation_rate
        int64_t *open_qty
        int64_t *open_value
        uint32_t base, settle, fees
        int8_t price_exponent
        uint8_t margined

    ctypedef struct chr_account:
        chr_account_slot *slots
        chr_currency *currencies
        chr_fees *fees
        uint32_t count, currency_count, fee_count
        uint64_t liquidations

    chr_i128 chr_account_equity(const chr_currency *c)
    chr_i128 chr_account_free(const chr_currency *c)
    int chr_account_refresh(chr_account *a, chr_account_slot *s)
    int chr_account_mark(chr_account *a, uint32_t slot, int64_t price)
    void chr_account_opened(chr_account *a, uint32_t slot, uint8_t side, int64_t delta, int64_t price)
    int chr_account_fill(
        chr_account *a, uint32_t slot, uint8_t side, int64_t price, int64_t qty, int maker, int first, int64_t ts_ns,
        int64_t *fee,
    )
    int chr_account_rebook(
        chr_account *a, uint32_t slot, uint8_t side, int64_t price, int64_t qty, int64_t fee, int64_t ts_ns,
    )
    int chr_account_restore(chr_account *a, uint32_t slot, const chr_pos *now)
    int chr_account_liquidate(chr_account *a, uint32_t slot, int64_t price, int64_t ts_ns, int64_t *fee)
    int chr_account_total(const chr_account *a, uint32_t place, int64_t *out)
    int chr_account_fund(chr_account *a, uint32_t slot, int64_t rate, int64_t mark, int64_t *paid)

cdef extern from "buying_power.h" nogil:
    int chr_account_check(
        chr_account *a, uint32_t slot, uint8_t side, uint8_t type, int64_t price, int64_t qty, int64_t best_bid,
        int64_t best_ask, int reduce_only,
    )


cdef class Account:
    cdef chr_account a                    # slots and currencies; read them, change them through the methods
    cdef readonly list terms              # InstrumentTerms by slot
    cdef readonly list currencies         # names by place
    cdef readonly str currency            # what equity() counts in
    cdef dict _slots                      # instrument id -> slot
    cdef dict _places                     # currency -> its place
    cdef list _schedules                  # FeeSchedule by place in a.fees
    cdef dict _deposits
    cdef object _fees, _leverage
    cdef int64_t _maintenance_rate, _liquidation_rate

    cpdef int add(self, object terms) except -1
    # Slot of an instrument, -1 where it was not added.
    cpdef int find(self, uint64_t instrument_id) except? -1
    # Reject code, 0 = it may be sent. Lot, tick, least and most, balance or buying power beside what is open.
    cpdef int check(
        self, int slot, uint8_t side, uint8_t type, int64_t price, int64_t qty, int64_t best_bid, int64_t best_ask,
        bint reduce_only,
    ) noexcept
    # Leaves of an open order at this price grew by leaves_delta (rest: +leaves; fill, cancel: -qty).
    cpdef void opened(self, int slot, uint8_t side, int64_t leaves_delta, int64_t price) noexcept
    # first: the order's first fill (cum == last qty), which pays what is charged per order.
    cdef int fill(
        self, int slot, uint8_t side, int64_t price, int64_t qty, bint maker, bint first, int64_t ts_ns, int64_t *fee
    ) except -1
    # 1 = equity is at or below the maintenance margin: cancel what is open, then liquidate(). Fund too.
    cpdef int mark(self, int slot, int64_t price) except -1
    # rate: mantissa at 1e-8; a long pays one above zero.
    cpdef int fund(self, int slot, int64_t rate, int64_t mark) except -1
    # Close the whole position at this price as a taker, with the liquidation fee.
    cdef int liquidate(self, int slot, int64_t price, int64_t ts_ns, int64_t *fee) except -1
    # Money at 1e-8, in `currency`; what has no price yet counts as nothing.
    cdef int64_t equity_now(self) except? -1
    cdef int64_t position_of(self, int slot) noexcept
    cdef int _place_of(self, str currency, int exponent) except -1
    cdef int _fees_of(self, object terms) except -1
    cdef int _rescale(self) except -1
    cdef int _find_prices(self) except -1
    cdef chr_account_slot *_slot(self, int slot) except NULL
    cdef chr_currency *_currency(self, str currency) except NULL
