"""Strategies that raise, hang, flood, fork, exit or break what they are given: the host ends or goes on in order, and
nobody else notices."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "strategy"))

from host_harness import Scene

from libchronicle.bus.endpoint import inspect_endpoint
from libchronicle.bus.lease import Liveness
from libchronicle.counters import read_counters
from libchronicle.protocol import CancelAll, ExecType, NewOrder, SessionStop
from libchronicle.runtime.daemon import ExitCode

# ---------------------------------------------------------------- raising

CALLBACKS = {
    "on_load": "state",
    "on_start": "",
    "on_book": "book",
    "on_trade": "trade",
    "on_quote": "quote",
    "on_order": "update",
    "on_fill": "fill",
    "on_timer": "name",
    "on_feed_state": "feed, state",
    "on_router_state": "state",
    "on_stop": "",
    "on_save": "",
}


def arguments(callback: str) -> str:
    return f"self, ctx, {CALLBACKS[callback]}".removesuffix(", ")


@pytest.mark.parametrize("callback", CALLBACKS)
def test_an_exception_in_any_callback_ends_the_host_and_names_its_place(scene: Scene, callback: str) -> None:
    source = f"""
    class Probe(Strategy):
        def {callback}({arguments(callback)}):
            raise LookupError("in {callback}")
    """
    if callback != "on_start":
        source += """
        def on_start(self, ctx):
            ctx.set_timer("soon", after_ms=300)
        """
    if callback in ("on_order", "on_fill"):
        source += """
        def on_trade(self, ctx, trade):
            ctx.send(trade.instrument.limit(Side.BUY, trade.price, 1000))
        """
    scene.begin(source, feed=True)
    if callback == "on_load":
        state = scene.host.paths.run_dir("strategies", "probe") / "state.json"
        scene.host.kill()
        state.parent.mkdir(parents=True, exist_ok=True)
        state.write_text("{}")
        scene.host.start()
    else:
        provoke(scene, callback)
    assert scene.host.process is not None
    assert scene.host.process.wait(20) == ExitCode.INTERNAL
    assert f"in {callback}" in scene.host.log()
    assert isinstance(scene.host.session()[-1], SessionStop)
    assert scene.router.cancel_alls()


def provoke(scene: Scene, callback: str) -> None:
    """Do what makes that callback be called."""
    if callback in ("on_start", "on_feed_state", "on_router_state"):
        return
    scene.until_trading()
    if callback in ("on_stop", "on_save"):
        assert scene.host.process is not None
        scene.host.process.terminate()
    elif callback in ("on_order", "on_fill"):
        scene.feed.trade()
        scene.router.report(scene.until(scene.router.orders)[0], ExecType.FILL)
    elif callback != "on_timer":
        {"on_book": scene.feed.delta, "on_trade": scene.feed.trade, "on_quote": scene.feed.quote}[callback](
            **({"bids": [(6_000_050, 7)]} if callback == "on_book" else {})
        )


# ---------------------------------------------------------------- hanging

HANGS = {
    "a loop": "while True: pass",
    "a loop that swallows": textwrap.dedent(
        """\
        import time
        while True:
            try:
                time.sleep(10)
            except BaseException:
                continue"""
    ),
    "a sleep": "import time; time.sleep(3600)",
    "a wait for a lock": "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "a call into C": "import itertools; max(itertools.repeat(1))",
    "a long sum": "sum(iter(int, 1))",
}
BY_THE_KERNEL = {"a call into C", "a long sum"}
SWALLOWS = {"a loop that swallows"}


def hanging(code: str, callback: str = "on_trade") -> str:
    body = textwrap.indent(code, " " * 8)
    return f"""
class Probe(Strategy):
    def on_quote(self, ctx, quote):
        ctx.send(quote.instrument.limit(Side.BUY, quote.bid_price, 1000))
    def {callback}({arguments(callback)}):
        say("hangs")
{body}
"""


def terminate(scene: Scene) -> tuple[int, float]:
    """Exit code, and how long it took."""
    assert scene.host.process is not None
    began = time.monotonic()
    scene.host.process.terminate()
    code = scene.host.process.wait(15)
    return code, time.monotonic() - began


@pytest.mark.parametrize("kind", HANGS)
def test_a_callback_that_never_returns_does_not_survive_a_stop(scene: Scene, kind: str) -> None:
    scene.begin(hanging(HANGS[kind]))
    scene.until_trading()
    scene.feed.quote()
    scene.until(scene.router.orders)
    scene.feed.trade()
    scene.said("hangs")
    code, took_s = terminate(scene)
    print(f"ended {took_s:.2f} s after SIGTERM with {code}")
    if kind in BY_THE_KERNEL:
        assert code == -signal.SIGXCPU
        assert "probe.py" in scene.host.log(), "the place it hung at"
        return
    assert code == (ExitCode.FAILED if kind in SWALLOWS else ExitCode.MISUSE)
    assert scene.router.of(CancelAll), "no order stays behind"
    assert "probe.py" in scene.host.log()
    assert isinstance(scene.host.session()[-1], SessionStop)


@pytest.mark.parametrize("callback", ["on_start", "on_stop", "on_save"])
def test_nor_does_one_at_the_start_or_the_end(scene: Scene, callback: str) -> None:
    scene.begin(hanging("while True: pass", callback))
    if callback != "on_start":
        scene.until_trading()
    else:
        scene.said("hangs")
    code, took_s = terminate(scene)
    print(f"ended {took_s:.2f} s after SIGTERM")
    assert code == ExitCode.MISUSE
    assert "StrategyHung" in scene.host.log()


def test_a_thread_of_the_strategy_that_never_ends_does_not_survive_a_stop(scene: Scene) -> None:
    scene.begin(
        """
        import threading, time
        class Probe(Strategy):
            def on_trade(self, ctx, trade):
                threading.Thread(target=time.sleep, args=(3600,), name="endless").start()
                say("started")
        """
    )
    scene.until_trading()
    scene.feed.trade()
    scene.said("started")
    assert scene.host.stop(timeout_s=15) == 0
    assert "left behind: endless" in scene.host.log()
    assert isinstance(scene.host.session()[-1], SessionStop)


def test_a_disk_that_is_slow_to_save_the_state_is_waited_for(scene: Scene) -> None:
    scene.begin(
        """
        import os, time
        class Probe(Strategy):
            def on_save(self, ctx):
                real = os.fsync
                os.fsync = lambda fd: (time.sleep(1.5), real(fd))  # as a disk does that is busy
                return {"kept": 1}
        """
    )
    scene.until_trading()
    assert scene.host.stop(timeout_s=15) == 0
    saved = scene.host.paths.run_dir("strategies", "probe") / "state.json"
    assert saved.read_text() == '{"kept":1}'
    assert isinstance(scene.host.session()[-1], SessionStop)


def test_what_is_raised_beside_exceptions_is_logged_and_counted_as_one(scene: Scene) -> None:
    scene.begin(
        """
        import asyncio
        class Probe(Strategy):
            def on_trade(self, ctx, trade): raise asyncio.CancelledError("in on_trade")
        """
    )
    scene.until_trading()
    scene.feed.trade()
    assert scene.host.process is not None
    assert scene.host.process.wait(20) == ExitCode.INTERNAL
    assert "error=CancelledError" in scene.host.log()
    assert (scene.host.paths.run_dir("strategies", "probe") / "crashes.json").exists()
    assert scene.router.cancel_alls()


def test_a_busy_strategy_is_not_taken_for_a_hung_one(scene: Scene) -> None:
    scene.begin(
        """
        import time
        class Probe(Strategy):
            def on_start(self, ctx):
                ctx.set_timer("work", every_ms=1)
            def on_timer(self, ctx, name):
                until = time.monotonic() + 0.02
                while time.monotonic() < until: pass
            def on_save(self, ctx):
                return {"done": 1}
        """
    )
    scene.until_trading()
    scene.rest(0.3)
    assert scene.host.stop() == 0
    assert (scene.host.paths.run_dir("strategies", "probe") / "state.json").exists()


def test_a_hung_loop_shows_in_its_heartbeat_and_its_lease(scene: Scene) -> None:
    scene.begin(hanging("while True: pass"))
    scene.until_trading()
    scene.feed.trade()
    scene.said("hangs")
    counters = scene.host.paths.counters("strategy-probe")
    scene.rest(1.2)
    age_s = read_counters(counters).heartbeat_age_s
    assert age_s is not None
    assert age_s > 1
    endpoint = scene.host.paths.endpoint("probe")
    later = time.monotonic_ns() + 6_000_000_000
    assert inspect_endpoint(endpoint, later).liveness is Liveness.EXPIRED


# ---------------------------------------------------------------- flooding


def test_a_burst_of_a_hundred_thousand_orders_is_cut_at_the_most_that_may_be_open(scene: Scene) -> None:
    scene.begin(
        """
        class Probe(Strategy):
            def on_trade(self, ctx, trade):
                order = trade.instrument.limit(Side.BUY, trade.price, 1000)
                codes = [int(ctx.send(order)) for _ in range(100_000)]
                say("burst", sum(code > 0 for code in codes), min(codes))
        """
    )
    scene.until_trading()
    scene.feed.trade()
    assert scene.said("burst") == ["burst 10000 -6"]
    scene.until(lambda: len(scene.router.orders()) == 10_000)
    assert scene.host.stop() == 0
    assert scene.router.cancel_alls()


SMALL_QUEUE = (
    "import sys, msgspec, libchronicle.strategy.live as live; made = live.orders_config;"
    "live.orders_config = lambda peer: msgspec.structs.replace(made(peer), segment_size=65536, budget_bytes=262144);"
    "from services.strategy_host.__main__ import main; sys.exit(main())"
)


def test_a_full_orders_queue_ends_the_host_with_that_reason(scene: Scene) -> None:
    scene.begin(
        """
        class Probe(Strategy):
            def on_trade(self, ctx, trade):
                while True:
                    ctx.send(trade.instrument.limit(Side.BUY, trade.price, 1000))
        """
    )
    scene.host.kill()
    options = scene.host.command()[3:]
    scene.host.command = lambda: [sys.executable, "-c", SMALL_QUEUE, *options]  # type: ignore[method-assign]
    scene.host.start()
    scene.until_trading()
    scene.feed.trade()
    assert scene.host.process is not None
    assert scene.host.process.wait(20) == ExitCode.HOST
    assert "error=QueueFull" in scene.host.log()
    stop = scene.host.session()[-1]
    assert isinstance(stop, SessionStop)
    assert stop.reason == "failed: QueueFull"


# ---------------------------------------------------------------- amounts and texts


def test_amounts_and_texts_that_fit_nowhere_are_order_errors(scene: Scene) -> None:
    scene.begin(
        """
        class Probe(Strategy):
            def on_trade(self, ctx, trade):
                btc, price = trade.instrument, trade.price
                for words in (
                    "btc.limit(Side.BUY, price, -1000)", "btc.limit(Side.BUY, price, 0)",
                    "btc.limit(Side.BUY, price, 2**63)", "btc.limit(Side.BUY, price, -2**63 - 1)",
                    "btc.limit(Side.BUY, 10**5000, 1000)", "btc.limit(Side.BUY, price, 10**5000)",
                    "btc.limit(Side.BUY, '9' * 100_000, 1000)", "btc.limit(Side.BUY, price, '1e99')",
                    "btc.limit(Side.BUY, price, '\\\\ud800')", "btc.limit(Side.BUY, float('nan'), 1000)",
                    "btc.limit(Side.BUY, price, 1000, tag='x' * 10**6)", "btc.limit(7, price, 1000)",
                    "btc.limit(Side.BUY, price, 1000, valid_for_ms=2**62)", "btc.limit(Side.BUY, price, True)",
                    "btc.gtd(Side.BUY, price, 1000, -5)",
                ):
                    try:
                        eval(words)
                    except OrderError as error:
                        say(type(error).__name__, len(str(error)) < 300)
                    else:
                        say("built", words)
                order = btc.limit(Side.BUY, price, 1000, tag='\\ud800')
                say("sent", int(ctx.send(order)) > 0)
                for bad in ("x" * 10**6, ""):
                    try:
                        ctx.set_timer(bad, after_ms=1)
                    except Exception as error:
                        say(type(error).__name__, len(str(error)) < 300)
                try:
                    ctx.set_timer("t", every_ms=2**62)
                except Exception as error:
                    say(type(error).__name__)
                ctx.log.info("x" * 10**6, field="y" * 10**6)
                say("done")
        """
    )
    scene.until_trading()
    scene.feed.trade()
    scene.said("done")
    lines = scene.host.lines()
    assert not [line for line in lines if line.startswith("built")], lines
    assert not [line for line in lines if line.endswith("False")], lines
    assert lines.count("BadQuantity True") >= 6
    assert lines[-4:-1] == ["MisuseError True"] * 2 + ["MisuseError"]
    assert scene.host.stop() == 0


# ---------------------------------------------------------------- what it has no business with


def test_a_strategy_that_exits_at_once_is_started_again_and_knows_its_orders(scene: Scene) -> None:
    scene.begin(
        """
        class Probe(Strategy):
            def on_start(self, ctx):
                say("start", len(ctx.orders()))
            def on_quote(self, ctx, quote):
                ctx.send(quote.instrument.limit(Side.BUY, quote.bid_price, 1000))
            def on_trade(self, ctx, trade):
                os._exit(3)
        """
    )
    scene.until_trading()
    scene.feed.quote()
    scene.until(scene.router.orders)
    scene.feed.trade()
    assert scene.host.process is not None
    assert scene.host.process.wait(10) == 3
    assert inspect_endpoint(scene.host.paths.endpoint("probe")).liveness is Liveness.DEAD
    scene.host.start()
    scene.said("start 1")
    assert scene.host.stop() == 0


def test_a_strategy_that_closes_every_queue_it_can_find_ends_itself_in_order(scene: Scene) -> None:
    scene.begin(
        """
        import gc
        class Probe(Strategy):
            def on_quote(self, ctx, quote):
                ctx.send(quote.instrument.limit(Side.BUY, quote.bid_price, 1000))
            def on_trade(self, ctx, trade):
                gc.unfreeze()
                found = [one for one in gc.get_objects() if type(one).__name__ in ("Publisher", "Subscriber")]
                for one in found:
                    one.close()
                say("closed", len(found))
                ctx.send(trade.instrument.limit(Side.BUY, trade.price, 1000))
        """
    )
    scene.until_trading()
    scene.feed.quote()
    scene.until(scene.router.orders)
    scene.feed.trade()
    assert int(scene.said("closed")[0].split()[1]) >= 3
    assert scene.host.process is not None
    assert scene.host.process.wait(10) == ExitCode.MISUSE
    assert "error=Closed" in scene.host.log()
    assert scene.router.cancel_alls()


FORKS = {
    "returns": "pass",
    "raises": "raise LookupError('child')",
    "exits": "import sys; sys.exit(0)",
    "sends": "ctx.send(trade.instrument.limit(Side.BUY, trade.price, 1000))",
}


@pytest.mark.parametrize("kind", FORKS)
def test_a_child_that_a_strategy_forks_leaves_everything_alone(scene: Scene, kind: str) -> None:
    scene.begin(
        f"""
        class Probe(Strategy):
            def on_trade(self, ctx, trade):
                if trade.price == 7:
                    child = os.fork()
                    if child == 0:
                        {FORKS[kind]}
                        return
                    say("child", child)
                else:
                    say("trade", trade.price)
            def on_quote(self, ctx, quote):
                say("sent", int(ctx.send(quote.instrument.limit(Side.BUY, quote.bid_price, 1000))) > 0)
        """
    )
    scene.until_trading()
    scene.feed.trade(7)
    child = int(scene.said("child")[0].split()[1])
    scene.until(lambda: not alive(child))
    assert inspect_endpoint(scene.host.paths.endpoint("probe")).present
    scene.feed.trade(8)
    scene.said("trade 8")
    scene.feed.quote()
    scene.said("sent True")
    scene.until(lambda: len(scene.router.of(NewOrder)) == 1)
    assert scene.host.stop() == 0
    assert len([line for line in scene.host.lines() if line.startswith("trade")]) == 1


def alive(pid: int) -> bool:
    """Whether it still runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_that_lives_on_does_not_keep_the_strategy_from_starting_again(scene: Scene) -> None:
    scene.begin(
        """
        import time
        class Probe(Strategy):
            def on_trade(self, ctx, trade):
                child = os.fork()
                if child == 0:
                    time.sleep(60)
                    os._exit(0)
                say("child", child)
        """
    )
    scene.until_trading()
    scene.feed.trade()
    child = int(scene.said("child")[0].split()[1])
    try:
        scene.host.kill()
        scene.host.start()
        scene.until(lambda: scene.host.log().count("state=TRADING") == 2)
    finally:
        os.kill(child, signal.SIGKILL)
