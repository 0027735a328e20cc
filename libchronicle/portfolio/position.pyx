"""One position at average cost; the arithmetic and its rules are in position.h and money.h."""

from libchronicle.errors import FixedPointOverflow

_WHAT = (
    "", "value", "position", "cost", "cash", "realised profit", "fees", "fee", "unrealised profit", "equity", "average price",
    "margin", "balance", "funding",
)
assert len(_WHAT) == CHR_WHAT_COUNT


cdef int overflow(int code) except -1:
    """Nothing for 0 and above; the FixedPointOverflow that a code of money.h means otherwise."""
    if code >= 0:
        return 0
    bits = 128 if code < -CHR_WIDE else 64
    raise FixedPointOverflow(what=_WHAT[-code - CHR_WIDE if bits == 128 else -code], bits=bits)


cdef int64_t i64(object value, str what) except? -1:
    """`value`, if a mantissa can hold it. Raises FixedPointOverflow."""
    cdef int64_t narrow
    try:
        narrow = value
    except OverflowError:
        raise FixedPointOverflow(what=what, bits=64) from None
    if narrow < -0x7FFFFFFFFFFFFFFF:
        raise FixedPointOverflow(what=what, bits=64)
    return narrow


cdef class Terms:
    """What InstrumentTerms hands to native code. Made by InstrumentTerms only."""

    def __init__(self, tick, lot, min_qty, max_qty, min_value, times, over, *, bint inverse, bint spot, bint trading):
        self.t.tick = i64(tick, "tick size")
        self.t.lot = i64(lot, "lot size")
        self.t.min_qty = i64(min_qty, "least quantity")
        self.t.max_qty = i64(max_qty, "largest quantity")
        self.t.min_value = i64(min_value, "least notional")
        self.t.times = i64(times, "contract size")
        self.t.over = i64(over, "contract size")
        self.t.inverse = inverse
        self.t.spot = spot
        self.t.trading = trading

    def signed_value(self, price, qty):
        cdef int64_t out = 0
        overflow(chr_value(&self.t, i64(price, "value"), i64(qty, "value"), &out))
        return out

    def price_of(self, cost, qty):
        cdef int64_t out = 0
        overflow(chr_price_of(&self.t, i64(cost, "average price"), i64(qty, "average price"), &out))
        return out

    def __reduce__(self):
        t = self.t
        flags = {"inverse": t.inverse, "spot": t.spot, "trading": t.trading}
        return _terms, (flags, t.tick, t.lot, t.min_qty, t.max_qty, t.min_value, t.times, t.over)


def _terms(flags, *numbers):
    return Terms(*numbers, **flags)


cdef class Position:
    """Position in one instrument: quantities at the instrument's exponent, money at MONEY_EXPONENT."""

    def __init__(self, terms, qty=0, cost=0, cash=0, realized=0, fees=0):
        self.terms = terms
        self.p.qty = i64(qty, "position")
        self.p.cost = i64(cost, "cost")
        self.p.cash = i64(cash, "cash")
        self.p.realized = i64(realized, "realised profit")
        self.p.fees = i64(fees, "fees")

    @property
    def terms(self):
        """InstrumentTerms; tick, lot and filters may change, exponents never do."""
        return self._terms

    @terms.setter
    def terms(self, terms):
        self.native = terms.native
        self._terms = terms

    @property
    def qty(self):
        """Signed: a short's is negative."""
        return self.p.qty

    @property
    def cost(self):
        """What the open quantity was bought for, signed like its value."""
        return self.p.cost

    @property
    def cash(self):
        return self.p.cash

    @property
    def realized(self):
        """Realised profit, before fees."""
        return self.p.realized

    @property
    def fees(self):
        return self.p.fees

    def apply(self, signed_qty, price, fee=0):
        """Book a fill; returns what it realised. Nothing changes when it raises FixedPointOverflow."""
        cdef chr_pos next
        cdef int64_t gained = 0
        overflow(
            chr_position_fill(
                &self.p, &self.native.t, i64(signed_qty, "value"), i64(price, "value"), i64(fee, "fees"), &next, &gained
            )
        )
        self.p = next
        return gained

    @property
    def average_price(self):
        """Average entry price at the instrument's price exponent; 0 when flat."""
        cdef int64_t out = 0
        overflow(chr_price_of(&self.native.t, self.p.cost, self.p.qty, &out))
        return out

    def unrealized(self, mark):
        """Profit of the open quantity at the price `mark`."""
        cdef int64_t out = 0
        if self.p.qty:
            overflow(chr_position_unrealized(&self.p, &self.native.t, i64(mark, "value"), &out))
        return out

    def equity(self, mark):
        """Cash from all fills, less fees, and the open quantity at `mark`."""
        cdef int64_t out = 0
        if self.p.qty:
            overflow(chr_value(&self.native.t, i64(mark, "value"), self.p.qty, &out))
        return i64(int(self.p.cash) - self.p.fees + out, "equity")

    def restore(self, qty, cost, realized, fees):
        """Take up a position that was carried over; its cash follows from the identity."""
        self.__init__(self._terms, qty, cost, i64(int(realized) - int(cost), "cash"), realized, fees)

    def __repr__(self):
        return f"<Position {self.p.qty} @ {self.average_price} realized {self.p.realized} fees {self.p.fees}>"
