"""Snapshots among imported single orders: the book at a time is found from the last one, and nothing else changes."""

from __future__ import annotations

import csv
import struct
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from libchronicle.book import L3Book
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import DuplicateImport
from libchronicle.etl.extract import extract, features_named
from libchronicle.etl.records import export_records
from libchronicle.etl.sinks import NullSink
from libchronicle.protocol import Instrument, Trade, instrument_id
from libchronicle.replay import archive_replay
from libchronicle.signals import OnEvent
from libchronicle.storage.archive import Archive
from libchronicle.storage.importers import ImportOptions, ImportReport, import_file
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.manifest import Manifest
from libchronicle.storage.verify import verify_archive
from libchronicle.venues.batch import RecordBatch
from libchronicle.venues.itch import ItchParser
from libchronicle.venues.lobster import LobsterParser

SYMBOL = "AB"
NAME = f"nasdaq:{SYMBOL}"
NUMBER = instrument_id(NAME)
MIDNIGHT = 1_340_251_200_000_000_000  # of New York, 2012-06-21
SECOND = 1_000_000_000


def lobster(count: int, standing: int, seconds: float, seed: int = 3) -> bytes:
    """Orders that come and go; about `standing` of them stand at a time."""
    random, alive, lines = Random(seed), [], []
    for number in range(count):
        at = 34_200 + number * seconds / count
        if len(alive) < standing or random.random() < 0.5:
            side = random.choice((1, -1))
            alive.append((number + 1, 1_000_000 - side * 100 * random.randint(1, 400), side))
            order, price, side = alive[-1]
            lines.append(f"{at:.9f},1,{order},100,{price},{side}")
        else:
            order, price, side = alive.pop(random.randrange(len(alive)))
            lines.append(f"{at:.9f},{random.choice((3, 4))},{order},100,{price},{side}")
    return "\n".join(lines).encode() + b"\n"


@pytest.fixture
def paths(tmp_path: Path) -> BusPaths:
    return BusPaths(tmp_path / "bus")


def taken(paths: BusPaths, tmp_path: Path, text: bytes) -> ImportReport:
    file = tmp_path / f"{SYMBOL}_2012-06-21_34200000_57600000_message_10.csv"
    file.write_bytes(text)
    return import_file(ArchiveLayout.of(paths), file)


def parsed(text: bytes) -> list[tuple[int, int, bytes]]:
    """(ts_ns, type, payload) of the records themselves, in order."""
    batch = RecordBatch()
    parser = LobsterParser(NUMBER, MIDNIGHT, batch)
    parser.feed(text)
    parser.finish()
    return [(ts, kind, payload) for kind, ts, payload in batch if kind != Trade.TEMPLATE_ID]


def test_the_book_at_any_time_is_that_of_all_records_and_is_found_from_the_last_snapshot(
    paths: BusPaths, tmp_path: Path
) -> None:
    text = lobster(60_000, standing=3000, seconds=1200)
    report = taken(paths, tmp_path, text)
    records = parsed(text)
    assert report.injected > 30_000
    assert report.injected <= len(records)
    assert len(report.segments) > 8
    rng, judge, at, most = Random(5), L3Book(NUMBER), 0, 0
    with Archive(paths) as archive:
        for ts in sorted(rng.randint(records[0][0], records[-1][0] + SECOND) for _ in range(150)):
            while at < len(records) and records[at][0] <= ts:
                judge.apply(*records[at][1:])
                at += 1
            found = archive.find_book(NAME, ts)
            assert found.book is not None
            assert (found.book.valid, found.book.hash()) == (True, judge.hash())
            most = max(most, found.records)
        replay = archive_replay(archive, [NAME], gaps="stop")
        replay.run()
        whole = replay.book(NAME)
    judge.apply_all((kind, payload) for _, kind, payload in records[at:])
    assert whole is not None
    assert whole.hash() == judge.hash()
    assert most <= 2 * 3000 + 3500  # the orders of a snapshot, and those of a minute


def test_counts_columns_rows_and_features_tell_orders_of_snapshots_from_the_venues(
    paths: BusPaths, tmp_path: Path
) -> None:
    text = lobster(4000, standing=40, seconds=1200)
    report = taken(paths, tmp_path, text)
    records = parsed(text)
    added = sum(line.split(b",")[1] == b"1" for line in text.splitlines())
    assert report.records["book"] == len(records)
    layout = ArchiveLayout.of(paths)
    with Manifest(layout.manifest) as manifest:
        rows = list(manifest.find("nasdaq", SYMBOL))
    assert sum(r.facts.records for r in rows) == (
        sum(report.records.values()) + report.definitions + report.injected
    )
    assert report.definitions == len(report.segments)
    checked = verify_archive(layout)
    assert (checked.findings, checked.missing) == ([], 0)
    with Archive(paths) as archive:
        kinds = archive.read(NAME, "book").to_numpy()["kind"].tolist()
        assert (kinds.count(6), kinds.count(2)) == (added, report.injected)
        export_records(archive, "nasdaq", SYMBOL, "csv", tmp_path / "rows.csv")
        made = extract(archive, "nasdaq", SYMBOL, features_named("mid"), OnEvent(("order",)), NullSink())
    with open(tmp_path / "rows.csv", newline="") as file:
        types = [row["type"] for row in csv.DictReader(file)]
    assert (types.count("add"), types.count("snapshot")) == (added, report.injected)
    assert made.rows == len(records)
    with pytest.raises(DuplicateImport):
        taken(paths, tmp_path, text)


def itch(at: int, kind: str, body: bytes) -> bytes:
    message = kind.encode() + struct.pack(">HH", 7 if kind != "S" else 0, 0) + at.to_bytes(6, "big") + body
    return len(message).to_bytes(2, "big") + message


def evening(orders: int) -> bytes:
    """One order a second from half past six on, so that midnight of UTC is in between; each third goes 100 s later."""
    start = (18 * 60 + 30) * 60 * SECOND
    told = [itch(start, "S", b"O")]
    for number in range(orders):
        at = start + number * SECOND
        price = 1_000_000 - 100 * (number % 50)
        told.append(
            itch(at, "A", struct.pack(">QcI8sI", number + 1, b"B", 10, SYMBOL.encode().ljust(8), price))
        )
        if number > 100 and number % 3:
            told.append(itch(at, "D", struct.pack(">Q", number - 99)))
    return b"".join(told)


def test_a_date_that_begins_in_mid_session_begins_with_what_stands(paths: BusPaths, tmp_path: Path) -> None:
    text = evening(3600)
    file = tmp_path / "12302019.NASDAQ_ITCH50"
    file.write_bytes(text)
    report = import_file(ArchiveLayout.of(paths), file, ImportOptions(kind="itch"))
    midnight = int(datetime(2019, 12, 31, tzinfo=UTC).timestamp()) * SECOND
    batch = RecordBatch()
    parser = ItchParser(midnight - 19 * 3600 * SECOND, batch)
    parser.feed(text)
    parser.finish()
    judge, before = L3Book(NUMBER), 0
    for kind, ts, payload in batch:
        if kind != Trade.TEMPLATE_ID:
            judge.apply(kind, payload)
            before += ts < midnight
    assert before > 1800
    with Archive(paths) as archive:
        found = archive.find_book(NAME, midnight + 3600 * SECOND)
        assert found.book is not None
        assert found.book.hash() == judge.hash()
        own = L3Book(NUMBER)
        for record in archive.read(NAME, "book", midnight):
            if record.type_id != Instrument.TEMPLATE_ID:
                own.apply(record.type_id, bytes(record))
    assert (own.valid, own.hash()) == (True, judge.hash())
    assert report.injected > 0
