"""What a venue takes for a trade; the arithmetic and its rules are in fees.h.

A rate is a mantissa at RATE_EXPONENT of the trade's value: 0.1 % = 100_000, a rebate is negative. Money is at
MONEY_EXPONENT. A schedule is a value: an account that uses it keeps its own record of what it traded.
"""

from libc.string cimport memcpy, memset

from libchronicle.portfolio.position cimport i64, overflow

from libchronicle.errors import BadAmount
from libchronicle.portfolio.fixed import money

RATE_EXPONENT = -8


def rate_of_bps(bps, str what="fee"):
    """Rate of basis points (1 bp = 0.01 %), exact to a ten-thousandth of one. Raises BadAmount."""
    try:
        rate = round(float(bps) * 10_000)
    except (TypeError, ValueError, OverflowError):
        raise BadAmount(what=what, value=bps, reason="is no number of basis points") from None
    if abs(rate) > 10**8:
        raise BadAmount(what=what, value=bps, reason="basis points are more than the whole trade")
    return rate


cdef class FeeSchedule:
    """Rates of one account on one venue.

    `maker_rate`, `taker_rate`: mantissas at RATE_EXPONENT. `per_order` (with its first fill), `per_trade` and `per_contract`
    (per whole unit of quantity): money. `tiers`: (volume of the thirty UTC days before, maker_rate, taker_rate), by volume.
    Raises BadAmount.
    """

    def __init__(self, maker_rate=0, taker_rate=0, *, per_order=0, per_trade=0, per_contract=0, tiers=(), volume=0):
        rows = [(0, maker_rate, taker_rate), *tiers]
        if len(rows) > CHR_FEE_TIERS:
            raise BadAmount(what="fee tiers", value=len(rows), reason=f"are more than {CHR_FEE_TIERS}")
        if any(later[0] <= former[0] for former, later in zip(rows, rows[1:])):
            raise BadAmount(what="fee tiers", value=[row[0] for row in rows[1:]], reason="must come by volume, above zero")
        memset(&self.fees, 0, sizeof(self.fees))
        for place, (start, maker, taker) in enumerate(rows):
            self.fees.tiers[place].volume = i64(start, "volume")
            self.fees.tiers[place].maker = i64(maker, "fee")
            self.fees.tiers[place].taker = i64(taker, "fee")
        self.fees.count = len(rows)
        self.fees.per_order = i64(per_order, "fee")
        self.fees.per_trade = i64(per_trade, "fee")
        self.fees.per_qty = i64(per_contract, "fee")
        chr_fees_seed(&self.fees, i64(volume, "volume"))

    @classmethod
    def from_bps(cls, maker, taker):
        """Basis points as configured (1 bp = 0.01 %), exact to a ten-thousandth of one."""
        return FeeSchedule(rate_of_bps(maker), rate_of_bps(taker))

    @property
    def maker_rate(self):
        """Of the lowest tier."""
        return self.fees.tiers[0].maker

    @property
    def taker_rate(self):
        return self.fees.tiers[0].taker

    def fee(self, value, *, is_maker):
        """Fee for a trade of `value` (money, not negative), by the lowest tier's rate. Raises FixedPointOverflow."""
        cdef chr_fees fees = self.fees
        cdef int64_t fee = 0
        fees.count = 1
        overflow(chr_fees_of(&fees, i64(value, "fee"), 0, 1, 1, bool(is_maker), False, 0, &fee))
        return fee

    def __eq__(self, other):
        return isinstance(other, FeeSchedule) and self._raw() == (<FeeSchedule> other)._raw()

    def __hash__(self):
        return hash(self._raw())

    def _raw(self):
        return (<unsigned char *> &self.fees)[: sizeof(self.fees)]

    def __reduce__(self):
        return _rebuilt, (type(self), self._raw())

    def __repr__(self):
        return f"<{type(self).__name__} maker {self.maker_rate / 10_000:g} bps, taker {self.taker_rate / 10_000:g} bps>"


def _rebuilt(cls, bytes raw not None):
    cdef FeeSchedule made = cls.__new__(cls)
    assert len(raw) == sizeof(made.fees)
    memcpy(&made.fees, <const char *> raw, sizeof(made.fees))
    return made


class MakerTaker(FeeSchedule):
    """Basis points of a trade's value: MakerTaker(maker_bps=-0.5, taker_bps=4)."""

    def __init__(self, maker_bps=0.0, taker_bps=0.0):
        super().__init__(rate_of_bps(maker_bps), rate_of_bps(taker_bps))


class TieredFees(FeeSchedule):
    """Rates by what was traded on the thirty UTC days before, as venues' tables have them.

    `tiers`: (volume in the settle currency, maker_bps, taker_bps) by volume, the first from 0 on. `volume`: what was traded
    on the thirty days before the first trade, spread evenly. Raises BadAmount.
    """

    def __init__(self, tiers, *, volume=0):
        rows = [(money(start, "volume"), rate_of_bps(maker), rate_of_bps(taker)) for start, maker, taker in tiers]
        if not rows or rows[0][0] != 0:
            raise BadAmount(what="fee tiers", value=tiers, reason="must begin with a tier from volume 0 on")
        super().__init__(rows[0][1], rows[0][2], tiers=rows[1:], volume=money(volume, "volume"))


class FlatFees(FeeSchedule):
    """Money per order (with its first fill), per trade, per contract or whole unit; beside basis points, if any."""

    def __init__(self, per_order=0, per_trade=0, per_contract=0, *, maker_bps=0.0, taker_bps=0.0):
        super().__init__(
            rate_of_bps(maker_bps), rate_of_bps(taker_bps), per_order=money(per_order, "fee per order"),
            per_trade=money(per_trade, "fee per trade"), per_contract=money(per_contract, "fee per contract"),
        )
