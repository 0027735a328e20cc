"""Features of the levels of the book, of one moment, and of how the touch changes; see depth.pyi."""

from libc.math cimport NAN, fabs
from libc.stdint cimport int64_t, uint32_t

from libchronicle.book.l2 cimport CHR_ASK, CHR_BID, chr_int128
from libchronicle.protocol.layout cimport chr_level_t
from libchronicle.signals.core cimport Market, NumericFeature
from libchronicle.signals.windows cimport SumWindow

from libchronicle.errors import InvalidArgument
from libchronicle.signals.names import window

__all__ = ["DepthRatio", "OrderFlowImbalance", "Pressure", "WeightedImbalance"]

MOST_LEVELS = 1_000


cdef uint32_t checked(str where, levels) except 0:
    if type(levels) is not int or not 1 <= levels <= MOST_LEVELS:
        raise InvalidArgument(where=where, field="levels", value=levels, allowed=f"1 to {MOST_LEVELS:,}")
    return levels


cdef class WeightedImbalance(NumericFeature):
    """Imbalance in which near levels count for more."""

    cdef double decay

    def __init__(self, levels=5, *, decay=0.5):
        self.depth = checked("WeightedImbalance", levels)
        if type(decay) not in (int, float) or not 0 < decay <= 1:
            raise InvalidArgument(where="WeightedImbalance", field="decay", value=decay, allowed="above 0, at most 1")
        self.decay = decay
        self.name(f"weighted_imbalance levels={levels} decay={decay!r}", (f"weighted_imbalance_{levels}",))

    cdef int compute(self, Market market, double *out) except -1:
        cdef const chr_level_t *levels
        cdef double total[2], weight
        cdef uint32_t i, count
        cdef int side
        for side in range(2):
            total[side], weight = 0, 1
            count = min(market.top(side, &levels), self.depth)
            for i in range(count):
                total[side] += weight * <double>levels[i].qty
                weight *= self.decay
        if total[CHR_BID] == 0 or total[CHR_ASK] == 0:
            out[0] = NAN
        else:
            out[0] = (total[CHR_BID] - total[CHR_ASK]) / (total[CHR_BID] + total[CHR_ASK])
        return 0


cdef class DepthRatio(NumericFeature):
    """How deep one side is beside the other."""

    def __init__(self, levels=10):
        self.depth = checked("DepthRatio", levels)
        self.name(f"depth_ratio levels={levels}", (f"depth_ratio_{levels}",))

    cdef int compute(self, Market market, double *out) except -1:
        cdef const chr_level_t *levels
        cdef double total[2]
        cdef uint32_t i, count
        cdef int side
        for side in range(2):
            total[side] = 0
            count = min(market.top(side, &levels), self.depth)
            for i in range(count):
                total[side] += <double>levels[i].qty
        out[0] = total[CHR_BID] / total[CHR_ASK] if total[CHR_BID] > 0 and total[CHR_ASK] > 0 else NAN
        return 0


cdef class Pressure(NumericFeature):
    """Quantity that bears on the mid from either side."""

    def __init__(self, levels=10):
        self.depth = checked("Pressure", levels)
        self.name(f"pressure levels={levels}", (f"bid_pressure_{levels}", f"ask_pressure_{levels}"))

    cdef int compute(self, Market market, double *out) except -1:
        cdef const chr_level_t *levels
        cdef int64_t bid, ask
        cdef double half, mid, total
        cdef uint32_t i, count
        cdef int side
        out[0] = out[1] = NAN
        if not market.two_sided(&bid, &ask) or ask <= bid:
            return 0
        half, mid = (<double>ask - <double>bid) / 2, market.mid_price
        for side in range(2):
            total = 0
            count = min(market.top(side, &levels), self.depth)
            for i in range(count):
                total += <double>levels[i].qty * half / fabs(<double>levels[i].price - mid)
            out[0 if side == CHR_BID else 1] = total / market.qty_scale
        return 0


cdef class OrderFlowImbalance(NumericFeature):
    """What came to the bid less what came to the ask, at the touch."""

    cdef SumWindow sums
    cdef chr_level_t bid, ask
    cdef bint known

    def __init__(self, window_s=10, *, step_ms=1000):
        chosen = window("OrderFlowImbalance", "window_s", window_s, step_ms)
        self.sums = SumWindow(chosen.step_ns, chosen.steps + 1)
        self.name(f"ofi window={chosen.label} step={step_ms}ms", (f"ofi_{chosen.label}",))

    cdef int see(self, Market market) except -1:
        cdef chr_int128 flow = 0
        cdef chr_level_t bid = market.bid_level, ask = market.ask_level
        self.sums.enter(market.ts_ns)
        if market.traded or not market.has_bid or not market.has_ask:
            return 0
        if self.known:
            if bid.price >= self.bid.price:
                flow += bid.qty
            if bid.price <= self.bid.price:
                flow -= self.bid.qty
            if ask.price <= self.ask.price:
                flow -= ask.qty
            if ask.price >= self.ask.price:
                flow += self.ask.qty
            if flow != 0:
                self.sums.add(0, flow)
        self.bid, self.ask, self.known = bid, ask, True
        return 0

    cdef int compute(self, Market market, double *out) except -1:
        self.sums.roll(market.ts_ns)
        out[0] = <double>self.sums.sums[0] / market.qty_scale if self.sums.whole() else NAN
        return 0

    def forget(self):
        self.known = False
        self.sums.empty()
