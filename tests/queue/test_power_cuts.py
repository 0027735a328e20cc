"""Power cuts: another boot finds some pages of the last moments, and not others. What was synced is there, a hole is told."""

import shutil
import struct
import time

import pytest

from libchronicle.errors import Broken, Corrupt, Evicted, Rewound
from libchronicle.queue import LOST_TYPE, Queue, inspect
from tests.queue.damage import SMALL, append_some, flip
from tests.queue.damage import full_records as all_records


def test_after_another_boot_unsynced_records_may_go_but_never_in_silence(tmp_path, another_boot):
    path = tmp_path / "q"
    another_boot("one")
    with Queue.open_publisher(path, SMALL) as writer, Queue.open_subscriber(path, "a") as reader:
        for i in range(10):
            writer.append(1, b"%d" % i)
        writer.flush()
        kept = inspect(path).head
        for i in range(10, 20):
            writer.append(1, b"%d" % i)
        assert len(reader.drain()) == 20
        reader.flush()
    with (path / "000000000.q").open("r+b") as handle:  # the pages of the last ten never reached the disk
        handle.seek(kept)
        handle.write(bytes((1 << 16) - kept))
    another_boot("two")
    with Queue.open_publisher(path, SMALL) as writer:
        assert writer.next_seq == 10
        for i in range(20):
            writer.append(1, b"%d" % (100 + i))
    with pytest.raises(Rewound) as caught:
        Queue.open_subscriber(path, "a")
    assert caught.value.from_seq == 20
    assert len(all_records(path)) == 30


def test_synced_records_that_are_gone_after_a_boot_are_declared_lost(tmp_path, another_boot):
    path = tmp_path / "q"
    another_boot("one")
    with Queue.open_publisher(path, SMALL) as writer:
        for i in range(10):
            writer.append(1, b"%d" % i)
        writer.flush()
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        reader.drain(5)
        at = reader.position
    with (path / "000000000.q").open("r+b") as handle:
        handle.seek(at)
        handle.write(bytes((1 << 16) - at))
    another_boot("two")
    append_some(path, 1)
    records = all_records(path)
    assert [r[0] for r in records] == [0, 1, 2, 3, 4, 10, 11]
    assert records[5][1] == LOST_TYPE
    assert struct.unpack("<QQ", records[5][2]) == (5, 9)


def test_pages_that_reached_the_disk_out_of_order_are_a_declared_hole(tmp_path, another_boot):
    path = tmp_path / "q"
    another_boot("one")
    append_some(path, 100)
    with (path / "000000000.q").open("r+b") as handle:  # the second page is missing, the third is there
        handle.seek(4096)
        handle.write(bytes(4096))
    another_boot("two")
    append_some(path, 1)
    records = all_records(path)
    kinds = [r[1] for r in records]
    assert kinds.count(LOST_TYPE) == 1
    first, last = struct.unpack("<QQ", records[kinds.index(LOST_TYPE)][2])
    assert first == kinds.index(LOST_TYPE)
    assert [r[0] for r in records[first + 1 :]] == list(range(last + 1, 101)), (
        "what stands on other pages is read"
    )


def test_a_missing_segment_is_a_declared_hole(tmp_path):
    path = tmp_path / "q"
    append_some(path, 2000)
    live = inspect(path).head >> 16
    (path / f"{live:09d}.q").unlink()
    append_some(path, 1)
    holes = []
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        got = []
        while True:
            try:
                m = reader.next()
            except Evicted as hole:
                holes.append((hole.from_seq, got[-1] + 1))
                continue
            if m is None:
                break
            got.append(m.seq)
            if m.type_id == LOST_TYPE:
                assert struct.unpack("<QQ", bytes(m)) == (got[-2] + 1, m.seq - 1)
    assert got[-1] >= 2000
    assert all(told == expected for told, expected in holes)


def test_a_declared_hole_that_begins_later_than_the_reader_stands_is_told_whole(tmp_path, another_boot):
    """The end of a quarantined segment was lost once more, after the hole behind it had been declared."""
    path = tmp_path / "q"
    another_boot("one")
    append_some(path, 20)
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        reader.drain(10)
        early = reader.position
        reader.drain(9)
        last = reader.position
    flip(path / "000000000.q", last + 40)
    with (path / "control.meta").open("r+b") as handle:
        handle.seek(128)
        handle.write(struct.pack("<Q", 128))
    append_some(path, 1)  # declares 19 lost
    with (path / "000000000.q").open("r+b") as handle:
        handle.seek(early)
        handle.write(bytes((1 << 16) - early))
    records = all_records(path)
    holes = [struct.unpack("<QQ", r[2]) for r in records if r[1] == LOST_TYPE]
    assert [r[0] for r in records if r[1] != LOST_TYPE] == [*range(10), 21]
    assert holes == [(10, 18), (19, 19)]


def test_a_mark_of_retention_whose_segment_never_reached_the_disk_leaves_no_segment_open(
    tmp_path, another_boot
):
    path = tmp_path / "q"
    another_boot("before")
    append_some(path, 6500)
    size = SMALL.segment_size
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        cut_at = next(m.seq for m in reader if reader.position > 2 * size + size // 2)
        offset = reader.position % size
    with (path / "000000002.q").open("r+b") as handle:  # neither its padding nor its seal was written yet
        handle.seek(64)
        handle.write(bytes(64))
        handle.seek(offset)
        handle.write(bytes(size - offset))
    for number in range(3, inspect(path).head // size + 1):  # nor the names of those behind it
        (path / f"{number:09d}.q").unlink()
        (path / f"{number:09d}.idx").unlink()
    with (path / "control.meta").open("r+b") as handle:  # but the mark: segment 4 is the oldest that is kept
        handle.seek(256)
        handle.write(struct.pack("<QQQ", size + 128, 4, 2500))
    another_boot("after")
    with Queue.open_publisher(path, SMALL) as writer:
        seq = writer.append(1, b"goes on")
    records = all_records(path)
    assert records[-1] == (seq, 1, b"goes on"), "a reader from the beginning comes to the end"
    assert [record[0] for record in records[: cut_at + 1]] == list(range(cut_at + 1))


@pytest.mark.parametrize("synced", [False, True], ids=["met on the way", "named by the mark"])
def test_a_segment_whose_header_is_of_a_life_that_is_over_is_begun_anew(tmp_path, another_boot, synced):
    path, other = tmp_path / "q", tmp_path / "other"
    another_boot("before")
    append_some(path, 1)
    shutil.copytree(path, other)
    append_some(other, 700, size=100)  # the life that was lost, but for one sector
    append_some(path, 100, size=1000)
    assert inspect(path).head // SMALL.segment_size == 1
    first = inspect(path).segments[1].first_seq
    with (path / "000000001.q").open("r+b") as handle:
        handle.write((other / "000000001.q").read_bytes()[:64].ljust(SMALL.segment_size, b"\0"))
    with (path / "control.meta").open("r+b") as handle:
        if synced:  # all of segment 0 is on the medium
            handle.seek(256)
            handle.write(struct.pack("<Q", SMALL.segment_size + 128))
        else:  # an older page: one record, head behind it
            handle.seek(64)
            handle.write(struct.pack("<QQ", 288, 1))
    another_boot("after")
    with Queue.open_publisher(path, SMALL) as writer:
        assert writer.append(1, b"goes on") == first
        assert inspect(path).segments[1].first_seq == first
    records = all_records(path)
    assert [record[0] for record in records] == list(range(first + 1))


@pytest.mark.parametrize("sought", [False, True])
def test_a_reader_that_goes_past_a_damaged_segment_goes_past_one_that_was_never_begun_too(tmp_path, sought):
    path = tmp_path / "q"

    def append_up_to(writer, segment):
        while inspect(path).head // SMALL.segment_size < segment:
            writer.append(1, bytes(5000))

    with Queue.open_publisher(path, SMALL) as writer:
        append_up_to(writer, 1)
        while not (path / "000000002.q").exists():  # its native thread prepares it
            time.sleep(0.01)
        never_begun = (path / "000000002.q").read_bytes()
        append_up_to(writer, 3)
    damaged, behind = (inspect(path).segments[number].first_seq for number in (1, 3))
    (path / "000000001.q").write_bytes(bytes(SMALL.segment_size))
    (path / "000000002.q").write_bytes(never_begun)
    got, told = [], []
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        if sought:
            reader.seek_seq(damaged)
        while len(told) < 5:
            try:
                message = reader.next()
            except (Broken, Corrupt, Evicted) as error:
                told.append(error)
                continue
            if message is None:
                break
            got.append((message.seq, message.type_id))
    seqs = [seq for seq, type_id in got if type_id != LOST_TYPE]
    assert [seq for seq in seqs if seq >= damaged] == list(range(behind, inspect(path).next_seq))
    assert told or len(seqs) < len(got), "the hole is told"
