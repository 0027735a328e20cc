"""Crash recovery: kill -9, torn tails, flipped bits, another boot. No committed record is lost or altered in silence."""

import json
import os
import random
import shutil
import signal
import struct
import time

import pytest

from libchronicle.errors import Corrupt, CorruptReader, Evicted
from libchronicle.queue import LOST_TYPE, Queue, check, inspect, verify
from tests.queue.damage import SMALL, append_some, flip
from tests.queue.damage import full_records as all_records

STRESS = int(os.environ.get("CHRONICLE_STRESS", "1"))  # multiplies the rounds of the random tests
BUSY = """
    import sys, random
    from libchronicle.queue import Queue, QueueConfig
    writer = Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16))
    rng = random.Random(int(sys.argv[2]))
    print(writer.next_seq)
    while True:
        size = rng.randrange(0, 3000)
        seq = writer.next_seq
        writer.append(1, seq.to_bytes(8, "little") + bytes([seq & 0xFF]) * size)
"""


# The first sync of a page is that of the epoch, when the segment has been made and not begun.
KILLED_AT_THE_SYNC = """
    #include <signal.h>
    #include <stddef.h>
    int msync(void *at, size_t size, int flags) { (void)at, (void)size, (void)flags; return raise(SIGKILL); }
"""


def test_a_kill_while_a_queue_is_made_alarms_nobody(tmp_path, under):
    code = """
        import sys
        from libchronicle.queue import Queue
        Queue.open_publisher(sys.argv[1])
    """
    done = under(KILLED_AT_THE_SYNC, code, tmp_path / "q")
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "q" / "000000000.q").exists()
    with Queue.open_publisher(tmp_path / "q") as writer:
        assert writer.mended == ""
        assert writer.append(1, b"first") == 0
    assert verify(tmp_path / "q") == []


@pytest.mark.parametrize("name", ["999999999.q", "-00000002.q", "+00000003.q", " 00000003.q", "00000000٣.q"])
@pytest.mark.parametrize("boot", ["the same", "another"])
def test_a_file_with_the_name_of_a_segment_far_away_holds_nobody_up(tmp_path, another_boot, name, boot):
    path = tmp_path / "q"
    append_some(path, 1000)
    (path / name).touch()
    if boot == "another":
        another_boot(boot)
    append_some(path, 1000)
    assert [seq for seq, _, _ in all_records(path)] == [*range(2000)]
    assert verify(path) == []
    (note,) = [finding for finding in check(path).findings if finding.path == str(path / name)]
    assert "no part of" in note.reason


def test_a_gap_of_many_segments_is_told_in_few_words(tmp_path):
    path = tmp_path / "q"
    append_some(path, 2000, size=1000)
    for number in range(1, 30):
        (path / f"{number:09d}.q").unlink()
    missing = [fault for fault in verify(path) if fault.reason.startswith("missing")]
    assert [fault.segment for fault in missing] == [*range(1, 18)]
    assert missing[-1].reason == "missing, as are all before 000000030.q"
    with Queue.open_subscriber(path, None, start="earliest") as reader, pytest.raises(Evicted) as told:
        list(reader)
    assert (missing[0].seq, missing[0].to_seq) == (told.value.from_seq, told.value.to_seq)


def test_kill_9_at_any_moment_loses_nothing_that_was_committed(tmp_path, spawn):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    for round_number in range(10 * STRESS):
        path = tmp_path / f"q{round_number // 20}"  # a fresh one now and then, for each round reads all
        child = spawn(BUSY, path, rng.randrange(1 << 30))
        child.stdout.readline()
        time.sleep(rng.uniform(0, 0.02))
        child.send_signal(signal.SIGKILL)
        child.wait()
        committed = inspect(path).next_seq
        with Queue.open_publisher(path, SMALL) as writer:
            assert committed <= writer.next_seq <= committed + 1
            assert writer.epoch == 2 * (round_number % 20) + 2
            seq = writer.next_seq
            writer.append(1, seq.to_bytes(8, "little"))
        records = all_records(path)
        assert [r[0] for r in records] == list(range(seq + 1))
        for seq, _, payload in records:
            assert payload[:8] == seq.to_bytes(8, "little")
            assert payload[8:] == bytes([seq & 0xFF]) * (len(payload) - 8)
        assert not (path / "quarantine.json").exists()
        if round_number % 20 == 19:
            assert verify(path) == []
            shutil.rmtree(path)


def test_a_torn_tail_is_zeroed_and_overwritten(tmp_path):
    path = tmp_path / "q"
    append_some(path, 10)
    tail = inspect(path).head
    with (path / "000000000.q").open("r+b") as handle:  # a payload whose commit word was never stored
        handle.seek(tail + 4)
        handle.write(os.urandom(200))
    control = path / "control.meta"
    with control.open("r+b") as handle:  # noted before the payload was touched
        handle.seek(136)
        handle.write(struct.pack("<Q", tail + 4096))
    append_some(path, 1)
    assert [r[0] for r in all_records(path)] == list(range(11))
    with (path / "000000000.q").open("rb") as handle:
        handle.seek(inspect(path).head)
        assert not any(handle.read())


def test_an_unfinished_roll_is_finished(tmp_path, spawn):
    """Killed between the next segment's publication and the seal of the old one: the new one is used."""
    path = tmp_path / "q"
    code = """
        import os, sys
        from libchronicle.queue import Queue, QueueConfig
        writer = Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16, prepare=False))
        writer.append(1, b"a")
        writer.roll()
        os.kill(os.getpid(), 9)
    """
    spawn(code, path).wait()
    append_some(path, 2)
    assert [r[0] for r in all_records(path)] == [0, 1, 2]
    assert inspect(path).head >= 1 << 16


def test_a_flipped_bit_anywhere_in_a_record_is_told_with_its_place(tmp_path):
    path = tmp_path / "q"
    append_some(path, 3, size=40)
    file = path / "000000000.q"
    good = file.read_bytes()
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        reader.next()
        offset = reader.position
        reader.next()
        end = offset + 32 + len(b"1") + 40
    for at in range(offset, end):
        for bit in range(8):
            flip(file, at, bit)
            with Queue.open_subscriber(path, None, start="earliest") as reader:
                assert reader.next().seq == 0
                with pytest.raises(Corrupt) as caught:
                    reader.next()
                assert (caught.value.segment, caught.value.offset, caught.value.seq) == (0, offset, 1)
            flip(file, at, bit)
    assert file.read_bytes() == good


def test_a_corrupt_record_can_be_skipped_by_seeking(tmp_path):
    path = tmp_path / "q"
    append_some(path, 2000)
    flip(path / "000000001.q", 5000)
    got = []
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        while True:
            try:
                m = reader.next()
            except Corrupt as error:
                reader.seek_seq(error.seq + 1)
                continue
            if m is None:
                break
            got.append(m.seq)
    missing = sorted(set(range(2000)) - set(got))
    assert len(missing) == 1
    assert got == sorted(got)


@pytest.mark.parametrize("victim", ["middle", "last"])
def test_corruption_found_at_open_is_quarantined_and_the_hole_declared(tmp_path, victim):
    path = tmp_path / "q"
    append_some(path, 20)
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        places = []
        for _ in range(20):
            places.append(reader.position)
            reader.next()
    hit = 10 if victim == "middle" else 19
    flip(path / "000000000.q", places[hit] + 40)
    with (path / "control.meta").open("r+b") as handle:  # make recovery walk the whole segment
        handle.seek(128)
        handle.write(struct.pack("<Q", 128))
    before = (path / "000000000.q").read_bytes()
    append_some(path, 1)
    listed = json.loads((path / "quarantine.json").read_text())
    assert [(entry["segment"], entry["offset"], entry["seq"]) for entry in listed] == [(0, places[hit], hit)]
    records = all_records(path)
    last = 20 if victim == "middle" else 21  # a LOST record that the writer declares has a seq of its own
    gone = {hit} if victim == "middle" else {hit, 20}
    assert [r[0] for r in records if r[1] != LOST_TYPE] == sorted(set(range(last + 1)) - gone)
    lost = next(r for r in records if r[1] == LOST_TYPE)
    assert struct.unpack("<QQ", lost[2]) == (hit, hit)
    assert records.index(lost) == hit
    assert (path / "000000000.q").read_bytes()[128:] == before[128:], "what was committed is never zeroed"
    assert inspect(path).segments[0].state == "quarantined"


def test_a_long_list_of_what_was_quarantined_is_carried_on_whole(tmp_path):
    path = tmp_path / "q"
    append_some(path, 20)
    listed = [
        {"segment": 1000 + n, "offset": 128, "seq": n, "reason": "checksum", "found_ns": n}
        for n in range(2000)
    ]
    text = "[\n " + ",\n ".join(json.dumps(entry) for entry in listed) + "\n]\n"
    assert len(text) > 1 << 17
    (path / "quarantine.json").write_text(text)
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        reader.drain(10)
        place = reader.position
    flip(path / "000000000.q", place + 40)
    with (path / "control.meta").open("r+b") as handle:  # make recovery walk the whole segment
        handle.seek(128)
        handle.write(struct.pack("<Q", 128))
    append_some(path, 1)
    now = json.loads((path / "quarantine.json").read_text())
    assert now[:2000] == listed
    assert [(entry["segment"], entry["offset"]) for entry in now[2000:]] == [(0, place)]


def test_a_reader_page_survives_a_torn_slot(tmp_path):
    path = tmp_path / "q"
    append_some(path, 10)
    page = path / "readers" / "a.meta"
    with Queue.open_subscriber(path, "a") as reader:
        reader.drain(3)
        reader.commit()
        older = page.read_bytes()
        reader.drain(3)
        reader.commit()
        newer = page.read_bytes()
    changed = [i for i in range(64, 192) if older[i] != newer[i]]
    assert changed
    torn = bytearray(newer)
    torn[changed[0]] ^= 0xFF
    page.write_bytes(torn)
    with Queue.open_subscriber(path, "a") as reader:
        assert reader.next_seq == 3
    page.write_bytes(bytes(newer[:64]) + b"\xff" * 128 + bytes(newer[192:]))
    with pytest.raises(CorruptReader):
        Queue.open_subscriber(path, "a")
    with Queue.open_subscriber(path, "a", start="earliest") as reader:
        assert reader.next_seq == 0


def test_a_commit_survives_kill_9_of_the_reader(tmp_path, spawn):
    path = tmp_path / "q"
    append_some(path, 100)
    code = """
        import os, sys
        from libchronicle.queue import Queue
        reader = Queue.open_subscriber(sys.argv[1], "a")
        reader.drain(42)
        reader.commit()
        reader.drain(10)
        os.kill(os.getpid(), 9)
    """
    spawn(code, path).wait()
    with Queue.open_subscriber(path, "a") as reader:
        assert reader.next_seq == 42
