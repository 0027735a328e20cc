"""Features of how the mid has moved, see prices.pyi.

All sample the mid on a grid of time (MidSamples), so that a fast market weighs no more than a slow one. m(g) is the sample at grid point g,
G the last grid point at or before now, m the mid now.
"""

from libc.math cimport NAN, fabs, isnan, log, sqrt
from libc.stdint cimport int64_t

from libchronicle.signals.core cimport Market, NumericFeature
from libchronicle.signals.windows cimport FeatureBuffer, MidSamples

from libchronicle.errors import InvalidArgument
from libchronicle.signals.names import window

__all__ = ["YEAR_S", "Acceleration", "AverageRange", "Momentum", "Volatility"]

YEAR_S = 365 * 86_400


cdef class _OfMids(NumericFeature):
    """Keeps samples of the mid. A moment without one (an empty side) keeps the mid of before."""

    cdef MidSamples mids

    cdef int see(self, Market market) except -1:
        self.advance(market.ts_ns)
        if not isnan(market.mid_price):
            self.mids.seen(market.ts_ns, market.mid_price)
        return 0

    cdef int advance(self, int64_t ts_ns) except -1:
        self.mids.roll(ts_ns)
        return 0

    def forget(self):
        self.mids.empty()


cdef class Volatility(_OfMids):
    """Annualised standard deviation of log returns."""

    cdef FeatureBuffer returns
    cdef double per_year

    def __init__(self, window_s=60, *, step_ms=1000, year_s=YEAR_S):
        chosen = window("Volatility", "window_s", window_s, step_ms)
        if chosen.steps < 2:
            raise InvalidArgument(where="Volatility", field="window_s", value=window_s, allowed="two steps or more")
        if type(year_s) not in (int, float) or not 0 < year_s <= 366 * 86_400:
            raise InvalidArgument(where="Volatility", field="year_s", value=year_s, allowed="seconds of trading in a year")
        self.mids = MidSamples(chosen.step_ns, 2)
        self.returns = FeatureBuffer(chosen.steps)
        self.per_year = sqrt(year_s * 1e9 / chosen.step_ns)
        self.name(f"volatility window={chosen.label} step={step_ms}ms year={year_s}s", (f"volatility_{chosen.label}",))

    cdef int advance(self, int64_t ts_ns) except -1:
        cdef FeatureBuffer ring = self.mids.ring
        cdef double before = ring.nth(0) if ring.count else NAN, now = self.mids.last
        cdef int64_t points
        if self.mids.next_ns == 0 or ts_ns < self.mids.next_ns:
            return 0
        points = (ts_ns - self.mids.next_ns) // self.mids.step_ns + 1
        self.mids.roll(ts_ns)
        if not isnan(before):
            if before > 0 and now > 0:
                self.returns.put(log(now / before))
            else:
                self.returns.empty()  # no logarithm: a spread of prices may be negative
        points = min(points - 1, self.returns.capacity)
        while points > 0:  # in a quiet market nothing moved
            self.returns.put(0.0)
            points -= 1
        return 0

    cdef int compute(self, Market market, double *out) except -1:
        self.advance(market.ts_ns)
        out[0] = self.returns.spread() * self.per_year if self.returns.count == self.returns.capacity else NAN
        return 0

    def forget(self):
        self.mids.empty()
        self.returns.empty()


cdef class Momentum(_OfMids):
    """How far the mid has moved."""

    def __init__(self, window_s=10, *, step_ms=1000):
        chosen = window("Momentum", "window_s", window_s, step_ms)
        self.mids = MidSamples(chosen.step_ns, chosen.steps + 1)
        self.name(f"momentum window={chosen.label} step={step_ms}ms", (f"momentum_{chosen.label}_bps",))

    cdef int compute(self, Market market, double *out) except -1:
        cdef FeatureBuffer ring = self.mids.ring
        cdef double then
        self.advance(market.ts_ns)
        out[0] = NAN
        if ring.count == ring.capacity and market.whole:
            then = ring.nth(ring.capacity - 1)
            if then > 0:
                out[0] = (market.mid_price / then - 1) * 1e4
        return 0


cdef class Acceleration(_OfMids):
    """How much faster the mid moves than it did."""

    cdef Py_ssize_t steps
    cdef double seconds

    def __init__(self, window_s=10, *, step_ms=1000):
        chosen = window("Acceleration", "window_s", window_s, step_ms)
        self.steps, self.seconds = chosen.steps, chosen.seconds
        self.mids = MidSamples(chosen.step_ns, 2 * chosen.steps + 1)
        self.name(f"acceleration window={chosen.label} step={step_ms}ms", (f"acceleration_{chosen.label}",))

    cdef int compute(self, Market market, double *out) except -1:
        cdef FeatureBuffer ring = self.mids.ring
        cdef double then, before
        self.advance(market.ts_ns)
        out[0] = NAN
        if ring.count == ring.capacity and market.whole:
            then, before = ring.nth(self.steps), ring.nth(2 * self.steps)
            if then > 0 and before > 0:
                out[0] = ((market.mid_price / then - 1) - (then / before - 1)) * 1e4 / (self.seconds * self.seconds)
        return 0


cdef class AverageRange(NumericFeature):
    """Average true range of bars of the mid."""

    cdef FeatureBuffer ranges
    cdef int64_t bar_ns, next_ns
    cdef double high, low, last, close

    def __init__(self, bars=14, *, bar_s=60):
        chosen = window("AverageRange", "bar_s", bar_s, 1)
        self.ranges = FeatureBuffer(bars)
        self.bar_ns = chosen.step_ns * chosen.steps
        self.forget()
        self.name(f"atr bars={bars} bar={chosen.label}", (f"atr_{bars}_bps",))

    cdef int advance(self, int64_t ts_ns) except -1:
        """Closes every bar that ended: high, low and close are of the mids within it, its open that of before."""
        cdef Py_ssize_t quiet
        if self.next_ns == 0 or ts_ns < self.next_ns:
            return 0
        if not isnan(self.close):  # the first bar is not whole, and has no close before it
            self.ranges.put(max(self.high - self.low, fabs(self.high - self.close), fabs(self.low - self.close)))
        quiet = min((ts_ns - self.next_ns) // self.bar_ns, self.ranges.capacity)
        self.next_ns = ts_ns - ts_ns % self.bar_ns + self.bar_ns
        while quiet > 0:
            self.ranges.put(0.0)
            quiet -= 1
        self.close = self.high = self.low = self.last
        return 0

    cdef int see(self, Market market) except -1:
        cdef double mid = market.mid_price
        self.advance(market.ts_ns)
        if isnan(mid):
            return 0
        if self.next_ns == 0:
            self.next_ns = market.ts_ns - market.ts_ns % self.bar_ns + self.bar_ns
            self.high = self.low = mid
        self.high, self.low, self.last = max(self.high, mid), min(self.low, mid), mid
        return 0

    cdef int compute(self, Market market, double *out) except -1:
        self.advance(market.ts_ns)
        out[0] = NAN
        if self.ranges.count == self.ranges.capacity and market.whole and market.mid_price > 0:
            out[0] = self.ranges.average() / market.mid_price * 1e4
        return 0

    def forget(self):
        self.next_ns = 0
        self.high = self.low = self.last = self.close = NAN
        self.ranges.empty()
