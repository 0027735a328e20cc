"""`chronicle positions`, `balances` and `orders`, on what a real router told, and after it has died."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from libchronicle.cli.main import app
from libchronicle.errors import ChronicleError
from libchronicle.protocol import (
    CancelOrder,
    OpenOrder,
    OrderType,
    PositionReport,
    ReplaceOrder,
    Side,
    TimeInForce,
)
from tests.services.router_bench import BTC, FeedWriter, Router, Strategy, order, until

ACCOUNTS = """
[router.paper]
cash = { USDT = "1000", BTC = "1" }
[router.paper.fees."*"]
taker_bps = 10
"""


class Desk:
    """A router, its feed and two strategies."""

    def __init__(self, tmp_path: Path, paper: str = "") -> None:
        self.router = Router(tmp_path, "valid_for_ms = 20000")
        self.router.config.write_text(self.router.config.read_text() + paper)
        self.feed = FeedWriter(self.router.paths)
        self.strategies = [Strategy(self.router.paths, name) for name in ("alpha", "beta")]
        self.router.start()

    def take(self, name: str, side: Side, qty: int, price: int) -> None:
        """An order that takes, and what it brought has come: the position last."""
        one = next(each for each in self.strategies if each.name == name)
        seq = one.send(order(side, qty, price, time_in_force=TimeInForce.IOC))
        fill = until(lambda: next((r for r in one.reports() if r.order_seq == seq and r.last_qty), None))
        until(
            lambda: any(p.last_exec_id >= fill.exec_id for p in one.poll() if isinstance(p, PositionReport))
        )

    def ask(self, command: str, *more: str) -> Any:
        where = ["--run", str(self.router.paths.root), "--config", str(self.router.config)]
        done = CliRunner().invoke(app, [command, *where, *more], env={"COLUMNS": "200"})
        if "--json" in more:
            assert done.exception is None, done.output
            return json.loads(done.stdout)
        return done

    def close(self) -> None:
        self.router.close()
        self.feed.close()
        for one in self.strategies:
            one.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path, ACCOUNTS)
    yield desk
    desk.close()


def test_positions_and_balances_are_there_after_every_daemon_has_died(desk: Desk) -> None:
    desk.take("alpha", Side.BUY, 300, 10_010)
    desk.take("beta", Side.SELL, 100, 9_990)
    desk.take("alpha", Side.SELL, 100, 9_990)
    rest = desk.strategies[0].send(order(Side.BUY, 50, 9_000))
    desk.strategies[0].answer(rest)
    desk.router.kill()
    desk.feed.snapshot(bids=((10_100, 5),), asks=((10_120, 5),))
    desk.feed.close()
    alpha, beta = desk.ask("positions", "--json")
    assert (alpha["strategy"], alpha["venue"], alpha["symbol"]) == ("alpha", "binance-spot", "BTCUSDT")
    assert (alpha["position"], alpha["average"], alpha["mark"]) == ("0.200", "100.10", "101.10")
    assert (alpha["unrealised"], alpha["realised"]) == ("0.20000000", "-0.02000000")
    assert alpha["fees"] == "0.04002000"  # 10 bps of 30.03 and of 9.99
    assert (beta["position"], beta["unrealised"], beta["currency"]) == ("-0.100", "-0.12000000", "USDT")
    told = {(one["strategy"], one["currency"]): one for one in desk.ask("balances", "--json")}
    coins, cash = told["alpha", "BTC"], told["alpha", "USDT"]
    assert (coins["total"], coins["locked"]) == ("1.20000000", "0.00000000")
    assert cash["total"] == cash["equity"] == "979.91998000"  # 1000 - 30.03 + 9.99 - 0.04002
    text = desk.ask("positions").stdout.splitlines()
    assert text[0].split()[:4] == ["VENUE", "SYMBOL", "STRATEGY", "POSITION"]
    assert text[1].split()[:6] == ["binance-spot", "BTCUSDT", "alpha", "0.2", "100.1", "101.1"]
    assert text[3].split()[:2] == ["total", "0.08"]
    assert "979.91998" in desk.ask("balances").stdout


def test_what_open_orders_hold_back_is_told_with_the_next_fill_and_over_a_restart(desk: Desk) -> None:
    rest = desk.strategies[0].send(order(Side.BUY, 100, 9_000))
    desk.strategies[0].answer(rest)
    desk.router.kill()
    desk.router.start()

    def locked() -> Any:
        told = {(one["strategy"], one["currency"]): one for one in desk.ask("balances", "--json")}
        return told["alpha", "USDT"]["locked"]

    assert until(locked) == "9.00900000"  # 0.1 at 90, and its fee of 10 bps


def test_open_orders_are_listed_until_they_end_over_a_restart_and_after_kill_9(desk: Desk) -> None:
    alpha = desk.strategies[0]
    assert desk.ask("orders").stdout == "no order is open\n"
    plain = alpha.send(order(Side.BUY, 50, 9_980))
    stop = alpha.send(order(Side.SELL, 40, 9_000, order_type=OrderType.STOP_LIMIT, stop_price=9_500))
    gone = alpha.send(order(Side.BUY, 60, 9_970))
    alpha.answer(alpha.send(CancelOrder(instrument_id=BTC, order_seq=gone, order_epoch=1)))
    moved = alpha.send(ReplaceOrder(instrument_id=BTC, order_seq=plain, order_epoch=1, price=9_985, qty=70))
    alpha.answer(moved)
    first = desk.ask("orders", "--json")
    assert [(one["id"], one["type"], one["price"], one["stop"], one["leaves"]) for one in first] == [
        (f"1:{plain}", "LIMIT", "99.85", None, "0.070"),
        (f"1:{stop}", "STOP_LIMIT", "90.00", "95.00", "0.040"),
    ]
    desk.router.kill()
    assert desk.ask("orders", "--json") == first
    desk.router.start()
    until(lambda: any(isinstance(one, OpenOrder) for one in alpha.poll()))
    assert desk.ask("orders", "--json") == first
    text = desk.ask("orders").stdout.splitlines()[2].split()
    assert text[3:10] == ["SELL", "STOP_LIMIT", "GTC", "0.04", "0", "90", "95"]


def test_without_accounts_the_balance_is_what_trading_has_brought(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    try:
        assert desk.ask("positions").stdout == "no strategy has traded yet\n"
        assert desk.ask("balances").stdout == "no strategy was told a balance yet\n"
        desk.take("alpha", Side.BUY, 100, 10_010)
        desk.feed.snapshot(bids=((10_100, 5),), asks=((10_120, 5),))
        (cash,) = desk.ask("balances", "--json")
        assert (cash["total"], cash["locked"]) == ("0.00000000", "0.00000000")
        assert cash["equity"] == "0.10000000"  # 0.1 bought at 100.10, worth 101.10
    finally:
        desk.close()


def test_on_margin_equity_counts_the_position_at_its_mark(tmp_path: Path) -> None:
    desk = Desk(
        tmp_path, ACCOUNTS.replace("[router.paper.fees", 'leverage = { "*" = 2 }\n[router.paper.fees')
    )
    try:
        desk.take("alpha", Side.BUY, 300, 10_010)
        told = {(one["strategy"], one["currency"]): one for one in desk.ask("balances", "--json")}
        cash = told["alpha", "USDT"]
        assert (cash["total"], cash["equity"]) == ("969.93997000", "999.93997000")  # and 0.3 at 100.00
        assert cash["locked"] == "15.00000000"
    finally:
        desk.close()


def test_a_strategy_whose_queue_cannot_be_read_keeps_nobody_from_the_others(desk: Desk) -> None:
    desk.take("alpha", Side.BUY, 100, 10_010)
    desk.take("beta", Side.BUY, 100, 10_010)
    assert desk.router.stop() == 0
    (desk.router.paths.orders_in("beta") / "control.meta").write_bytes(b"rubbish" * 600)
    done = desk.ask("positions")
    assert "alpha" in done.stdout
    assert "beta" not in done.stdout
    assert isinstance(done.exception, ChronicleError)


def test_a_position_whose_feed_is_gone_has_no_mark(desk: Desk) -> None:
    desk.take("alpha", Side.BUY, 100, 10_010)
    assert desk.router.stop() == 0
    desk.feed.close()
    shutil.rmtree(desk.feed.path)
    (alpha,) = desk.ask("positions", "--json")
    assert (alpha["symbol"], alpha["mark"], alpha["unrealised"]) == ("BTCUSDT", None, None)
