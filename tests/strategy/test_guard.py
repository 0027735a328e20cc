"""The guard names the line in which a callback sleeps, does I/O or takes what cannot be repeated."""

from __future__ import annotations

import datetime as whole_datetime
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from random import random as draw
from time import time as wall_clock
from typing import Any

import pytest

from libchronicle.backtest import BacktestResult, BacktestRunner
from libchronicle.errors import BacktestFailed, GuardTripped
from libchronicle.strategy import Strategy
from libchronicle.testing import sample_market

MARKET = sample_market(seconds=2)
NAME = "binance-spot:BTCUSDT"
HERE = Path(__file__)


class Acting(Strategy):
    """Does one thing, in one callback."""

    def __init__(self, act: Callable[[], Any], where: str = "on_trade") -> None:
        self.act, self.where, self.acted = act, where, 0

    def do(self, where: str) -> None:
        if where == self.where:
            self.act()
            self.acted += 1

    def on_start(self, ctx: Any) -> None:
        ctx.set_timer("once", after_ms=1)
        self.do("on_start")

    def on_trade(self, ctx: Any, trade: Any) -> None:
        self.do("on_trade")

    def on_timer(self, ctx: Any, name: str) -> None:
        self.do("on_timer")

    def on_stop(self, ctx: Any) -> None:
        self.do("on_stop")


def run(strategy: Strategy, **options: Any) -> BacktestResult:
    return BacktestRunner(MARKET, instruments=[NAME], **options).run(strategy)


def tripped(act: Callable[[], Any], where: str = "on_trade") -> GuardTripped:
    with pytest.raises(BacktestFailed) as failed:
        run(Acting(act, where))
    assert isinstance(failed.value.__cause__, GuardTripped)
    return failed.value.__cause__


def line_of(text: str) -> int:
    lines = HERE.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line and "line_of" not in line)


def sleeps() -> None:
    time.sleep(0)  # marked: sleeps


def test_the_file_the_line_the_function_and_the_remedy_are_named() -> None:
    found = tripped(sleeps)
    assert found.place == f"{HERE.name}:{line_of('# marked: sleeps')} in sleeps"
    assert (found.what, found.call, found.remedy) == ("sleeps", "time.sleep", "set a timer")


def connects() -> None:
    with socket.socket() as one:
        one.connect(("127.0.0.1", 1))


FORBIDDEN = {
    "time.time": lambda: time.time(),
    "time.time under another name": lambda: wall_clock(),
    "time.monotonic_ns": lambda: time.monotonic_ns(),
    "time.localtime": lambda: time.localtime(),
    "an import in the callback": lambda: __import__("time").time(),
    "datetime.now": lambda: datetime.now(UTC),
    "datetime.utcnow of the module": lambda: whole_datetime.datetime.today(),
    "date.today": lambda: date.today(),
    "random.random": lambda: random.random(),
    "random.random under another name": lambda: draw(),
    "random.Random()": lambda: random.Random(),
    "os.urandom": lambda: os.urandom(4),
    "uuid.uuid4": lambda: uuid.uuid4(),
    "open": lambda: open(os.devnull).close(),
    "Path.read_text": lambda: HERE.read_text(),
    "os.listdir": lambda: os.listdir("."),
    "a temporary file": lambda: tempfile.TemporaryFile().close(),
    "a connection": connects,
    "a process": lambda: subprocess.run([sys.executable, "--version"], check=False),
    "os.system": lambda: os.system("true"),
}


@pytest.mark.parametrize("act", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_what_a_callback_must_not_do_ends_the_run(act: Callable[[], Any]) -> None:
    assert HERE.name in tripped(act, "on_timer").place


ALLOWED = {
    "a seeded generator": lambda: random.Random(7).random(),
    "a given time": lambda: (time.gmtime(0), datetime.fromtimestamp(0, UTC), date(2024, 1, 1)),
    "isinstance": lambda: 1 / isinstance(datetime(2024, 1, 1), datetime),
    "a date's kin": lambda: 1 / issubclass(datetime, date),
    "a late import": lambda: __import__("colorsys"),
    "print": lambda: print("seen"),
    "global numbers after a seed": lambda: (random.seed(3), random.random()),
}


@pytest.mark.parametrize("act", ALLOWED.values(), ids=ALLOWED.keys())
def test_what_can_be_repeated_is_free(act: Callable[[], Any]) -> None:
    strategy = Acting(act)
    run(strategy)
    assert strategy.acted > 0


@pytest.mark.parametrize("where", ["on_start", "on_stop"])
def test_a_file_may_be_read_where_nothing_waits_for_it(where: str) -> None:
    strategy = Acting(lambda: HERE.read_text(), where)
    run(strategy)
    assert strategy.acted == 1
    with pytest.raises((BacktestFailed, GuardTripped), match="reads the wall clock"):
        run(Acting(lambda: time.time(), where))


def test_warn_tells_each_place_once_and_goes_on() -> None:
    told: list[str] = []

    class Log:
        def warning(self, event: str, **fields: Any) -> None:
            told.append(fields["finding"])

        debug = info = error = warning

    strategy = Acting(lambda: time.time())
    run(strategy, guard="warn", log=Log())
    assert strategy.acted > 5
    assert len(told) == 1
    assert "reads the wall clock (time.time): take ctx.now_ns()" in told[0]


def test_off_leaves_everything_as_it_is() -> None:
    seen: list[Any] = []
    run(Acting(lambda: seen.append((time.time, datetime, time.time()))), guard="off")
    assert seen[0][0] is wall_clock
    assert seen[0][1] is whole_datetime.datetime


def test_after_a_run_nothing_is_left_in_the_way() -> None:
    before = (
        time.time,
        time.sleep,
        whole_datetime.datetime,
        random.random,
        random.Random,
        os.urandom,
        wall_clock,
        draw,
    )
    tripped(sleeps)
    assert before == (
        time.time, time.sleep, whole_datetime.datetime, random.random, random.Random, os.urandom, wall_clock, draw,
    )  # fmt: skip
    assert time.time() > 0


def test_values_made_while_the_guard_is_on_are_ordinary_ones() -> None:
    made: list[Any] = []
    run(Acting(lambda: made.append((datetime(2024, 1, 2, tzinfo=UTC), random.Random(3)))))
    assert type(made[0][0]) is whole_datetime.datetime
    assert type(made[0][1]) is random.Random
