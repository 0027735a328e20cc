"""The strategy host as a process, on real queues."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "strategy"))

from host_harness import BTC, ETH, SAY, FakeFeed, Host, Scene

from libchronicle.bus.control import send_command
from libchronicle.bus.kill_word import KillWord
from libchronicle.protocol import (
    CancelAll,
    Command,
    ControlCommand,
    Dispatch,
    ExecType,
    KillChange,
    OpenOrder,
    OrderFlags,
    OrderType,
    Parameter,
    SessionSource,
    SessionStart,
    SessionStop,
    Side,
    StateChange,
    TimerFired,
)
from libchronicle.queue import QueueConfig
from libchronicle.strategy import HostState, Refusal
from libchronicle.strategy.states import Machine

SENDER = """
class Probe(Strategy):
    def on_start(self, ctx):
        say("start", len(ctx.orders()), ctx.position("binance-spot:BTCUSDT").qty)
    def on_quote(self, ctx, quote):
        order = quote.instrument.limit(Side.BUY, quote.bid_price, 1000)
        say("quote", quote.bid_price, int(ctx.send(order)))
    def on_trade(self, ctx, trade):
        say("trade", trade.price)
    def on_book(self, ctx, book):
        say("book", book.bid_price, book.ask_price)
    def on_order(self, ctx, update):
        say("order", update.exec_type.name, update.state.name, update.order_id)
    def on_fill(self, ctx, fill):
        say("fill", fill.price, fill.qty, fill.instrument.position.qty)
    def on_feed_state(self, ctx, feed, state):
        say("feed", feed, state.name)
    def on_router_state(self, ctx, state):
        say("router", state.name)
    def on_stop(self, ctx):
        say("stop")
"""


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    one = Scene(tmp_path)
    yield one
    one.close()


def test_a_quote_becomes_an_order_that_names_its_cause(scene: Scene) -> None:
    host = scene.begin(SENDER)
    scene.until_trading()
    seq = scene.feed.quote(bid=6_000_007)
    scene.said("quote 6000007")
    epoch, _, order = scene.until(scene.router.orders)[0]
    cause = (order.cause_queue_id, order.cause_epoch, order.cause_seq)
    assert (order.price, order.qty, order.account) == (6_000_007, 1000, "paper")
    assert cause == (scene.feed.publisher.queue_id, 1, seq)
    assert epoch == 1
    assert host.stop() == 0
    assert "stop" in host.lines()


def state_changes(host: Host, machine: Machine) -> list[int]:
    return [one.to_state for one in host.session() if isinstance(one, StateChange) and one.machine == machine]


# ---------------------------------------------------------------- data reaches the strategy, or does not


def test_every_kind_arrives_in_the_order_of_the_queue(scene: Scene) -> None:
    host = scene.begin(SENDER)
    scene.until_trading()
    scene.feed.trade(6_000_001)
    scene.feed.delta(bids=[(6_000_050, 7)])
    scene.feed.quote(bid=6_000_002)
    scene.feed.trade(6_000_003)
    scene.said("trade 6000003")
    heard = [line.split()[:2] for line in host.lines() if line.split()[0] in ("trade", "book", "quote")]
    assert heard[-4:] == [
        ["trade", "6000001"],
        ["book", "6000050"],
        ["quote", "6000002"],
        ["trade", "6000003"],
    ]


def test_other_symbols_and_kinds_nobody_asked_for_stay_away(scene: Scene) -> None:
    host = scene.begin(SENDER, settings='kinds = ["trade"]')
    scene.until_trading()
    scene.feed.ready(ETH)
    scene.feed.trade(1, name=ETH)
    scene.feed.quote()
    scene.feed.delta(bids=[(6_000_050, 7)])
    scene.feed.trade(6_000_009)
    scene.said("trade 6000009")
    assert [line for line in host.lines() if line.split()[0] in ("trade", "book", "quote")] == [
        "trade 6000009"
    ]


def test_a_gap_silences_the_instrument_until_the_next_snapshot(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    scene.feed.gap()
    scene.said("feed binance-spot SYNCING")
    scene.feed.trade(1)
    scene.feed.delta(bids=[(5_999_990, 1)])
    scene.feed.quote()
    scene.quiet("trade")
    assert not [line for line in scene.host.lines() if line.startswith(("trade", "quote"))]
    scene.feed.snapshot(bid=6_000_500, ask=6_000_600)
    scene.said("book 6000500 6000600")
    scene.feed.trade(2)
    scene.said("trade 2")


def test_a_new_epoch_of_the_feed_silences_until_a_snapshot(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    scene.feed.close()
    scene.feed.reopen()
    scene.feed.trade(1)
    scene.said("feed binance-spot")
    scene.quiet("trade")
    scene.feed.snapshot()
    scene.until(lambda: scene.host.lines()[-1].startswith(("book", "feed binance-spot CONNECTED")))
    scene.feed.trade(2)
    scene.said("trade 2")
    assert "trade 1" not in scene.host.lines()


def test_started_in_the_middle_books_are_rebuilt_muted_from_the_newest_snapshot(scene: Scene) -> None:
    scene.begin("", feed=False)  # never asked: the real start comes below
    scene.host.kill()
    scene.feed = FakeFeed(scene.host.paths)
    scene.feed.ready()
    for step in range(6000):
        scene.feed.trade(step + 1)
        if step % 2000 == 0:
            scene.feed.snapshot(bid=6_000_000 + step, ask=6_000_500 + step)
        if step % 10 == 0:
            scene.feed.delta(bids=[(6_000_100 + step // 10, 5_000_000)])
    scene.host = Host(scene.root, SAY + textwrap.dedent(SENDER))
    scene.host.start()
    scene.until_trading()
    assert not [line for line in scene.host.lines() if line.startswith(("book", "trade"))]
    scene.feed.delta(bids=[(6_000_699, 0)])
    # bids of the snapshot at step 4000, and deltas since: 6_000_100 + 400 … 599
    assert scene.said("book") == ["book 6004000 6004500"]
    muted = [one for one in scene.host.session() if isinstance(one, Dispatch) and one.muted]
    assert sum(one.last_seq - one.first_seq + 1 for one in muted) < 2600


def test_a_strategy_waits_for_a_feed_that_is_not_there_yet(scene: Scene) -> None:
    scene.begin(SENDER, feed=False)
    scene.said("router CONNECTED")
    assert "state=WAITING_FOR_FEED" in scene.host.log()
    scene.feed = FakeFeed(scene.host.paths)
    scene.feed.ready()
    scene.said("feed binance-spot CONNECTED")
    scene.feed.trade(5)
    scene.said("trade 5")


# ---------------------------------------------------------------- losing the feed, losing the router


def test_a_lost_feed_cancels_all_once_before_the_state_changes_and_comes_back(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    scene.feed.quote()
    scene.said("quote")
    scene.feed.close()
    scene.said("feed binance-spot DISCONNECTED")
    scene.until(scene.router.cancel_alls)
    scene.feed.reopen()
    scene.feed.snapshot()
    scene.said("feed binance-spot CONNECTED", 2)
    assert scene.until(scene.router.orders)
    scene.feed.quote()
    scene.said("quote", 2)
    assert len(scene.router.cancel_alls()) == 1
    assert state_changes(scene.host, Machine.HOST)[:4] == [
        HostState.WAITING_FOR_FEED,
        HostState.TRADING,
        HostState.WAITING_FOR_FEED,
        HostState.TRADING,
    ]


def test_a_feed_that_hangs_is_lost_and_its_book_is_rebuilt_when_it_goes_on(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    deadline = time.monotonic() + 10
    while "feed binance-spot DISCONNECTED" not in scene.host.lines():
        assert time.monotonic() < deadline
        scene.router.publisher.heartbeat()
        time.sleep(0.05)
    scene.feed.delta(bids=[(6_000_042, 5)])
    scene.said("feed binance-spot CONNECTED", 2)
    scene.feed.delta(asks=[(6_000_090, 5)])
    scene.said("book 6000042 6000090")


def test_on_disconnect_flatten_closes_the_position_after_the_cancel(scene: Scene) -> None:
    scene.begin(SENDER, settings='on_disconnect = "flatten"')
    scene.until_trading()
    scene.feed.quote()
    order = scene.until(scene.router.orders)[0]
    scene.router.report(order, ExecType.FILL)
    scene.said("fill 6000000 1000 1000")
    scene.feed.close()
    flat = scene.until(lambda: scene.router.orders()[1:])[0][2]
    assert (flat.side, flat.order_type, flat.qty) == (Side.SELL, OrderType.MARKET, 1000)
    assert OrderFlags.REDUCE_ONLY in flat.flags
    kinds = [type(message) for _, _, message in scene.router.requests]
    assert kinds.index(CancelAll) < len(kinds) - 1


def test_without_a_router_nothing_is_sent_and_the_strategy_is_told_why(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    scene.router.publisher.close()
    scene.said("router DISCONNECTED")
    scene.feed.quote(bid=6_000_031)
    assert scene.said("quote 6000031") == [f"quote 6000031 {int(Refusal.ROUTER_LOST)}"]
    assert scene.router.orders() == []
    scene.router.reopen()
    scene.said("router CONNECTED", 2)
    scene.feed.quote(bid=6_000_032)
    scene.said("quote 6000032")
    scene.until(scene.router.orders)


def test_the_kill_word_closes_the_gate(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    KillWord(scene.host.paths).kill("test")
    scene.until(lambda: any(isinstance(one, KillChange) for one in scene.host.session()))
    scene.feed.quote(bid=6_000_041)
    assert scene.said("quote 6000041") == [f"quote 6000041 {int(Refusal.KILLED)}"]
    KillWord(scene.host.paths).allow("test over")
    scene.until(lambda: sum(isinstance(one, KillChange) for one in scene.host.session()) == 2)
    scene.feed.quote(bid=6_000_042)
    assert int(scene.said("quote 6000042")[0].split()[-1]) > 0


# ---------------------------------------------------------------- orders


def test_reports_move_order_and_position(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    scene.feed.quote()
    order = scene.until(scene.router.orders)[0]
    scene.router.report(order, ExecType.ACK)
    scene.router.report(order, ExecType.PARTIAL_FILL, last_qty=400)
    scene.router.report(order, ExecType.FILL, last_qty=600, cum_qty=1000)
    scene.said("fill 6000000 600 1000")
    told = [line.split()[1:3] for line in scene.said("order", 3)]
    assert told == [["ACK", "OPEN"], ["PARTIAL_FILL", "PARTIAL"], ["FILL", "FILLED"]]


def test_after_kill_9_open_orders_and_position_are_known_and_no_id_comes_twice(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    for bid in (6_000_001, 6_000_002, 6_000_003):
        scene.feed.quote(bid=bid)
    orders = scene.until(lambda: scene.router.orders()[2:] and scene.router.orders())
    scene.router.report(orders[0], ExecType.FILL)
    scene.router.report(orders[1], ExecType.ACK)
    scene.said("order", 2)
    scene.host.kill()
    scene.router.report(orders[2], ExecType.FILL)  # while nobody listens
    scene.host.start()
    scene.said("start", 2)
    assert scene.host.lines()[-1:] != []
    assert [line for line in scene.host.lines() if line.startswith("start")][1] == "start 1 2000"
    scene.said("router CONNECTED", 2)
    scene.said("feed binance-spot CONNECTED", 2)
    scene.feed.quote(bid=6_000_009)
    scene.until(lambda: len(scene.router.orders()) == 4)
    ids = [(epoch, seq) for epoch, seq, _ in scene.router.orders()]
    assert len(set(ids)) == 4
    assert ids[3][0] == 2
    carried = [one for one in scene.host.session() if isinstance(one, OpenOrder)]
    assert [(one.order_epoch, one.order_seq, one.price) for one in carried] == [(*orders[1][:2], 6_000_002)]


def test_on_stop_cancel_waits_for_the_acknowledgement(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    scene.feed.quote()
    order = scene.until(scene.router.orders)[0]
    scene.router.report(order, ExecType.ACK)
    scene.said("order ACK")
    assert scene.host.process is not None
    scene.host.process.terminate()
    scene.until(scene.router.cancel_alls)
    scene.router.report(order, ExecType.CANCELLED)
    assert scene.host.stop() == 0
    assert scene.host.lines()[-1].startswith("order CANCELLED")
    assert state_changes(scene.host, Machine.HOST)[-2:] == [HostState.STOPPING, HostState.STOPPED]


def test_on_stop_cancel_gives_a_silent_router_half_a_second(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    scene.feed.quote()
    scene.until(scene.router.orders)
    assert scene.host.stop(timeout_s=3.0) == 0
    assert len(scene.router.cancel_alls()) == 1


def test_on_stop_keep_leaves_the_orders(scene: Scene) -> None:
    scene.begin(SENDER, settings='on_stop = "keep"')
    scene.until_trading()
    scene.feed.quote()
    scene.until(scene.router.orders)
    assert scene.host.stop() == 0
    assert scene.router.cancel_alls() == []


def test_a_callback_that_raises_cancels_all_and_ends_the_process_with_its_traceback(scene: Scene) -> None:
    scene.begin(
        """
        class Probe(Strategy):
            def on_trade(self, ctx, trade):
                raise ZeroDivisionError("a bug of the strategy")
        """
    )
    scene.until_trading()
    scene.feed.trade()
    assert scene.host.process is not None
    assert scene.host.process.wait(10) != 0
    assert "a bug of the strategy" in scene.host.log()
    assert "on_trade" in scene.host.log()
    assert len(scene.router.cancel_alls()) == 1
    assert isinstance(scene.host.session()[-1], SessionStop)


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
    # A test process that is itself kept waiting lets the feed's heartbeat grow old, and the host looks into that with
    # system calls, rightly. Such a try proves nothing.
    tries = [_system_calls(scene, step) for step in range(5)]
    undisturbed = [calls for calls, disturbed in tries if not disturbed]
    assert undisturbed
    assert undisturbed == [[]] * len(undisturbed)


def _system_calls(scene: Scene, number: int) -> tuple[list[str], bool]:
    """Calls of the host's main thread while 5,000 records and 500 orders pass; and whether we were kept waiting."""
    trace = scene.root / f"strace.{number}"
    orders = len(scene.router.orders())
    scene.longest_silence()
    with trace.open("wb") as out:
        tracer = subprocess.Popen(["strace", "-f", "-p", str(scene.host.pid)], stderr=out)
        try:
            scene.rest(0.3)
            for step in range(5000):
                scene.feed.trade(step + 1)
                scene.beat()
            scene.until(lambda: len(scene.router.orders()) == orders + 500)
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


# ---------------------------------------------------------------- what goes wrong around it


def test_a_host_that_was_overrun_loses_its_place_says_so_and_trades_again(scene: Scene) -> None:
    scene.begin(SENDER, feed=False)
    config = QueueConfig(segment_size=64 << 10, budget_bytes=256 << 10, on_full="evict", prefault=False)
    scene.feed = FakeFeed(scene.host.paths, config=config)
    scene.feed.ready()
    scene.until_trading()
    os.kill(scene.host.pid, signal.SIGSTOP)
    for step in range(8000):
        scene.feed.trade(step + 1)
    scene.feed.ready()
    os.kill(scene.host.pid, signal.SIGCONT)
    scene.said("feed binance-spot CONNECTED", 2)
    scene.feed.trade(77_777)
    scene.said("trade 77777")
    assert len(scene.router.cancel_alls()) == 1


def test_an_emptied_hot_directory_is_noticed_and_the_new_queue_followed(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    scene.feed.close()
    shutil.rmtree(scene.feed.path)
    scene.said("feed binance-spot DISCONNECTED")
    scene.feed.reopen()
    scene.feed.ready()
    scene.said("feed binance-spot CONNECTED", 2)
    scene.feed.trade(5)
    scene.said("trade 5")


def test_a_second_host_of_the_same_strategy_is_refused(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    second = subprocess.run(scene.host.command(), capture_output=True, text=True, timeout=20)
    assert second.returncode != 0
    assert "WriterAlreadyActive" in second.stderr
    scene.feed.trade(5)
    scene.said("trade 5")


def test_a_broken_strategy_file_is_one_clear_line_and_no_process(scene: Scene) -> None:
    scene.begin("raise ValueError('no such model')\n")
    assert scene.host.process is not None
    assert scene.host.process.wait(10) != 0
    assert "StrategyFileError" in scene.host.log()
    assert "ValueError: no such model" in scene.host.log()
    assert not scene.host.paths.orders_out("probe").exists()


# ---------------------------------------------------------------- the same from a program, and from the README


def test_chronicle_app_runs_a_strategy_as_the_daemon_does(scene: Scene) -> None:
    scene.begin(SENDER)  # makes the files; the program below takes the daemon's place
    scene.host.kill()
    program = scene.root / "program.py"
    program.write_text(
        scene.host.file.read_text()
        + f"""
ChronicleApp(name="probe", subscribe=["{BTC}"], root={str(scene.host.paths.root)!r}).run(Probe())
"""
    )
    scene.host.command = lambda: [sys.executable, str(program)]  # type: ignore[method-assign]
    scene.host.start()
    scene.said("feed binance-spot CONNECTED")
    scene.said("router CONNECTED")
    scene.feed.quote(bid=6_000_020)
    scene.said("quote 6000020")
    assert scene.until(scene.router.orders)[0][2].price == 6_000_020
    assert scene.host.stop() == 0


def test_the_readmes_strategy_trades(scene: Scene, project_root: Path) -> None:
    text = (project_root / "README.md").read_text()
    source = text[text.index("# first.py") : text.index("```\n\n`deploy/strategies/first.toml`")]
    scene.begin(source.replace("class First", "class Probe"))
    scene.until_trading()
    scene.feed.delta(bids=[(6_000_050, 100_000_000)])
    order = scene.until(scene.router.orders)[0]
    assert (order[2].price, order[2].qty) == (6_000_050, 100_000)
    scene.router.report(order, ExecType.FILL)
    scene.until(lambda: "event=filled" in scene.host.log() and "price=60000.50" in scene.host.log())
