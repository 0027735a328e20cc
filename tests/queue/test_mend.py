"""A writer that opens a damaged queue goes on by itself: nothing committed is lost, nothing is told twice under one name."""

from __future__ import annotations

import os
import signal
import struct
import time
from pathlib import Path

import pytest

from libchronicle.errors import Broken, CorruptReader, QueueReplaced, UnsupportedVersion, WriterAlreadyActive
from libchronicle.queue import LOST_TYPE, Queue, QueueConfig, inspect, verify
from tests.queue.damage import CONFIG, SIZE, all_records, cut, flip, make, places, put


def evidence(path: Path) -> list[Path]:
    return sorted(path.glob("control.meta.damaged-*"))


@pytest.mark.parametrize("size", [0, 1, 64, 2048, 4095])
def test_a_control_page_that_was_cut_is_built_anew_and_nothing_is_lost(tmp_path: Path, size: int) -> None:
    path = tmp_path / "q"
    before = make(path)
    with Queue.open_subscriber(path, "a") as reader:
        reader.drain(1500)
        reader.commit()
    info = inspect(path)
    bad = (path / "control.meta").read_bytes()[:size]
    cut(path / "control.meta", size)
    with Queue.open_publisher(path, CONFIG) as writer:
        assert "control page built anew" in writer.mended
        assert writer.queue_id == info.queue_id
        assert writer.epoch > info.epoch + 1000, "above every epoch that may have been used"
        assert writer.append(1, b"next") == 2000
        assert writer.metrics()["rescues"] == 1
    assert all_records(path) == [*before, (2000, b"next")]
    assert [file.read_bytes() for file in evidence(path)] == [bad], "the old page is kept"
    assert verify(path) == []
    with Queue.open_subscriber(path, "a") as reader:
        assert reader.next_seq == 1500


@pytest.mark.parametrize("offset", [0, 7, 8, 10, 12, 20, 23, 24, 31, 32, 48, 56, 60, 63])
def test_a_flipped_bit_in_the_geometry_is_mended(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "q"
    before = make(path, 700)
    queue_id = inspect(path).queue_id
    flip(path / "control.meta", offset, offset % 8)
    with Queue.open_publisher(path, CONFIG) as writer:
        assert (writer.queue_id, writer.next_seq) == (queue_id, 700)
    assert all_records(path) == before
    assert verify(path) == []


def test_a_control_page_that_is_gone_is_built_anew(tmp_path: Path) -> None:
    path = tmp_path / "q"
    before = make(path)
    info = inspect(path)
    (path / "control.meta").unlink()
    assert [f.part for f in verify(path)] == ["control"]
    with Queue.open_publisher(path, CONFIG) as writer:
        assert (writer.queue_id, writer.next_seq) == (info.queue_id, 2000)
        assert writer.epoch > info.epoch + 1000
    assert all_records(path) == before


def test_two_rescues_never_give_the_same_epoch(tmp_path: Path) -> None:
    """Also when the writer between them appended nothing, or left no trace but writer.lock."""
    path = tmp_path / "q"
    make(path, 10)
    epochs = []
    for _ in range(4):
        cut(path / "control.meta", 0)
        with Queue.open_publisher(path, CONFIG) as writer:
            epochs.append(writer.epoch)
    assert epochs == sorted(set(epochs))
    assert len(evidence(path)) == 4
    with Queue.open_publisher(path, CONFIG) as writer:
        assert writer.metrics()["rescues"] == 4
        assert writer.mended == ""


def test_what_a_reader_is_known_to_have_read_counts_as_committed(tmp_path: Path) -> None:
    """The control page and the last records are gone together: their seqs are declared lost, not used again."""
    path = tmp_path / "q"
    make(path, 100)
    with Queue.open_subscriber(path, "a") as reader:
        reader.drain(100)
        reader.commit()
    (number, offset, _) = places(path)[90]
    with (path / f"{number:09d}.q").open("r+b") as handle:
        handle.seek(offset)
        handle.write(bytes(SIZE - offset))
    cut(path / "control.meta", 0)
    with Queue.open_publisher(path, CONFIG) as writer:
        assert writer.next_seq == 101
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        *kept, last = list(reader)
        assert [m.seq for m in kept] == list(range(90))
        assert (last.type_id, struct.unpack("<QQ", bytes(last))) == (LOST_TYPE, (90, 99))


def test_a_directory_without_segments_becomes_a_new_queue_and_readers_are_told(tmp_path: Path) -> None:
    path = tmp_path / "q"
    make(path, 10)
    with Queue.open_subscriber(path, "a") as reader:
        reader.drain(5)
        reader.commit()
    old = inspect(path).queue_id
    for file in (*path.glob("*.q"), *path.glob("*.idx")):
        file.unlink()
    cut(path / "control.meta", 100)
    with Queue.open_publisher(path, CONFIG) as writer:
        assert writer.queue_id != old
        assert writer.next_seq == 0
        writer.append(1, b"x")
    with pytest.raises(QueueReplaced):
        Queue.open_subscriber(path, "a")
    assert f"{inspect(path).queue_id:016x}" in (path / "READY").read_text()
    assert verify(path) == []


def test_a_living_writer_is_not_robbed_when_its_control_page_is_damaged_or_taken_away(
    tmp_path: Path, spawn
) -> None:
    path = tmp_path / "q"
    code = """
        import sys
        from libchronicle.queue import Queue, QueueConfig
        writer = Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16))
        writer.append(1, b"a")
        print("there")
        sys.stdin.readline()
        writer.close()
        print("left")
        sys.stdin.readline()
    """
    child = spawn(code, path)
    child.stdout.readline()
    page = (path / "control.meta").read_bytes()
    flip(path / "control.meta", 60)
    with pytest.raises(WriterAlreadyActive) as caught:
        Queue.open_publisher(path, CONFIG)
    assert caught.value.pid == child.pid
    (path / "control.meta").unlink()
    with pytest.raises(WriterAlreadyActive):
        Queue.open_publisher(path, CONFIG)
    (path / "control.meta").write_bytes(page[:100])
    with pytest.raises(WriterAlreadyActive):
        Queue.open_publisher(path, CONFIG)
    child.stdin.write("\n")
    child.stdin.flush()
    child.stdout.readline()  # it has left, and lives on
    with Queue.open_publisher(path, CONFIG) as writer:
        assert writer.next_seq == 1


def test_a_living_writer_restores_its_own_geometry(tmp_path: Path) -> None:
    path = tmp_path / "q"
    with Queue.open_publisher(path, CONFIG) as writer:
        writer.append(1, b"x")
        flip(path / "control.meta", 24)
        writer.heartbeat()
        with Queue.open_subscriber(path, None) as reader:
            assert reader.queue_id == writer.queue_id


def test_a_killed_writer_is_followed_by_one_that_rescues(tmp_path: Path, spawn) -> None:
    path = tmp_path / "q"
    code = """
        import os, sys
        from libchronicle.queue import Queue, QueueConfig
        writer = Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16))
        for n in range(1000):
            writer.append(1, b"x" * 200)
        os.kill(os.getpid(), 9)
    """
    child = spawn(code, path)
    assert child.wait() == -signal.SIGKILL
    os.truncate(path / "control.meta", 0)
    with Queue.open_publisher(path, CONFIG) as writer:
        assert writer.append(1, b"x") == 1000
    assert [seq for seq, _ in all_records(path)] == list(range(1001))


HOT_LINE = [
    ("head", 64),
    ("next_seq", 72),
    ("last_ts", 80),
    ("epoch", 88),
    ("checked", 128),
    ("touched", 136),
    ("boot_id", 144),
    ("synced", 256),
    ("oldest", 264),
    ("oldest_seq", 272),
]


@pytest.mark.parametrize("bit", [0, 3, 7, 12, 17, 30, 40, 62])
@pytest.mark.parametrize(("field", "offset"), HOT_LINE)
def test_no_flipped_bit_in_a_mark_loses_or_invents_a_record(
    tmp_path: Path, field: str, offset: int, bit: int
) -> None:
    path = tmp_path / "q"
    before = make(path, 1200)
    if field == "epoch" and bit > 31:
        pytest.skip("32 bits")
    last_epoch = inspect(path).epoch
    flip(path / "control.meta", offset + bit // 8, bit % 8)
    with Queue.open_publisher(path, CONFIG) as writer:
        assert writer.next_seq == 1200
        assert writer.epoch > last_epoch, "an epoch is used once"
        writer.append(1, b"next")
    assert all_records(path) == [*before, (1200, b"next")]
    assert not (path / "quarantine.json").exists()
    assert verify(path) == []


def test_a_notify_page_that_is_gone_or_cut_is_made_good(tmp_path: Path) -> None:
    path = tmp_path / "q"
    make(path, 10)
    for damage in ("gone", "cut", "foreign"):
        if damage == "gone":
            (path / "notify.meta").unlink()
        elif damage == "cut":
            cut(path / "notify.meta", 7)
        else:
            put(path / "notify.meta", 16, "<Q", 7)
        assert [f.part for f in verify(path)] == ["notify"]
        with Queue.open_publisher(path, CONFIG) as writer, Queue.open_subscriber(path, "a") as reader:
            reader.drain()
            writer.append(1, b"x")
            assert reader.wait(1.0)
        assert verify(path) == []


@pytest.mark.parametrize("size", [0, 10, 40])
def test_an_index_that_was_cut_stops_nobody(tmp_path: Path, size: int) -> None:
    path = tmp_path / "q"
    make(path, 100)
    cut(path / "000000000.idx", size)
    with Queue.open_publisher(path, CONFIG) as writer:
        writer.append(1, b"x")
    with Queue.open_subscriber(path, None, seq=50) as reader:
        assert reader.next().seq == 50
    assert verify(path) == []


@pytest.mark.parametrize("offset", [0, 8, 24, 32, 40, 48, 56])
@pytest.mark.parametrize("which", ["oldest", "middle", "live"])
def test_a_flipped_bit_in_a_segment_header_hides_no_record(tmp_path: Path, which: str, offset: int) -> None:
    path = tmp_path / "q"
    before = make(path)
    number = {"oldest": 0, "middle": 1, "live": inspect(path).head // SIZE}[which]
    flip(path / f"{number:09d}.q", offset, 1)
    with Queue.open_publisher(path, CONFIG) as writer:
        assert writer.append(1, b"next") == 2000
    assert all_records(path) == [*before, (2000, b"next")]
    assert verify(path) == []


def test_a_live_segment_that_was_cut_keeps_what_is_left_and_declares_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "q"
    make(path, 300)
    (number, offset, seq) = places(path)[200]
    cut(path / f"{number:09d}.q", offset + 10)
    with Queue.open_publisher(path, CONFIG) as writer:
        writer.append(1, b"next")
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        records = list(reader)
    assert [m.seq for m in records] == [*range(seq), 300, 301]
    assert (records[-2].type_id, struct.unpack("<QQ", bytes(records[-2]))) == (LOST_TYPE, (seq, 299))


def test_another_version_is_refused_and_never_mended(tmp_path: Path) -> None:
    path = tmp_path / "q"
    make(path, 10)
    put(path / "control.meta", 8, "<I", 2)
    before = (path / "control.meta").read_bytes()
    with pytest.raises(UnsupportedVersion):
        Queue.open_publisher(path, CONFIG)
    assert (path / "control.meta").read_bytes() == before
    assert evidence(path) == []


def test_a_rescued_queue_keeps_its_segment_size_whatever_the_config_says(tmp_path: Path) -> None:
    path = tmp_path / "q"
    make(path, 100)
    cut(path / "control.meta", 0)
    with Queue.open_publisher(path, QueueConfig(segment_size=1 << 20)) as writer:
        assert writer.segment_size == SIZE


def reader_at(path: Path, name: str, seq: int) -> Path:
    with Queue.open_subscriber(path, name) as reader:
        reader.drain(seq - 1)
        reader.commit()
        reader.next()
        reader.commit()
    return path / "readers" / f"{name}.meta"


@pytest.mark.parametrize("start", ["latest", "earliest", "resume_or_oldest"])
@pytest.mark.parametrize("damage", ["emptied", "cut", "no magic", "both slots"])
def test_a_reader_that_says_where_to_begin_is_not_stopped_by_its_page(
    tmp_path: Path, damage: str, start
) -> None:
    path = tmp_path / "q"
    make(path, 100)
    page = reader_at(path, "a", 50)
    old = page.read_bytes()
    if damage == "both slots":
        flip(page, 64 + 20)
        flip(page, 128 + 20)
    elif damage == "no magic":
        put(page, 0, "<Q", 7)
    else:
        cut(page, 0 if damage == "emptied" else 100)
    with Queue.open_subscriber(path, "a", start=start) as reader:
        assert reader.next_seq == (100 if start == "latest" else 0)
        reader.commit()
    if damage == "cut":
        assert [file.read_bytes() for file in page.parent.glob("a.meta.damaged-*")] == [old[:100]]
    with Queue.open_subscriber(path, "a") as reader:
        assert reader.next_seq == (100 if start == "latest" else 0)


def test_a_reader_that_wants_its_position_is_told_that_it_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "q"
    make(path, 100)
    cut(reader_at(path, "a", 50), 100)
    for _ in range(2):
        with pytest.raises(CorruptReader):
            Queue.open_subscriber(path, "a")


@pytest.mark.parametrize(("offset", "bit"), [(0, 0), (5, 7), (8, 2), (9, 0), (11, 7)])
def test_a_flipped_bit_in_the_head_of_a_reader_page_costs_nothing(
    tmp_path: Path, offset: int, bit: int
) -> None:
    path = tmp_path / "q"
    make(path, 100)
    flip(reader_at(path, "a", 50), offset, bit)
    with Queue.open_subscriber(path, "a") as reader:
        assert reader.next_seq == 50


def test_what_was_mended_is_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "q"
    make(path, 10)
    cut(path / "control.meta", 0)
    Queue.open_publisher(path, CONFIG).close()
    (record,) = [record for record in caplog.records if record.name == "chronicle.queue"]
    assert record.getMessage() == f"{path} was damaged: control page built anew from the segments"


def test_a_writer_whose_control_page_is_cut_stops_and_the_next_one_goes_on(tmp_path: Path) -> None:
    """Stores into what is left of the page would go on without a fault, and no reader could open the queue."""
    path = tmp_path / "q"
    with Queue.open_publisher(path, CONFIG) as writer:
        writer.append(1, b"x")
        cut(path / "control.meta", 100)
        deadline = time.monotonic() + 10

        def append_for_long() -> None:
            while time.monotonic() < deadline:
                time.sleep(0.01)
                writer.heartbeat()
                writer.append(1, b"y")

        with pytest.raises(Broken):
            append_for_long()
    with Queue.open_publisher(path, CONFIG) as writer:
        seq = writer.append(1, b"z")
    assert [seq for seq, _ in all_records(path)] == list(range(seq + 1))
