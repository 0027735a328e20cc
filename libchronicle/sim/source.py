"""What a market server needs of a source of events, be it a recording or the generator.

A source runs in venue time, which is handed to it: it knows no clock. It is asked for what is due; its answers
about the book, the last trades and the best prices are those of that moment.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from libchronicle.sim.frames import Frame
from libchronicle.sim.instruments import Instrument


class DepthView(NamedTuple):
    """The body of REST `depth`; levels are ready JSON arrays."""

    last_update_id: int
    event_ms: int
    bids: str
    asks: str


class TickerView(NamedTuple):
    update_id: int
    event_ms: int
    bid_price: str
    bid_qty: str
    ask_price: str
    ask_qty: str


class TradeView(NamedTuple):
    trade_id: int
    price: str
    qty: str
    quote_qty: str
    time_ms: int
    buyer_is_maker: bool


class MarketSource(Protocol):
    """Pure: no clock, no thread, no socket."""

    market: str
    starts_with_subscriber: bool
    """A recording waits for the first subscriber; a live market does not."""

    @property
    def instruments(self) -> dict[str, Instrument]:
        """By symbol, in upper case."""
        ...

    @property
    def start_ns(self) -> int:
        """Venue time at which it begins."""
        ...

    @property
    def time_ms(self) -> int:
        """The venue's clock as of the last event."""
        ...

    @property
    def ended(self) -> bool: ...

    def next_time_ns(self) -> int | None:
        """Venue time of the next event, None when there is none."""
        ...

    def take(self, until_ns: int, limit: int) -> list[Frame]:
        """Events due up to `until_ns`, about `limit` at most, in order. A recording stops where it gets its book."""
        ...

    def depth(self, symbol: str, limit: int) -> DepthView | None:
        """None while there is no book yet."""
        ...

    def ticker(self, symbol: str) -> TickerView | None: ...

    def trades(self, symbol: str, limit: int) -> list[TradeView]:
        """The newest `limit`, oldest first."""
        ...
