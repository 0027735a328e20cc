"""verify names every kind of damage by its place, and nothing else; also while a writer appends."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from libchronicle.errors import Broken, CorruptControl, Evicted, HostError, NotReady
from libchronicle.queue import Queue, QueueConfig, Severity, Verdict, check, inspect, repair, verify
from tests.queue.damage import CONFIG, SIZE, cut, flip, make, places, put


def told(path: Path, *severities: Severity) -> list[tuple[str, int | None, int | None, int | None]]:
    wanted = severities or (Severity.DAMAGE, Severity.REPAIR)
    found = check(path).findings
    return [(f.part, f.segment, f.offset, f.seq) for f in found if f.severity in wanted]


def test_a_good_queue_is_good_and_every_record_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "q"
    make(path, 2000)
    report = check(path)
    assert (report.verdict, report.findings) == (Verdict.GOOD, ())
    assert report.records == 2000
    assert sum(segment.payload_bytes for segment in report.segments) == 2000 * 108
    states = [segment.state for segment in report.segments]
    assert states == ["sealed"] * (len(states) - 1) + ["live"]
    assert report.segments[-1].next_seq == 2000


def test_an_empty_queue_and_one_that_is_none(tmp_path: Path) -> None:
    Queue.open_publisher(tmp_path / "q", CONFIG).close()
    assert check(tmp_path / "q").findings == ()
    for nothing in (tmp_path, tmp_path / "absent", tmp_path / "q" / "READY"):
        with pytest.raises(NotReady):
            verify(nothing)


@pytest.mark.parametrize(
    ("offset", "reason"),
    [(0, "checksum"), (3, "commit word"), (7, "frame version"), (8, "checksum"), (40, "checksum")],
)
def test_a_rotten_record_is_named_with_its_seq_and_those_behind_it_are_walked(
    tmp_path: Path, offset: int, reason: str
) -> None:
    path = tmp_path / "q"
    make(path)
    number, at, seq = places(path)[700]
    flip(path / f"{number:09d}.q", at + offset, 5 if offset == 3 else 0)
    report = check(path)
    (fault,) = report.faults
    assert (fault.severity, fault.part, fault.reason) == (Severity.DAMAGE, "frame", reason)
    assert (fault.segment, fault.offset, fault.seq, fault.to_seq) == (number, at, seq, seq)
    assert report.records == 1999
    assert str(fault) == f"segment {number} offset {at} seq {seq}: {reason}"


def test_records_wiped_out_are_told_as_one_hole(tmp_path: Path) -> None:
    path = tmp_path / "q"
    make(path)
    found = places(path)
    (number, first, seq), (_, behind, _) = found[700], found[710]
    with (path / f"{number:09d}.q").open("r+b") as handle:
        handle.seek(first)
        handle.write(bytes(behind - first))
    (fault,) = check(path).faults
    assert (fault.offset, fault.seq, fault.to_seq, fault.reason) == (first, seq, seq + 9, "no commit")


def test_every_flipped_bit_of_a_small_segment_is_told_or_harmless(tmp_path: Path) -> None:
    """One bit of each byte that holds anything; the zeros behind the tail too."""
    path = tmp_path / "q"
    make(path, 20)
    with Queue.open_publisher(path, CONFIG) as writer:
        writer.roll()
        writer.append(1, b"x")
        writer.flush()
    file = path / "000000000.q"
    end = check(path).segments[0].end
    for offset in [*range(end + 32), *range(end + 32, SIZE, 4099)]:
        flip(file, offset, offset % 8)
        findings = check(path).findings
        assert findings, f"byte {offset} was not missed by anything"
        assert any(f.segment == 0 for f in findings)
        flip(file, offset, offset % 8)
    assert check(path).findings == ()


def test_every_flipped_bit_of_an_index_entry_and_of_its_header_is_told(tmp_path: Path) -> None:
    path = tmp_path / "q"
    make(path)
    file = path / "000000001.idx"
    for offset in (*range(28), *range(32, 32 + 24)):
        flip(file, offset, offset % 8)
        assert told(path) == [("index", 1, None, None)], offset
        flip(file, offset, offset % 8)
    file.unlink()
    assert told(path) == [("index", 1, None, None)]


def test_a_missing_segment_costs_what_its_neighbours_say(tmp_path: Path) -> None:
    path = tmp_path / "q"
    make(path)
    second = check(path).segments[1]
    (path / "000000001.q").unlink()
    (fault, stray) = check(path).findings
    assert (fault.reason, fault.segment) == ("missing", 1)
    assert (fault.seq, fault.to_seq) == (second.first_seq, second.next_seq - 1)
    assert (stray.severity, stray.part) == (Severity.NOTE, "index")


def test_a_segment_that_was_cut_costs_what_stood_behind_the_cut(tmp_path: Path) -> None:
    path = tmp_path / "q"
    make(path)
    number, at, seq = places(path)[700]
    last = check(path).segments[number].next_seq - 1
    cut(path / f"{number:09d}.q", at + 5)
    faults = check(path).faults
    assert any(
        fault.reason.startswith("cut to") and (fault.seq, fault.to_seq) == (seq, last) for fault in faults
    )
    cut(path / f"{number:09d}.q", 0)
    assert any(fault.reason.startswith("cut to 0") for fault in check(path).faults)


def test_the_seal_must_be_that_of_its_frames(tmp_path: Path) -> None:
    path = tmp_path / "q"
    make(path)
    flip(path / "000000000.q", 64 + 8)
    assert told(path) == [("seal", 0, 64, None)]


def test_records_that_the_queue_declares_lost_are_holes_and_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "q"
    make(path, 100)
    number, at, seq = places(path)[50]
    flip(path / f"{number:09d}.q", at + 40)
    put(path / "control.meta", 128, "<Q", 128)  # recovery walks from the beginning
    with Queue.open_publisher(path, CONFIG) as writer:
        writer.append(1, b"on")
    report = check(path)
    assert report.verdict is Verdict.HOLES
    holes = [f for f in report.findings if f.severity is Severity.HOLE]
    assert [(f.part, f.segment, f.seq, f.to_seq) for f in holes] == [
        ("frame", number, seq, seq),
        ("segment", number, None, None),
    ]


def test_what_the_control_page_counts_and_nobody_finds_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "q"
    make(path, 100)
    number, at, seq = places(path)[95]
    with (path / f"{number:09d}.q").open("r+b") as handle:
        handle.seek(at)
        handle.write(bytes(SIZE - at))
    (fault,) = check(path).faults
    assert (fault.severity, fault.seq, fault.to_seq) == (Severity.DAMAGE, seq, 99)


@pytest.mark.parametrize("size", [0, 63, 4095])
def test_a_control_page_that_is_no_use_does_not_hide_the_records(tmp_path: Path, size: int) -> None:
    path = tmp_path / "q"
    make(path)
    cut(path / "control.meta", size)
    report = check(path)
    assert report.records == 2000
    assert [(f.severity, f.part) for f in report.faults] == [(Severity.REPAIR, "control")]
    for file in path.glob("*.q"):
        file.unlink()
    with pytest.raises(CorruptControl):
        check(path)


def test_reader_pages_are_judged(tmp_path: Path) -> None:
    path = tmp_path / "q"
    make(path)
    for name in ("good", "half", "bad", "short", "ahead"):
        with Queue.open_subscriber(path, name) as reader:
            for _ in range(2):
                reader.drain(300)
                reader.commit()
    readers = path / "readers"
    flip(readers / "half.meta", 64 + 20)
    flip(readers / "bad.meta", 64 + 20)
    flip(readers / "bad.meta", 128 + 20)
    cut(readers / "short.meta", 100)
    found = check(path).findings
    assert {(Path(f.path).stem, f.severity) for f in found} == {
        ("half", Severity.NOTE),
        ("bad", Severity.REPAIR),
        ("short", Severity.REPAIR),
    }
    assert all("position is lost" in f.reason for f in found if f.severity is Severity.REPAIR)


def test_small_files_are_judged(tmp_path: Path) -> None:
    path = tmp_path / "q"
    make(path, 10)
    (path / "READY").unlink()
    (path / "quarantine.json").write_text("{nonsense")
    (path / "writer.lock").write_bytes(b"")
    (path / "stranger.txt").write_text("?")
    found = {(f.part, f.severity) for f in check(path).findings}
    assert found == {
        ("READY", Severity.REPAIR),
        ("quarantine", Severity.REPAIR),
        ("lock", Severity.NOTE),
        ("file", Severity.NOTE),
    }


def test_the_remains_of_a_killed_writer_are_no_damage(tmp_path: Path, spawn) -> None:
    path = tmp_path / "q"
    code = """
        import os, sys
        from libchronicle.queue import Queue, QueueConfig
        writer = Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16))
        for _ in range(700):
            writer.append(1, b"x" * 200)
        reservation = writer.reserve(1, 5000)
        reservation.__enter__()[:] = b"y" * 5000
        os.kill(os.getpid(), 9)
    """
    spawn(code, path).wait()
    report = check(path)
    assert report.verdict is Verdict.GOOD
    assert report.records == 700
    assert any("begun and not committed" in f.reason for f in report.findings)


def test_a_queue_that_is_being_written_is_never_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "q"
    stop = threading.Event()
    config = QueueConfig(segment_size=1 << 14, budget_bytes=1 << 18, on_full="evict")

    def write() -> None:
        with Queue.open_publisher(path, config) as writer:
            while not stop.is_set():
                for size in range(0, 900, 7):
                    writer.append(1, bytes(size))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while not (path / "READY").exists():
            time.sleep(0.001)
        deadline = time.monotonic() + 3
        looks = 0
        while time.monotonic() < deadline:
            report = check(path)
            assert report.faults == [], report.faults
            assert report.writer_pid == os.getpid()
            looks += 1
    finally:
        stop.set()
        thread.join()
    assert looks > 5
    assert verify(path) == []


def test_what_is_begun_while_it_looks_on_is_not_judged(tmp_path: Path) -> None:
    """The head as it was; a listing that lacks a file made since, and a header half written."""
    path = tmp_path / "q"
    with Queue.open_publisher(path, CONFIG) as writer:
        writer.append_many(1, [bytes(4000)] * 80)
        head = SIZE + 128 + 4032
        put(path / "control.meta", 64, "<Q", head)
        put(path / "control.meta", 128, "<Q", head)
        (path / "000000003.q").unlink()
        put(path / "000000004.q", 20, "<I", 7)
        assert check(path).faults == []


def test_verify_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "q"
    make(path)
    before = {
        file: (file.stat().st_mtime_ns, file.read_bytes()) for file in path.rglob("*") if file.is_file()
    }
    check(path)
    assert {
        file: (file.stat().st_mtime_ns, file.read_bytes()) for file in path.rglob("*") if file.is_file()
    } == before


def test_a_report_is_json(tmp_path: Path) -> None:
    import msgspec

    path = tmp_path / "q"
    make(path, 10)
    facts = json.loads(msgspec.json.encode(check(path)))
    assert facts["records"] == 10
    assert facts["queue_id"] == inspect(path).queue_id


def _stand_in(file: Path, kind: str) -> None:
    file.unlink(missing_ok=True)
    if kind == "directory":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "link to nowhere":
        file.symlink_to("/nonexistent/file")
    else:
        file.symlink_to(file.name)


@pytest.mark.parametrize("kind", ["directory", "pipe", "link to nowhere", "link to itself"])
def test_what_is_no_file_where_a_segment_belongs_is_told_and_waited_for_by_nobody(tmp_path, kind):
    path = tmp_path / "q"
    with Queue.open_publisher(path, QueueConfig(segment_size=1 << 14)) as writer:
        writer.append_many(1, [bytes(1000)] * 60)
    file = path / "000000002.q"
    _stand_in(file, kind)
    (path / "000000001.q copy").touch()
    (path / "1 (copy).q").touch()
    faults = [fault for fault in verify(path) if fault.path == str(file)]
    assert "has a segment's name and is no file" in [fault.reason for fault in faults]
    assert repair(path, dry_run=True).beyond
    assert [one.state for one in inspect(path).segments if one.number == 2] in ([], ["damaged"])
    with (
        Queue.open_subscriber(path, None, start="earliest") as reader,
        pytest.raises((Broken, Evicted, HostError)),
    ):
        list(reader)
    with Queue.open_publisher(path, QueueConfig(segment_size=1 << 14)) as writer:
        assert writer.append(1, b"goes on") == 60


@pytest.mark.parametrize("kind", ["directory", "pipe", "link to nowhere"])
def test_what_is_no_file_where_the_control_page_belongs_is_told_and_waited_for_by_nobody(tmp_path, kind):
    path = tmp_path / "q"
    with Queue.open_publisher(path, QueueConfig(segment_size=1 << 14)) as writer:
        writer.append_many(1, [bytes(1000)] * 60)
    _stand_in(path / "control.meta", kind)
    assert any(fault.part == "control" for fault in verify(path))
    with pytest.raises((CorruptControl, NotReady)):
        inspect(path)
    with pytest.raises((CorruptControl, NotReady, HostError)):
        Queue.open_subscriber(path, None)


def test_a_file_longer_than_a_segment_is_looked_at_as_far_as_one_goes(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, QueueConfig(segment_size=1 << 14)) as writer:
        writer.append_many(1, [bytes(1000)] * 60)
    os.truncate(path / "000000001.q", 1 << 40)
    assert verify(path) == []


def test_the_directory_is_listed_as_often_for_many_segments_as_for_few(tmp_path, monkeypatch):
    listed = []
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda where: listed.append(where) or real(where))
    counts = []
    for segments in (3, 60):
        path = tmp_path / str(segments)
        with Queue.open_publisher(path, QueueConfig(segment_size=1 << 14)) as writer:
            for _ in range(segments):
                writer.append(1, b"x")
                writer.roll()
        listed.clear()
        assert verify(path) == []
        counts.append(len(listed))
    assert counts[0] == counts[1]
