"""Imports: the vendors' files into a real archive and out of it again, once each, whatever happens meanwhile."""

from __future__ import annotations

import gzip
import lzma
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ArchiveError, DuplicateImport, ImportRejected
from libchronicle.protocol import BookSnapshot, Instrument, OrderAdd, Trade
from libchronicle.queue import Queue
from libchronicle.storage.archive import Archive
from libchronicle.storage.importers import (
    KINDS,
    ImportOptions,
    ImportReport,
    InputFile,
    Plan,
    import_file,
    imports_dir,
    run_import,
)
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.manifest import Manifest
from libchronicle.storage.rebuild import rebuild

DAY_US = 1_585_699_200_000_000  # 2020-04-01 00:00 UTC
L2 = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n"
TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"


@pytest.fixture
def layout(tmp_path: Path) -> ArchiveLayout:
    return ArchiveLayout(tmp_path / "run" / "archive")


def read(layout: ArchiveLayout, venue: str, symbol: str, stream: str) -> list:
    with Archive(layout.root.parent) as archive:
        return [record for _, record in archive.read(venue, symbol, stream).decoded()]


def trades_file(path: Path, count: int = 5000, start_us: int = DAY_US, symbol: str = "X") -> Path:
    rows = (
        f"deribit,{symbol},{start_us + i * 1000 - 300},{start_us + i * 1000},{i},buy,{6421 + i % 7}.5,{i + 1}\n"
        for i in range(count)
    )
    path.write_text(TRADES + "".join(rows))
    return path


def files_of(layout: ArchiveLayout) -> dict[str, bytes]:
    return {
        str(path.relative_to(layout.root)): path.read_bytes()
        for path in sorted(layout.partitions_dir.rglob("*"))
        if path.is_file()
    }


def test_every_row_is_found_again_and_a_second_import_changes_nothing(
    layout: ArchiveLayout, tmp_path: Path
) -> None:
    file = trades_file(tmp_path / "t.csv", 30_000)
    report = import_file(layout, file)
    assert report.rows == 30_000
    assert report.records == {"trade": 30_000}
    assert report.instruments == ["deribit:X"]
    trades = [r for r in read(layout, "deribit", "X", "trade") if isinstance(r, Trade)]
    assert [t.trade_id for t in trades] == list(range(30_000))
    assert len(report.segments) > 2
    before = files_of(layout)
    with pytest.raises(DuplicateImport):
        import_file(layout, file)
    packed = tmp_path / "again.csv.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    with pytest.raises(DuplicateImport):
        import_file(layout, packed)
    assert files_of(layout) == before
    assert list(imports_dir(layout).iterdir()) == [imports_dir(layout) / f"{report.key}.json"]


def test_each_segment_begins_with_the_instrument_and_holds_one_date(
    layout: ArchiveLayout, tmp_path: Path
) -> None:
    import_file(layout, trades_file(tmp_path / "t.csv", 20_000, DAY_US + 86_400_000_000 - 10_000_000))
    partitions = list(layout.partitions())
    assert [str(p.day) for p in partitions] == ["2020-04-01", "2020-04-02"]
    with Manifest(layout.manifest) as manifest:
        rows = list(manifest.find("deribit", "X", "trade"))
    assert sum(row.facts.types[str(Trade.TEMPLATE_ID)] for row in rows) == 20_000
    for row in rows:
        assert row.facts.types[str(Instrument.TEMPLATE_ID)] == 1
        assert str(row.partition.day) == row.facts.day
        assert '"importer":"tardis trades"' in (row.source or "")
    times = [r.venue_ts for r in read(layout, "deribit", "X", "trade") if isinstance(r, Trade)]
    assert times == sorted(times)


def test_packed_files_read_as_plain_ones(layout: ArchiveLayout, tmp_path: Path) -> None:
    from backports import zstd

    text = trades_file(tmp_path / "t.csv").read_bytes()
    for name, packed in (
        ("a.gz", gzip.compress(text)),
        ("b.xz", lzma.compress(text)),
        ("c.zst", zstd.compress(text)),
    ):
        (tmp_path / name).write_bytes(packed)
        assert b"".join(InputFile(tmp_path / name).chunks()) == text
        (tmp_path / name).write_bytes(packed[:-20])
        with pytest.raises(ImportRejected, match="damaged or cut off"):
            import_file(layout, tmp_path / name, ImportOptions(kind="tardis"))


def test_a_refused_file_leaves_nothing(layout: ArchiveLayout, tmp_path: Path) -> None:
    file = trades_file(tmp_path / "t.csv")
    with open(file, "a") as out:
        out.write(f"deribit,Y,{DAY_US * 2},{DAY_US * 2},1,buy,1,1\n")
    with pytest.raises(ImportRejected, match="line 5002"):
        import_file(layout, file)
    assert files_of(layout) == {}
    with pytest.raises(ImportRejected, match="give --kind"):
        import_file(layout, Path(__file__))


def test_a_number_the_archives_exponents_cannot_hold_is_refused_in_the_second_file(
    layout: ArchiveLayout, tmp_path: Path
) -> None:
    import_file(layout, trades_file(tmp_path / "t.csv", 10))
    file = tmp_path / "fine.csv"
    later = DAY_US + 3_600_000_000
    file.write_text(TRADES + f"deribit,X,{later},{later},1,buy,1.0000000001,1\n")
    with pytest.raises(ImportRejected, match="line 2"):
        import_file(layout, file)
    file.write_text(TRADES + f"deribit,X,{later},{later},1,buy,1.00000001,1\n")
    import_file(layout, file)
    assert len([r for r in read(layout, "deribit", "X", "trade") if isinstance(r, Trade)]) == 11


class Stop(Exception):
    pass


def test_an_import_cut_off_anywhere_is_finished_by_the_next(layout: ArchiveLayout, tmp_path: Path) -> None:
    file = trades_file(tmp_path / "t.csv", 12_000, DAY_US + 86_400_000_000 - 2_000_000)
    names: list[str] = []
    _run(ArchiveLayout(tmp_path / "whole" / "archive"), file, names.append)
    expected = read(ArchiveLayout(tmp_path / "whole" / "archive"), "deribit", "X", "trade")
    assert len(names) > 5
    for cut in range(len(names)):
        here = ArchiveLayout(tmp_path / f"cut{cut}" / "archive")
        countdown: Iterator[int] = iter(range(cut, -1, -1))

        def step(name: str, countdown: Iterator[int] = countdown) -> None:
            if next(countdown) == 0:
                raise Stop(name)

        with pytest.raises(Stop):
            _run(here, file, step)
        try:
            _run(here, file, lambda name: None)
        except DuplicateImport:
            assert names[cut] == "clean up"
        assert read(here, "deribit", "X", "trade") == expected, names[cut]
        shutil.rmtree(here.root.parent)


def _run(layout: ArchiveLayout, file: Path, step: object) -> ImportReport:
    plan = KINDS["tardis"][1](InputFile(file), ImportOptions(), layout)
    return run_import(layout, plan.key, str(file), plan.stage, step=step)  # type: ignore[arg-type]


def test_a_second_source_of_the_same_time_is_refused_and_one_of_another_time_is_not(
    layout: ArchiveLayout, tmp_path: Path
) -> None:
    import_file(layout, trades_file(tmp_path / "a.csv", 100))
    with pytest.raises(ImportRejected, match=r"deribit:X trade: the archive holds .* from .*a\.csv"):
        import_file(layout, trades_file(tmp_path / "b.csv", 150))
    import_file(layout, trades_file(tmp_path / "b.csv", 150), ImportOptions(symbol="OTHER"))
    import_file(layout, trades_file(tmp_path / "c.csv", 100, DAY_US + 100_000))
    assert len([r for r in read(layout, "deribit", "X", "trade") if isinstance(r, Trade)]) == 200


def _trades(layout: ArchiveLayout) -> list[Trade]:
    return [r for r in read(layout, "deribit", "X", "trade") if isinstance(r, Trade)]


def test_of_two_imports_of_one_time_under_way_at_once_one_is_taken(
    layout: ArchiveLayout, tmp_path: Path
) -> None:
    first = trades_file(tmp_path / "a.csv", 500)
    second = trades_file(tmp_path / "b.csv", 400, DAY_US + 100_000)
    plan = KINDS["tardis"][1](InputFile(first), ImportOptions(), layout)
    refused: list[ImportRejected] = []

    def meanwhile(name: str) -> None:
        if name == "publish":
            with pytest.raises(ImportRejected, match=r"once .*a\.csv, whose import is under way") as error:
                import_file(layout, second)
            refused.append(error.value)

    run_import(layout, plan.key, str(first), plan.stage, step=meanwhile)
    assert len(refused) == 1
    assert len(_trades(layout)) == 500


def test_an_import_that_was_killed_keeps_its_time_until_it_is_finished(
    layout: ArchiveLayout, tmp_path: Path
) -> None:
    first = trades_file(tmp_path / "a.csv", 500)
    second = trades_file(tmp_path / "b.csv", 400, DAY_US + 100_000)

    def killed(name: str) -> None:
        if name == "publish":
            raise Stop(name)

    with pytest.raises(Stop):
        _run(layout, first, killed)
    with pytest.raises(ImportRejected, match="cut off"):
        import_file(layout, second)
    import_file(layout, trades_file(tmp_path / "c.csv", 100, DAY_US + 10_000_000))
    import_file(layout, first)
    assert len(_trades(layout)) == 600


@pytest.mark.parametrize("cut_off", [False, True], ids=["at once", "killed"])
def test_what_one_import_says_of_a_new_instrument_holds_for_one_that_was_planned_before(
    layout: ArchiveLayout, tmp_path: Path, cut_off: bool
) -> None:
    small = trades_file(tmp_path / "small.csv", 500)
    large = tmp_path / "large.csv"
    large.write_text(
        TRADES
        + "".join(
            f"deribit,X,{DAY_US + i * 1000},{DAY_US + i * 1000},{i},buy,7,{10**10 + i}.5\n"
            for i in range(9_000, 9_100)
        )
    )
    alone = ArchiveLayout(tmp_path / "alone" / "archive")
    import_file(alone, large)
    assert len({one.qty_exponent for one in _definitions(alone)}) == 1
    within = [
        KINDS["tardis"][1](InputFile(small), ImportOptions(), ArchiveLayout(tmp_path / "no" / "archive"))
    ]

    def planned_before(file: InputFile, options: ImportOptions, _: ArchiveLayout) -> Plan:
        """As if the large one had begun while this was being planned."""
        return within.pop() if within else KINDS["tardis"][1](file, options, layout)

    def killed(name: str) -> None:
        if cut_off and name == "publish":
            raise Stop(name)

    if cut_off:
        with pytest.raises(Stop):
            _run(layout, large, killed)
    else:
        _run(layout, large, killed)
    import_file(layout, small, kinds={"tardis": (lambda _: True, planned_before)})
    if cut_off:
        _run(layout, large, str)
    assert not within
    assert {one.qty_exponent for one in _definitions(layout)} == {
        one.qty_exponent for one in _definitions(alone)
    }
    assert len(_trades(layout)) == 600


def _definitions(layout: ArchiveLayout) -> list[Instrument]:
    return [r for r in read(layout, "deribit", "X", "trade") if isinstance(r, Instrument)]


def test_a_file_of_a_time_that_is_still_in_the_queue_is_refused(
    layout: ArchiveLayout, tmp_path: Path
) -> None:
    file = trades_file(tmp_path / "a.csv", 500)
    other = ArchiveLayout(tmp_path / "other" / "archive")
    import_file(other, file)
    queue = BusPaths(layout.root.parent).clean("deribit", "X", "trade")
    with Archive(tmp_path / "other") as archive, Queue.open_publisher(queue) as writer:
        for message in archive.read("deribit", "X", "trade"):
            writer.append(message.type_id, bytes(message), message.ts_ns)
    with pytest.raises(ImportRejected, match="being recorded by the suite"):
        import_file(layout, file)
    import_file(layout, trades_file(tmp_path / "b.csv", 100, DAY_US + 10_000_000))
    assert len(_trades(layout)) == 600


def test_an_import_whose_record_is_damaged_is_an_error_with_its_place(
    layout: ArchiveLayout, tmp_path: Path
) -> None:
    file = trades_file(tmp_path / "a.csv", 10)
    import_file(layout, file)
    record = next(imports_dir(layout).glob("*.json"))
    for damaged in (record.read_bytes()[:40], b"\xff\xfe"):
        record.write_bytes(damaged)
        with pytest.raises(ArchiveError, match="its record is damaged"):
            import_file(layout, file)
    assert len(_trades(layout)) == 10


@pytest.mark.parametrize("manifest", ["absent", "behind", "ahead"])
def test_an_overlap_is_found_in_the_files_whatever_the_manifest_knows(
    layout: ArchiveLayout, tmp_path: Path, manifest: str
) -> None:
    import_file(layout, trades_file(tmp_path / "a.csv", 100))
    with Manifest(layout.manifest) as opened:
        rows = opened.dump()
        found = list(opened.find())
        if manifest == "behind":
            opened.remove(*(row.id for row in found))
    if manifest == "absent":
        layout.manifest.unlink()
    if manifest == "ahead":
        for row in found:
            layout.segment(row.partition, row.id, "warm").unlink()
        assert import_file(layout, trades_file(tmp_path / "b.csv", 150)).rows == 150
        return
    with pytest.raises(ImportRejected, match=r"deribit:X trade: the archive holds .* from .*a\.csv"):
        import_file(layout, trades_file(tmp_path / "b.csv", 150))
    with Manifest(layout.manifest) as opened:  # what it lacked was told it on the way, up to what refused
        assert 0 < len(list(opened.find())) <= len(rows)
        assert all(row in rows for row in opened.dump())


def test_a_gap_in_the_source_shows_in_the_manifest(layout: ArchiveLayout, tmp_path: Path) -> None:
    rows = [
        f"deribit,X,{DAY_US + at},{DAY_US + at},{snapshot},{side},{price},1\n"
        for at, snapshot, side, price in (
            (0, "true", "bid", 10),
            (0, "true", "ask", 11),
            (5, "false", "bid", 9),
            (9, "true", "bid", 8),
        )
    ]
    file = tmp_path / "l2.csv"
    file.write_text(L2 + "".join(rows))
    assert import_file(layout, file).gaps == 1
    with Manifest(layout.manifest) as manifest:
        (row,) = manifest.find("deribit", "X", "book")
    assert row.facts.gaps == 1
    kinds = [type(r).__name__ for r in read(layout, "deribit", "X", "book")]
    assert kinds == ["Instrument", "BookSnapshot", "BookDelta", "Gap", "BookSnapshot"]


def test_packets_missing_before_the_first_definition_show_in_book_and_manifest(
    layout: ArchiveLayout, tmp_path: Path
) -> None:
    at = 1_692_711_000 * 10**9
    since = (at - 1_692_676_800 * 10**9).to_bytes(6, "big")
    event = b"S" + bytes(4) + since + b"O"
    order = b"A" + struct.pack(">HH", 7, 0) + since + struct.pack(">QcI8sI", 1, b"B", 5, b"IVOO    ", 100)
    frames = b"".join(_captured(at, seq, message) for seq, message in ((1, event), (4, order)))
    (tmp_path / "x.pcap").write_bytes(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1) + frames)
    assert import_file(layout, tmp_path / "x.pcap").gaps == 1
    with Manifest(layout.manifest) as manifest:
        (row,) = manifest.find("nasdaq", "IVOO", "book")
    assert row.facts.gaps == 1
    with Archive(layout.root.parent) as archive:
        book = archive.book_at("nasdaq:IVOO", at + 1)
    assert book is not None
    assert not book.valid


def _captured(at: int, seq: int, message: bytes) -> bytes:
    """A packet of one message in a capture."""
    mold = b"session   " + struct.pack(">QHH", seq, 1, len(message)) + message
    datagram = struct.pack(">HHHH", 1, 2, 8 + len(mold), 0) + mold
    ip = struct.pack(">BBHHHBBH8s", 0x45, 0, 20 + len(datagram), 0, 0, 9, 17, 0, bytes(8))
    data = bytes(12) + b"\x08\x00" + ip + datagram
    return struct.pack("<IIII", at // 10**9, at % 10**9, len(data), len(data)) + data


def test_the_manifest_of_imports_is_that_of_the_files(layout: ArchiveLayout, tmp_path: Path) -> None:
    import_file(layout, trades_file(tmp_path / "t.csv", 20_000, DAY_US + 86_400_000_000 - 10_000_000))
    with Manifest(layout.manifest) as manifest:
        before = manifest.dump()
        rebuild(layout, manifest)
        assert manifest.dump() == before
        assert all("tardis" in row["source"] for row in before)


@pytest.mark.recording
def test_the_vendors_fixtures_import(layout: ArchiveLayout, chronicle_data: Path) -> None:
    for file in sorted((chronicle_data / "tardis").glob("*.csv")):
        if "snapshot_5" in file.name:  # the same book as snapshot_25, at the same time
            with pytest.raises(ImportRejected, match="snapshot_25"):
                import_file(layout, file)
        else:
            import_file(layout, file)
    lobster = next((chronicle_data / "lobster").glob("*message*"))
    report = import_file(layout, lobster)
    assert (report.rows, report.records) == (1000, {"book": 1095, "trade": 115})
    itch = import_file(layout, chronicle_data / "itch" / "ex20101224.TEST_ITCH_50.gz")
    assert itch.rows == 12_012
    assert itch.instruments == ["nasdaq:ALC", "nasdaq:BOB", "nasdaq:CHAR"]
    for file in sorted((chronicle_data / "itch").glob("*.pcap")):
        import_file(layout, file)
    adds = [r for r in read(layout, "nasdaq", "BOB", "book") if isinstance(r, OrderAdd)]
    assert adds
    assert adds[0].venue_ts // 86_400_000_000_000 == 14967  # 2010-12-24
    snapshots = [r for r in read(layout, "binance-usdm", "BTCUSDT", "book") if isinstance(r, BookSnapshot)]
    assert len(snapshots) >= 10
    captured = [r for r in read(layout, "nasdaq", "IVOO", "book") if isinstance(r, OrderAdd)]
    assert captured
    assert (
        0 < captured[0].recv_ts - captured[0].venue_ts < 10**9
    )  # the capture's clock, just behind the venue's
