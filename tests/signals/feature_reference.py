"""Each feature as its definition reads: slow, from the whole history, sharing nothing with the code under test."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction
from itertools import pairwise

from feature_market import PRICE, QTY, S

from libchronicle.protocol import BookDelta, BookSnapshot, SbeMessage, Side, Trade


class History:
    """All that came, and the books of then."""

    def __init__(self) -> None:
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.mids: list[tuple[int, float]] = []  # (time, mid) after each record of the book
        self.touches: list[tuple[int, tuple[int, int], tuple[int, int]]] = []
        self.trades: list[tuple[int, Trade]] = []
        self.times: list[int] = []

    def take(self, ts: int, message: SbeMessage) -> None:
        self.times.append(ts)
        if isinstance(message, Trade):
            self.trades.append((ts, message))
        elif isinstance(message, BookSnapshot | BookDelta):
            for book, levels in ((self.bids, message.bids), (self.asks, message.asks)):
                for price, qty in levels:
                    book[price] = qty
                    if not qty:
                        del book[price]
            bid, ask = max(self.bids), min(self.asks)
            self.mids.append((ts, (bid + ask) / 2))
            self.touches.append((ts, (bid, self.bids[bid]), (ask, self.asks[ask])))

    # ------------------------------------------------------------ of one moment

    def levels(self, count: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        bids = sorted(self.bids.items(), reverse=True)[:count]
        return bids, sorted(self.asks.items())[:count]

    @property
    def mid(self) -> float:
        return self.mids[-1][1]

    def spread(self) -> float:
        return (min(self.asks) - max(self.bids)) / self.mid * 1e4

    def imbalance(self, count: int, decay: float = 1.0) -> float:
        b, a = (sum(q * decay**i for i, (_, q) in enumerate(side)) for side in self.levels(count))
        return (b - a) / (b + a)

    def depth_ratio(self, count: int) -> float:
        b, a = (sum(q for _, q in side) for side in self.levels(count))
        return b / a

    def pressure(self, count: int) -> tuple[float, float]:
        half = (min(self.asks) - max(self.bids)) / 2
        b, a = (sum(q / QTY * half / abs(p - self.mid) for p, q in side) for side in self.levels(count))
        return b, a

    # ------------------------------------------------------------ of the mid

    def sample(self, point: int) -> float | None:
        """The mid before the first record at or past a grid point; None where the grid had not begun by then."""
        if point <= self.mids[0][0]:
            return None
        return next(mid for ts, mid in reversed(self.mids) if ts < point)

    def samples(self, now: int, count: int, step: int) -> list[float] | None:
        """The last `count` up to now, oldest first."""
        last = now - now % step
        found = [self.sample(last - i * step) for i in reversed(range(count))]
        return None if None in found else found  # type: ignore[return-value]

    def volatility(self, now: int, n: int, step: int = S, year_s: float = 365 * 86_400) -> float | None:
        mids = self.samples(now, n + 1, step)
        if mids is None:
            return None
        returns = [math.log(b / a) for a, b in pairwise(mids)]
        return statistics.stdev(returns) * math.sqrt(year_s * S / step)

    def momentum(self, now: int, n: int, step: int = S) -> float | None:
        mids = self.samples(now, n + 1, step)
        return None if mids is None else (self.mid / mids[0] - 1) * 1e4

    def acceleration(self, now: int, n: int, step: int = S) -> float | None:
        mids = self.samples(now, 2 * n + 1, step)
        if mids is None:
            return None
        seconds = n * step / S
        speed = (self.mid / mids[n] - 1) * 1e4 / seconds
        before = (mids[n] / mids[0] - 1) * 1e4 / seconds
        return (speed - before) / seconds

    # ------------------------------------------------------------ of trades

    def window(self, now: int, n: int, step: int = S) -> list[Trade] | None:
        """Trades of the open step and the n before it; None until those are whole."""
        begins = now - now % step - n * step
        if self.times[0] - self.times[0] % step >= begins:
            return None
        return [trade for ts, trade in self.trades if ts >= begins]

    def vwap(self, now: int, n: int) -> float | None:
        trades = self.window(now, n)
        if not trades:
            return None
        value = Fraction(sum(t.price * t.qty for t in trades), sum(t.qty for t in trades))
        return (self.mid / float(value) - 1) * 1e4

    def trade_flow(self, now: int, n: int) -> float | None:
        trades = self.window(now, n)
        if trades is None:
            return None
        bought = sum(t.qty for t in trades if t.aggressor is Side.BUY)
        sold = sum(t.qty for t in trades if t.aggressor is Side.SELL)
        return (bought - sold) / (bought + sold) if bought + sold else 0.0

    def surge(self, now: int, short: int, long: int) -> float | None:
        far = self.window(now, long)
        near = self.window(now, short)
        if not far:
            return None
        assert near is not None
        return (sum(t.qty for t in near) / short) / (sum(t.qty for t in far) / long)

    def toxicity(self, buckets: int, volume: Fraction, since: int) -> float | None:
        """Trade by trade into buckets of `volume` mantissas, from the time `since`."""
        leans: list[Fraction] = []
        lean = filled = Fraction(0)
        for ts, trade in self.trades:
            rest = Fraction(trade.qty) if ts >= since else Fraction(0)
            sign = {Side.BUY: 1, Side.SELL: -1}.get(trade.aggressor, 0)
            while rest:
                part = min(rest, volume - filled)
                lean, filled, rest = lean + sign * part, filled + part, rest - part
                if filled == volume:
                    leans.append(abs(lean))
                    lean = filled = Fraction(0)
        return float(sum(leans[-buckets:]) / (buckets * volume)) if len(leans) >= buckets else None

    def ofi(self, now: int, n: int, step: int = S) -> float | None:
        begins = now - now % step - n * step
        if self.times[0] - self.times[0] % step >= begins:
            return None
        total = 0
        for (_, (pb, qb), (pa, qa)), (ts, (b, q), (a, r)) in pairwise(self.touches):
            if ts >= begins:
                total += (b >= pb) * q - (b <= pb) * qb - (a <= pa) * r + (a >= pa) * qa
        return total / QTY

    def microprice(self) -> float:
        (bid, b), (ask, a) = self.touches[-1][1:]
        return (bid * a + ask * b) / (a + b) / PRICE
