"""The embedded venue's order desk, without REST and sockets: on the generator and on a recording."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from libchronicle.protocol import BookSnapshot, ExecType, OrderType, RejectCode, Side, StpMode, TimeInForce
from libchronicle.sim.desk import Credentials, Desk, DeskEvent, Refused, Wanted
from libchronicle.sim.generator import Generator
from libchronicle.sim.instruments import SPOT, USDM, generated_instrument
from libchronicle.sim.player import Player, Tape
from libchronicle.sim.recording import describe
from libchronicle.sim.source import MarketSource
from libchronicle.testing.recordings import generated_lines

START_NS = 1_700_000_000_000_000_000
STEP_NS = 20_000_000
BTC = "BTCUSDT"


def generator(market: str, seed: int = 5) -> Generator:
    source = Generator(
        market,
        [generated_instrument(market, symbol) for symbol in (BTC, "ETHUSDT")],
        rate=300.0,
        start_ns=START_NS,
        rng=lambda name: Random(f"{seed}:{name}"),
    )
    source.take(START_NS + 2_000_000_000, 1 << 30)
    return source


class Client:
    """A desk, one of its clients, and short words for orders in lots and ticks from the best bid or ask."""

    def __init__(self, source: MarketSource, *credentials: Credentials) -> None:
        self.source, self.desk = source, Desk(source, credentials or (Credentials(),))
        self.trader = next(iter(self.desk.traders.values()))
        self.now, self.count = START_NS + 2_000_000_000, 0

    def best(self, side: Side) -> int:
        book = self.desk._book(BTC).book
        return book.bid_price if side == Side.BUY else book.ask_price

    def want(self, side: Side, lots: int, price: int | None = None, **more) -> Wanted:
        self.count += 1
        kind = more.pop("type", OrderType.MARKET if price is None else OrderType.LIMIT)
        lot = self.desk.instruments[BTC].lot
        return Wanted(side, kind, lots * lot, price or 0, client_id=f"c{self.count}", **more)

    def place(self, side: Side, lots: int, price: int | None = None, **more):
        return self.desk.place(self.trader, BTC, self.want(side, lots, price, **more))

    def advance(self) -> list[DeskEvent]:
        self.now += STEP_NS
        return self.desk.on_frames(self.source.take(self.now, 1 << 20))

    def tick(self) -> int:
        return self.desk.instruments[BTC].tick


@pytest.mark.parametrize("market", [SPOT, USDM])
def test_a_market_order_takes_and_the_account_pays(market: str) -> None:
    client = Client(generator(market))
    account = client.trader.account
    before = account.balance("USDT")
    order, events = client.place(Side.BUY, 50)
    assert events[0].kind == ExecType.ACK
    assert (order.status, order.cum, sum(f.qty for f in order.fills)) == (
        "FILLED",
        order.wanted.qty,
        order.wanted.qty,
    )
    fees, value = sum(f.fee for f in order.fills), order.value
    paid = fees + (value if market == SPOT else 0)
    assert (before - account.balance("USDT")).scaleb(8) == paid
    assert account.position(0).qty == order.wanted.qty


@pytest.mark.parametrize("market", [SPOT, USDM])
def test_a_resting_order_holds_money_back_fills_as_maker_and_releases_what_it_held(market: str) -> None:
    client = Client(generator(market))
    account, free = client.trader.account, client.trader.account.available("USDT")
    order, _ = client.place(Side.BUY, 40, client.best(Side.BUY))
    assert account.available("USDT") < free
    for _ in range(3000):
        client.advance()
        if not order.is_open:
            break
    assert order.status == "FILLED"
    assert all(f.maker and f.price == order.wanted.price for f in order.fills)
    assert account.open_qty(0) == (0, 0)
    other, _ = client.place(Side.SELL, 40, client.best(Side.SELL) + 5000 * client.tick())
    client.desk.cancel(other)
    assert (other.status, account.open_qty(0), client.trader.open) == ("CANCELED", (0, 0), {})


def test_the_desks_book_stays_the_venues_book() -> None:
    client = Client(generator(SPOT))
    client.place(Side.BUY, 1)
    book = client.desk._book(BTC).book
    for _ in range(200):
        client.advance()
    view = client.source.depth(BTC, 20)
    published = client.source.markets[BTC]._published_id
    assert book.last_update_id == published
    assert view is not None
    assert (
        abs(book.mid - client.desk.instruments[BTC].reference_price * client.tick()) < 10**5 * client.tick()
    )


def test_what_a_client_may_not_do_is_refused_and_changes_nothing() -> None:
    client = Client(generator(SPOT))
    bid = client.best(Side.BUY)
    refusals = {
        RejectCode.INSUFFICIENT_BALANCE: client.want(Side.BUY, 10**9, bid),
        RejectCode.BAD_PRICE: client.want(Side.BUY, 1, bid + 1),
        RejectCode.WOULD_CROSS: client.want(Side.BUY, 1, client.best(Side.SELL), post_only=True),
        RejectCode.STALE: client.want(Side.BUY, 1, bid, tif=TimeInForce.GTD, expire_ns=5),
    }
    for code, wanted in refusals.items():
        with pytest.raises(Refused) as refused:
            client.desk.place(client.trader, BTC, wanted)
        assert refused.value.code == code
    assert client.trader.account.available("USDT") == client.trader.account.balance("USDT")
    assert not client.trader.open
    assert not client.trader.over
    first, _ = client.place(Side.BUY, 1, bid - 100 * client.tick())
    again = client.want(Side.BUY, 1, bid)._replace(client_id=first.wanted.client_id)
    with pytest.raises(Refused, match="DUPLICATE"):
        client.desk.place(client.trader, BTC, again)


def test_fill_or_kill_that_does_not_fit_ends_expired() -> None:
    client = Client(generator(SPOT))
    order, events = client.place(Side.BUY, 10**6, client.best(Side.SELL), tif=TimeInForce.FOK)
    assert (order.status, order.cum, [e.kind for e in events]) == ("EXPIRED", 0, [ExecType.REJECT])
    assert client.trader.find(BTC, order.order_id, None) is order


def test_a_clients_own_orders_do_not_meet_when_it_asks_for_that() -> None:
    client = Client(generator(USDM))
    between = client.best(Side.BUY) + client.tick()
    maker, _ = client.place(Side.SELL, 1, max(between, client.best(Side.SELL)))
    taker, _ = client.place(Side.BUY, 10**4, maker.wanted.price, stp=StpMode.EXPIRE_BOTH)
    assert (maker.status, taker.status) == ("EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH")


def test_a_stop_waits_for_its_price_and_then_takes() -> None:
    client = Client(generator(USDM))
    stop = client.best(Side.SELL)
    order, _ = client.place(Side.BUY, 5, type=OrderType.STOP_MARKET, stop_price=stop)
    assert order.status == "NEW"
    for _ in range(4000):
        client.advance()
        if not order.is_open:
            break
    assert order.status == "FILLED"
    assert not order.fills[0].maker


def test_clients_are_apart() -> None:
    client = Client(generator(SPOT), Credentials(key="a"), Credentials(key="b"))
    a, b = client.desk.traders["a"], client.desk.traders["b"]
    mine, _ = client.desk.place(a, BTC, client.want(Side.BUY, 1, client.best(Side.BUY)))
    assert client.desk.cancel_all(b, BTC) == []
    assert b.find(BTC, mine.order_id, None) is None
    assert b.account.balance("USDT") == b.account.available("USDT")
    assert len(client.desk.cancel_all(a, BTC)) == 1


def test_who_falls_below_the_maintenance_margin_is_closed_out() -> None:
    client = Client(generator(USDM), Credentials(key="poor", balances={"USDT": "100"}))
    client.place(Side.BUY, 30)  # 1800 USDT, at twenty times
    client.place(Side.SELL, 1, client.best(Side.SELL) + 10_000 * client.tick(), reduce_only=True)
    book, ruin = (
        client.desk._book(BTC).book,
        client.best(Side.BUY) * 94 // 100 // client.tick() * client.tick(),
    )
    fallen = BookSnapshot(
        instrument_id=book.instrument_id, bids=[(ruin, 10**6)], asks=[(ruin + client.tick(), 10**6)]
    )
    book.apply(fallen.TEMPLATE_ID, fallen.encode())
    events = client.desk.on_frames([])
    account = client.trader.account
    assert [e.status for e in events] == ["CANCELED"]
    assert (account.position(0).qty, account.liquidations, client.trader.open) == (0, 1, {})
    assert client.desk.matcher.position(0, client.trader.number) == 0


@pytest.mark.parametrize("market", [SPOT, USDM])
def test_on_a_recording_orders_meet_its_frames_and_two_runs_are_one(market: str, tmp_path: Path) -> None:
    lines = list(generated_lines(market, seconds=20))
    path = str(tmp_path / "recording")

    def run() -> list[tuple]:
        player = Player([Tape(describe(iter(lines), path), lambda: lines)])
        desk = Desk(player, (Credentials(),))
        trader, told = desk.traders["chronicle"], []
        symbol = next(iter(desk.instruments))
        with pytest.raises(Refused, match="NO_MARKET"):
            desk.place(
                trader,
                symbol,
                Wanted(Side.BUY, OrderType.MARKET, desk.instruments[symbol].lot, client_id="x"),
            )
        rng, asked = Random(7), 0
        while not player.ended:
            due = player.next_time_ns()
            assert due is not None
            told += desk.on_frames(player.take(due + 50_000_000, 1 << 20))
            if player.depth(symbol, 1) is None:
                continue
            asked += 1
            side = rng.choice([Side.BUY, Side.SELL])
            book = desk._book(symbol).book
            takes = asked % 3 == 0
            price = book.bid_price if (side == Side.BUY) != takes else book.ask_price
            wanted = Wanted(
                side, OrderType.LIMIT, desk.instruments[symbol].lot * 3, price, client_id=f"c{asked}"
            )
            told += desk.place(trader, symbol, wanted)[1]
            if len(trader.open) > 5:
                told += desk.cancel(next(iter(trader.open.values())))
        assert trader.account.open_qty(0)[0] == sum(
            o.wanted.qty - o.cum for o in trader.open.values() if o.wanted.side == Side.BUY
        )
        return [(e.kind, e.order.order_id, e.status, e.fill) for e in told]

    first = run()
    assert sum(fill is not None for *_, fill in first) > 5
    assert first == run()
