"""Level updates of the recordings, applied to a native book.

The recordings are parsed once into the payloads a queue would hold (outside the clock). Each round then applies a whole
file, snapshot first, in one native loop; the book is the same object throughout, so nothing is allocated. `levels_per_s` is
all levels of all files over the sum of the median times; `hash` sums the final books' content hashes.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

import msgspec

from libchronicle.book import L2Book
from libchronicle.cli.bench.harness import BenchOptions
from libchronicle.protocol import (
    BookDelta,
    BookMode,
    BookSnapshot,
    Instrument,
    Levels,
    instrument_id,
    parse_decimal,
)

EXPONENT = -8
FILES = {  # instrument -> recording, tick size as a mantissa
    "binance-spot:BTCUSDT": ("binance/spot/btcusdt_20240808.gz", 1_000_000),
    "binance-spot:ETHUSDT": ("binance/spot/ethusdt_20240808.gz", 1_000_000),
    "binance-usdm:BTCUSDT": ("binance/usdm/btcusdt_20240808.gz", 10_000_000),
}
TINY_DELTAS = 50
ROUNDS = 10

Records = list[tuple[int, bytes]]


def run(options: BenchOptions) -> dict[str, Any]:
    result: dict[str, Any] = {}
    total_levels, total_ns, total_hash = 0, 0.0, 0
    for name, (recording, tick) in FILES.items():
        records, levels = _records(options.recording(recording), name, tick, options.tiny)
        book = L2Book(instrument_id(name))
        times = [_timed(book, records) for _ in range(max(1, options.repeats * ROUNDS))]
        total_levels += levels
        total_ns += median(times)
        total_hash += book.hash()
        result[f"{name}_levels_per_s"] = round(levels / median(times) * 1e9)
        if options.tiny:
            break
    result["levels_per_s"] = round(total_levels / total_ns * 1e9)
    result["ns_per_level"] = round(total_ns / total_levels, 2)
    result["n"] = total_levels
    result["hash"] = f"{total_hash % 2**64:016x}"
    return result


def _timed(book: L2Book, records: Records) -> int:
    start = perf_counter_ns()
    book.apply_all(records)
    return perf_counter_ns() - start


def _records(path: Path, name: str, tick: int, tiny: bool) -> tuple[Records, int]:
    """Instrument, snapshot, and the deltas after it; and how many levels the deltas hold."""
    key = instrument_id(name)
    definition = Instrument(
        instrument_id=key,
        tick_size=tick,
        price_exponent=EXPONENT,
        qty_exponent=EXPONENT,
        book_mode=BookMode.L2,
    )
    snapshot, deltas = _book_events(path, tiny)
    records = [
        (Instrument.TEMPLATE_ID, definition.encode()),
        (BookSnapshot.TEMPLATE_ID, _snapshot(key, snapshot).encode()),
    ]
    levels = 0
    for event in deltas:
        if event["u"] > snapshot["lastUpdateId"]:
            records.append((BookDelta.TEMPLATE_ID, _delta(key, event).encode()))
            levels += len(event["b"]) + len(event["a"])
    return records, levels


def _book_events(path: Path, tiny: bool) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The REST snapshot of a recording and its diffs, some of which come before it in the file."""
    deltas: list[dict[str, Any]] = []
    snapshot: dict[str, Any] | None = None
    for event in _json_lines(path):
        if "lastUpdateId" in event:
            snapshot = event
        else:
            deltas.append(event)
        if tiny and snapshot is not None and deltas[TINY_DELTAS:]:
            break
    if snapshot is None:
        raise ValueError(f"{path}: no snapshot")
    return snapshot, deltas


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path) as lines:
        for line in lines:
            text = line[line.index(b" ") + 1 :]
            if b"@depth" in text[:64] or b"lastUpdateId" in text[:128]:
                event = msgspec.json.decode(text)
                yield event.get("data", event)


def _snapshot(key: int, event: dict[str, Any]) -> BookSnapshot:
    return BookSnapshot(
        instrument_id=key,
        last_update_id=event["lastUpdateId"],
        bids=_levels(event["bids"]),
        asks=_levels(event["asks"]),
    )


def _delta(key: int, event: dict[str, Any]) -> BookDelta:
    return BookDelta(
        instrument_id=key,
        first_update_id=event["U"],
        last_update_id=event["u"],
        prev_update_id=event.get("pu", 0),
        bids=_levels(event["b"]),
        asks=_levels(event["a"]),
    )


def _levels(pairs: list[list[str]]) -> Levels:
    return [(parse_decimal(price, EXPONENT), parse_decimal(qty, EXPONENT)) for price, qty in pairs]
