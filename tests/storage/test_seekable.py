"""The cold form: any block reads as the source has it, strangers' tools read it, and no flipped bit passes."""

from __future__ import annotations

import io
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libchronicle.errors import ArchiveError, BadSegment, ForeignFile, InvalidArgument
from libchronicle.storage.seekable import SeekableZstd, open_seekable, write_seekable


def text(size: int, seed: int = 1) -> bytes:
    """Bytes that compress somewhat."""
    source = random.Random(seed)
    return bytes(source.choices(b"abcdefgh", k=size))


def packed(data: bytes, block_size: int, facts: bytes = b"{}") -> bytes:
    out = io.BytesIO()
    assert write_seekable(data, out, facts, level=3, block_size=block_size) == len(out.getvalue())
    return out.getvalue()


def from_bytes(data: bytes) -> SeekableZstd:
    return SeekableZstd(lambda offset, size: data[offset : offset + size], len(data), "x.q.zst")


@settings(max_examples=40)
@given(size=st.integers(0, 20_000), block_size=st.integers(1, 25_000), facts=st.binary(max_size=50))
def test_every_block_reads_as_the_source_for_any_block_size(size: int, block_size: int, facts: bytes) -> None:
    block_size = max(block_size, size // 200 + 1)
    data = text(size)
    source = from_bytes(packed(data, block_size, facts))
    assert (source.size, source.facts) == (size, facts)
    order = list(range(source.blocks))
    random.Random(size).shuffle(order)
    for block in order:
        assert source.read_block(block) == data[block * source.block_size : (block + 1) * source.block_size]


@pytest.mark.skipif(shutil.which("zstd") is None, reason="the zstd tool is not installed")
def test_the_stock_tool_gives_back_the_source(tmp_path: Path) -> None:
    data = text(100_000)
    (tmp_path / "x.q.zst").write_bytes(packed(data, 8192, b'{"a": 1}'))
    subprocess.run(["zstd", "-q", "-d", "x.q.zst"], cwd=tmp_path, check=True)
    assert (tmp_path / "x.q").read_bytes() == data


def test_another_librarys_reader_of_the_format_seeks_in_it(tmp_path: Path) -> None:
    pyzstd = pytest.importorskip("pyzstd")
    data = text(100_000)
    (tmp_path / "x.zst").write_bytes(packed(data, 8192))
    with pyzstd.SeekableZstdFile(tmp_path / "x.zst") as file:
        for offset in (50_000, 0, 99_999, 8191):
            file.seek(offset)
            assert file.read(100) == data[offset : offset + 100]


def test_a_file_of_another_librarys_making_is_read(tmp_path: Path) -> None:
    pyzstd = pytest.importorskip("pyzstd")
    data = text(100_000)
    with pyzstd.SeekableZstdFile(tmp_path / "x.zst", "w", max_frame_content_size=10_000) as file:
        file.write(data)
    assert open_seekable(tmp_path / "x.zst").read_all() == data


def test_no_flipped_bit_yields_other_bytes() -> None:
    data = text(600)
    good = packed(data, 300)
    for bit in range(len(good) * 8):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        try:
            source = from_bytes(bytes(bad))
            assert source.read_all() == data
            source.check_stored()
        except ArchiveError:
            continue
        pytest.fail(f"bit {bit} of {len(good) * 8}")


@pytest.mark.parametrize("keep", [0, 5, 100, 0.5, -1, -5])
def test_a_file_cut_short_is_refused(keep: float) -> None:
    good = packed(text(5000), 1000)
    size = int(len(good) * keep) if 0 < keep < 1 else int(keep)
    with pytest.raises((ForeignFile, BadSegment), match=r"x\.q\.zst"):
        from_bytes(good[:size])


def test_a_frame_that_expands_to_more_than_it_says_is_refused_without_expanding_it() -> None:
    bomb = io.BytesIO()
    write_seekable(bytes(50 << 20), bomb, block_size=50 << 20)
    small = io.BytesIO()
    write_seekable(bytes(4096), small, block_size=4096)
    frame = bomb.getvalue()[: -8 - 8 - 9]
    table = bytearray(small.getvalue()[-8 - 8 - 9 :])
    table[8:12] = len(frame).to_bytes(4, "little")
    with pytest.raises(BadSegment, match="not 4096"):
        from_bytes(frame + bytes(table)).read_block(0)


def test_a_file_removed_meanwhile_is_read_to_its_end(tmp_path: Path) -> None:
    data = text(5000)
    (tmp_path / "x.q.zst").write_bytes(packed(data, 1000))
    source = open_seekable(tmp_path / "x.q.zst")
    (tmp_path / "x.q.zst").unlink()
    assert source.read_all() == data


def test_a_block_size_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="block_size"):
        write_seekable(b"x", io.BytesIO(), block_size=0)
