"""A strategy's context and dispatcher in memory: no queue, no process, a clock turned by hand."""

from __future__ import annotations

from typing import Any

from libchronicle.protocol import (
    BookDelta,
    BookMode,
    BookSnapshot,
    ContractKind,
    Instrument,
    decode,
    instrument_id,
)
from libchronicle.strategy import Strategy
from libchronicle.strategy.context import Context
from libchronicle.strategy.dispatch import Dispatcher
from libchronicle.strategy.lifecycle import Lifecycle
from libchronicle.strategy.recorder import Recorder
from libchronicle.strategy.sink import MemorySink, OrderSink

BTC = "binance-spot:BTCUSDT"
ETH = "binance-spot:ETHUSDT"
PERP = "binance-usdm:BTCUSDT"
ALL = ("book", "trade", "quote")


def definition(name: str = BTC, **other: Any) -> Instrument:
    """Tick 0.10 at exponent -2, lot 0.00001 at exponent -8, at least 5 USDT."""
    venue, _, symbol = name.partition(":")
    fields: dict[str, Any] = {
        "tick_size": 10,
        "lot_size": 1_000,
        "min_qty": 1_000,
        "max_qty": 900_000_000_000,
        "min_notional": 50_000_000_000,
        "price_exponent": -2,
        "qty_exponent": -8,
    }
    return Instrument(
        instrument_id=instrument_id(name),
        contract_kind=ContractKind.SPOT,
        book_mode=BookMode.L2,
        trading=1,
        venue=venue,
        symbol=symbol,
        base_currency="BTC",
        quote_currency="USDT",
        **fields | other,
    )


class Journal(Recorder):
    """Keeps what is appended."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def append(self, message: Any) -> None:
        self.messages.append(message)


class Stage:
    """Trading, unless told otherwise: feed connected, router connected, not killed."""

    def __init__(
        self,
        strategy: Strategy | None = None,
        *names: str,
        trading: bool = True,
        params: Any = None,
        sink: OrderSink | None = None,
        exits: Any = None,
        **options: Any,
    ) -> None:
        self.names = names or (BTC,)
        self.now = 1_000_000_000
        self.sink = MemorySink(lambda: self.now)
        self.ctx = Context(sink or self.sink, params=params, account="paper", exits=exits)
        self.ctx.set_now(self.now)
        self.journal = Journal()
        self.strategy = strategy or Strategy()
        self.lifecycle = Lifecycle(self.ctx, self.journal, self.strategy, **options)
        self.dispatcher = self.lifecycle.dispatcher = Dispatcher(self.ctx, self.strategy, self.lifecycle)
        self.dispatcher.subscribe(dict.fromkeys(self.names, ALL))
        self.seq = 0
        for name in self.names:
            self.put(definition(name))
        self.instrument = self.ctx.instrument(self.names[0])
        self.feeds = sorted({name.partition(":")[0] for name in self.names})
        self.lifecycle.start([self.ctx.instrument(name) for name in self.names])
        if trading:
            self.connect()

    def connect(self) -> None:
        for feed in self.feeds:
            self.lifecycle.feed_attached(feed)
        for name in self.names:
            self.snapshot(name)
        self.lifecycle.router_attached()

    def put(self, message: Any, **options: Any) -> bool:
        """One market record; True if the strategy was called."""
        self.seq += 1
        self.now += 1_000
        self.ctx.set_now(self.now)
        name = next(
            (n for n in self.names if instrument_id(n) == getattr(message, "instrument_id", 0)), self.names[0]
        )
        self.dispatcher.feed_name = name.partition(":")[0]
        return self.dispatcher.feed(
            message.TEMPLATE_ID, message.encode(), seq=self.seq, ts_ns=self.now, queue_id=77, **options
        )

    def snapshot(self, name: str = BTC, bid: int = 6_000_000, ask: int = 6_000_100) -> bool:
        return self.put(
            BookSnapshot(
                instrument_id=instrument_id(name),
                last_update_id=self.seq + 1,
                bids=[(bid - 10 * i, 100_000_000) for i in range(5)],
                asks=[(ask + 10 * i, 100_000_000) for i in range(5)],
            )
        )

    def delta(self, name: str = BTC, *, bids: Any = (), asks: Any = ()) -> bool:
        return self.put(
            BookDelta(
                instrument_id=instrument_id(name),
                first_update_id=self.seq + 1,
                last_update_id=self.seq + 1,
                bids=list(bids),
                asks=list(asks),
            )
        )

    def sent(self) -> list[Any]:
        """Requests so far."""
        return [decode(type_id, payload) for type_id, payload in self.sink.messages]
