"""chronicle-etl as a process, on raw queues that this test writes."""

from __future__ import annotations

import resource
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "etl"))
from raw_world import VENUE, World, delta, instrument, snapshot, trade

from libchronicle.bus.control import send_command
from libchronicle.counters import Snapshot, read_counters, read_errors
from libchronicle.protocol import Command, Gap, Trade
from libchronicle.queue import Queue
from libchronicle.runtime.daemon import ExitCode
from tests.services.feed_process import Process

HOST_TOML = """
version = 1
[bus]
root = "{root}"
[etl]
segment_age_s = {age}
{etl}
[feeds.feed]
venue = "binance-spot"
symbols = ["AA", "BB"]
rest_url = "http://127.0.0.1:1"
ws_url = "ws://127.0.0.1:1"
"""

Start = Callable[..., Process]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "run")
    yield made
    made.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Process] = []

    def run(*arguments: str, etl: str = "", age: float = 3600.0) -> Process:
        config = tmp_path / "host.toml"
        config.write_text(HOST_TOML.format(root=tmp_path / "run", etl=etl, age=age))
        started.append(Process("services.etl", "--config", str(config), *arguments))
        return started[-1]

    yield run
    for process in started:
        process.kill()


def look(world: World, daemon: str = "etl") -> Snapshot:
    return read_counters(world.paths.counters(daemon))


def value(world: World, name: str, daemon: str = "etl", **labels: str) -> float:
    return sum(
        sample.value
        for sample in look(world, daemon).samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def ids(world: World, symbol: str = "AA") -> list[int]:
    return [m.trade_id for m in world.messages(symbol, "trade") if isinstance(m, Trade)]


def test_it_refines_what_comes_and_tells_how_far_behind_it_is(world: World, start: Start) -> None:
    process = start()
    process.until("event=refining feed=feed")
    world.put(instrument("AA"), snapshot("AA", 1))
    for n in range(1000):
        world.put(delta("AA", n + 2), trade("AA", n))
    process.wait_for(lambda: len(ids(world)) == 1000, "all trades are clean")
    process.wait_for(lambda: value(world, "messages_total") == 2002, "all records are counted")
    assert value(world, "etl_records_total", stream="book") == 1001
    assert value(world, "etl_queues") == 2
    assert value(world, "etl_lag_records") == 0
    assert value(world, "etl_feeds") == 1
    assert look(world).state == "refining"
    assert process.end(signal.SIGTERM) == 0
    assert look(world).state == "STOPPED"
    assert "level=error" not in process.log


def test_killed_again_and_again_it_writes_nothing_twice(world: World, start: Start) -> None:
    world.put(instrument("AA"))
    done = 0
    for _ in range(4):
        process = start()
        for _ in range(500):
            done += 1
            world.put(trade("AA", done))
        process.wait_for(lambda seen=done - 400: ids(world) and ids(world)[-1] > seen, "some are clean")
        process.end(signal.SIGKILL)
    process = start()
    process.wait_for(lambda: len(ids(world)) >= done, "all are clean")
    assert ids(world) == list(range(1, done + 1))


def test_started_before_its_feed_it_waits_and_an_operator_may_stop_it(
    world: World, start: Start, tmp_path: Path
) -> None:
    world.writer.close()
    shutil.rmtree(world.raw)
    process = start()
    process.wait_for(
        lambda: world.paths.counters("etl").exists() and look(world).state == "waiting for feeds", "waits"
    )
    world.writer = Queue.open_publisher(world.raw, world.config)
    world.put(instrument("AA"), trade("AA", 1))
    process.wait_for(lambda: ids(world) == [1], "refined")
    send_command(world.paths, "etl", Command.STOP, reason="test")
    process.until("event=stopped")
    assert process.process.wait(20) == 0


def test_another_raw_queue_in_the_place_of_the_old_one_is_taken_up(world: World, start: Start) -> None:
    process = start()
    world.put(instrument("AA"), trade("AA", 1))
    process.wait_for(lambda: ids(world) == [1], "refined")
    world.writer.close()
    shutil.rmtree(world.raw)
    world.writer = Queue.open_publisher(world.raw, world.config)
    world.put(instrument("AA"), trade("AA", 2))
    process.wait_for(lambda: ids(world) == [1, 2], "the new queue is refined too")
    assert [type(m) for m in world.messages("AA", "trade")].count(Gap) == 1
    process.wait_for(lambda: value(world, "messages_total") == 4, "counters do not fall")


def test_a_quiet_segment_is_sealed_when_it_is_old(world: World, start: Start) -> None:
    process = start(age=0.5)
    world.writer.append(1, instrument("AA").encode())
    world.writer.append(Trade.TEMPLATE_ID, trade("AA", 1).encode())
    queue = world.paths.clean(VENUE, "AA", "trade")
    process.wait_for(lambda: len(list(queue.glob("*.q"))) == 2, "a second segment")
    assert value(world, "etl_rolls_total") >= 1


def test_a_disk_that_takes_nothing_is_told_once_and_it_goes_on_by_itself(world: World, start: Start) -> None:
    process = start()
    process.until("event=refining")
    pid, most = process.process.pid, resource.RLIM_INFINITY
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (512 << 10, most))  # a segment is larger
    world.put(instrument("AA"), trade("AA", 1))
    process.wait_for(lambda: look(world).state == "queue full", "says so")
    world.put(trade("AA", 2), trade("AA", 3))
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
    process.wait_for(lambda: ids(world) == [1, 2, 3], "refined")
    process.wait_for(lambda: look(world).state == "refining", "says so")
    assert process.log.count("level=error") == 1
    assert len(read_errors(world.paths.errors("etl"))) == 1


def test_each_group_is_a_daemon_of_its_own(world: World, start: Start) -> None:
    groups = '[etl.groups]\na = ["*:AA"]\nrest = ["*"]'
    world.put(instrument("AA"), instrument("BB"), trade("AA", 1), trade("BB", 2))
    for group in ("a", "rest"):
        start("--group", group, etl=groups).until("event=refining")
    process = start("--group", "c", etl=groups)
    assert process.process.wait(20) == ExitCode.CONFIG
    assert "none of them: a, rest" in process.log
    other = start("--group", "a", etl=groups)
    assert other.process.wait(20) == ExitCode.MISUSE
    waiting = start("--group", "rest", etl=groups)
    assert waiting.process.wait(20) == ExitCode.MISUSE
    assert ids(world, "AA") == [1]
    assert ids(world, "BB") == [2]
    assert value(world, "etl_others_total", "etl-a") == 1
