"""One rotten byte loses the record it is in, and a LOST record says so. Covers "a flipped bit in any file"."""

import json
import os
import random
import struct

import pytest

from libchronicle.errors import Corrupt
from libchronicle.queue import LOST_TYPE, Queue, QueueConfig

CONFIG = QueueConfig(segment_size=1 << 14)
COUNT = 300


def payload(seq):
    return random.Random(seq).randbytes(8 + seq % 90)


def make(path):
    """A queue of a few sealed segments and a live one; (segment, offset, bytes) of every record."""
    places = []
    with (
        Queue.open_publisher(path, CONFIG) as writer,
        Queue.open_subscriber(path, None, start="earliest") as reader,
    ):
        for seq in range(COUNT):
            writer.append(1, payload(seq))
            reader.next()
            end = reader.position
            size = 32 + (len(payload(seq)) + 31) // 32 * 32
            places.append(((end - size) >> 14, (end - size) % (1 << 14), 32 + len(payload(seq))))
        writer.flush()
    return places


def rot(path, segment, offset, rng):
    with (path / f"{segment:09d}.q").open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ (1 << rng.randrange(8))]))


def read_on(path):
    """What a reader gets that takes every Corrupt as told and reads on: records, seqs told Corrupt, holes."""
    records, told, holes = [], [], []
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        while True:
            try:
                message = reader.next()
            except Corrupt as error:
                told.append(error.seq)
                continue
            if message is None:
                return records, told, holes
            if message.type_id == LOST_TYPE:
                holes.append(struct.unpack("<QQ", bytes(message)))
            else:
                records.append((message.seq, bytes(message)))


def test_in_a_sealed_segment(tmp_path, scale, seed, report):
    path = tmp_path / "q"
    places = make(path)
    rng = random.Random(seed)
    rounds = scale(40, 2000)
    for _ in range(rounds):
        hit = rng.randrange(places[-1][0] and next(i for i, p in enumerate(places) if p[0] == places[-1][0]))
        segment, offset, size = places[hit]
        at = offset + rng.randrange(size)
        file = path / f"{segment:09d}.q"
        good = file.read_bytes()
        rot(path, segment, at, rng)
        records, told, holes = read_on(path)
        assert records == [(seq, payload(seq)) for seq in range(COUNT) if seq != hit]
        assert (told, holes) == ([hit], [(hit, hit)])
        with file.open("r+b") as handle:
            handle.write(good)
    report(seed=seed, bytes_rotten=rounds)


@pytest.mark.parametrize("boot", ["the same boot", "another boot"])
def test_in_the_segment_that_is_recovered(tmp_path, monkeypatch, scale, seed, report, boot):
    rng = random.Random(seed)
    rounds = scale(10, 150)
    for round_number in range(rounds):
        path = tmp_path / f"q{round_number}"
        monkeypatch.setenv("CHRONICLE_BOOT_ID", "one")
        places = make(path)
        live = [i for i, place in enumerate(places) if place[0] == places[-1][0]]
        hit = rng.choice(live[:-1])
        segment, offset, size = places[hit]
        rot(path, segment, offset + rng.randrange(size), rng)
        with (path / "control.meta").open("r+b") as file:  # nothing of the live segment was checked or synced
            start = struct.pack("<Q", (segment << 14) + 128)
            os.pwrite(file.fileno(), start, 128)
            os.pwrite(file.fileno(), start, 256)
        if boot == "another boot":
            monkeypatch.setenv("CHRONICLE_BOOT_ID", "two")
        with Queue.open_publisher(path, CONFIG) as writer:
            assert writer.append(1, payload(COUNT)) == COUNT
        records, told, holes = read_on(path)
        assert records == [(seq, payload(seq)) for seq in range(COUNT + 1) if seq != hit]
        assert (told, holes) == ([], [(hit, hit)]), "what recovery has listed is no surprise"
        listed = json.loads((path / "quarantine.json").read_text())
        assert [(entry["segment"], entry["offset"], entry["seq"]) for entry in listed] == [
            (segment, offset, hit)
        ]
    report(seed=seed, bytes_rotten=rounds)
