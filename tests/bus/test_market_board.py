"""The market board: in one piece whatever its writer does, and whatever becomes of it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import struct
from decimal import Decimal
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from libchronicle.bus.market_board import MarketBoard, MarketBoardWriter
from libchronicle.bus.market_snapshot import MarketSnapshot
from libchronicle.errors import CorruptError, MisuseError, NotReady, UnsupportedVersion

CHECKS, DISTINCT = 200_000, 5_000
CELLS_AT, LATCH_AT, MARKETS_AT = 64, 0, 128


def put_all_alike(writer: MarketBoardWriter, n: int) -> None:
    writer.put(1, True, n, n, (n, n), (n, n))


def shout(path: Path, started: Event) -> None:
    """As fast as it goes, until killed."""
    writer = MarketBoardWriter(path)
    writer.claim(1, "v:S", -2, -3)
    n = 0
    while True:
        n += 1
        put_all_alike(writer, n)
        if n == 1000:
            started.set()


def listen(path: Path, torn: object, seen: object) -> None:
    board = MarketBoard(path)
    last = distinct = checks = 0
    while checks < CHECKS or distinct < DISTINCT:
        checks += 1
        one = board.get("v:S")
        assert one is not None
        assert one.bid is not None
        if {one.recv_ts, one.update_id, *one.bid, *(one.ask or ())} != {
            one.update_id
        } or one.update_id < last:
            torn.value += 1  # type: ignore[attr-defined]
        distinct += one.update_id != last
        last = one.update_id
    seen.value = distinct  # type: ignore[attr-defined]


def test_no_reader_ever_sees_a_torn_market_while_the_writer_shouts_and_after_it_is_killed(
    tmp_path: Path,
) -> None:
    fork = multiprocessing.get_context("fork")
    path, started = tmp_path / "x.market", fork.Event()
    writer = fork.Process(target=shout, args=(path, started))
    writer.start()
    try:
        assert started.wait(60)
        results = [(fork.Value("q", 0), fork.Value("q", 0)) for _ in range(2)]
        readers = [fork.Process(target=listen, args=(path, *result)) for result in results]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(100)
        assert [reader.exitcode for reader in readers] == [0, 0]
        assert [torn.value for torn, _ in results] == [0, 0]
        assert min(seen.value for _, seen in results) >= DISTINCT
    finally:
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
    left = MarketBoard(path).get("v:S")
    assert left is not None
    assert left.bid == (left.update_id, left.update_id) == left.ask


def test_a_market_half_written_is_nobodys(tmp_path: Path) -> None:
    """Killed between two stores: the market that the latch does not name is rubbish."""
    path = tmp_path / "x.market"
    writer = MarketBoardWriter(path)
    writer.claim(1, "v:S", 0, 0)
    for n in (1, 2, 3):
        put_all_alike(writer, n)
        raw = bytearray(path.read_bytes())
        (latch,) = struct.unpack_from("<Q", raw, CELLS_AT + LATCH_AT)
        other = CELLS_AT + MARKETS_AT + 64 * ((latch + 1) & 1)
        raw[other : other + 64] = b"\xaa" * 64
        cut_off = tmp_path / f"{n}.market"
        cut_off.write_bytes(raw)
        found = MarketBoard(cut_off).get("v:S")
        assert found is not None
        assert (found.update_id, found.bid, found.ask) == (n, (n, n), (n, n))


def test_what_is_put_comes_out_and_who_is_not_there_is_none(tmp_path: Path) -> None:
    writer = MarketBoardWriter(tmp_path / "x.market", cells=2)
    board = MarketBoard(tmp_path / "x.market")
    assert board.snapshots() == []
    assert writer.claim(7, "binance-spot:BTCUSDT", -2, -8)
    assert writer.claim(7, "binance-spot:BTCUSDT", -2, -8)
    assert board.get("binance-spot:BTCUSDT") is None
    writer.put(7, True, 5, 6, (10_000, 150_000_000), None)
    one = MarketSnapshot(
        name="binance-spot:BTCUSDT",
        instrument_id=7,
        price_exponent=-2,
        qty_exponent=-8,
        valid=True,
        recv_ts=5,
        update_id=6,
        bid=(10_000, 150_000_000),
        ask=None,
    )
    assert board.get("binance-spot:BTCUSDT") == one
    assert (one.price(one.bid), one.qty(one.bid), one.price(one.ask)) == (Decimal(100), Decimal("1.5"), None)
    assert one.spread_bps is None
    assert writer.claim(8, "ü:S", 0, 0)
    writer.put(8, False, 1, 2, (99, 1), (101, 1))
    assert [(s.name, s.valid, s.spread_bps) for s in board.snapshots()] == [
        ("binance-spot:BTCUSDT", True, None),
        ("ü:S", False, 200.0),
    ]
    assert not writer.claim(9, "no:ROOM", 0, 0)
    assert board.pid == os.getpid()
    with pytest.raises(KeyError):
        writer.put(9, True, 0, 0, None, None)
    with pytest.raises(MisuseError, match="longer than 103"):
        MarketBoardWriter(tmp_path / "y.market").claim(1, "v:" + "S" * 102, 0, 0)
    writer.close()
    with pytest.raises(MisuseError, match="closed"):
        writer.put(7, True, 0, 0, None, None)
    assert board.get("binance-spot:BTCUSDT") == one, "whose writer has gone is still there to look at"


def test_a_file_that_is_no_board_is_an_error_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "x.market"
    with pytest.raises(NotReady, match=r"x\.market"):
        MarketBoard(path)
    MarketBoardWriter(path, cells=4)
    raw = path.read_bytes()
    assert len(raw) == 64 + 4 * 256
    for damaged, kind in (
        (raw[:60], CorruptError),
        (b"\0" * 64 + raw[64:], CorruptError),
        (raw[:8] + b"\2" + raw[9:], UnsupportedVersion),
        (raw[:-1], CorruptError),
    ):
        path.write_bytes(damaged)
        with pytest.raises(kind, match=r"x\.market"):
            MarketBoard(path)


def test_a_board_cut_short_under_a_reader_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "x.market"
    writer = MarketBoardWriter(path)
    writer.claim(1, "v:S", 0, 0)
    put_all_alike(writer, 1)
    board = MarketBoard(path)
    assert board.get("v:S") is not None
    os.truncate(path, 0)
    assert board.get("v:S") is None
