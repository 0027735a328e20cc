"""The order-flow generator: determinism, truth between its streams, conservation."""

import hashlib
import json
from collections import Counter
from random import Random

import msgspec
import pytest

from libchronicle.sim.frames import Frame
from libchronicle.sim.generator import Generator
from libchronicle.sim.instruments import MARKETS, SPOT, USDM, generated_instrument
from libchronicle.sim.textbook import DepthEvent, SnapshotEvent, TextBook

START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000


def make(market: str, *symbols: str, seed: int = 7, rate: float = 1000.0) -> Generator:
    return Generator(
        market,
        [generated_instrument(market, symbol) for symbol in symbols or ("BTCUSDT",)],
        rate=rate,
        start_ns=START_NS,
        rng=lambda name: Random(f"{seed}:{name}"),
    )


def digest(frames: list[Frame]) -> str:
    total = hashlib.blake2b()
    for frame in frames:
        total.update(frame.stream.encode() + frame.data)
    return total.hexdigest()


def snapshot(source: Generator, symbol: str = "BTCUSDT") -> SnapshotEvent:
    view = source.depth(symbol, 5000)
    assert view is not None
    bids, asks = (msgspec.json.decode(side, type=list[tuple[str, str]]) for side in (view.bids, view.asks))
    return SnapshotEvent(view.last_update_id, bids, asks)


@pytest.mark.parametrize("market", MARKETS)
def test_the_same_seed_gives_the_same_bytes_however_it_is_asked(market: str) -> None:
    whole = make(market).take(START_NS + 5 * SECOND_NS, 1 << 30)
    source, pieces = make(market), []
    for step in range(1, 501):
        while batch := source.take(START_NS + step * SECOND_NS // 100, 7):
            pieces += batch
    assert len(whole) > 1000
    assert digest(whole) == digest(pieces)
    assert digest(whole) != digest(make(market, seed=8).take(START_NS + 5 * SECOND_NS, 1 << 30))


def test_a_symbol_does_not_depend_on_its_neighbours() -> None:
    alone = make(SPOT, "ETHUSDT").take(START_NS + 2 * SECOND_NS, 1 << 30)
    together = make(SPOT, "BTCUSDT", "ETHUSDT").take(START_NS + 2 * SECOND_NS, 1 << 30)
    assert alone == [frame for frame in together if frame.key.startswith("ethusdt@")]


@pytest.mark.parametrize("market", MARKETS)
def test_the_rebuilt_book_equals_every_ticker_that_a_diff_ends_on(market: str) -> None:
    source = make(market)
    book, tickers, compared = TextBook(), {}, 0
    book.load(snapshot(source))
    for frame in source.take(START_NS + 60 * SECOND_NS, 1 << 30):
        event = json.loads(frame.data)
        if frame.key.endswith("@bookTicker"):
            tickers[event["u"]] = (event["b"], event["B"]), (event["a"], event["A"])
        elif frame.key.endswith("@depth"):
            if market == SPOT:
                assert event["U"] == book.last_update_id + 1
            else:
                assert event["pu"] == book.last_update_id
            book.apply(msgspec.json.decode(frame.data, type=DepthEvent))
            bids, asks = book.top(1)
            assert float(bids[0][0]) < float(asks[0][0])
            if event["u"] in tickers:
                compared += 1
                assert tickers[event["u"]] == (bids[0], asks[0])
    assert compared > 100


@pytest.mark.parametrize("market", MARKETS)
def test_a_snapshot_taken_between_two_diffs_joins_the_stream(market: str) -> None:
    source = make(market)
    source.take(START_NS + SECOND_NS + 37_000_000, 1 << 30)
    middle = snapshot(source)
    later = [
        frame for frame in source.take(START_NS + 4 * SECOND_NS, 1 << 30) if frame.key.endswith("@depth")
    ]
    book = TextBook()
    book.load(middle)
    first = msgspec.json.decode(later[0].data, type=DepthEvent)
    assert first.first <= middle.last_update_id + 1 <= first.last
    for frame in later:
        book.apply(msgspec.json.decode(frame.data, type=DepthEvent))
    until_last = make(market)
    until_last.take(later[-1].time_ns, 1 << 30)
    expected = snapshot(until_last)
    assert book.top(20) == (expected.bids[:20], expected.asks[:20])


def test_lots_are_conserved_over_a_long_run() -> None:
    source = make(USDM, rate=5000.0)
    source.take(START_NS + 20 * SECOND_NS, 1 << 30)
    flow = source.markets["BTCUSDT"].flow
    resting = sum(order.remaining for order in flow.book.orders.values())
    totals = flow.totals()
    assert totals.accepted == totals.traded + totals.cancelled + totals.dropped + resting


def test_ids_and_times_never_go_back() -> None:
    last: Counter[str] = Counter()
    frames = make(USDM, "BTCUSDT", "ETHUSDT").take(START_NS + 5 * SECOND_NS, 1 << 30)
    assert [frame.time_ns for frame in frames] == sorted(frame.time_ns for frame in frames)
    for frame in frames:
        event = json.loads(frame.data)
        number = event.get("t") or event["u"]
        assert number > last[frame.key]
        last[frame.key] = number


def test_prices_wander_but_stay_near_their_reference() -> None:
    source = make(SPOT, rate=200.0)
    source.take(START_NS + 300 * SECOND_NS, 1 << 30)
    ticker = source.ticker("BTCUSDT")
    assert ticker is not None
    assert 55_000 < float(ticker.bid_price) < float(ticker.ask_price) < 65_000
    assert len(source.trades("BTCUSDT", 1000)) == 1000


def test_an_unknown_symbol_gets_a_plain_grid() -> None:
    source = make(SPOT, "FOOUSDT")
    frames = source.take(START_NS + SECOND_NS, 1 << 30)
    assert {frame.key for frame in frames} == {"foousdt@depth", "foousdt@trade", "foousdt@bookTicker"}
