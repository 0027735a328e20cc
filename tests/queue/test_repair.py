"""repair puts right what can be put right, says the rest, removes no committed record, and has nothing to do twice."""

from __future__ import annotations

import contextlib
import json
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from libchronicle.errors import ChronicleError, CorruptReader
from libchronicle.native.binding import parse_control
from libchronicle.queue import Queue, QueueConfig, Severity, Verdict, check, inspect, repair, verify
from tests.queue.damage import CONFIG, SIZE, all_records, cut, flip, make, places, put

Damage = Callable[[Path], object]


def torn_tail(path: Path) -> None:
    head = inspect(path).head
    with (path / f"{head // SIZE:09d}.q").open("r+b") as handle:
        handle.seek(head % SIZE + 4)
        handle.write(os.urandom(200))
    put(path / "control.meta", 136, "<Q", head + 4096)


MENDABLE: dict[str, Damage] = {
    "torn tail": torn_tail,
    "control page cut": lambda path: cut(path / "control.meta", 100),
    "control page gone": lambda path: (path / "control.meta").unlink(),
    "control page flipped": lambda path: flip(path / "control.meta", 25),
    "epoch lowered": lambda path: put(path / "control.meta", 88, "<I", 0),
    "oldest raised": lambda path: put(path / "control.meta", 264, "<Q", 77),
    "marks moved": lambda path: put(path / "control.meta", 128, "<Q", 1 << 50),
    "index gone": lambda path: (path / "000000001.idx").unlink(),
    "index cut": lambda path: cut(path / "000000001.idx", 33),
    "index entry flipped": lambda path: flip(path / "000000001.idx", 40),
    "seal flipped": lambda path: flip(path / "000000001.q", 80),
    "seal gone": lambda path: put(path / "000000001.q", 64, "<QQQQQQQQ", *[0] * 8),
    "header flipped": lambda path: flip(path / "000000001.q", 40),
    "notify gone": lambda path: (path / "notify.meta").unlink(),
    "notify cut": lambda path: cut(path / "notify.meta", 3),
    "READY gone": lambda path: (path / "READY").unlink(),
    "READY foreign": lambda path: (path / "READY").write_text("queue_id=0 version=1\n"),
    "quarantine.json garbled": lambda path: (path / "quarantine.json").write_text("{"),
    "reader page cut": lambda path: cut(path / "readers" / "a.meta", 10),
    "reader page wiped": lambda path: put(path / "readers" / "a.meta", 0, "<Q", 1),
}


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    path = tmp_path / "q"
    make(path)
    with Queue.open_subscriber(path, "a") as reader:
        reader.drain(100)
        reader.commit()
    return path


@pytest.mark.parametrize("what", MENDABLE)
def test_each_kind_of_damage_is_put_right_without_losing_a_record(queue: Path, what: str) -> None:
    before = all_records(queue)
    MENDABLE[what](queue)
    files = {file: file.read_bytes() for file in queue.rglob("*") if file.is_file()}
    announced = repair(queue, dry_run=True)
    assert {file: file.read_bytes() for file in queue.rglob("*") if file.is_file()} == files, (
        "a dry run does nothing"
    )
    done = repair(queue)
    assert [step.text for step in done.steps] == [step.text for step in announced.steps]
    assert done.steps
    assert done.beyond == ()
    assert verify(queue) == []
    assert check(queue).verdict is Verdict.GOOD
    again = repair(queue)
    assert (again.steps, again.beyond) == ((), ())
    assert all_records(queue) == before
    with Queue.open_publisher(queue, CONFIG) as writer:
        assert writer.append(1, b"next") == 2000


def test_all_of_it_at_once(queue: Path) -> None:
    before = all_records(queue)
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(8):
        chosen = rng.sample(sorted(MENDABLE), 5)
        for what in chosen:
            with contextlib.suppress(
                OSError, ChronicleError, IndexError
            ):  # what is damaged already may not take it
                MENDABLE[what](queue)
        repair(queue)
        assert verify(queue) == [], chosen
        assert repair(queue).steps == ()
        assert all_records(queue) == before
        Queue.open_subscriber(queue, "a", start="earliest").close()


def test_nothing_is_done_to_a_good_queue(queue: Path) -> None:
    before = {
        file: (file.stat().st_mtime_ns, file.read_bytes()) for file in queue.rglob("*") if file.is_file()
    }
    assert repair(queue).steps == ()
    assert {
        file: (file.stat().st_mtime_ns, file.read_bytes()) for file in queue.rglob("*") if file.is_file()
    } == before


def test_what_a_writer_owns_is_left_to_it_and_the_rest_is_done(queue: Path) -> None:
    with Queue.open_publisher(queue, CONFIG) as writer:
        (queue / "READY").unlink()
        (queue / "000000001.idx").unlink()
        flip(queue / "000000001.q", 80)
        done = repair(queue)
        assert {step.kind: bool(step.refused) for step in done.steps} == {
            "ready": False,
            "index": False,
            "seal": True,
        }
        assert f"pid {os.getpid()}" in done.refused[0].refused
        assert done.writer_pid == os.getpid()
        assert (queue / "READY").exists()
        assert (queue / "000000001.idx").exists()
        writer.append(1, b"undisturbed")
    assert [step.kind for step in repair(queue).steps] == ["seal"]
    assert verify(queue) == []


def test_the_page_of_an_active_reader_is_not_taken_from_it(queue: Path) -> None:
    with Queue.open_subscriber(queue, "a"):
        flip(queue / "readers" / "a.meta", 64 + 20)
        flip(queue / "readers" / "a.meta", 128 + 20)
        (step,) = repair(queue).steps
        assert (step.kind, step.refused) == ("reader", "the reader is active; stop it first")
    with pytest.raises(CorruptReader):
        Queue.open_subscriber(queue, "a")
    assert repair(queue).refused == []
    with Queue.open_subscriber(queue, "a") as reader:
        assert reader.next_seq == 0
    assert list((queue / "readers").glob("a.meta.damaged-*"))


def test_a_rotten_record_is_beyond_repair_and_nothing_is_done_to_it(queue: Path) -> None:
    number, offset, seq = places(queue)[700]
    flip(queue / f"{number:09d}.q", offset + 50)
    before = (queue / f"{number:09d}.q").read_bytes()
    for _ in range(2):
        done = repair(queue)
        assert done.steps == ()
        assert [(f.segment, f.offset, f.seq) for f in done.beyond] == [(number, offset, seq)]
    assert (queue / f"{number:09d}.q").read_bytes() == before


def test_a_sealed_segment_that_was_cut_is_closed_behind_its_last_record(queue: Path) -> None:
    number, offset, seq = places(queue)[700]
    following = check(queue).segments[number + 1].first_seq
    kept = (queue / f"{number:09d}.q").read_bytes()[:offset]
    cut(queue / f"{number:09d}.q", offset + 7)
    done = repair(queue)
    assert "fill" in [step.kind for step in done.steps]
    assert check(queue).verdict is Verdict.HOLES
    assert repair(queue).steps == ()
    assert (queue / f"{number:09d}.q").read_bytes()[128:offset] == kept[128:]
    assert [(e["segment"], e["offset"]) for e in json.loads((queue / "quarantine.json").read_text())] == [
        (number, offset)
    ]
    with Queue.open_subscriber(queue, None, start="earliest") as reader:
        records = list(reader)
    assert [m.seq for m in records] == [*range(seq), *range(following - 1, 2000)]
    assert struct.unpack("<QQ", bytes(records[seq])) == (seq, following - 1)


def test_damage_at_the_live_end_is_closed_off_and_declared(queue: Path) -> None:
    number, offset, _ = places(queue)[-1]
    flip(queue / f"{number:09d}.q", offset + 40)
    (step,) = repair(queue, dry_run=True).steps
    assert step.kind == "recover"
    repair(queue)
    report = check(queue)
    assert report.verdict is Verdict.HOLES
    lost = [f for f in report.findings if f.severity is Severity.HOLE and f.seq is not None]
    assert [(f.seq, f.to_seq) for f in lost] == [(1999, 1999)]
    assert repair(queue).steps == ()


def test_repair_keeps_the_policy_and_lets_no_segment_go(tmp_path: Path) -> None:
    path = tmp_path / "q"
    config = QueueConfig(
        segment_size=SIZE,
        durable=("etl", "é t"),
        retain_segments=1000,
        budget_bytes=1 << 30,
        max_lag_bytes=1 << 40,
        reader_ttl_s=3.0,
    )
    make(path, 2000, config=config)
    with Queue.open_subscriber(path, "etl") as etl, Queue.open_subscriber(path, "é t") as other:
        for reader in (etl, other):
            reader.drain()
            reader.commit()
    before = all_records(path)
    torn_tail(path)
    assert [step.kind for step in repair(path).steps] == ["recover"]
    assert all_records(path) == before
    info = inspect(path)
    assert [reader.durable for reader in info.readers] == [True, True]
    assert info.budget_bytes == 1 << 30
    control = parse_control((path / "control.meta").read_bytes())
    assert control is not None
    assert control["max_lag_bytes"] == 1 << 40
