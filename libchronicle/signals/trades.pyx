"""Features of the trades within a window, see trades.pyi. Sums are exact integers of mantissas until a value is asked for."""

from libc.math cimport NAN, isnan
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from libchronicle.book.l2 cimport chr_int128
from libchronicle.protocol.layout cimport CHR_SIDE_BUY, CHR_SIDE_SELL
from libchronicle.signals.core cimport Market, NumericFeature
from libchronicle.signals.windows cimport SumWindow

from libchronicle.errors import InvalidArgument
from libchronicle.signals.names import window
from libchronicle.signals.windows import bounded

__all__ = ["Toxicity", "TradeFlowImbalance", "VolumeSurge", "VwapDeviation"]


cdef class VwapDeviation(NumericFeature):
    """How far the mid is from what was paid."""

    cdef SumWindow sums    # quantity, price times quantity

    def __init__(self, window_s=60, *, step_ms=1000):
        chosen = window("VwapDeviation", "window_s", window_s, step_ms)
        self.sums = SumWindow(chosen.step_ns, chosen.steps + 1, 2)
        self.name(f"vwap window={chosen.label} step={step_ms}ms", (f"vwap_{chosen.label}_bps",))

    cdef int see(self, Market market) except -1:
        self.sums.enter(market.ts_ns)
        if market.traded:
            self.sums.add(0, market.trade_qty)
            self.sums.add(1, <chr_int128>market.trade_qty * market.trade_price)
        return 0

    cdef int compute(self, Market market, double *out) except -1:
        cdef double vwap
        self.sums.roll(market.ts_ns)
        out[0] = NAN
        if self.sums.whole() and market.whole and self.sums.sums[0] > 0:
            vwap = <double>self.sums.sums[1] / <double>self.sums.sums[0]
            if vwap > 0:
                out[0] = (market.mid_price / vwap - 1) * 1e4
        return 0

    def forget(self):
        self.sums.empty()


cdef class TradeFlowImbalance(NumericFeature):
    """Which side takes."""

    cdef SumWindow sums    # bought, sold by takers

    def __init__(self, window_s=10, *, step_ms=1000):
        chosen = window("TradeFlowImbalance", "window_s", window_s, step_ms)
        self.sums = SumWindow(chosen.step_ns, chosen.steps + 1, 2)
        self.name(f"trade_flow window={chosen.label} step={step_ms}ms", (f"trade_flow_{chosen.label}",))

    cdef int see(self, Market market) except -1:
        self.sums.enter(market.ts_ns)
        if market.traded and market.aggressor == CHR_SIDE_BUY:
            self.sums.add(0, market.trade_qty)
        elif market.traded and market.aggressor == CHR_SIDE_SELL:
            self.sums.add(1, market.trade_qty)
        return 0

    cdef int compute(self, Market market, double *out) except -1:
        cdef chr_int128 both
        self.sums.roll(market.ts_ns)
        both = self.sums.sums[0] + self.sums.sums[1]
        if not self.sums.whole():
            out[0] = NAN
        elif both == 0:
            out[0] = 0.0
        else:
            out[0] = <double>(self.sums.sums[0] - self.sums.sums[1]) / <double>both
        return 0

    def forget(self):
        self.sums.empty()


cdef class VolumeSurge(NumericFeature):
    """Traded quantity per second now beside that of a longer time."""

    cdef SumWindow short, long
    cdef double ratio      # of the lengths of the windows

    def __init__(self, short_s=10, long_s=300, *, step_ms=1000):
        near = window("VolumeSurge", "short_s", short_s, step_ms)
        far = window("VolumeSurge", "long_s", long_s, step_ms)
        if near.steps >= far.steps:
            raise InvalidArgument(where="VolumeSurge", field="short_s", value=short_s, allowed=f"below long_s, {long_s}")
        self.short = SumWindow(near.step_ns, near.steps + 1)
        self.long = SumWindow(far.step_ns, far.steps + 1)
        self.ratio = <double>far.steps / <double>near.steps
        self.name(f"surge short={near.label} long={far.label} step={step_ms}ms", (f"surge_{near.label}_{far.label}",))

    cdef int see(self, Market market) except -1:
        self.short.enter(market.ts_ns)
        self.long.enter(market.ts_ns)
        if market.traded:
            self.short.add(0, market.trade_qty)
            self.long.add(0, market.trade_qty)
        return 0

    cdef int compute(self, Market market, double *out) except -1:
        self.short.roll(market.ts_ns)
        self.long.roll(market.ts_ns)
        out[0] = NAN
        if self.long.whole() and self.long.sums[0] > 0:
            out[0] = <double>self.short.sums[0] / <double>self.long.sums[0] * self.ratio
        return 0

    def forget(self):
        self.short.empty()
        self.long.empty()


cdef class Toxicity(NumericFeature):
    """VPIN: how one-sided trading has been, by volume.

    Quantities are kept doubled, so that a trade of unknown aggressor can be halved exactly. Without `bucket_qty`, the bucket is
    what traded in the first `learn_s` seconds, scaled to `bucket_s`; nothing that came in them is in a bucket.
    """

    cdef chr_int128 *ring      # |bought - sold| of the last full buckets
    cdef chr_int128 total, bucket, bought, sold, learnt
    cdef Py_ssize_t buckets, head, count
    cdef double wanted, bucket_s
    cdef int64_t learn_ns, learns_until

    def __init__(self, buckets=50, *, bucket_qty=None, bucket_s=6, learn_s=60):
        self.buckets = bounded("Toxicity", "buckets", buckets, 1, 100_000)
        for name, value in (("bucket_qty", bucket_qty), ("bucket_s", bucket_s), ("learn_s", learn_s)):
            if value is not None and (type(value) not in (int, float) or not 0 < value < 1e15):
                raise InvalidArgument(where="Toxicity", field=name, value=value, allowed="above 0")
        self.ring = <chr_int128 *>calloc(self.buckets, sizeof(chr_int128))
        if self.ring == NULL:
            raise MemoryError
        self.wanted = NAN if bucket_qty is None else bucket_qty
        self.bucket_s, self.learn_ns = bucket_s, <int64_t>(learn_s * 1e9)
        size = f"learn={learn_s}s bucket={bucket_s}s" if bucket_qty is None else f"bucket={bucket_qty!r}"
        self.name(f"toxicity buckets={buckets} {size}", (f"toxicity_{buckets}",))

    def __dealloc__(self):
        free(self.ring)

    cdef int see(self, Market market) except -1:
        if self.bucket == 0 and not self.sized(market):
            return 0
        if market.traded and market.trade_qty > 0:
            self.pour(2 * <chr_int128>market.trade_qty, market.aggressor)
        return 0

    cdef bint sized(self, Market market) except -1:
        """How much a bucket holds is known, and this record is the first to go into one."""
        if not isnan(self.wanted):
            self.bucket = max(1, <chr_int128>(2 * self.wanted * market.qty_scale + 0.5))
            return True
        if self.learns_until == 0:
            self.learns_until = market.ts_ns + self.learn_ns
        if market.ts_ns < self.learns_until:
            if market.traded:
                self.learnt += 2 * <chr_int128>market.trade_qty
            return False
        if self.learnt == 0:
            self.learns_until = 0  # nothing traded: learn again
            return False
        self.bucket = max(1, <chr_int128>(<double>self.learnt * self.bucket_s * 1e9 / self.learn_ns + 0.5))
        return True

    cdef void pour(self, chr_int128 qty, int aggressor) noexcept:
        """Into the open bucket and, where that runs over, into the next ones."""
        cdef chr_int128 part, bought
        if qty > self.bucket * (self.buckets + 2):  # more than all buckets hold: leave out what would pass through them
            qty -= (qty // self.bucket - self.buckets - 1) * self.bucket
        while qty > 0:
            part = min(qty, self.bucket - self.bought - self.sold)
            bought = part if aggressor == CHR_SIDE_BUY else 0 if aggressor == CHR_SIDE_SELL else part // 2
            self.bought += bought
            self.sold += part - bought
            qty -= part
            if self.bought + self.sold == self.bucket:
                self.close()

    cdef void close(self) noexcept:
        cdef chr_int128 lean = self.bought - self.sold
        if lean < 0:
            lean = -lean
        if self.count == self.buckets:
            self.total -= self.ring[self.head]
        else:
            self.count += 1
        self.ring[self.head] = lean
        self.total += lean
        self.head = (self.head + 1) % self.buckets
        self.bought = self.sold = 0

    cdef int compute(self, Market market, double *out) except -1:
        out[0] = NAN
        if self.count == self.buckets:
            out[0] = <double>self.total / (<double>self.bucket * self.buckets)
        return 0

    def forget(self):
        memset(self.ring, 0, self.buckets * sizeof(chr_int128))
        self.total = self.bought = self.sold = self.learnt = 0
        self.head = self.count = 0
        self.learns_until = 0
