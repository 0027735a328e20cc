import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from libchronicle.bus.feed_watch import FeedChange, FeedState, FeedWatch
from libchronicle.queue import Publisher, Queue, QueueConfig

CONFIG = QueueConfig(segment_size=65536)
C, D = FeedState.CONNECTED, FeedState.DISCONNECTED


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "feed"


@pytest.fixture
def watch(path: Path) -> Iterator[FeedWatch]:
    watch = FeedWatch(path, "alpha", CONFIG, cadence_s=0, ttl_s=60)
    yield watch
    watch.close()


def publish(path: Path) -> Publisher:
    return Queue.open_publisher(path, CONFIG)


def states(changes: list[FeedChange]) -> list[FeedState]:
    return [change.state for change in changes]


def test_a_consumer_may_start_before_its_producer(path: Path, watch: FeedWatch) -> None:
    assert watch.poll() == []
    assert watch.state is FeedState.WAITING
    with publish(path) as publisher:
        assert watch.poll() == [FeedChange(C, "writer alive", 1, reopened=True)]
        publisher.append(1, b"x")
        assert watch.reader is not None
        message = watch.reader.next()
        assert message is not None
        assert bytes(message) == b"x"


def test_a_left_queue_without_a_writer_is_waited_on(path: Path, watch: FeedWatch) -> None:
    publish(path).close()
    assert watch.poll() == []
    with publish(path):
        assert watch.poll() == [FeedChange(C, "writer alive", 2, reopened=True)]


def test_restarts_are_told_as_disconnected_and_connected_and_the_reader_reads_on(
    path: Path, watch: FeedWatch
) -> None:
    publisher = publish(path)
    watch.poll()
    reader = watch.reader
    assert reader is not None
    for round_ in range(3):
        publisher.append(1, b"last words")
        publisher.close()
        assert watch.poll() == [FeedChange(D, "lock lost", round_ + 1)]
        assert watch.poll() == []
        assert len(reader.drain()) == 1, "what was left can still be read"
        publisher = publish(path)
        assert watch.poll() == [FeedChange(C, "writer alive", round_ + 2)]
    assert watch.reader is reader
    publisher.close()


def test_a_restart_between_two_looks_is_not_missed(path: Path, watch: FeedWatch) -> None:
    publish(path).close()
    with publish(path):
        watch.poll()
    with publish(path):
        assert watch.poll() == [FeedChange(D, "epoch changed", 2), FeedChange(C, "writer alive", 3)]


def test_a_hung_writer_is_a_loss_and_its_heartbeat_a_return(path: Path) -> None:
    watch = FeedWatch(path, None, CONFIG, cadence_s=0, ttl_s=0.2)
    with publish(path) as publisher:
        publisher.heartbeat()
        assert states(watch.poll()) == [C]
        while not (changes := watch.poll()):
            pass
        assert changes == [FeedChange(D, "heartbeat stale", 1)]
        publisher.heartbeat()
        assert states(watch.poll()) == [C]
    watch.close()


def test_a_replaced_queue_is_opened_anew_and_said_so(path: Path, watch: FeedWatch) -> None:
    with publish(path) as publisher:
        publisher.append(1, b"old")
        watch.poll()
        assert watch.reader is not None
        watch.reader.drain()
        watch.reader.commit()
    shutil.rmtree(path)
    assert states(watch.poll()) == [D]
    assert watch.reader is None
    assert watch.poll() == []
    with publish(path):
        assert watch.poll() == [FeedChange(C, "writer alive", 1, reopened=True)]


def test_a_named_reader_of_a_replaced_queue_misses_nothing_of_the_new_one(path: Path) -> None:
    watch = FeedWatch(path, "router", CONFIG, "resume", cadence_s=0, ttl_s=60)
    with publish(path) as publisher:
        publisher.append(1, b"old")
        watch.poll()
        assert watch.reader is not None
        watch.reader.drain()
        watch.reader.commit()
    pages = path / "readers"
    shutil.copytree(pages, path.with_name("pages"))
    shutil.rmtree(path)
    watch.poll()
    with publish(path) as publisher:
        publisher.append(1, b"new")
        shutil.copytree(path.with_name("pages"), pages, dirs_exist_ok=True)
        assert states(watch.poll()) == [C]
        assert watch.reader is not None
        assert [bytes(message) for message in watch.reader.drain()] == [b"new"]
    watch.close()


def test_it_looks_no_more_often_than_its_cadence(path: Path) -> None:
    now = 0.0
    watch = FeedWatch(path, None, cadence_s=0.1, monotonic_s=lambda: now)
    watch.poll()
    with publish(path):
        now = 0.05
        assert watch.poll() == []
        now = 0.1
        assert states(watch.poll()) == [C]
    watch.close()
