"""The recording player: one or several recordings of one market as a source of events.

Frames of the first pass are the recorded bytes, all of them, in their order. In loop mode each further pass begins at
the recorded snapshot: a diff that turns the book as it stands at the end into that snapshot bridges the seam, and
all ids and times that follow are shifted, so that for a subscriber the stream simply goes on:

    pass 1   … diff u=900, ticker u=907 | bridge U=901 u=908 (pu=900) | first diff beyond the snapshot: U=909 (pu=908) …
"""

from __future__ import annotations

import heapq
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain, islice, takewhile
from typing import Any

import msgspec

from libchronicle.sim.frames import BOOK_TICKER, DEPTH, TRADE, Frame
from libchronicle.sim.instruments import SPOT, Instrument
from libchronicle.sim.recording import SNAPSHOT, RecordedLine, RecordingInfo, parse_line
from libchronicle.sim.source import DepthView, TickerView, TradeView
from libchronicle.sim.textbook import DepthEvent, SnapshotEvent, TextBook

SEAM_NS = 1_000_000_000
"""Venue time between the last event of a pass and the bridge of the next."""
RECENT_TRADES = 1000
DEPTH_EVENT = "depthUpdate"

_IDS = re.compile(rb'"(E|T|U|u|pu|t)":(\d+)')

_depth_decoder = msgspec.json.Decoder(DepthEvent)
_snapshot_decoder = msgspec.json.Decoder(SnapshotEvent)


class _Trade(msgspec.Struct):
    trade_id: int = msgspec.field(name="t")
    price: str = msgspec.field(name="p")
    qty: str = msgspec.field(name="q")
    time_ms: int = msgspec.field(name="T")
    buyer_is_maker: bool = msgspec.field(name="m")


class _Ticker(msgspec.Struct):
    update_id: int = msgspec.field(name="u")
    bid_price: str = msgspec.field(name="b")
    bid_qty: str = msgspec.field(name="B")
    ask_price: str = msgspec.field(name="a")
    ask_qty: str = msgspec.field(name="A")
    event_ms: int = msgspec.field(name="E", default=0)


class Tape:
    """One recording: its lines pass after pass, and the state of its market at the play position."""

    def __init__(self, info: RecordingInfo, lines: Callable[[], Iterable[bytes]], loop: bool = False) -> None:
        self.info = info
        self.book = TextBook()
        self.passes = 0
        self._open = lines
        self._loop = loop
        self._recent: deque[bytes] = deque(maxlen=RECENT_TRADES)
        self._last_ticker = b""
        self._last_ns = info.first_local_ns
        self._last_trade_id = 0
        prefix = info.instrument.symbol.lower()
        self._keys = {kind: f"{prefix}@{kind}" for kind in (DEPTH, TRADE, BOOK_TICKER)}

    def lines(self) -> Iterator[RecordedLine]:
        """Every line as recorded; in loop mode then the shifted passes, without end."""
        yield from self._read()
        while self._loop:
            self.passes += 1
            yield from self._shifted_pass()

    def _read(self) -> Iterator[RecordedLine]:
        path = self.info.path
        for number, line in enumerate(self._open(), 1):
            yield parse_line(line, number, path)

    def _shifted_pass(self) -> Iterator[RecordedLine]:
        before = list(takewhile(lambda line: line.kind != SNAPSHOT, self._read()))
        lines = islice(self._read(), len(before), None)
        anchor = next(lines)
        snapshot = _snapshot_decoder.decode(anchor.text)
        newest = max(self.book.last_update_id, _last_id(self._last_ticker))
        shift = _Shift(
            update=newest + 1 - snapshot.last_update_id,
            time_ns=self._last_ns + SEAM_NS - anchor.local_ns,
        )
        yield from self._bridge(anchor, snapshot, shift)
        yield from self._beyond(chain(before, lines), anchor.local_ns, snapshot.last_update_id, shift)

    def _beyond(
        self, lines: Iterable[RecordedLine], from_ns: int, snapshot_id: int, shift: _Shift
    ) -> Iterator[RecordedLine]:
        """What the snapshot does not hold yet, shifted. Some of it was recorded before the snapshot's line."""
        first_diff = True
        for line in lines:
            if line.kind == TRADE:
                if line.local_ns < from_ns:
                    continue
                if shift.trade is None:
                    shift.trade = self._last_trade_id + 1 - _trade_id(line.data)
            elif line.kind == SNAPSHOT or _last_id(line.data) <= snapshot_id:
                continue
            elif line.kind == DEPTH and first_diff:
                first_diff = False
                line = shift.first_diff(line, snapshot_id)
            yield shift.apply(line._replace(local_ns=max(line.local_ns, from_ns)))

    def _bridge(self, anchor: RecordedLine, snapshot: SnapshotEvent, shift: _Shift) -> Iterator[RecordedLine]:
        """The diff from the book as it stands to the snapshot, and the ticker that goes with it."""
        spot, symbol = self.info.market == SPOT, self.info.instrument.symbol
        bids, asks = self.book.difference(snapshot)
        event_ms = self.book.event_ms + 1
        shift.time_ms = event_ms + SEAM_NS // 1_000_000 - (snapshot.event_ms or self._anchor_ms(anchor))
        last, update_id = self.book.last_update_id, snapshot.last_update_id + shift.update
        times = {} if spot else {"T": event_ms}
        previous = {} if spot else {"pu": last}
        ids = {"s": symbol, "U": last + 1, "u": update_id}
        depth = {"e": DEPTH_EVENT, "E": event_ms, **times, **ids, **previous, "b": bids, "a": asks}
        (bid, bid_qty), (ask, ask_qty) = snapshot.bids[0], snapshot.asks[0]
        best = {"u": update_id, "s": symbol, "b": bid, "B": bid_qty, "a": ask, "A": ask_qty}
        ticker = best if spot else {"e": BOOK_TICKER, **best, **times, "E": event_ms}
        time_ns = anchor.local_ns + shift.time_ns
        yield _made_line(time_ns, DEPTH, self.info.depth_stream, depth)
        yield _made_line(time_ns, BOOK_TICKER, self._keys[BOOK_TICKER], ticker)

    def _anchor_ms(self, anchor: RecordedLine) -> int:
        """Venue time of a snapshot that carries none (spot): the recorder's clock corrected by its first event."""
        info = self.info
        return info.first_event_ms + (anchor.local_ns - info.first_local_ns) // 1_000_000

    def apply(self, line: RecordedLine) -> Frame | None:
        """Moves the market to this line and returns what a subscriber gets (nothing for the snapshot line)."""
        self._last_ns = line.local_ns
        if line.kind == SNAPSHOT:
            self.book.load(_snapshot_decoder.decode(line.text))
            return None
        data = line.data
        if line.kind == DEPTH:
            self.book.apply(_depth_decoder.decode(data))
        elif line.kind == TRADE:
            self._recent.append(data)
            self._last_trade_id = _trade_id(data)
        elif line.kind == BOOK_TICKER:
            self._last_ticker = data
        else:
            return Frame(line.local_ns, line.stream, line.stream, data, line.text)
        return Frame(line.local_ns, self._keys[line.kind], line.stream, data, line.text)

    def trades(self, limit: int) -> list[TradeView]:
        newest = list(self._recent)[-limit:]
        return [_trade_view(msgspec.json.decode(data, type=_Trade)) for data in newest]

    def ticker(self) -> TickerView | None:
        if not self._last_ticker:
            return None
        seen = msgspec.json.decode(self._last_ticker, type=_Ticker)
        return TickerView(
            seen.update_id,
            seen.event_ms or self.book.event_ms,
            seen.bid_price,
            seen.bid_qty,
            seen.ask_price,
            seen.ask_qty,
        )


def _made_line(time_ns: int, kind: str, stream: str, event: dict[str, Any]) -> RecordedLine:
    text = b'{"stream":"%b","data":%b}' % (stream.encode(), msgspec.json.encode(event))
    return RecordedLine(time_ns, kind, stream, text)


class _Shift:
    """What one pass adds to the recorded ids and times."""

    def __init__(self, update: int, time_ns: int) -> None:
        self.update = update
        self.time_ns = time_ns
        self.time_ms = 0
        self.trade: int | None = None

    def apply(self, line: RecordedLine) -> RecordedLine:
        text = _IDS.sub(self._number, line.text)
        return line._replace(local_ns=line.local_ns + self.time_ns, text=text)

    def _number(self, match: re.Match[bytes]) -> bytes:
        name = match[1]
        if name in (b"E", b"T"):
            offset = self.time_ms
        elif name == b"t":
            offset = self.trade or 0
        else:
            offset = self.update
        return b'"%b":%d' % (name, int(match[2]) + offset)

    @staticmethod
    def first_diff(line: RecordedLine, snapshot_id: int) -> RecordedLine:
        """The diff that straddles the snapshot, cut so that it follows it directly."""
        text = re.sub(rb'"U":\d+', b'"U":%d' % (snapshot_id + 1), line.text, count=1)
        text = re.sub(rb'"pu":\d+', b'"pu":%d' % snapshot_id, text, count=1)
        return line._replace(text=text)


class Player:
    """Merges the tapes of one market by recorded time. Satisfies `MarketSource`."""

    starts_with_subscriber = True

    def __init__(self, tapes: Sequence[Tape]) -> None:
        self.market = tapes[0].info.market
        self.tapes = {tape.info.instrument.symbol: tape for tape in tapes}
        self._merged = heapq.merge(*(self._tagged(tape) for tape in tapes), key=lambda item: item[0])
        self._next: tuple[int, Tape, RecordedLine] | None = None
        self._started = False
        self._start_ns = min(tape.info.first_local_ns for tape in tapes)

    @staticmethod
    def _tagged(tape: Tape) -> Iterator[tuple[int, Tape, RecordedLine]]:
        for line in tape.lines():
            yield line.local_ns, tape, line

    @property
    def instruments(self) -> dict[str, Instrument]:
        return {symbol: tape.info.instrument for symbol, tape in self.tapes.items()}

    @property
    def start_ns(self) -> int:
        return self._start_ns

    @property
    def time_ms(self) -> int:
        return max(tape.book.event_ms or tape.info.first_event_ms for tape in self.tapes.values())

    @property
    def ended(self) -> bool:
        return self._started and self._next is None

    def next_time_ns(self) -> int | None:
        if not self._started:
            return self._start_ns
        return self._next[0] if self._next else None

    def take(self, until_ns: int, limit: int) -> list[Frame]:
        if not self._started:
            self._started = True
            self._next = next(self._merged, None)
        frames: list[Frame] = []
        while self._next is not None and self._next[0] <= until_ns and len(frames) < limit:
            _, tape, line = self._next
            had_book = tape.book.valid
            frame = tape.apply(line)
            self._next = next(self._merged, None)
            if frame is not None:
                frames.append(frame)
            elif not had_book:
                break  # a place to stop: the book has just become available
        return frames

    def depth(self, symbol: str, limit: int) -> DepthView | None:
        book = self.tapes[symbol].book
        if not book.valid:
            return None
        bids, asks = (msgspec.json.encode(side).decode() for side in book.top(limit))
        return DepthView(book.last_update_id, book.event_ms, bids, asks)

    def ticker(self, symbol: str) -> TickerView | None:
        return self.tapes[symbol].ticker()

    def trades(self, symbol: str, limit: int) -> list[TradeView]:
        return self.tapes[symbol].trades(limit)


_LAST_ID = re.compile(rb'"u":(\d+)')
_TRADE_ID = re.compile(rb'"t":(\d+)')


def _last_id(data: bytes) -> int:
    match = _LAST_ID.search(data)
    return int(match[1]) if match else 0


def _trade_id(data: bytes) -> int:
    match = _TRADE_ID.search(data)
    return int(match[1]) if match else 0


def _trade_view(trade: _Trade) -> TradeView:
    quote_qty = Decimal(trade.price) * Decimal(trade.qty)
    decimals = len(trade.price.partition(".")[2])
    return TradeView(
        trade.trade_id,
        trade.price,
        trade.qty,
        f"{quote_qty:.{decimals}f}",
        trade.time_ms,
        trade.buyer_is_maker,
    )
