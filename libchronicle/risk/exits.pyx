"""Stop-loss and take-profit; the rules are in exits.h."""

from libc.string cimport memset

from libchronicle.risk.checks cimport CHR_NO_LIMIT

from enum import IntEnum

from libchronicle.errors import BadAmount
from libchronicle.portfolio.fixed import mantissa_of


class Exit(IntEnum):
    """Why a position is left."""

    NONE = 0
    STOP_LOSS = 1
    TAKE_PROFIT = 2


cdef int64_t _multiple(object value, str what) except? -2:
    if value is None:
        return CHR_NO_LIMIT
    multiple = mantissa_of(value, -4, what)
    if multiple <= 0:
        raise BadAmount(what=what, value=value, reason="is not above zero")
    return multiple


cdef class Exits:
    """Of one position. Basis points of the entry price, multiples of the average true range; None = none of it. Raises BadAmount."""

    def __init__(
        self, *, stop_loss_bps=None, take_profit_bps=None, stop_loss_atr=None, take_profit_atr=None, int64_t atr_bars=14,
        double atr_bar_s=60.0, int64_t again_ms=1000,
    ):
        memset(&self.e, 0, sizeof(self.e))
        for what, bps in (("stop_loss_bps", stop_loss_bps), ("take_profit_bps", take_profit_bps)):
            if bps is not None and bps < 1:
                raise BadAmount(what=what, value=bps, reason="is not above zero")
        if atr_bars < 1 or atr_bar_s < 0.001:
            raise BadAmount(what="atr_bars", value=(atr_bars, atr_bar_s), reason="need at least one bar of a millisecond")
        self.e.stop_bps = CHR_NO_LIMIT if stop_loss_bps is None else stop_loss_bps
        self.e.take_bps = CHR_NO_LIMIT if take_profit_bps is None else take_profit_bps
        self.e.stop_atr = _multiple(stop_loss_atr, "stop_loss_atr")
        self.e.take_atr = _multiple(take_profit_atr, "take_profit_atr")
        self.e.bars, self.e.bar_ns, self.e.again_ns = atr_bars, round(atr_bar_s * 1e9), again_ms * 1_000_000

    cdef int look(self, int64_t bid, int64_t ask, int64_t qty, int64_t entry, int64_t now) noexcept:
        return chr_exits_look(&self.e, bid, ask, qty, entry, now)

    def on_prices(self, int64_t best_bid, int64_t best_ask, int64_t qty, int64_t entry, int64_t now_ns):
        """A market record: best prices (0 = none), the position and its average entry price. Exit.NONE, or why to leave now."""
        return Exit(self.look(best_bid, best_ask, qty, entry, now_ns))

    @property
    def is_set(self):
        return max(self.e.stop_bps, self.e.take_bps, self.e.stop_atr, self.e.take_atr) >= 0

    @property
    def atr(self):
        """Average true range in mantissas of the price; 0.0 while there are too few bars."""
        return <double> self.e.atr / 10_000.0
