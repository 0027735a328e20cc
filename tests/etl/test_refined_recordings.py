"""Recordings through decoder and refinery: nothing is lost or changed, and every book is the one kept from raw."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from heapq import merge
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from raw_world import Record, records, records_by_segment

from libchronicle.book import L2Book
from libchronicle.bus.paths import BusPaths
from libchronicle.etl import Group, Policy, open_refinery
from libchronicle.protocol import (
    BestBidAsk,
    BookDelta,
    BookFlags,
    BookMode,
    BookReset,
    BookSnapshot,
    Gap,
    Instrument,
    Trade,
    decode,
    instrument_id,
)
from libchronicle.queue import Queue, QueueConfig
from libchronicle.venues.binance.pipeline import Pipeline
from libchronicle.venues.binance.profile import PROFILES

pytestmark = pytest.mark.recording

FILES = {
    "binance-spot": {"BTCUSDT": "spot/btcusdt_20240808.gz", "ETHUSDT": "spot/ethusdt_20240808.gz"},
    "binance-usdm": {"BTCUSDT": "usdm/btcusdt_20240808.gz"},
}
STREAMS = {
    "book": (BookSnapshot.TEMPLATE_ID, BookDelta.TEMPLATE_ID, BookReset.TEMPLATE_ID, Gap.TEMPLATE_ID),
    "trade": (Trade.TEMPLATE_ID, Gap.TEMPLATE_ID),
    "quote": (BestBidAsk.TEMPLATE_ID, Gap.TEMPLATE_ID),
}
POLICY = Policy(segment_size=512 << 10, snapshot_levels=5000, sync=False)


def lines(path: Path, index: int) -> Iterator[tuple[int, int, bytes]]:
    with gzip.open(path) as file:
        for line in file:
            ts, _, text = line.rstrip().partition(b" ")
            yield int(ts), index, text


def definition(venue: str, symbol: str) -> Instrument:
    return Instrument(
        instrument_id=instrument_id(f"{venue}:{symbol}"),
        tick_size=1_000_000,
        lot_size=100_000,
        price_exponent=-8,
        qty_exponent=-8,
        book_mode=BookMode.L2,
        trading=1,
        venue=venue,
        symbol=symbol,
    )


@pytest.fixture(scope="module", params=sorted(FILES))
def refined(
    request: pytest.FixtureRequest, chronicle_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, BusPaths, Path]:
    """All recordings of a market as one feed would have written them, refined."""
    venue: str = request.param
    root = tmp_path_factory.mktemp(venue)
    paths = BusPaths(root)
    raw = paths.raw(venue)
    files = FILES[venue]
    with Queue.open_publisher(raw, QueueConfig(segment_size=4 << 20, prefault=False, sync=False)) as writer:
        instruments = [definition(venue, symbol) for symbol in files]
        pipeline = Pipeline(PROFILES[venue], instruments, writer)
        pipeline.connected(1)
        recorded = [
            lines(chronicle_data / "binance" / name, index) for index, name in enumerate(files.values())
        ]
        for ts, index, text in merge(*recorded):
            if text.startswith(b'{"stream"'):
                pipeline.frame(text, ts)
            else:
                pipeline.snapshot(index, text, ts)
        pipeline.decoder.detach()
    refine(paths, raw, "etl")
    return venue, paths, raw


def refine(paths: BusPaths, raw: Path, reader: str, group: Group | None = None) -> None:
    refinery = open_refinery(paths, raw, reader, policy=POLICY, group=group)
    while refinery.run(4096):
        refinery.commit()
    refinery.close()
    refinery.raw.close()


def of_symbol(raw: list[Record], number: int, kinds: tuple[int, ...]) -> Iterator[tuple[int, Record]]:
    """(raw seq, record) of an instrument, gaps of the feed included."""
    for seq, record in enumerate(raw):
        if record[1] in kinds:
            named = int.from_bytes(record[2][8:16], "little")
            if named == number or (named == 0 and record[1] == Gap.TEMPLATE_ID):
                yield seq, record


def is_own(record: Record) -> bool:
    """Written by the refinery."""
    _, type_id, payload = record
    if type_id == Instrument.TEMPLATE_ID:
        return True
    return type_id == BookSnapshot.TEMPLATE_ID and decode(type_id, payload).flags & BookFlags.INJECTED > 0


def test_each_stream_holds_exactly_the_raw_records_of_its_symbol_in_order(
    refined: tuple[str, BusPaths, Path],
) -> None:
    venue, paths, raw = refined
    every = records(raw)
    for symbol in FILES[venue]:
        number = instrument_id(f"{venue}:{symbol}")
        for stream, kinds in STREAMS.items():
            expected = []
            for seq, (ts, type_id, payload) in of_symbol(every, number, kinds):
                message = decode(type_id, payload)
                message.raw_seq = seq
                expected.append((ts, type_id, message.encode()))
            first = next(i for i, record in enumerate(expected) if record[1] != Gap.TEMPLATE_ID)
            found = [record for record in records(paths.clean(venue, symbol, stream)) if not is_own(record)]
            assert found == expected[first:], (symbol, stream)
            print(f"{venue}:{symbol} {stream}: {len(found)} records")


def test_the_book_after_each_clean_record_is_the_one_kept_from_raw(
    refined: tuple[str, BusPaths, Path],
) -> None:
    venue, paths, raw = refined
    every = records(raw)
    for symbol in FILES[venue]:
        number = instrument_id(f"{venue}:{symbol}")
        book = L2Book(number)
        expected: dict[int, tuple[bool, int]] = {}
        for seq, (_, type_id, payload) in of_symbol(every, number, STREAMS["book"]):
            book.apply(type_id, payload)
            expected[seq] = (book.valid, book.hash())
        before = {seq: expected[last] for last, seq in zip(expected, list(expected)[1:], strict=False)}
        segments = records_by_segment(paths.clean(venue, symbol, "book"))
        snapshots = compared = 0
        for segment in segments:
            clean = L2Book(number)  # each segment by itself
            for record in segment:
                clean.apply(record[1], record[2])
                if record[1] == Instrument.TEMPLATE_ID:
                    continue
                truth = before if is_own(record) else expected
                snapshots += is_own(record)
                compared += 1
                message = decode(record[1], record[2])
                assert (clean.valid, clean.hash()) == truth[message.raw_seq], message.raw_seq
        assert snapshots > len(segments) > 1
        print(
            f"{venue}:{symbol}: {compared} books compared, {snapshots} snapshots in {len(segments)} segments"
        )


def test_one_process_for_each_symbol_gives_the_same_files_as_one_for_all(
    refined: tuple[str, BusPaths, Path], tmp_path: Path
) -> None:
    venue, paths, raw = refined
    groups = {"eth": ["*:ETH*"], "rest": ["*"]}
    other = BusPaths(tmp_path)
    for name in groups:
        refine(other, raw, f"etl-{name}", Group(name, groups))
    for symbol in FILES[venue]:
        for stream in STREAMS:
            one, two = (records_by_segment(at.clean(venue, symbol, stream)) for at in (paths, other))
            assert one == two
