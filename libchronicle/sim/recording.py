"""Reading a recording: lines of `<local_ns> <combined-stream JSON>`.

One file holds one symbol of one market, plus one line with the body of REST `depth` that the recorder fetched;
that line is not the first one. Nothing here opens files: lines are passed in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from libchronicle.errors import CorruptError, MisuseError
from libchronicle.sim.frames import DEPTH, stream_key
from libchronicle.sim.instruments import SPOT, USDM, Instrument, split_symbol
from libchronicle.sim.textbook import SnapshotEvent

SNAPSHOT = "snapshot"

_ENVELOPE = b'{"stream":"'
_DATA = b'"data":'
HEAD_LINES = 20_000
"""How far `describe` looks for the snapshot line (the recorders write it within the first hundred)."""


class RecordingCorrupt(CorruptError):
    template = "{path}: line {line} is no recorded message ({reason}); record the file again or cut it there"
    path: str
    line: int
    reason: str


class RecordingUnusable(MisuseError):
    template = "{path}: {reason}"
    path: str
    reason: str


class RecordedLine(NamedTuple):
    local_ns: int
    kind: str
    stream: str
    text: bytes
    """The whole JSON text as it was recorded."""

    @property
    def data(self) -> bytes:
        """The event inside the envelope, byte for byte."""
        return self.text[self.text.index(_DATA) + len(_DATA) : -1]


class RecordingInfo(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    market: str
    instrument: Instrument
    depth_stream: str
    first_local_ns: int
    first_event_ms: int


def parse_line(line: bytes, number: int = 0, path: str = "recording") -> RecordedLine:
    """Raises RecordingCorrupt; an event of a stream the venue does not publish gets the kind ""."""
    stamp, _, text = line.partition(b" ")
    if not stamp.isdigit():
        raise RecordingCorrupt(path=path, line=number, reason="it does not start with a time stamp")
    text = text.rstrip(b"\r\n")
    if not text.endswith(b"}"):
        raise RecordingCorrupt(path=path, line=number, reason="its JSON is cut off")
    if text.startswith(_ENVELOPE):
        stream = text[len(_ENVELOPE) : text.index(b'"', len(_ENVELOPE))].decode()
        if _DATA not in text:
            raise RecordingCorrupt(path=path, line=number, reason="its envelope holds no data")
        key = stream_key(stream)
        return RecordedLine(int(stamp), key.partition("@")[2] if key else "", stream, text)
    if b'"lastUpdateId"' in text[:40]:
        return RecordedLine(int(stamp), SNAPSHOT, "", text)
    raise RecordingCorrupt(
        path=path,
        line=number,
        reason="it is neither a stream message nor a snapshot, as the venue sends them, without spaces",
    )


class _DepthHead(msgspec.Struct):
    symbol: str = msgspec.field(name="s")
    event_ms: int = msgspec.field(name="E")
    previous: int | None = msgspec.field(name="pu", default=None)


def describe(lines: Iterable[bytes], path: str = "recording") -> RecordingInfo:
    """Reads a recording's head: market (USD-M diffs carry `pu`), symbol, grid. Raises RecordingUnusable."""
    first_ns = -1
    depth: tuple[str, _DepthHead] | None = None
    snapshot: SnapshotEvent | None = None
    for number, line in enumerate(lines, 1):
        recorded = parse_line(line, number, path)
        if first_ns < 0:
            first_ns = recorded.local_ns
        if recorded.kind == DEPTH and depth is None:
            depth = recorded.stream, msgspec.json.decode(recorded.data, type=_DepthHead)
        elif recorded.kind == SNAPSHOT:
            snapshot = msgspec.json.decode(recorded.text, type=SnapshotEvent)
        if (depth and snapshot) or number >= HEAD_LINES:
            break
    if depth is None or snapshot is None:
        missing = "depth diffs" if depth is None else "the order book snapshot"
        raise RecordingUnusable(path=path, reason=f"its first {HEAD_LINES} lines do not hold {missing}")
    stream, head = depth
    return RecordingInfo(
        path=path,
        market=SPOT if head.previous is None else USDM,
        instrument=_instrument(head.symbol, snapshot),
        depth_stream=stream,
        first_local_ns=first_ns,
        first_event_ms=head.event_ms,
    )


def _instrument(symbol: str, snapshot: SnapshotEvent) -> Instrument:
    """The grid seen in a snapshot: the greatest common divisor of a thousand prices is the tick."""
    levels = [*snapshot.bids, *snapshot.asks]
    if not levels:
        raise RecordingUnusable(path=symbol, reason="its order book snapshot is empty")
    price_decimals, tick = _grid([price for price, _ in levels])
    qty_decimals, lot = _grid([qty for _, qty in levels])
    base, quote = split_symbol(symbol)
    return Instrument(
        symbol=symbol,
        base_asset=base,
        quote_asset=quote,
        price_decimals=price_decimals,
        qty_decimals=qty_decimals,
        tick=tick,
        lot=lot,
        reference_price=int(levels[0][0].replace(".", "")) // tick,
    )


def _grid(texts: list[str]) -> tuple[int, int]:
    decimals = len(texts[0].partition(".")[2])
    return decimals, math.gcd(*(int(text.replace(".", "")) for text in texts)) or 1
