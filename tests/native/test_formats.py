"""docs/formats against the code: every table is the struct it names, byte for byte, and no field is left out."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest

from libchronicle.bus.kill_word import KillWord
from libchronicle.bus.lease import LEASE_SIZE, Lease
from libchronicle.bus.market_board import MarketBoardWriter
from libchronicle.bus.paths import BusPaths
from libchronicle.counters import CounterFile, ErrorLog, layout
from libchronicle.queue import Queue, QueueConfig

NATIVE = Path(__file__).resolve().parents[2] / "libchronicle" / "native"
FORMATS = NATIVE.parents[1] / "docs" / "formats"
ROW = re.compile(r"^\| (\d+) \| (\d+) \| (\S+) \| `(\w+)` \|", re.MULTILINE)
HEADING = re.compile(r"^## .*: `(chr_\w+)`, (\d+) bytes$", re.MULTILINE)
WIDTHS = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "i64": 8, "f64": 8, "char": 1, "slot": 64}


def described() -> dict[str, tuple[int, list[tuple[int, int, str, str]]]]:
    """Per struct of queue.md: its size and its rows (offset, bytes, type, field)."""
    text = (FORMATS / "queue.md").read_text()
    found = {}
    heads = list(HEADING.finditer(text))
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        part = text[head.end() : following.start() if following else text.index("## Texts")]
        rows = [(int(at), int(size), kind, name) for at, size, kind, name in ROW.findall(part)]
        found[head[1]] = (int(head[2]), rows)
    return found


def declared() -> dict[str, list[str]]:
    """Fields of every struct of the header, in order."""
    text = re.sub(r"/\*.*?\*/", "", (NATIVE / "chr_layout.h").read_text(), flags=re.DOTALL)
    found = {}
    for body, name in re.findall(r"typedef struct \{([^{}]*)\} (\w+);", text):
        lines = [line.split(None, 1)[1] for line in body.split(";") if line.strip()]
        found[name] = [re.sub(r"\[.*", "", item).strip() for line in lines for item in line.split(",")]
    return found


def test_every_struct_of_the_layout_is_described_with_all_its_fields() -> None:
    assert {name: [row[3] for row in rows] for name, (_, rows) in described().items()} == declared()


def test_rows_follow_each_other_without_a_gap() -> None:
    for name, (total, rows) in described().items():
        at = 0
        for offset, size, kind, field in rows:
            width, _, count = kind.rstrip("]").partition("[")
            assert (offset, size) == (at, WIDTHS[width] * int(count or 1)), f"{name}.{field}"
            at += size
        assert at == total, name


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler is installed")
def test_the_compiler_sees_the_same_offsets(tmp_path: Path) -> None:
    lines = [
        f"_Static_assert(offsetof({name}, {field}) == {at} && sizeof((({name} *)0)->{field}) == {size}, "
        f'"{name}.{field}");'
        for name, (_, rows) in described().items()
        for at, size, _, field in rows
    ]
    lines += [
        f'_Static_assert(sizeof({name}) == {size}, "{name}");' for name, (size, _) in described().items()
    ]
    (tmp_path / "a.c").write_text("\n".join(['#include "chr_layout.h"', *lines, ""]))
    done = subprocess.run(
        ["cc", "-std=gnu11", "-fsyntax-only", f"-I{NATIVE}", str(tmp_path / "a.c")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def table(heading: str, column: str = "field") -> dict[str, tuple[int, int]]:
    """Of services.md: field -> (offset, bytes)."""
    part = (FORMATS / "services.md").read_text().split(f"## {heading}")[1].split("\n## ")[0]
    text = part.split(f"| {column} | meaning |")[1].split("\n\n")[0]
    return {name: (int(at), int(size)) for at, size, _, name in ROW.findall(text)}


def test_the_counters_file(tmp_path: Path) -> None:
    with_path = tmp_path / "d.counters"
    before = time.time_ns()
    file = CounterFile.create(with_path, "demo")
    counter = file.counter("frames_total", "frames", {"kind": "depth"})
    counter.set(7)
    file.set_state("live")
    file.heartbeat()
    raw = with_path.read_bytes()
    head, descriptor = table("Counters"), table("Counters", "field of a descriptor")

    def at(name: str, form: str) -> int:
        return struct.unpack_from(form, raw, head[name][0])[0]

    assert raw[:8] == b"CHRCNTR1"
    assert (at("version", "<I"), at("header_bytes", "<I"), at("capacity", "<I")) == (1, 256, layout.CAPACITY)
    assert at("used", "<I") == 1
    assert at("started_ns", "<q") >= before
    assert at("heartbeat_ns", "<q") > 0
    assert raw[head["name"][0] :].startswith(b"demo\0")
    assert raw[head["state"][0] :].startswith(b"live\0")
    assert (head["name"], head["state"]) == ((128, 64), (layout.STATE_OFFSET, layout.STATE_BYTES))
    assert struct.unpack_from("<I", raw, 256 + descriptor["kind"][0])[0] == layout.KIND_COUNTER
    assert raw[256 + descriptor["name"][0] :].startswith(b"frames_total\0")
    assert raw[256 + descriptor["labels"][0] :].startswith(b"kind=depth\0")
    assert sum(size for _, size in descriptor.values()) == layout.DESCRIPTOR_BYTES
    slots = 256 + layout.CAPACITY * layout.DESCRIPTOR_BYTES
    assert struct.unpack_from("<q", raw, slots)[0] == 7
    assert len(raw) == slots + layout.CAPACITY * layout.SLOT_BYTES
    file.close()


def test_the_market_board(tmp_path: Path) -> None:
    board = MarketBoardWriter(tmp_path / "x.market", cells=3)
    board.claim(77, "v:S", -2, -8)
    for n in (1, 2):
        board.put(77, True, n, 10 * n, (100 * n, 1000 * n), (200 * n, 2000 * n))
    raw = (tmp_path / "x.market").read_bytes()
    head = table("Market board")
    cell = table("Market board", "field of a cell")
    market = table("Market board", "field of a market")
    assert raw[:8] == b"CHRBOARD"
    assert [struct.unpack_from("<I", raw, head[name][0])[0] for name in ("version", "cells", "used")] == [
        1,
        3,
        1,
    ]
    assert sum(size for _, size in head.values()) == 64
    assert sum(size for _, size in cell.values()) == 256
    assert sum(size for _, size in market.values()) == cell["market_odd"][1] == 64
    assert len(raw) == 64 + 3 * 256
    own = raw[64:320]
    assert struct.unpack_from("<QQii", own) == (2, 77, -2, -8)
    assert own[cell["name"][0] :].startswith(b"v:S\0")
    for name, n in (("market_odd", 1), ("market_even", 2)):
        fields = ("recv_ts", "update_id", "bid_price", "bid_qty", "ask_price", "ask_qty", "flags")
        found = [struct.unpack_from("<q", own, cell[name][0] + market[field][0])[0] for field in fields]
        assert found == [n, 10 * n, 100 * n, 1000 * n, 200 * n, 2000 * n, 1]


def test_the_error_log(tmp_path: Path) -> None:
    log = ErrorLog(tmp_path / "d.errors")
    log.record("it broke", 1_000)
    log.record("it broke", 2_000)
    log.close()
    raw = (tmp_path / "d.errors").read_bytes()
    assert raw[:8] == b"CERRLOG1"
    head, entry = table("Error log"), table("Error log", "field of an entry")
    assert struct.unpack_from("<I", raw, head["version"][0])[0] == 1
    assert len(raw) == 64 + struct.unpack_from("<I", raw, head["entries"][0])[0] * 512
    values = [
        struct.unpack_from(form, raw, 64 + entry[name][0])[0]
        for name, form in (("count", "<Q"), ("first_ns", "<q"), ("last_ns", "<q"), ("length", "<I"))
    ]
    assert values == [2, 1_000, 2_000, 8]
    assert raw[64 + entry["text"][0] :].startswith(b"it broke\0")


def test_the_lease_and_the_kill_word(tmp_path: Path) -> None:
    lease = Lease(tmp_path / "LEASE", 3, 5.0)
    raw = (tmp_path / "LEASE").read_bytes()
    rows = table("Lease")
    assert (len(raw), raw[:8]) == (LEASE_SIZE, b"CHRLEASE")
    assert [struct.unpack_from("<I", raw, rows[name][0])[0] for name in ("version", "epoch", "ttl_ms")] == [
        1,
        3,
        5000,
    ]
    assert struct.unpack_from("<q", raw, rows["expires_ns"][0])[0] == lease.record.expires_ns
    lease.release()
    assert struct.unpack_from("<q", (tmp_path / "LEASE").read_bytes(), rows["expires_ns"][0])[0] == 0
    paths = BusPaths(tmp_path)
    KillWord(paths).initialise()
    assert paths.kill_word.read_bytes() == b"CHRALLOW".ljust(4096, b"\0")


def test_the_texts(tmp_path: Path) -> None:
    text = (FORMATS / "queue.md").read_text()
    with Queue.open_publisher(tmp_path / "q", QueueConfig(segment_size=1 << 16)) as writer:
        ready = (tmp_path / "q" / "READY").read_text()
        assert ready == f"queue_id={writer.queue_id:016x} version=1\n"
        lock = (tmp_path / "q" / "writer.lock").read_text()
    example = re.search(r"^pid=.*$", text, re.MULTILINE)
    assert example is not None
    assert [word.split("=")[0] for word in lock.split()] == [
        word.split("=")[0] for word in example[0].split()
    ]
    assert (tmp_path / "q" / "writer.lock").read_text() == lock + "closed\n"
