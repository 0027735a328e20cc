"""Timers, parameters, saved state, the session journal and the loop of a strategy host."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "strategy"))

from host_harness import ETH, SENDER, Scene, wait_for

from libchronicle.bus.control import send_command
from libchronicle.counters import read_errors
from libchronicle.protocol import (
    Command,
    ControlCommand,
    Dispatch,
    ExecType,
    Parameter,
    SessionSource,
    SessionStart,
    SessionStop,
    TimerFired,
)
from libchronicle.strategy import Refusal

# ---------------------------------------------------------------- time, parameters, state, journal


TIMED = """
class Probe(Strategy):
    def on_start(self, ctx):
        ctx.set_timer("beat", every_ms=20)
        self.last = 0
    def on_timer(self, ctx, name):
        say("timer", name, ctx.now_ns(), ctx.now_ns() == ctx.now_ns(), ctx.params.pace)
    def on_save(self, ctx):
        return {"seen": 7}
    def on_load(self, ctx, state):
        say("load", state["seen"])
"""


def test_timers_fire_and_their_time_is_the_recorded_one(scene: Scene) -> None:
    scene.begin(TIMED, params="pace = 3")
    heard = scene.said("timer beat", 5)
    fired = [one for one in scene.host.session() if isinstance(one, TimerFired)]
    assert [int(line.split()[2]) for line in heard[:5]] == [one.now_ns for one in fired[:5]]
    assert all(one.now_ns >= one.deadline_ns for one in fired)
    assert (fired[4].deadline_ns - fired[0].deadline_ns) % 20_000_000 == 0


def test_a_parameter_changes_between_callbacks_and_is_recorded(scene: Scene) -> None:
    scene.begin(TIMED, params="pace = 3")
    scene.said("timer beat", 2)
    command(scene, Command.SET_PARAMETER, "pace", "11")
    scene.until(lambda: any(line.endswith(" 11") for line in scene.host.lines()))
    command(scene, Command.SET_PARAMETER, "pace", "fast")
    scene.until(lambda: "command refused" in scene.host.log())
    recorded = [(one.name, one.value) for one in scene.host.session() if isinstance(one, Parameter)]
    assert recorded == [("pace", "3"), ("pace", "11")]


CARELESS = """
import time
class Probe(Strategy):
    def on_start(self, ctx):
        ctx.set_timer("beat", every_ms=20)
    def on_timer(self, ctx, name):
        time.sleep(0.001)
        ctx.log.info("slept")
"""


def test_a_guard_that_warns_tells_the_line_once_and_goes_on(scene: Scene) -> None:
    scene.begin(CARELESS, params='[guard]\naction = "warn"')
    scene.until(lambda: scene.host.log().count("event=slept") > 3)
    told = [line for line in scene.host.log().splitlines() if "event=guard" in line]
    assert len(told) == 1
    assert "probe.py:14 in on_timer sleeps (time.sleep): set a timer" in told[0]
    (recorded,) = read_errors(scene.host.paths.errors("strategy-probe"))
    assert recorded.text.startswith("guard: probe.py:14 in on_timer sleeps")


def test_a_guard_that_raises_ends_the_host_as_any_exception_does(scene: Scene) -> None:
    host = scene.begin(CARELESS, params='[guard]\naction = "raise"')
    wait_for(lambda: not host.running)
    assert "probe.py:14 in on_timer sleeps (time.sleep)" in host.log()


def test_pause_refuses_orders_and_resume_lets_them_pass(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    command(scene, Command.PAUSE)
    scene.until(lambda: "command=PAUSE" in scene.host.log())
    scene.feed.quote(bid=6_000_051)
    assert scene.said("quote 6000051") == [f"quote 6000051 {int(Refusal.PAUSED)}"]
    command(scene, Command.RESUME)
    scene.until(lambda: "command=RESUME" in scene.host.log())
    scene.feed.quote(bid=6_000_052)
    assert int(scene.said("quote 6000052")[0].split()[-1]) > 0
    told = [one.command for one in scene.host.session() if isinstance(one, ControlCommand)]
    assert told == [Command.PAUSE, Command.RESUME]


def test_a_stop_command_ends_the_host_in_order(scene: Scene) -> None:
    scene.begin(TIMED, params="pace = 3")
    scene.said("timer")
    command(scene, Command.STOP)
    assert scene.host.process is not None
    assert scene.host.process.wait(5) == 0


def command(scene: Scene, what: Command, target: str = "", value: str = "") -> None:
    send_command(scene.host.paths, "strategy-probe", what, reason="test", target=target, value=value)


def test_state_saved_at_the_stop_is_loaded_at_the_start(scene: Scene) -> None:
    scene.begin(TIMED, params="pace = 3")
    scene.said("timer")
    assert scene.host.stop() == 0
    scene.host.start()
    scene.said("load 7")


def test_the_session_tells_what_was_dispatched_and_when(scene: Scene) -> None:
    host = scene.begin(
        """
        class Probe(Strategy):
            def on_trade(self, ctx, trade):
                say("trade", trade.seq, ctx.now_ns(), trade.ts_ns <= ctx.now_ns())
        """,
        params='mood = "calm"',
    )
    scene.until_trading()
    for step in range(50):
        scene.feed.trade(step + 1)
        scene.feed.trade(step + 1, name=ETH)
    heard = scene.said("trade", 50)
    assert host.stop() == 0
    session = host.session()
    start = session[0]
    assert isinstance(start, SessionStart)
    assert (start.name, len(start.config_hash), bool(start.code_version)) == ("probe", 32, True)
    sources = {one.source: one for one in session if isinstance(one, SessionSource)}
    assert sources[0].path == "market_data/queue/binance-spot"
    told = {}
    for one in session:
        if isinstance(one, Dispatch) and not one.muted and one.source == 0:
            told |= dict.fromkeys(range(one.first_seq, one.last_seq + 1), one.now_ns)
    for line in heard:
        seq, now, in_order = line.split()[1:]
        assert told[int(seq)] == int(now)
        assert in_order == "True"
    assert isinstance(session[-1], SessionStop)


# ---------------------------------------------------------------- the loop


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_while_it_spins_and_dispatches_the_loop_makes_no_system_call(scene: Scene) -> None:
    scene.begin(
        """
        class Probe(Strategy):
            def on_start(self, ctx):
                self.n = 0
            def on_trade(self, ctx, trade):
                self.n += 1
                ctx.send(trade.instrument.limit(Side.BUY, trade.price, 1000)) if self.n % 10 == 0 else None
        """,
        settings="spin_us = 30000000",
    )
    scene.until_trading()
    _play(scene)  # memory for as many open orders as there will be is taken here
    # A test process that is itself kept waiting lets the feed's heartbeat grow old, and the host looks into that with
    # system calls, rightly. Such a try proves nothing.
    tries = [_system_calls(scene, step) for step in range(5)]
    undisturbed = [calls for calls, disturbed in tries if not disturbed]
    assert undisturbed
    assert undisturbed == [[]] * len(undisturbed)


def _play(scene: Scene) -> None:
    """5,000 records and 500 orders, each of them filled, so that the host's memory of open orders does not grow."""
    before = answered = len(scene.router.orders())
    for step in range(5000):
        scene.feed.trade(step + 1)
        scene.beat()
        if step % 100 == 99:
            for order in scene.router.orders()[answered:]:
                scene.router.report(order, ExecType.FILL)
                answered += 1
    scene.until(lambda: len(scene.router.orders()) == before + 500)
    for order in scene.router.orders()[answered:]:
        scene.router.report(order, ExecType.FILL)


def _system_calls(scene: Scene, number: int) -> tuple[list[str], bool]:
    """Calls of the host's main thread while 5,000 records and 500 orders pass; and whether we were kept waiting."""
    trace = scene.root / f"strace.{number}"
    scene.longest_silence()
    with trace.open("wb") as out:
        tracer = subprocess.Popen(["strace", "-f", "-p", str(scene.host.pid)], stderr=out)
        try:
            scene.rest(0.3)
            _play(scene)
            scene.rest(0.2)
        finally:
            tracer.terminate()
            tracer.wait()
    lines = [line for line in trace.read_text().splitlines() if f"[pid {scene.host.pid}]" in line]
    return [line for line in lines if "tached" not in line], scene.longest_silence() > 0.35


def test_importing_the_contract_loads_neither_simulator_nor_backtest_nor_numpy() -> None:
    program = (
        "import sys, libchronicle.strategy;"
        "print([m for m in sys.modules if m.startswith(('libchronicle.sim', 'libchronicle.backtest', 'numpy', 'asyncio'))])"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_spinning_host_rehearses_and_leaves_no_trace_of_it(scene: Scene) -> None:
    scene.begin(SENDER, settings="spin_us = 30000000")
    scene.until_trading()
    scene.rest(0.3)
    assert scene.router.poll() == []
    scene.feed.quote(bid=6_000_007)
    scene.said("quote 6000007")
    ((epoch, seq, order),) = scene.until(scene.router.orders)
    assert (epoch, seq, order.price) == (1, 0, 6_000_007)
