"""A strategy host that starts again: from what its last session carried over, whatever the history."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "strategy"))

from host_harness import BTC, ETH, SENDER, SMALL, FakeRouter, Scene, definition

from libchronicle.protocol import (
    CarryOver,
    ExecType,
    ExecutionReport,
    NewOrder,
    OpenOrder,
    OrderType,
    PositionReport,
    Side,
    StateChunk,
    TimeInForce,
    instrument_id,
)
from libchronicle.queue import Queue
from libchronicle.strategy.savedstate import state_of

HISTORY = 200_000

KNOWN = """
class Probe(Strategy):
    def on_start(self, ctx):
        position = ctx.position("binance-spot:BTCUSDT")
        say("start", len(ctx.orders()), position.qty, position.realized_pnl)
        for order in ctx.orders():
            say("open", order.state.name, order.qty, order.cum_qty, order.price, order.tif.name, order.tag, order.cause_ts > 0)
    def on_quote(self, ctx, quote):
        say("sent", int(ctx.send(quote.instrument.limit(Side.BUY, quote.bid_price, 1000, tag="mine"))))
"""


def restored(scene: Scene) -> list[tuple[int, int, int]]:
    """Requests and reports read, orders open, at each start so far."""
    found = re.findall(r"event=restored requests=(\d+) reports=(\d+) open_orders=(\d+)", scene.host.log())
    return [(int(a), int(b), int(c)) for a, b, c in found]


def starts(scene: Scene, count: int) -> tuple[int, int, int]:
    scene.until(lambda: len(restored(scene)) == count)
    scene.said("start", count)
    return restored(scene)[-1]


def write_history(scene: Scene) -> None:
    """Two hundred thousand orders, all but the last of them refused."""
    order = NewOrder(
        instrument_id=instrument_id(BTC), price=6_000_000, qty=1000, side=Side.BUY,
        order_type=OrderType.LIMIT, time_in_force=TimeInForce.GTC,
    ).encode()  # fmt: skip
    paths = scene.host.paths
    with (
        Queue.open_publisher(paths.orders_out("probe"), SMALL) as sent,
        Queue.open_publisher(paths.orders_in("probe"), SMALL) as answers,
    ):
        sent.append_many(NewOrder.TEMPLATE_ID, [order] * HISTORY)
        report = ExecutionReport(
            order_queue_id=sent.queue_id, order_epoch=sent.epoch, instrument_id=instrument_id(BTC),
            exec_type=ExecType.REJECT, side=Side.BUY,
        )  # fmt: skip
        for seq in range(HISTORY - 1):
            report.order_seq = report.request_seq = seq
            report.exec_id = seq + 1
            answers.append(ExecutionReport.TEMPLATE_ID, report.encode())


def test_a_start_after_two_hundred_thousand_orders_reads_only_what_came_since(scene: Scene) -> None:
    scene.begin(KNOWN, router=False)
    scene.host.kill()
    shutil.rmtree(scene.host.paths.root / "orders", ignore_errors=True)
    shutil.rmtree(scene.host.paths.root / "sessions", ignore_errors=True)
    scene.host.output.write_text("")
    (scene.root / "probe.out").unlink(missing_ok=True)
    write_history(scene)
    scene.host.start()
    assert starts(scene, 1) == (HISTORY, HISTORY - 1, 1), "without a session everything is read"
    scene.host.kill()
    scene.router = FakeRouter(scene.host.paths, "probe")
    scene.host.start()
    assert starts(scene, 2) == (0, 0, 1)
    scene.until_trading()
    scene.feed.quote()
    scene.said("sent")
    scene.host.kill()
    scene.host.start()
    assert starts(scene, 3) == (1, 0, 2)
    assert scene.host.stop() == 0
    scene.host.start()
    sent, reports, _ = starts(scene, 4)
    assert sent + reports == 0, "an orderly stop leaves nothing to read"


def test_orders_and_positions_are_carried_whole(scene: Scene) -> None:
    scene.begin(KNOWN)
    scene.until_trading()
    for bid in (6_000_001, 6_000_002, 6_000_003):
        scene.feed.quote(bid=bid)
    first, second, _ = scene.until(lambda: scene.router.orders()[2:] and scene.router.orders())
    scene.router.report(first, ExecType.ACK)
    scene.router.report(second, ExecType.ACK)
    scene.router.report(second, ExecType.PARTIAL_FILL, last_qty=400)
    position = PositionReport(
        instrument_id=instrument_id(BTC), qty=400, realized_pnl=77, last_exec_id=3, pnl_exponent=-8
    )
    scene.router.publisher.append(PositionReport.TEMPLATE_ID, position.encode())
    scene.until(lambda: restored(scene))
    scene.rest(0.2)
    for expected in (2, 3):
        scene.host.kill()
        scene.host.start()
        starts(scene, expected)
        lines = [line for line in scene.host.lines() if line.startswith(("start", "open"))][-4:]
        assert lines == [
            "start 3 400 77",
            "open OPEN 1000 0 6000001 GTC mine True",
            "open PARTIAL 1000 400 6000002 GTC mine True",
            "open PENDING 1000 0 6000003 GTC mine True",
        ]


def test_an_instrument_that_is_only_named_in_on_start_keeps_its_position(scene: Scene) -> None:
    scene.begin(
        f"""
        class Probe(Strategy):
            def on_start(self, ctx):
                ctx.subscribe("{ETH}")
                say("start", ctx.position("{ETH}").qty, len(ctx.orders("{ETH}")))
            def on_quote(self, ctx, quote):
                say("sent", int(ctx.send(quote.instrument.limit(Side.BUY, quote.bid_price, 1000))))
        """
    )
    scene.feed.ready(ETH)
    scene.until_trading()
    for _ in range(2):
        scene.feed.quote(name=ETH)
    filled, _ = scene.until(lambda: scene.router.orders()[1:] and scene.router.orders())
    scene.router.report(filled, ExecType.FILL)
    scene.rest(0.2)
    assert scene.host.stop() == 0
    scene.host.start()
    starts(scene, 2)
    assert [line for line in scene.host.lines() if line.startswith("start")] == ["start 0 0", "start 1000 1"]


def test_order_queues_that_are_others_are_read_from_their_beginning(scene: Scene) -> None:
    scene.begin(KNOWN)
    scene.until_trading()
    scene.feed.quote()
    scene.said("sent")
    assert scene.host.stop() == 0
    scene.router.close()
    shutil.rmtree(scene.host.paths.orders_in("probe"))
    scene.router = FakeRouter(scene.host.paths, "probe")
    scene.host.start()
    assert starts(scene, 2)[0] >= 1


def test_a_long_session_carries_over_now_and_then(scene: Scene) -> None:
    scene.begin(SENDER)
    scene.host.kill()
    program = (
        "import sys, libchronicle.strategy.live as live; live.CARRY_EVERY_ORDERS = 10;"
        "from services.strategy_host.__main__ import main; sys.exit(main())"
    )
    options = scene.host.command()[3:]
    scene.host.command = lambda: [sys.executable, "-c", program, *options]  # type: ignore[method-assign]
    scene.host.start()
    scene.said("router CONNECTED", 1)
    scene.until_trading()
    for bid in range(25):
        scene.feed.quote(bid=6_000_000 + bid)
        scene.rest(0.02)
    scene.until(lambda: len(scene.router.orders()) == 25)
    scene.rest(0.3)
    scene.host.kill()
    blocks = [one for one in scene.host.session() if isinstance(one, CarryOver)]
    assert [one.open_orders for one in blocks if one.open_orders] == sorted(
        one.open_orders for one in blocks if one.open_orders
    )
    assert len([one for one in blocks if one.open_orders]) >= 2
    before = len(restored(scene))
    scene.host.start()
    scene.until(lambda: len(restored(scene)) > before)
    sent, _, open_orders = restored(scene)[-1]
    assert (sent < 15, open_orders) == (True, 25)


def test_what_on_load_is_given_stands_in_the_session_journal(scene: Scene) -> None:
    scene.begin(
        """
        class Probe(Strategy):
            def on_load(self, ctx, state):
                say("load", len(state["weights"]))
            def on_save(self, ctx):
                return {"weights": list(range(700)), "mood": "grün"}
        """
    )
    scene.until_trading()
    assert scene.host.stop() == 0
    assert not [one for one in scene.host.session() if isinstance(one, StateChunk)]
    scene.host.start()
    scene.said("load 700")
    scene.until(lambda: len(restored(scene)) == 2)
    session = scene.host.session()
    chunks = [one for one in session if isinstance(one, StateChunk)]
    assert len(chunks) == 3
    assert state_of(chunks) == {"weights": list(range(700)), "mood": "grün"}
    assert state_of([]) is None


def test_a_block_that_a_crash_cut_short_is_none(scene: Scene) -> None:
    scene.begin(KNOWN)
    scene.until_trading()
    scene.feed.quote()
    scene.said("sent")
    scene.host.kill()
    with Queue.open_publisher(scene.host.paths.session("probe"), SMALL) as session:
        session.append(definition().TEMPLATE_ID, definition().encode())
        torn = OpenOrder(
            instrument_id=instrument_id(BTC), order_type=OrderType.LIMIT, time_in_force=TimeInForce.GTC
        )
        session.append(OpenOrder.TEMPLATE_ID, torn.encode())
    scene.host.start()
    assert starts(scene, 2) == (1, 0, 1)
