"""Files made to be no good: each is refused by a typed error that names it, in bounded memory, and leaves nothing."""

from __future__ import annotations

import gzip
import random
import struct
import tracemalloc
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from libchronicle.errors import ImportRejected
from libchronicle.etl.recordings import ALL_KINDS
from libchronicle.storage.importers import ImportOptions, import_file
from libchronicle.storage.importers.hftbacktest import BUY, DEPTH, EVENT_DTYPE, LOCAL
from libchronicle.storage.layout import ArchiveLayout

MIB = 1 << 20
TRADES = b"exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
ROW = b"deribit,X,1585699200000000,1585699200000000,1,buy,"
MINE = ImportOptions(venue="x", symbol="Y")


@pytest.fixture
def layout(tmp_path: Path) -> ArchiveLayout:
    return ArchiveLayout(tmp_path / "run" / "archive")


def refused(layout: ArchiveLayout, path: Path, options: ImportOptions | None = None) -> str:
    with pytest.raises(ImportRejected) as error:
        import_file(layout, path, options, kinds=ALL_KINDS)
    assert str(path) in str(error.value)
    assert not layout.partitions_dir.exists()
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("a.csv", TRADES.rstrip()),
        ("a.csv", TRADES + b"deribit,X,"),
        ("MSFT_2012-06-21_34200000_57600000_message_50.csv", b"34200.004,1,"),
        ("a.jsonl", b'1723161256000000000 {"stream":"btcusdt@trade","data":"'),
    ],
)
def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    layout: ArchiveLayout, tmp_path: Path, name: str, begin: bytes
) -> None:
    path = tmp_path / f"{name}.gz"
    with gzip.open(path, "wb", 1) as file:
        file.write(begin)
        for _ in range(64):
            file.write(b"1" * MIB)
    tracemalloc.start()
    try:
        assert "a line of more than 8 MiB" in refused(layout, path)
        assert tracemalloc.get_traced_memory()[1] < 48 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "price", ["1e999999999", "1e-999999999", "nan", "1e70", "-inf", "1e", "1" + "0" * 70 + "e-70"]
)
def test_a_number_that_would_take_gigabytes_to_write_out_is_refused(
    layout: ArchiveLayout, tmp_path: Path, price: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(TRADES + ROW + price.encode() + b",1\n")
    tracemalloc.start()
    try:
        refused(layout, path)
        assert tracemalloc.get_traced_memory()[1] < 32 * MIB
    finally:
        tracemalloc.stop()


def test_zstd_that_wants_too_much_memory_or_is_damaged_is_refused(
    layout: ArchiveLayout, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv.zst"
    for content in (b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", b"\x28\xb5\x2f\xfd" + b"\xff" * 200):
        path.write_bytes(content)
        assert "damaged or cut off" in refused(layout, path)


def _npz(path: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    rows = np.zeros(2000, EVENT_DTYPE)
    rows["ev"] = DEPTH | LOCAL | BUY
    rows["exch_ts"] = rows["local_ts"] = 1_700_000_000 * 10**9 + np.arange(len(rows))
    rows["px"] = rows["qty"] = 1
    array = BytesIO()
    np.save(array, rows)
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("data.npy", array.getvalue())
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_an_npz_with_any_byte_changed_is_taken_as_it_was_or_refused(tmp_path: Path, method: int) -> None:
    path = _npz(tmp_path / "a.npz", method)
    content = path.read_bytes()
    dice = random.Random(method)
    for turn in range(60):
        at = dice.randrange(len(content) if turn % 2 else 120)
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << dice.randrange(8)]) + content[at + 1 :])
        try:
            report = import_file(ArchiveLayout(tmp_path / str(turn) / "archive"), path, MINE)
        except ImportRejected:
            continue
        assert report.rows == 2000, at


def test_an_npz_whose_header_is_a_bomb_is_refused_before_it_is_unpacked(
    layout: ArchiveLayout, tmp_path: Path
) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("data.npy", "w") as array:
        array.write(b"\x93NUMPY\x02\x00" + struct.pack("<I", 64 * MIB))
        for _ in range(64):
            array.write(b" " * MIB)
    tracemalloc.start()
    try:
        assert "header" in refused(layout, path, MINE)
        assert tracemalloc.get_traced_memory()[1] < 32 * MIB
    finally:
        tracemalloc.stop()
