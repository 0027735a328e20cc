"""One message of a market data stream, and how the venue writes each kind as JSON.

A frame has two forms: the bare event, sent on `/ws/<stream>`, and the event in its envelope
`{"stream":…,"data":…}`, sent on `/stream`. The second is made on demand, or is the recorded text itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from libchronicle.sim.instruments import SPOT, Instrument
from libchronicle.sim.matching import BUY, Fill

DEPTH = "depth"
TRADE = "trade"
BOOK_TICKER = "bookTicker"
KINDS = (DEPTH, TRADE, BOOK_TICKER)

Levels = Sequence[tuple[int, int]]
"""Pairs of (price in ticks, quantity in lots)."""


class Frame(NamedTuple):
    """`time_ns` is when the venue sends it; `key` routes it: `<symbol in lower case>@<kind>`."""

    time_ns: int
    key: str
    stream: str
    data: bytes
    combined: bytes | None = None

    def in_envelope(self, stream: str) -> bytes:
        """The combined form under the name the client subscribed with (one stream may have several)."""
        if self.combined is not None and stream == self.stream:
            return self.combined
        return b'{"stream":"%b","data":%b}' % (stream.encode(), self.data)


class Ids(NamedTuple):
    """Update ids of one diff: first, last, and last of the diff before (USD-M's `pu`)."""

    first: int
    last: int
    previous: int


def stream_key(stream: str) -> str | None:
    """The key of a stream the venue publishes, or None. All update speeds of `depth` are one stream here."""
    symbol, _, rest = stream.partition("@")
    kind, _, speed = rest.partition("@")
    if not symbol or kind not in KINDS or (speed and (kind != DEPTH or speed not in _DEPTH_SPEEDS)):
        return None
    return f"{symbol}@{kind}"


_DEPTH_SPEEDS = frozenset({"0ms", "100ms", "250ms", "500ms", "1000ms"})


def depth_json(
    market: str, instrument: Instrument, time_ms: int, ids: Ids, bids: Levels, asks: Levels
) -> bytes:
    """`depthUpdate`: quantities are absolute, 0 removes the level."""
    futures = "" if market == SPOT else f'"T":{time_ms},'
    previous = "" if market == SPOT else f'"pu":{ids.previous},'
    return (
        f'{{"e":"depthUpdate","E":{time_ms},{futures}"s":"{instrument.symbol}","U":{ids.first},"u":{ids.last},'
        f'{previous}"b":{levels_json(instrument, bids)},"a":{levels_json(instrument, asks)}}}'
    ).encode()


def levels_json(instrument: Instrument, levels: Levels) -> str:
    price, qty = instrument.price_text, instrument.qty_text
    return "[" + ",".join([f'["{price(ticks)}","{qty(lots)}"]' for ticks, lots in levels]) + "]"


def trade_json(market: str, instrument: Instrument, time_ms: int, trade_id: int, fill: Fill) -> bytes:
    price, qty = instrument.price_text(fill.price), instrument.qty_text(fill.qty)
    buyer_is_maker = "false" if fill.taker_side == BUY else "true"
    if market == SPOT:
        return (
            f'{{"e":"trade","E":{time_ms},"s":"{instrument.symbol}","t":{trade_id},"p":"{price}","q":"{qty}",'
            f'"T":{time_ms},"m":{buyer_is_maker},"M":true}}'
        ).encode()
    return (
        f'{{"e":"trade","E":{time_ms},"T":{time_ms},"s":"{instrument.symbol}","t":{trade_id},"p":"{price}",'
        f'"q":"{qty}","X":"MARKET","m":{buyer_is_maker}}}'
    ).encode()


def book_ticker_json(
    market: str,
    instrument: Instrument,
    time_ms: int,
    update_id: int,
    bid: tuple[int, int],
    ask: tuple[int, int],
) -> bytes:
    price, qty = instrument.price_text, instrument.qty_text
    event = "" if market == SPOT else '"e":"bookTicker",'
    times = "" if market == SPOT else f',"T":{time_ms},"E":{time_ms}'
    return (
        f'{{{event}"u":{update_id},"s":"{instrument.symbol}","b":"{price(bid[0])}","B":"{qty(bid[1])}",'
        f'"a":"{price(ask[0])}","A":"{qty(ask[1])}"{times}}}'
    ).encode()
