"""Queues of format version 1 as they were written once: every later build verifies, reads and continues them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from libchronicle.queue import LOST_TYPE, Queue, QueueConfig, Verdict, check, inspect, repair

GOLDEN = Path(__file__).with_name("golden") / "v1"
NAMES = {"plain": Verdict.GOOD, "holes": Verdict.HOLES}
DIGESTS = {
    "plain": "4f4e4ba8e5b1b7423899690ad09272bf0516863e5953cb8f97d0a4af01e996a1",
    "holes": "f47eb7c4ebf2e804d74fc155d141fb221a079a7fa09a7f35aec6963a534d5048",
}
"""Of names and bytes of all files: these fixtures are never made anew."""


@pytest.fixture(params=NAMES)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy: opening a queue writes to it."""
    copy = tmp_path / request.param
    shutil.copytree(GOLDEN / request.param, copy)
    (copy / "readers").mkdir(exist_ok=True)  # git keeps no empty directory
    return copy


def expected(path: Path) -> list[list[Any]]:
    return json.loads((GOLDEN / "records.json").read_text())[path.name]


def read(path: Path) -> list[list[Any]]:
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        return [[m.seq, m.type_id, m.ts_ns, m.epoch, m.flags, bytes(m).hex()] for m in reader]


@pytest.mark.parametrize("name", NAMES)
def test_the_fixtures_are_what_they_were(name: str) -> None:
    digest = hashlib.sha256()
    for file in sorted((GOLDEN / name).rglob("*")):
        if file.is_file():
            digest.update(file.relative_to(GOLDEN).as_posix().encode() + b"\0" + file.read_bytes())
    assert digest.hexdigest() == DIGESTS[name]


def test_they_verify(golden: Path) -> None:
    report = check(golden)
    assert report.verdict is NAMES[golden.name]
    assert report.faults == []
    assert report.segment_size == 4096
    assert repair(golden).steps == ()


def test_they_are_read_record_by_record(golden: Path) -> None:
    assert read(golden) == expected(golden)


def test_a_seek_finds_every_record(golden: Path) -> None:
    for seq, kind, ts_ns, *_ in expected(golden):
        with Queue.open_subscriber(golden, None, seq=seq) as reader:
            message = reader.next()
            assert (message.seq, message.ts_ns) == (seq, ts_ns) or kind == LOST_TYPE


def test_a_reader_goes_on_where_it_stood_then(tmp_path: Path) -> None:
    path = tmp_path / "plain"
    shutil.copytree(GOLDEN / "plain", path)
    with Queue.open_subscriber(path, "etl") as reader:
        assert reader.next_seq == 20
        assert bytes(reader.next()).hex() == expected(path)[20][5]
    assert [(page.name, page.durable) for page in inspect(path).readers] == [("é t", True), ("etl", True)]


def test_they_are_continued(golden: Path) -> None:
    """By a writer of another boot: what was synced stays."""
    info, before = inspect(golden), read(golden)
    with Queue.open_publisher(golden, QueueConfig(durable=("etl", "é t"))) as writer:
        assert (writer.queue_id, writer.segment_size, writer.mended) == (info.queue_id, 4096, "")
        assert writer.epoch == info.epoch + 1
        assert writer.append(9, b"more") == info.next_seq
    after = read(golden)
    assert after[:-1] == before
    assert after[-1][5] == b"more".hex()
    assert check(golden).faults == []


def test_a_control_page_lost_since_is_built_anew(golden: Path) -> None:
    info, before = inspect(golden), read(golden)
    (golden / "control.meta").unlink()
    with Queue.open_publisher(golden) as writer:
        assert (writer.queue_id, writer.next_seq) == (info.queue_id, info.next_seq)
    assert read(golden) == before
