"""What cannot be right is refused in the library's own errors, which name the field, the value and what is allowed."""

from __future__ import annotations

import os

import pytest

from libchronicle.errors import ConfigError, InvalidArgument, InvalidName, MisuseError, ReservedType
from libchronicle.queue import Queue, QueueConfig, WriterStatus, wait_any

SMALL = QueueConfig(segment_size=1 << 16)
INF, NAN = float("inf"), float("nan")
HUGE = 10**400


@pytest.fixture
def pair(tmp_path):
    with (
        Queue.open_publisher(tmp_path / "q", SMALL) as writer,
        Queue.open_subscriber(tmp_path / "q", "a") as reader,
    ):
        yield writer, reader


# ---------------------------------------------------------------- paths and names


@pytest.mark.parametrize("path", ["", "a\0b", "a\0", "\ud800"])
def test_a_path_the_kernel_would_not_take_whole_is_refused(tmp_path, path):
    where = f"{tmp_path}/{path}" if path else path
    for call in (
        lambda: Queue.open_publisher(where),
        lambda: Queue.open_subscriber(where, "a"),
        lambda: Queue.open_subscriber(where, None),
        lambda: Queue.try_open_subscriber(where, "a"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            call()
        assert (caught.value.field, caught.value.value) == ("path", where)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a\0b", "\0", "a\nb", "\ud800", ""])
def test_a_reader_name_that_would_be_cut_short_is_refused(tmp_path, name):
    Queue.open_publisher(tmp_path / "q", SMALL).close()
    with pytest.raises(InvalidName):
        Queue.open_subscriber(tmp_path / "q", name)
    with pytest.raises(InvalidName):
        Queue.open_publisher(tmp_path / "q", QueueConfig(durable=(name,)))
    assert list((tmp_path / "q" / "readers").iterdir()) == []


def test_a_file_where_a_directory_should_be_is_named(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"mine")
    for path in (file, file / "q", file / "deeper" / "q"):
        with pytest.raises(InvalidArgument) as caught:
            Queue.open_publisher(path)
        assert caught.value.value == str(path)
        assert str(file) in str(caught.value)
    with pytest.raises(InvalidArgument):
        Queue.open_subscriber(file, "a")
    with pytest.raises(InvalidArgument):
        Queue.try_open_subscriber(file, "a")
    assert file.read_bytes() == b"mine"


# ---------------------------------------------------------------- QueueConfig


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("on_full", "bogus"),
        ("on_full", None),
        ("clock", "atomic"),
        ("wait", ""),
        ("segment_size", 4097),
        ("segment_size", 0),
        ("segment_size", 1 << 40),
        ("segment_size", 65536.0),
        ("segment_size", True),
        ("budget_bytes", -1),
        ("budget_bytes", 1 << 64),
        ("reserve_bytes", -1),
        ("reserve_bytes", INF),
        ("max_lag_bytes", NAN),
        ("retain_segments", -1),
        ("retain_segments", 1 << 32),
        ("retain_segments", "1"),
        *(
            (key, value)
            for key in ("block_timeout_s", "retain_age_s", "reader_ttl_s", "spin_us")
            for value in (INF, NAN)
        ),
        *(
            (key, value)
            for key in ("max_segment_age_s", "reader_ttl_s")
            for value in (-INF, -1, 1e300, HUGE, "1", None)
        ),
        ("reader_ttl_s", 0),
        ("prefault", "yes"),
        ("memlock", 1),
        ("durable", "etl"),
        ("durable", (1,)),
        ("durable", None),
    ],
)
def test_every_field_of_the_config_is_checked(key, value):
    with pytest.raises(ConfigError) as caught:
        QueueConfig(**{key: value})
    assert caught.value.key == key
    assert repr(value)[:40] in caught.value.reason
    assert "must be" in caught.value.reason


def test_the_edges_of_the_config_are_allowed(tmp_path):
    config = QueueConfig(
        segment_size=4096,
        budget_bytes=(1 << 63) - 1,
        max_lag_bytes=(1 << 63) - 1,
        retain_segments=(1 << 32) - 1,
        block_timeout_s=0,
        retain_age_s=1e9,
        reader_ttl_s=0.001,
        max_segment_age_s=1e9,
        spin_us=0,
    )
    with Queue.open_publisher(tmp_path / "q", config) as writer:
        for _ in range(100):
            writer.append(1, bytes(1000))
        assert writer.metrics()["unlinked"] == 0


# ---------------------------------------------------------------- numbers in calls


@pytest.mark.parametrize("ttl", [NAN, -1, -INF, -HUGE])
def test_a_ttl_that_is_no_span_is_refused(pair, ttl):
    _, reader = pair
    for call in (reader.writer_status, reader.detect_disconnect):
        with pytest.raises(InvalidArgument) as caught:
            call(ttl)
        assert caught.value.field == "ttl"


@pytest.mark.parametrize("ttl", [INF, 1e300, HUGE, 1e10, 1_000_000])
def test_a_ttl_of_any_length_never_makes_a_quiet_writer_stale(pair, ttl):
    _, reader = pair
    assert reader.writer_status(ttl) is WriterStatus.ALIVE
    assert reader.detect_disconnect(ttl) is None


@pytest.mark.parametrize("timeout", [0, -1, -INF, -1e300, -HUGE, 1e-12])
def test_a_timeout_in_the_past_looks_once(pair, timeout):
    _, reader = pair
    assert reader.wait(timeout) is False
    assert wait_any([reader], timeout) == []


@pytest.mark.parametrize("timeout", [INF, 1e300, HUGE, None])
def test_a_timeout_without_end_waits_for_what_comes(pair, timeout):
    writer, reader = pair
    writer.append(1, b"x")
    assert reader.wait(timeout) is True
    assert wait_any([reader], timeout) == [reader]


def test_a_timeout_that_is_no_number_is_refused(pair):
    _, reader = pair
    for call in (reader.wait, lambda timeout: wait_any([reader], timeout)):
        with pytest.raises(InvalidArgument) as caught:
            call(NAN)
        assert caught.value.field == "timeout"
    with pytest.raises(TypeError):
        reader.wait("soon")


def test_waiting_for_nobody_is_refused():
    with pytest.raises(InvalidArgument):
        wait_any([], 1)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda w, _: w.append(-1, b""), "type_id"),
        (lambda w, _: w.append(-(10**30), b""), "type_id"),
        (lambda w, _: w.append_many(-1, [b""]), "type_id"),
        (lambda w, _: w.reserve(-1, 1), "type_id"),
        (lambda w, _: w.append(1, b"", -1), "ts_ns"),
        (lambda w, _: w.append(1, b"", 1 << 63), "ts_ns"),
        (lambda w, _: w.append(1, b"", 10**30), "ts_ns"),
        (lambda w, _: w.append_many(1, [b""], -1), "ts_ns"),
        (lambda w, _: w.reserve(1, 1, -1), "ts_ns"),
        (lambda w, _: w.reserve(1, -1), "size"),
        (lambda w, _: w.reserve(1, 10**30), "size"),
        (lambda _, r: r.seek_seq(-1), "seq"),
        (lambda _, r: r.seek_seq(1 << 64), "seq"),
        (lambda _, r: r.seek_time(1 << 63), "ts_ns"),
        (lambda _, r: r.seek_time(-(1 << 64)), "ts_ns"),
        (lambda _, r: r.seek_token(7), "token"),
        (lambda _, r: r.seek_token((1, 2)), "token"),
        (lambda _, r: r.drain(-1), "max"),
        (lambda _, r: r.for_each(print, -(10**30)), "max"),
    ],
)
def test_numbers_outside_their_range_leave_no_trace(pair, call, field):
    writer, reader = pair
    with pytest.raises(InvalidArgument) as caught:
        call(writer, reader)
    assert caught.value.field == field
    assert writer.append(1, b"next") == 0
    assert [m.seq for m in reader] == [0]


@pytest.mark.parametrize("type_id", [0xFF00, 0xFFFF, 0x10000, 1 << 40, 10**30])
def test_type_ids_of_the_queue_itself_stay_its_own(pair, type_id):
    writer, _ = pair
    for call in (writer.append, writer.append_many):
        with pytest.raises(ReservedType):
            call(type_id, [b""] if call == writer.append_many else b"")


@pytest.mark.parametrize("call", [lambda r: r.drain(10**30), lambda r: r.drain(None), lambda r: r.drain()])
def test_asking_for_more_than_there_is_gives_what_there_is(pair, call):
    writer, reader = pair
    writer.append_many(1, [b"a", b"b"])
    assert len(call(reader)) == 2


@pytest.mark.parametrize("start", ["bogus", "", None, 3])
def test_a_start_mode_that_is_none_is_refused_and_leaves_no_page(tmp_path, start):
    Queue.open_publisher(tmp_path / "q", SMALL).close()
    with pytest.raises(InvalidArgument) as caught:
        Queue.open_subscriber(tmp_path / "q", "a", start=start)
    assert (caught.value.field, caught.value.value) == ("start", start)
    assert "latest" in str(caught.value)
    for where in ({"seq": -1}, {"seq": 1 << 64}, {"time_ns": 1 << 63}):
        with pytest.raises(InvalidArgument):
            Queue.open_subscriber(tmp_path / "q", "a", **where)
    assert os.listdir(tmp_path / "q" / "readers") == []


def test_a_refusal_is_the_callers_to_mend():
    assert issubclass(InvalidArgument, MisuseError)
