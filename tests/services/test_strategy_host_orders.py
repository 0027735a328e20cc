"""Orders, crashes and stops of a strategy host."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "strategy"))

import pytest
from host_harness import BTC, SENDER, FakeFeed, Scene, state_changes

from libchronicle.counters import read_errors
from libchronicle.protocol import (
    ExecType,
    OpenOrder,
    RejectCode,
    SessionStop,
)
from libchronicle.queue import QueueConfig
from libchronicle.runtime.daemon import ExitCode
from libchronicle.strategy import HostState
from libchronicle.strategy.crashes import CRASHES
from libchronicle.strategy.states import Machine

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


def test_a_refused_order_is_a_warning_with_the_limit_and_where_it_is_set(scene: Scene) -> None:
    scene.begin(SENDER, params='\n[limits]\nmax_position_qty = "0.00001"')
    scene.until_trading()
    for bid in (6_000_001, 6_000_002):
        scene.feed.quote(bid=bid)
    for order in scene.until(lambda: scene.router.orders() if len(scene.router.orders()) == 2 else None):
        scene.router.report(order, ExecType.REJECT, reject_code=RejectCode.POSITION_LIMIT)
    scene.said("order", 2)
    scene.until(lambda: 'event="orders rejected"' in scene.host.log())
    (line,) = [line for line in scene.host.log().splitlines() if "orders rejected" in line]
    assert "code=POSITION_LIMIT" in line
    assert 'limit="max_position_qty = 0.00001"' in line


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


@pytest.mark.parametrize("silent_s", [0.0, 0.5])
def test_a_damaged_record_is_a_gap_and_the_host_trades_on_from_the_next_snapshot(
    scene: Scene, silent_s: float
) -> None:
    """For a while it is the feed's last record: there is nothing behind it to go on with."""
    scene.begin(SENDER)
    scene.until_trading()
    os.kill(scene.host.pid, signal.SIGSTOP)
    scene.feed.trade(0x1234567890)
    (segment,) = scene.feed.path.glob("*.q")
    raw = segment.read_bytes()
    with segment.open("r+b") as file:
        file.seek(raw.rindex((0x1234567890).to_bytes(8, "little")))
        file.write(b"?")
    os.kill(scene.host.pid, signal.SIGCONT)
    scene.said("feed binance-spot DISCONNECTED")
    scene.until(scene.router.cancel_alls)
    silent_until = time.monotonic() + silent_s
    scene.until(lambda: time.monotonic() >= silent_until)
    scene.feed.snapshot()
    scene.said("feed binance-spot CONNECTED", 2)
    scene.feed.trade(5)
    scene.said("trade 5")


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


RAISER = """
class Probe(Strategy):
    def on_start(self, ctx):
        ctx.set_timer("soon", after_ms=1)

    def on_timer(self, ctx, name):
        {line}
"""


def test_a_strategy_that_raises_is_on_record_with_its_line_and_after_five_times_is_not_started_again(
    scene: Scene,
) -> None:
    scene.begin(RAISER.format(line="raise KeyError('depth')"))
    codes = []
    for _ in range(CRASHES):
        assert scene.host.process is not None
        codes.append(scene.host.process.wait(20))
        if len(codes) == 2:
            scene.host.start()
            scene.host.kill()  # does not count
        scene.host.start()
    assert codes == [ExitCode.INTERNAL] * (CRASHES - 1) + [ExitCode.FAILED]
    (error,) = read_errors(scene.host.paths.errors("strategy-probe"))
    line = scene.host.file.read_text().splitlines().index("        raise KeyError('depth')") + 1
    assert error.text == f"probe.py:{line} in on_timer: KeyError: 'depth'"
    assert error.count >= CRASHES
    assert f'note="at probe.py:{line} in on_timer"' in scene.host.log()
    assert "StrategyFailed" in scene.host.log()
    assert scene.host.process.wait(20) == ExitCode.INTERNAL, "who starts it again begins to count anew"


def test_a_typed_error_out_of_a_strategy_names_its_line(scene: Scene) -> None:
    scene.begin(RAISER.format(line="ctx.set_timer('t')"))
    assert scene.host.process is not None
    assert scene.host.process.wait(20) == ExitCode.MISUSE
    line = scene.host.file.read_text().splitlines().index("        ctx.set_timer('t')") + 1
    assert f'note="at probe.py:{line} in on_timer"' in scene.host.log()


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


def test_a_router_that_is_started_anew_has_lost_no_report_and_nobody_says_so(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.until_trading()
    scene.feed.quote()
    order = scene.until(scene.router.orders)[0]
    scene.router.report(order, ExecType.ACK)
    scene.said("order ACK")
    for times in (2, 3):
        scene.router.publisher.close()
        scene.router.reopen()
        scene.router.report(order, ExecType.PARTIAL_FILL, last_qty=times)
        scene.said("fill", times - 1)
    scene.rest(0.1)
    assert "missing" not in scene.host.log()
