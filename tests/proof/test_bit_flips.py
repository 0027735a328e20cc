"""One flipped bit in any byte of any file: told with its place, or harmless and shown to be.

For each flip the queue is read in every way and, on a copy, opened by a writer that appends, and read again. Always: what is
read is what was appended, and a seq that is missing was spoken of by an error or a LOST record; nothing crashes or hangs.
Beyond that each place of each file has its verdict, written down below:

    TOLD       a reader names file and place, and so does verify; records elsewhere are still read
    SAFE       readers get what is right or are told; the next writer finds the value wrong and loses nothing by it
    HARMLESS   readers get exactly what they get without the flip, and so it is after the next writer
"""

from __future__ import annotations

import enum
import os
import random
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from libchronicle.errors import ChronicleError, Corrupt
from libchronicle.queue import LOST_TYPE, Queue, QueueConfig, verify

SEGMENT = 4096
CONFIG = QueueConfig(segment_size=SEGMENT, prefault=False, prepare=False, sync=False, retain_segments=100)
SIZES = (0, 1, 31, 32, 33, 100, 7, 300, 64, 500)
COUNT = 60
MORE = 2  # appended by the writer that comes after the flip
COMMITTED = 34

Row = tuple[int, int, int, int, bytes]


class Verdict(enum.Enum):
    TOLD = "told"
    SAFE = "safe"
    HARMLESS = "harmless"


class Seen(msgspec.Struct):
    """What came of reading a queue in every way."""

    records: dict[str, list[Row]] = {}
    errors: list[ChronicleError] = []
    declared: set[int] = set()  # seqs an error or a LOST record speaks of


def payload(seq: int) -> bytes:
    return bytes([seq + 1]) * SIZES[seq % len(SIZES)]


def append(writer, seq: int) -> None:
    assert writer.append(seq % 7, payload(seq), 1_000 * (seq + 1)) == seq


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Iterator[Path]:
    """Sealed segments, a live one, a reader with both slots used; its writer left in order."""
    shm = Path("/dev/shm")
    where = (
        shm / f"chronicle-flips-{os.getpid()}"
        if os.access(shm, os.W_OK)
        else tmp_path_factory.mktemp("flips")
    )
    with Queue.open_publisher(where / "q", CONFIG) as writer:
        for seq in range(COUNT):
            append(writer, seq)
        with Queue.open_subscriber(where / "q", "a", CONFIG) as reader:
            for _ in range(2):
                reader.drain(COMMITTED // 2)
                reader.commit()
    yield where / "q"
    shutil.rmtree(where)


def follow(reader, way: str, seen: Seen) -> None:
    """To the end, over every error by seeking behind it."""
    got = seen.records.setdefault(way, [])
    stuck = None  # at the end stands what cannot be opened: told again at every call
    for _ in range(4 * COUNT):
        expected = reader.next_seq
        try:
            m = reader.next()
        except Corrupt as error:
            seen.errors.append(error)
            if stuck == (stuck := reader.position):
                return
            if error.offset:  # a frame's, not a segment header's
                reader.seek_seq(error.seq + 1)
                seen.declared |= set(range(error.seq, min(reader.next_seq, COUNT + MORE)))
            continue
        except ChronicleError as error:
            seen.errors.append(error)
            seen.declared |= set(range(expected, min(reader.next_seq, COUNT + MORE)))
            if stuck == (stuck := reader.position):
                return
            continue
        if m is None:
            return
        if m.type_id == LOST_TYPE:
            first, last = struct.unpack("<QQ", bytes(m))
            seen.declared |= set(range(first, min(last, COUNT + MORE) + 1))
        else:
            got.append((m.seq, m.type_id, m.ts_ns, m.epoch, bytes(m)))
    raise AssertionError("a reader comes to an end")


def read(path: Path, seen: Seen, way: str, name: str | None = None, **how: object) -> None:
    try:
        with Queue.open_subscriber(path, name, CONFIG, **how) as reader:
            follow(reader, way, seen)
    except ChronicleError as error:
        seen.errors.append(error)


def read_every_way(path: Path) -> Seen:
    seen = Seen()
    page = (path / "readers" / "a.meta").read_bytes()
    read(path, seen, "earliest", start="earliest")
    read(path, seen, "latest", start="latest")
    read(path, seen, "resume", "a")
    for seq in (1, COUNT // 2, COUNT - 1):
        read(path, seen, f"seq {seq}", seq=seq)
        read(path, seen, f"time {seq}", time_ns=1_000 * (seq + 1))
    (path / "readers" / "a.meta").write_bytes(page)
    return seen


def check_always(seen: Seen) -> None:
    for rows in seen.records.values():
        for seq, type_id, ts_ns, _epoch, content in rows:
            assert (type_id, ts_ns, content) == (seq % 7, 1_000 * (seq + 1), payload(seq))
        seqs = [row[0] for row in rows]
        assert seqs == sorted(set(seqs))
        missing = set(range(seqs[0], seqs[-1])) - set(seqs) if seqs else set()
        assert missing <= seen.declared, "a silent hole"
    for error in seen.errors:
        assert error.fields.get("path"), f"{error!r} names no place"


def after_a_writer(path: Path) -> Seen | ChronicleError:
    """What is read once a writer has opened a copy and appended; or why it would not."""
    copy = path.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(path, copy)
    try:
        with Queue.open_publisher(copy, CONFIG) as writer:
            for _ in range(MORE):
                append(writer, writer.next_seq)
    except ChronicleError as error:
        return error
    seen = Seen()
    read(copy, seen, "earliest", start="earliest")
    return seen


# ---------------------------------------------------------------- which byte is what


class Place(msgspec.Struct, frozen=True):
    """A run of bytes of one file, what a flip there must come to, and for a frame where it stands."""

    begin: int
    end: int
    what: str
    verdict: Verdict
    frame: int | None = None  # its offset
    seq: int | None = None


TOLD, SAFE, HARMLESS = Verdict.TOLD, Verdict.SAFE, Verdict.HARMLESS


def runs(*fields: tuple[int, str, Verdict]) -> list[Place]:
    """(end, what, verdict), one after another."""
    places, begin = [], 0
    for end, what, verdict in fields:
        places.append(Place(begin, end, what, verdict))
        begin = end
    return places


def segment_places(data: bytes) -> list[Place]:
    places = runs(
        (60, "header", TOLD),
        (64, "reserved", HARMLESS),
        (124, "seal", HARMLESS),  # readers need it only in a quarantined segment; verify names it
        (128, "reserved", HARMLESS),
    )
    at = 128
    while at < SEGMENT:
        commit, type_id, _, seq = struct.unpack_from("<IHHQ", data, at)
        length = commit & 0x0FFFFFFF
        if commit == 0:
            places.append(Place(at, at + 4, "commit word at the tail", TOLD, at, seq or COUNT))
            places.append(Place(at + 4, SEGMENT, "behind the tail", HARMLESS))
            break
        if type_id == 0xFFFF:
            places.append(Place(at, at + 32, "padding frame", TOLD, at, seq))
            places.append(Place(at + 32, SEGMENT, "behind the padding frame", HARMLESS))
            break
        end = at + 32 + length
        places.append(Place(at, end, "frame", TOLD, at, seq))
        at = (end + 31) & ~31
        places.append(Place(end, at, "filling behind a frame", HARMLESS))
    return [place for place in places if place.begin < place.end]


CONTROL = runs(
    (64, "geometry", TOLD),
    (96 - 4, "head, next_seq, last_ts, epoch", SAFE),
    (128, "reserved", HARMLESS),
    (160, "checked, touched, boot_id", SAFE),
    (192, "reserved", HARMLESS),
    (224, "liveness", HARMLESS),
    (256, "reserved", HARMLESS),
    (288, "synced, oldest, oldest_seq, bytes", SAFE),
    (320, "reserved", HARMLESS),
    (384, "counters", HARMLESS),
    (448, "policy of the writer before", HARMLESS),
    (1472, "durable names of the writer before", HARMLESS),
    (4096, "reserved", HARMLESS),
)
READER = runs(
    (12, "magic, version", SAFE),  # known beyond doubt from a sound slot below
    (64, "pid, start time, boot id, heartbeat", HARMLESS),
    (192, "slots", SAFE),
    (4096, "reserved", HARMLESS),
)
NOTIFY = runs((4, "word", HARMLESS), (4096, "magic, queue id, reserved", HARMLESS))


def places_of(file: Path) -> list[Place]:
    if file.suffix == ".q":
        return segment_places(file.read_bytes())
    if file.suffix == ".idx":
        return runs((file.stat().st_size, "index, a hint", HARMLESS))
    return {"control.meta": CONTROL, "notify.meta": NOTIFY, "a.meta": READER}[file.name]


# ---------------------------------------------------------------- the verdicts


def is_told(seen: Seen, file: Path, place: Place) -> bool:
    if place.frame is None:
        return any(file.name in str(error) or "reader" in str(error) for error in seen.errors)
    number = int(file.stem)
    named = [(e.segment, e.offset, e.seq) for e in seen.errors if isinstance(e, Corrupt)]
    return (number, place.frame, place.seq) in named


def check_verified(path: Path, file: Path, place: Place) -> None:
    """What `verify` says of a flip: it names the file, and the frame."""
    try:
        findings = list(verify(path))
    except ChronicleError as error:
        findings = [error]
    if isinstance(findings[0] if findings else None, ChronicleError):
        assert file.name in str(findings[0])
        return
    named = [
        f for f in findings if file.name in f.path or (file.suffix == ".q" and f.segment == int(file.stem))
    ]
    assert named, f"verify is silent: {findings}"
    if place.frame is not None:
        assert place.frame in [finding.offset for finding in named]


def check_told(seen: Seen, file: Path, place: Place) -> None:
    assert is_told(seen, file, place), [str(error) for error in seen.errors]
    if place.what == "frame":
        got = [row[0] for row in seen.records["earliest"]]
        assert got == [seq for seq in range(COUNT) if seq != place.seq], "other records are still read"


def check_after(after: Seen | ChronicleError, verdict: Verdict) -> None:
    if isinstance(after, ChronicleError):
        assert verdict is TOLD
        assert after.fields.get("path")
        return
    check_always(after)
    rows = after.records.get("earliest", [])
    got = {row[0] for row in rows}
    if verdict is TOLD:
        assert set(range(COUNT)) <= got | after.declared
    else:
        assert got == set(range(COUNT + MORE)), "nothing is lost"
        assert after.errors == []
        assert after.declared == set(), "nor declared lost"


def check_flip(path: Path, file: Path, at: int, bit: int, place: Place, sound: Seen) -> None:
    fd = os.open(file, os.O_RDWR)
    byte = os.pread(fd, 1, at)
    try:
        os.pwrite(fd, bytes([byte[0] ^ 1 << bit]), at)
        seen = read_every_way(path)
        check_always(seen)
        if place.verdict is TOLD or place.what == "seal":
            check_verified(path, file, place)
        if place.verdict is TOLD:
            check_told(seen, file, place)
        elif place.verdict is HARMLESS:
            assert seen == sound
        check_after(after_a_writer(path), place.verdict)
    finally:
        os.pwrite(fd, byte, at)
        os.close(fd)


def chosen(places: list[Place], rng: random.Random, share: float) -> Iterator[tuple[Place, int, int]]:
    """Every bit of every byte that means something and one of each that does not, or a share of them, one at least."""
    every = []
    for place in places:
        for at in range(place.begin, place.end):
            silent = place.what.startswith(("reserved", "behind", "magic, queue id"))
            every += [(place, at, bit) for bit in ([rng.randrange(8)] if silent else range(8))]
    for n in sorted(rng.sample(range(len(every)), max(1, round(share * len(every))))):
        yield every[n]


FILES = (
    "000000000.q",
    "000000001.q",
    "live",
    "000000000.idx",
    "live index",
    "control.meta",
    "notify.meta",
    "readers/a.meta",
)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_told_or_harmless_wherever_it_is(pristine, name, scale, report, seed):
    live = sorted(pristine.glob("*.q"))[-1]
    file = {"live": live, "live index": live.with_suffix(".idx")}.get(name, pristine / name)
    sound = read_every_way(pristine)
    check_always(sound)
    assert sound.errors == []
    assert list(verify(pristine)) == []
    flips = 0
    for place, at, bit in chosen(places_of(file), random.Random(seed), 1.0 if scale.long else 0.01):
        try:
            check_flip(pristine, file, at, bit, place, sound)
        except BaseException:
            print(f"{file.name}: bit {bit} of byte {at}: {place.what}")
            raise
        flips += 1
    report(flips=flips)
    assert flips
