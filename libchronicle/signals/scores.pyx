"""Z-scores: any feature beside its own past, see scores.pyi."""

from libc.math cimport NAN, isnan
from libc.stdint cimport int64_t

from libchronicle.signals.core cimport Market, NumericFeature
from libchronicle.signals.windows cimport FeatureBuffer

from libchronicle.errors import InvalidArgument
from libchronicle.signals.builtin import Imbalance
from libchronicle.signals.names import window

__all__ = ["ZScore"]


cdef class ZScore(NumericFeature):
    """(value - mean) / standard deviation of the samples before now."""

    cdef NumericFeature inner
    cdef FeatureBuffer samples
    cdef int64_t step_ns, next_ns
    cdef double last

    def __init__(self, feature=None, window_s=300, *, step_ms=1000):
        inner = Imbalance(5) if feature is None else feature
        if not isinstance(inner, NumericFeature) or len(inner.columns) != 1:
            raise InvalidArgument(where="ZScore", field="feature", value=inner, allowed="a native feature of one column")
        chosen = window("ZScore", "window_s", window_s, step_ms)
        if chosen.steps < 2:
            raise InvalidArgument(where="ZScore", field="window_s", value=window_s, allowed="two steps or more")
        self.inner = inner
        self.depth = self.inner.depth
        self.step_ns = chosen.step_ns
        self.samples = FeatureBuffer(chosen.steps)
        self.last = NAN
        name = f"z_{inner.columns[0].name}_{chosen.label}"
        self.name(f"zscore window={chosen.label} step={step_ms}ms of ({inner.spec})", (name,))

    cdef int advance(self, int64_t ts_ns) except -1:
        """One sample for each grid point passed: the value after the last record before it. Nulls are no samples."""
        cdef int64_t points
        if self.next_ns == 0 or ts_ns < self.next_ns:
            return 0
        points = (ts_ns - self.next_ns) // self.step_ns + 1
        self.next_ns += points * self.step_ns
        if not isnan(self.last):
            for _ in range(min(points, self.samples.capacity)):
                self.samples.put(self.last)
        return 0

    cdef int see(self, Market market) except -1:
        self.advance(market.ts_ns)
        if self.next_ns == 0:
            self.next_ns = market.ts_ns - market.ts_ns % self.step_ns + self.step_ns
        self.inner.see(market)
        self.inner.compute(market, &self.last)
        return 0

    cdef int compute(self, Market market, double *out) except -1:
        cdef double spread, value
        self.advance(market.ts_ns)
        self.inner.compute(market, &value)
        out[0] = NAN
        if self.samples.count == self.samples.capacity:
            spread = self.samples.spread()
            if spread > 0:
                out[0] = (value - self.samples.average()) / spread
        return 0

    def forget(self):
        self.next_ns, self.last = 0, NAN
        self.samples.empty()
        self.inner.forget()
