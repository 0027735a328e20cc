import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from libchronicle.bus.commands import CommandChannel
from libchronicle.bus.discovery import Added, Discovery
from libchronicle.bus.endpoint import Endpoint
from libchronicle.bus.paths import BusPaths
from libchronicle.bus.sidecar import Attach, Detach, Sidecar
from libchronicle.errors import ChronicleError, NotReady
from libchronicle.queue import Queue, QueueConfig, Subscriber

CONFIG = QueueConfig(segment_size=65536)


@pytest.fixture
def paths(tmp_path: Path) -> BusPaths:
    return BusPaths(tmp_path)


class Loop:
    """A hot loop's side: takes commands, opens nothing."""

    def __init__(self, paths: BusPaths) -> None:
        self.opened_by: list[str] = []
        self.closed_by: list[str] = []
        self.complaints: list[tuple[str, ChronicleError]] = []
        self.channel: CommandChannel[Attach[Subscriber] | Detach] = CommandChannel("test")

        def open_handle(event: Added) -> Subscriber:
            self.opened_by.append(threading.current_thread().name)
            return Queue.open_subscriber(paths.orders_out(event.name), "router", CONFIG)

        def close_handle(handle: Subscriber) -> None:
            self.closed_by.append(threading.current_thread().name)
            handle.close()

        discovery = Discovery(paths.orders_dir, cadence_s=0.05)
        self.sidecar = Sidecar(
            discovery,
            open_handle,
            close_handle,
            self.channel,
            lambda name, error: self.complaints.append((name, error)),
        )

    def next_command(self) -> Attach[Subscriber] | Detach:
        wait_until(lambda: self.channel.pending)
        command = self.channel.poll()
        assert isinstance(command, (Attach, Detach))
        return command


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited a minute"
        time.sleep(0.002)


def test_readers_are_opened_and_closed_by_the_sidecar_and_used_by_the_loop(paths: BusPaths) -> None:
    loop = Loop(paths)
    with loop.sidecar, Queue.open_publisher(paths.orders_out("alpha"), CONFIG) as publisher:
        with Endpoint(paths.endpoint("alpha"), epoch=publisher.epoch):
            attach = loop.next_command()
            assert isinstance(attach, Attach)
            publisher.append(20, b"order")
            assert [bytes(message) for message in attach.handle.drain()] == [b"order"]
        assert loop.next_command() == Detach("alpha", 1, "gone")
        loop.sidecar.retire(attach.handle)
        wait_until(lambda: attach.handle.closed)
    assert set(loop.opened_by) == set(loop.closed_by) == {"sidecar"}


def test_a_peer_that_is_not_ready_is_tried_again_and_complained_of_once(paths: BusPaths) -> None:
    loop = Loop(paths)
    with loop.sidecar, Endpoint(paths.endpoint("early"), epoch=1):
        wait_until(lambda: len(loop.opened_by) > 2)
        assert [(name, type(error)) for name, error in loop.complaints] == [("early", NotReady)]
        with Queue.open_publisher(paths.orders_out("early"), CONFIG):
            attach = loop.next_command()
            assert isinstance(attach, Attach)
            attach.handle.close()


def test_a_restarted_strategy_is_handed_over_again_once_its_old_reader_is_given_back(paths: BusPaths) -> None:
    loop = Loop(paths)
    with loop.sidecar, Queue.open_publisher(paths.orders_out("alpha"), CONFIG):
        with Endpoint(paths.endpoint("alpha"), epoch=1):
            first = loop.next_command()
            assert isinstance(first, Attach)
        with Endpoint(paths.endpoint("alpha"), epoch=2):
            assert isinstance(loop.next_command(), Detach)
            wait_until(lambda: loop.complaints)  # ReaderAlreadyActive: the loop still holds it
            loop.sidecar.retire(first.handle)
            second = loop.next_command()
            assert isinstance(second, Attach)
            assert second.epoch == 2
            second.handle.close()


def test_a_full_channel_delays_but_loses_nothing(paths: BusPaths) -> None:
    loop = Loop(paths)
    loop.channel.capacity = 2  # type: ignore[misc]
    names = [f"s{n}" for n in range(8)]
    publishers = [Queue.open_publisher(paths.orders_out(name), CONFIG) for name in names]
    endpoints = [Endpoint(paths.endpoint(name), epoch=1) for name in names]
    for endpoint in endpoints:
        endpoint.register()
    with loop.sidecar:
        wait_until(lambda: len(loop.channel) == 2)
        got = [loop.next_command() for _ in names]
    assert sorted(command.name for command in got) == names
    for command in got:
        assert isinstance(command, Attach)
        command.handle.close()
    for handle in (*endpoints, *publishers):
        handle.close()


def test_a_slow_opening_does_not_delay_the_loop(paths: BusPaths) -> None:
    """Stalling one worker leaves the others alone: the loop only ever looks at `pending`."""
    channel: CommandChannel[Attach[str] | Detach] = CommandChannel("test")
    opening, let_go = threading.Event(), threading.Event()

    def stall(event: Added) -> str:
        opening.set()
        assert let_go.wait(60)
        return event.name

    sidecar = Sidecar(Discovery(paths.orders_dir, cadence_s=0.05), stall, lambda name: None, channel)
    with Endpoint(paths.endpoint("slow"), epoch=1), sidecar:
        assert opening.wait(60)
        rounds = sum(1 for _ in range(10_000) if not channel.pending)
        assert rounds == 10_000
        let_go.set()
        wait_until(lambda: channel.pending)
        assert channel.poll() == Attach("slow", 1, "slow")
