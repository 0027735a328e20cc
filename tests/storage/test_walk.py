"""The walk over one segment, in a file and in memory that is filled as it goes."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from archive_world import NOON, SEGMENT, TYPE, payload_of, write_records
from hypothesis import given, settings
from hypothesis import strategies as st

from libchronicle.errors import BadSegment, InvalidArgument
from libchronicle.native.binding import LOST_TYPE
from libchronicle.queue import Queue
from libchronicle.storage.walk import SegmentSpan, SpanWalk


class Blocks:
    """A segment's bytes in blocks of any size; counts what is asked for."""

    def __init__(self, data: bytes, block_size: int) -> None:
        self.data, self.block_size = data, block_size
        self.size = len(data)
        self.asked: list[int] = []

    def read_block(self, block: int) -> bytes:
        self.asked.append(block)
        return self.data[block * self.block_size : (block + 1) * self.block_size]


@pytest.fixture(scope="module")
def segment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    queue = tmp_path_factory.mktemp("walk") / "q"
    write_records(queue, 1000)
    return queue / "000000000.q"


def everything(walk: SpanWalk) -> list[tuple[int, int, int, bytes]]:
    """All records; damage is stepped over."""
    found = []
    while True:
        try:
            message = next(walk)
        except StopIteration:
            return found
        except BadSegment:
            continue
        found.append((message.seq, message.type_id, message.ts_ns, bytes(message)))


def test_a_message_of_a_segment_in_one_block_outlives_the_span(segment: Path) -> None:
    span = SegmentSpan.from_source(Blocks(segment.read_bytes(), 1 << 20), "memory.zst")
    assert bytes(span.data()) == segment.read_bytes()
    messages = list(span.walk())
    del span
    bytearray(1 << 20)  # what was freed would be used again
    assert [bytes(message) for message in messages] == [payload_of(message.seq) for message in messages]
    for message in messages:
        message.check()


def test_a_walk_over_a_file_gives_every_record_as_it_was_appended(segment: Path) -> None:
    span = SegmentSpan.open_file(segment)
    found = everything(span.walk())
    assert span.sealed
    assert len(found) == span.frames > 300
    assert [seq for seq, *_ in found] == list(range(span.first_seq, span.last_seq + 1))
    assert all(
        (kind, ts, data) == (TYPE, NOON + seq * 1000, payload_of(seq)) for seq, kind, ts, data in found
    )


@settings(max_examples=25)
@given(block_size=st.integers(128, SEGMENT + 5000))
def test_a_span_filled_block_by_block_gives_the_same_for_any_block_size(
    segment: Path, block_size: int
) -> None:
    source = Blocks(segment.read_bytes(), block_size)
    span = SegmentSpan.from_source(source, "memory.zst")
    assert source.asked == [0]
    assert everything(span.walk()) == everything(SegmentSpan.open_file(segment).walk())
    assert sorted(set(source.asked)) == sorted(source.asked)


def test_a_seek_finds_the_first_record_not_before_it_and_asks_only_for_what_it_passes(segment: Path) -> None:
    source = Blocks(segment.read_bytes(), 4096)
    span = SegmentSpan.from_source(source, "memory.zst")
    for walk in (SegmentSpan.open_file(segment).walk(), span.walk()):
        assert walk.seek_time(NOON + 20_001)
        assert next(walk).seq == 21
        assert walk.seek_seq(30)
        assert next(walk).seq == 30
        assert not walk.seek_seq(1 << 40)
        assert walk.ended
    fresh = SegmentSpan.from_source(Blocks(segment.read_bytes(), 4096), "memory.zst").walk()
    assert fresh.seek_seq(5)
    assert len(source.asked) > 1


def test_a_place_noted_on_one_walk_is_gone_to_on_another(segment: Path) -> None:
    source = Blocks(segment.read_bytes(), 4096)
    first = SegmentSpan.open_file(segment).walk()
    first.seek_seq(200)
    walk = SegmentSpan.from_source(source, "memory.zst").walk()
    walk.goto(first.offset, 200)
    assert next(walk).seq == 200
    assert len(source.asked) == 2
    with pytest.raises(InvalidArgument):
        walk.goto(33, 1)


def test_a_live_segment_is_followed_as_its_writer_appends(tmp_path: Path) -> None:
    with Queue.open_publisher(tmp_path / "q") as writer:
        writer.append(7, b"one")
        walk = SegmentSpan.open_file(tmp_path / "q" / "000000000.q", live=True).walk()
        assert [bytes(m) for m in walk] == [b"one"]
        assert not walk.ended
        writer.append(7, b"two")
        assert [bytes(m) for m in walk] == [b"two"]
        writer.roll()
        writer.append(7, b"three")
        assert list(walk) == []
        assert walk.ended


def test_damage_is_told_once_and_the_records_it_took_are_declared(segment: Path, tmp_path: Path) -> None:
    data = bytearray(segment.read_bytes())
    at = data.index(payload_of(17))
    data[at] ^= 1
    (tmp_path / "x.q").write_bytes(data)
    sources = (
        SegmentSpan.open_file(tmp_path / "x.q"),
        SegmentSpan.from_source(Blocks(bytes(data), 512), "x.zst"),
    )
    for span in sources:
        walk = span.walk()
        assert [next(walk).seq for _ in range(17)] == list(range(17))
        with pytest.raises(BadSegment) as caught:
            next(walk)
        assert (caught.value.offset, caught.value.seq) == (at - 32, 17)
        lost = next(walk)
        assert (lost.type_id, struct.unpack("<QQ", bytes(lost))) == (LOST_TYPE, (17, 17))
        rest = everything(walk)
        assert [seq for seq, *_ in rest] == list(range(18, span.last_seq + 1))
        assert walk.lost == 1


def test_damage_up_to_the_end_is_declared_by_what_the_seal_says(segment: Path, tmp_path: Path) -> None:
    data = bytearray(segment.read_bytes())
    whole = SegmentSpan.open_file(segment)
    walk = whole.walk()
    walk.seek_seq(300)
    data[walk.offset : whole.end] = bytes(whole.end - walk.offset)
    (tmp_path / "x.q").write_bytes(data)
    found = everything(SegmentSpan.open_file(tmp_path / "x.q").walk())
    assert found[-2][0] == 299
    assert (found[-1][1], struct.unpack("<QQ", found[-1][3])) == (LOST_TYPE, (300, whole.last_seq))


@settings(max_examples=60)
@given(bit=st.integers(0, SEGMENT * 8 - 1), block_size=st.sampled_from([512, 4096, SEGMENT]))
def test_no_flipped_bit_yields_a_record_that_was_not_written(
    segment: Path, bit: int, block_size: int
) -> None:
    good = everything(SegmentSpan.open_file(segment).walk())
    data = bytearray(segment.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    try:
        span = SegmentSpan.from_source(Blocks(bytes(data), block_size), "x.zst")
    except BadSegment:
        assert bit < 64 * 8
        return
    found = everything(span.walk())
    records = [record for record in found if record[1] != LOST_TYPE]
    assert set(records) <= set(good)
    assert len(records) >= len(good) - 1
    lost = [struct.unpack("<QQ", record[3]) for record in found if record[1] == LOST_TYPE]
    assert len(records) + sum(upto - first + 1 for first, upto in lost) == len(good)


@pytest.mark.parametrize("size", [0, 64, 128, 4096, SEGMENT - 1, SEGMENT + 4096])
def test_a_file_of_the_wrong_size_is_refused(segment: Path, tmp_path: Path, size: int) -> None:
    (tmp_path / "x.q").write_bytes(segment.read_bytes().ljust(SEGMENT + 4096, b"\0")[:size])
    with pytest.raises(BadSegment, match=r"x\.q"):
        SegmentSpan.open_file(tmp_path / "x.q")


def test_the_bytes_of_a_span_are_those_of_the_file_in_every_form(segment: Path) -> None:
    data = segment.read_bytes()
    for span in (SegmentSpan.open_file(segment), SegmentSpan.from_source(Blocks(data, 1000), "x.zst")):
        assert bytes(span.data()) == data


def test_a_message_outlives_its_walk_and_its_file(segment: Path, tmp_path: Path) -> None:
    copy = tmp_path / "x.q"
    copy.write_bytes(segment.read_bytes())
    message = next(SegmentSpan.open_file(copy).walk())
    copy.unlink()
    assert bytes(message) == payload_of(0)


def test_an_error_of_the_source_comes_through_and_the_walk_goes_on_after_it(segment: Path) -> None:
    class Flaky(Blocks):
        failing = False

        def read_block(self, block: int) -> bytes:
            if block == 3 and self.failing:
                self.failing = False
                raise OSError(5, "cut off")
            return super().read_block(block)

    source = Flaky(segment.read_bytes(), 4096)
    walk = SegmentSpan.from_source(source, "x.zst").walk()
    source.failing = True
    seen = []
    with pytest.raises(OSError, match="cut off"):
        seen += iter(lambda: next(walk).seq, None)
    before = walk.next_seq
    assert next(walk).seq == before
