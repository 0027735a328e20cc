"""The order-flow generator as a source of events: books of several instruments become a market's streams.

Every event on a book takes one update id, with all the levels it changed. `bookTicker` follows at once when best price or
quantity changed and carries that id; `trade` comes once per fill; what changed within an interval goes out as one diff. So at
each `bookTicker` whose id a diff ends on, the rebuilt book's best equals the ticker's. USD-M ids jump, as the real
ones do: its engine numbers the events of all symbols together, which is why its diffs carry `pu`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from libchronicle.sim.flow import OrderFlow
from libchronicle.sim.frames import (
    BOOK_TICKER,
    DEPTH,
    TRADE,
    Frame,
    Ids,
    book_ticker_json,
    depth_json,
    levels_json,
    trade_json,
)
from libchronicle.sim.instruments import SPOT, Instrument, decimal_text
from libchronicle.sim.matching import BUY, Fill
from libchronicle.sim.source import DepthView, TickerView, TradeView

if TYPE_CHECKING:
    from random import Random

DIFF_INTERVAL_NS = {"binance-spot": 100_000_000, "binance-usdm": 50_000_000}
RECENT_TRADES = 1000
MAX_ID_STEP = 40


class GeneratedMarket:
    """One symbol: its flow, its ids and what it has published."""

    def __init__(self, market: str, flow: OrderFlow, start_ns: int, rng: Random) -> None:
        self.market = market
        self.flow = flow
        self.instrument = flow.instrument
        self._rng = rng
        self._start_ns = start_ns
        # Beginning with the clock, ids of a restarted venue lie above those of the run before.
        self.update_id = start_ns // 10_000
        self.trade_id = start_ns // 100_000
        self._published_id = self.update_id
        self._ticker: tuple[int | None, int, int | None, int] = (None, 0, None, 0)
        self._interval_ns = DIFF_INTERVAL_NS[market]
        self._next_diff_ns = self._interval_ns
        self._recent: deque[tuple[int, int, Fill]] = deque(maxlen=RECENT_TRADES)
        symbol = self.instrument.symbol.lower()
        self._keys = {kind: f"{symbol}@{kind}" for kind in (DEPTH, TRADE, BOOK_TICKER)}
        self._depth_stream = f"{symbol}@depth@{'100ms' if market == SPOT else '0ms'}"
        flow.book.bids.drain_changed()
        flow.book.asks.drain_changed()

    @property
    def next_ns(self) -> int:
        return self._start_ns + min(self.flow.next_ns, self._next_diff_ns)

    @property
    def time_ms(self) -> int:
        return (self._start_ns + self.flow.time_ns) // 1_000_000

    def step(self, out: list[Frame]) -> None:
        """One event of the flow, or the diff that is due before it."""
        if self._next_diff_ns <= self.flow.next_ns:
            self._publish_diff(out)
            return
        bids, asks = self.flow.book.bids, self.flow.book.asks
        fills = self.flow.step()
        if not (fills or bids.changed or asks.changed):
            return
        self.update_id += 1 if self.market == SPOT else 1 + int(self._rng.random() * MAX_ID_STEP)
        time_ns = self._start_ns + self.flow.time_ns
        time_ms = time_ns // 1_000_000
        for fill in fills:
            self.trade_id += 1
            self._recent.append((self.trade_id, time_ms, fill))
            data = trade_json(self.market, self.instrument, time_ms, self.trade_id, fill)
            key = self._keys[TRADE]
            out.append(Frame(time_ns, key, key, data))
        ticker = (bids.best, bids.best_qty(), asks.best, asks.best_qty())
        if ticker != self._ticker and ticker[0] is not None and ticker[2] is not None:
            self._ticker = ticker
            data = book_ticker_json(
                self.market,
                self.instrument,
                time_ms,
                self.update_id,
                (ticker[0], ticker[1]),
                (ticker[2], ticker[3]),
            )
            key = self._keys[BOOK_TICKER]
            out.append(Frame(time_ns, key, key, data))

    def _publish_diff(self, out: list[Frame]) -> None:
        time_ns = self._start_ns + self._next_diff_ns
        self._next_diff_ns += self._interval_ns
        if self.update_id == self._published_id:
            return
        ids = Ids(self._published_id + 1, self.update_id, self._published_id)
        self._published_id = self.update_id
        bids, asks = self.flow.book.bids.drain_changed(), self.flow.book.asks.drain_changed()
        data = depth_json(self.market, self.instrument, time_ns // 1_000_000, ids, bids, asks)
        out.append(Frame(time_ns, self._keys[DEPTH], self._depth_stream, data))

    def depth(self, limit: int) -> DepthView:
        book = self.flow.book
        bids = levels_json(self.instrument, book.bids.top(limit))
        asks = levels_json(self.instrument, book.asks.top(limit))
        return DepthView(self.update_id, self.time_ms, bids, asks)

    def ticker(self) -> TickerView | None:
        bids, asks = self.flow.book.bids, self.flow.book.asks
        if bids.best is None or asks.best is None:
            return None
        price, qty = self.instrument.price_text, self.instrument.qty_text
        return TickerView(
            self.update_id,
            self.time_ms,
            price(bids.best),
            qty(bids.best_qty()),
            price(asks.best),
            qty(asks.best_qty()),
        )

    def trades(self, limit: int) -> list[TradeView]:
        return [self._view(*trade) for trade in list(self._recent)[-limit:]]

    def _view(self, trade_id: int, time_ms: int, fill: Fill) -> TradeView:
        spec = self.instrument
        product = fill.price * spec.tick * fill.qty * spec.lot // 10**spec.qty_decimals
        return TradeView(
            trade_id,
            spec.price_text(fill.price),
            spec.qty_text(fill.qty),
            decimal_text(product, spec.price_decimals),
            time_ms,
            fill.taker_side != BUY,
        )


class Generator:
    """Several generated symbols of one market, merged by time. Satisfies `MarketSource`."""

    starts_with_subscriber = False
    ended = False

    def __init__(
        self,
        market: str,
        instruments: Sequence[Instrument],
        *,
        rate: float,
        start_ns: int,
        rng: Callable[[str], Random],
    ) -> None:
        """`rng` gives each named stream of randomness its own generator: a symbol's flow does not depend on its neighbours."""
        self.market = market
        self._start_ns = start_ns
        self.markets = {
            spec.symbol: GeneratedMarket(
                market,
                OrderFlow(spec, rate, rng(f"{market}:{spec.symbol}:flow")),
                start_ns,
                rng(f"{market}:{spec.symbol}:ids"),
            )
            for spec in instruments
        }
        self._ordered = list(self.markets.values())

    @property
    def instruments(self) -> dict[str, Instrument]:
        return {symbol: market.instrument for symbol, market in self.markets.items()}

    @property
    def start_ns(self) -> int:
        return self._start_ns

    @property
    def time_ms(self) -> int:
        return max(market.time_ms for market in self._ordered)

    def next_time_ns(self) -> int:
        return min(market.next_ns for market in self._ordered)

    def take(self, until_ns: int, limit: int) -> list[Frame]:
        frames: list[Frame] = []
        while len(frames) < limit:
            market = min(self._ordered, key=_next_ns)
            if market.next_ns > until_ns:
                break
            market.step(frames)
        return frames

    def depth(self, symbol: str, limit: int) -> DepthView | None:
        return self.markets[symbol].depth(limit)

    def ticker(self, symbol: str) -> TickerView | None:
        return self.markets[symbol].ticker()

    def trades(self, symbol: str, limit: int) -> list[TradeView]:
        return self.markets[symbol].trades(limit)


def _next_ns(market: GeneratedMarket) -> int:
    return market.next_ns
