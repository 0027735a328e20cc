"""Golden bytes: version 1 of the format may never change.

Written here from the documented layout, not with the code under test.
"""

import hashlib
import struct

import pytest

from libchronicle.queue import Queue, QueueConfig

SIZE = 1 << 16


def crc32c(data, crc=0xFFFFFFFF):
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.fixture
def queue(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, QueueConfig(segment_size=SIZE, durable=("etl", "archive"))) as writer:
        writer.append(7, b"hello", 1_000)
        writer.append(8, b"", 1_000)
        writer.append(0x1234, bytes(range(40)), 2_000)
        writer.roll()
        writer.append(9, b"next", 3_000)
        with Queue.open_subscriber(path, "a") as reader:
            reader.drain(2)
            reader.commit()
        writer.flush()
    return path


def frame(queue_id, type_id, payload, seq, ts_ns, epoch, flags=0):
    commit = 0xA0000000 | len(payload)
    head = struct.pack("<IHBBQq", commit, type_id, flags, 1, seq, ts_ns)
    crc = crc32c(struct.pack("<Q", queue_id) + head + struct.pack("<I", epoch) + payload)
    body = head + struct.pack("<II", crc, epoch) + payload
    return body + bytes(-len(body) % 32)


def test_the_control_page(queue):
    page = (queue / "control.meta").read_bytes()
    assert len(page) == 4096
    magic, version, incompat, compat, size, queue_id = struct.unpack_from("<8sIIIIQ", page)
    assert (magic, version, incompat, compat, size) == (b"CHRQUEUE", 1, 0, 0, SIZE)
    assert queue_id != 0
    assert struct.unpack_from("<I", page, 60)[0] == crc32c(page[:60])
    head, next_seq, last_ts, epoch = struct.unpack_from("<QQqI", page, 64)
    assert (head, next_seq, last_ts, epoch) == (SIZE + 128 + 64, 4, 3_000, 1)
    checked, touched = struct.unpack_from("<QQ", page, 128)
    assert (checked, touched) == (SIZE + 128, 2 * SIZE - 32)
    synced, oldest, oldest_seq = struct.unpack_from("<QQQ", page, 256)
    assert (synced, oldest, oldest_seq) == (head, 0, 0)
    assert page[448:460] == b"etl\0archive\0"


def test_a_segment_byte_for_byte(queue):
    queue_id = struct.unpack_from("<Q", (queue / "control.meta").read_bytes(), 24)[0]
    data = (queue / "000000000.q").read_bytes()
    assert len(data) == SIZE
    header = struct.pack("<8sIIIIQIIQq", b"CHRSGMNT", 1, 0, 0, 0, queue_id, 0, SIZE, 0, 0)
    assert data[:64] == header + struct.pack("<II", crc32c(header), 0)
    frames = frame(queue_id, 7, b"hello", 0, 1_000, 1) + frame(queue_id, 8, b"", 1, 1_000, 1)
    frames += frame(queue_id, 0x1234, bytes(range(40)), 2, 2_000, 1)
    assert data[128 : 128 + len(frames)] == frames
    end = 128 + len(frames)
    pad = struct.pack("<IHBBQq", 0xA0000000 | (SIZE - end - 32), 0xFFFF, 0, 1, 3, 2_000)
    pad += struct.pack("<II", crc32c(struct.pack("<Q", queue_id) + pad + struct.pack("<I", 1)), 1)
    assert data[end : end + 32] == pad
    assert not any(data[end + 32 :])
    seal = struct.pack("<4sIQqQII16s", b"SEAL", end, 2, 2_000, 3, crc32c(data[128:end]), 0, bytes(16))
    assert data[64:128] == seal + struct.pack("<II", crc32c(seal), 0)
    second = (queue / "000000001.q").read_bytes()
    header = struct.pack("<8sIIIIQIIQq", b"CHRSGMNT", 1, 0, 0, 1, queue_id, 1, SIZE, 3, 2_000)
    assert second[:64] == header + struct.pack("<II", crc32c(header), 0)


def test_the_index(queue):
    queue_id = struct.unpack_from("<Q", (queue / "control.meta").read_bytes(), 24)[0]
    data = (queue / "000000000.idx").read_bytes()
    assert data[:32] == struct.pack("<8sQIIII", b"CHRINDEX", queue_id, 1, 0, 1, 0)
    entry = struct.pack("<QqI", 0, 1_000, 128)
    assert data[32:56] == entry + struct.pack("<I", crc32c(entry))


def test_a_reader_page(queue):
    queue_id = struct.unpack_from("<Q", (queue / "control.meta").read_bytes(), 24)[0]
    page = (queue / "readers" / "a.meta").read_bytes()
    assert (len(page), page[:12]) == (4096, b"CHREADER" + struct.pack("<I", 1))
    slots = [page[64:128], page[128:192]]
    assert all(struct.unpack_from("<I", slot, 60)[0] == crc32c(slot[:60]) for slot in slots)
    newest = max(slots, key=lambda slot: struct.unpack_from("<Q", slot)[0])
    generation, found_id, position, seq, epoch, back = struct.unpack_from("<QQQQII", newest)
    assert (generation, found_id, position, seq, epoch, back) == (2, queue_id, 128 + 64 + 32, 2, 1, 32)


def test_the_notify_page(queue):
    page = (queue / "notify.meta").read_bytes()
    word, reserved, magic = struct.unpack_from("<II8s", page)
    assert (len(page), word, reserved, magic) == (4096, 2, 0, b"CHNOTIFY")


GOLDEN = "b9d7e07bfd092ef57683b2d2790d5cc394986af63b9e21e792519e70d6e7267d"


def test_a_queue_written_by_hand_from_the_documented_bytes_is_read_and_continued(tmp_path):
    """The golden queue of version 1: every later build must read it."""
    queue_id, size = 0x0123456789ABCDEF, 4096
    frames = frame(queue_id, 7, b"hello", 0, 1_000, 1) + frame(queue_id, 8, b"", 1, 1_001, 2)
    assert hashlib.sha256(frames).hexdigest() == GOLDEN
    fixed = struct.pack("<8sIIIIQ16sqI", b"CHRQUEUE", 1, 0, 0, size, queue_id, bytes(16), 5, 0)
    hot = struct.pack("<QQqI", 128 + len(frames), 2, 1_001, 2)
    marks = struct.pack("<QQ", 128, 128)
    page = (fixed + struct.pack("<I", crc32c(fixed)) + hot).ljust(128, b"\0") + marks
    header = struct.pack("<8sIIIIQIIQq", b"CHRSGMNT", 1, 0, 0, 0, queue_id, 0, size, 0, 0)
    segment = (header + struct.pack("<II", crc32c(header), 0)).ljust(128, b"\0") + frames
    path = tmp_path / "q"
    (path / "readers").mkdir(parents=True)
    (path / "READY").write_text("")
    (path / "control.meta").write_bytes(page.ljust(4096, b"\0"))
    (path / "notify.meta").write_bytes(struct.pack("<II8sQ", 0, 0, b"CHNOTIFY", queue_id).ljust(4096, b"\0"))
    (path / "000000000.q").write_bytes(segment.ljust(size, b"\0"))
    expected = [(0, 7, b"hello", 1_000, 1), (1, 8, b"", 1_001, 2)]
    with Queue.open_subscriber(path, None) as reader:
        assert [(m.seq, m.type_id, bytes(m), m.ts_ns, m.epoch) for m in reader] == expected
    with Queue.open_publisher(path) as writer:
        assert (writer.queue_id, writer.epoch, writer.append(9, b"more", 1_001)) == (queue_id, 3, 2)
    with Queue.open_subscriber(path, None) as reader:
        assert [m.seq for m in reader] == [0, 1, 2]
