"""The pipeline into a real queue: counting, copies, damage, segment heads, a queue that takes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from libchronicle.errors import NoSpace
from libchronicle.protocol import (
    BookDelta,
    BookSnapshot,
    Gap,
    GapReason,
    Instrument,
    Trade,
    VenueState,
    VenueStatus,
)
from libchronicle.queue import Queue
from libchronicle.venues.binance import tally
from libchronicle.venues.binance.profile import SPOT
from libchronicle.venues.binance.sync import State

HOSTILE = [
    (b"", "truncated"),
    (b"not json at all", "malformed"),
    (b'{"stream":', "truncated"),
    (b"[]", "malformed"),
    (b"null", "malformed"),
    (b'{"stream":"x@depth","data":null}', "unknown_stream"),
    (b"\xc3\xa9" * 9, "malformed"),
    (b"\x00" * 100, "malformed"),
    (b'{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1,"s":"BTCUSDT","k":{"t":1}}}', "unknown_stream"),
    (b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1,"s":"BTCUSDT","a":26,"m":true}}', "unknown_stream"),
    (b'{"stream":"x@trade","data":{"e":"trade","E":1,"T":1,"s":"NOPE","t":1,"p":"1","q":"1","m":true}}', "unknown_symbol"),
    (b'{"stream":"x@trade","data":{"e":"trade","E":1,"T":1,"s":"BTCUSDT","t":1,"p":"1,0","q":"1","m":true}}', "bad_decimal"),
    (b'{"stream":"x@trade","data":{"e":"trade","E":1,"T":1,"s":"BTCUSDT","t":1,"p":1.5,"q":"1","m":true}}', "malformed"),
    (b'{"stream":"x@trade","data":{"e":"trade","E":1,"T":1,"s":"BTCUSDT","t":1,"p":"1","m":true}}', "malformed"),
    (b'{"stream":"x@trade","data":{"e":"trade","E":-1,"T":1,"s":"BTCUSDT","t":1,"p":"1","q":"1","m":true}}', "malformed"),
    (b"[" * 100_000, "malformed"),
    (b'{"a":' * 5000, "malformed"),
]  # fmt: skip


def live(rig: Any, market: Any) -> None:
    rig.pipeline.connected(1)
    rig.pipeline.frame(market.depth(), 1)
    rig.pipeline.snapshot(0, market.snapshot(), 1)
    assert rig.pipeline.machines[0].state is State.LIVE


@pytest.fixture
def market(make_market: type, profile: Any) -> Any:
    return make_market(profile, Random(5))


@pytest.mark.parametrize(("frame", "reason"), HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_frame_is_counted_by_its_reason_and_dropped(
    rig: Any, market: Any, frame: bytes, reason: str
) -> None:
    live(rig, market)
    before = rig.kinds()
    for form in (frame, bytearray(frame), memoryview(frame)):
        rig.pipeline.frame(form, 2)
    assert {name: n for name, n in rig.pipeline.tally.rejected().items() if n} == {reason: 3}
    assert rig.kinds() == before
    rig.pipeline.frame(market.depth(), 3)
    assert rig.pipeline.machines[0].state is State.LIVE


def test_a_frame_in_unusual_form_is_taken_all_the_same(rig: Any, market: Any) -> None:
    live(rig, market)
    for _ in range(3):
        loose = json.dumps(json.loads(market.depth()) | {"extra": {"deep": [1, {"x": "\n"}]}}, indent=2)
        rig.pipeline.frame(loose.encode(), 2)
    rig.pipeline.frame(
        json.dumps(json.loads(market.trade()), indent=1).replace("BTC", "\\u0042TC").encode(), 2
    )
    assert rig.pipeline.tally.kinds()["depth"] == 4
    assert rig.pipeline.tally.kinds()["trade"] == 1
    assert not any(rig.pipeline.tally.rejected().values())
    assert rig.book().last_update_id == market._update


def test_copies_of_trades_and_tickers_are_dropped_and_a_late_trade_is_kept(rig: Any, market: Any) -> None:
    first, second, third = market.trade(), market.trade(), market.trade()
    for frame in (first, third, first, second, third, second):
        rig.pipeline.frame(frame, 1)
    assert [t.trade_id for t in rig.of(Trade)] == [2, 4, 3]
    assert rig.pipeline.tally.rejected()["duplicate"] == 3
    assert (rig.pipeline.decoder.missing_trades, rig.pipeline.decoder.late_trades) == (1, 1)

    def ticker(update: int) -> bytes:
        return market.frame(
            "bookTicker",
            {"u": update, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2", "A": "1", "E": 1, "T": 1},
        )

    for update in (10, 12, 11, 12):
        rig.pipeline.frame(ticker(update), 1)
    assert rig.pipeline.tally.kinds()["book_ticker"] == 2
    assert rig.pipeline.tally.rejected()["reordered"] == 1
    assert rig.pipeline.tally.rejected()["duplicate"] == 4


def test_a_venue_that_counts_trades_anew_is_believed_in_the_end(
    rig: Any, make_market: type, profile: Any
) -> None:
    old, new = make_market(profile, Random(1)), make_market(profile, Random(1))
    old._trade = 1_000_000
    rig.pipeline.frame(old.trade(), 1)
    for _ in range(600):
        rig.pipeline.frame(new.trade(), 1)
    assert rig.pipeline.tally.kinds()["trade"] == 1 + 600 - 512


def test_a_damaged_diff_is_a_gap_and_the_book_syncs_anew(rig: Any, market: Any) -> None:
    live(rig, market)
    rig.pipeline.frame(market.depth().replace(b'.00000000"', b'.0000x000"', 1), 2)
    (gap,) = rig.of(Gap)
    assert gap.reason is GapReason.MALFORMED
    assert rig.pipeline.tally.rejected()["bad_decimal"] == 1
    assert rig.asked == [0, 0]
    rig.pipeline.frame(market.depth(), 3)
    rig.pipeline.snapshot(0, market.snapshot(), 3)
    rig.pipeline.frame(market.depth(), 4)
    assert rig.book().last_update_id == market._update
    assert len(rig.of(Gap)) == 1


def test_symbols_sync_apart_from_each_other(
    make_rig: Callable[..., Any], make_market: type, profile: Any
) -> None:
    rig = make_rig(profile, "BTCUSDT", "ETHUSDT")
    markets = [make_market(profile, Random(i), symbol) for i, symbol in enumerate(("BTCUSDT", "ETHUSDT"))]
    rig.pipeline.connected(1)
    for market in markets:
        rig.pipeline.frame(market.depth(), 1)
    rig.pipeline.snapshot(1, markets[1].snapshot(), 1)
    assert rig.pipeline.synced() == 1
    markets[1].depth()
    for market in markets:
        rig.pipeline.frame(market.depth(), 1)
    assert [g.instrument_id for g in rig.of(Gap)] == [rig.instruments[1].instrument_id]
    rig.pipeline.snapshot(0, markets[0].snapshot(), 1)
    assert rig.pipeline.synced() == 1


def test_the_venues_answers_are_told_apart_from_data(rig: Any) -> None:
    rig.pipeline.frame(b'{"result":null,"id":1}', 1)
    rig.pipeline.frame(b'{"error":{"code":2,"msg":"Invalid request"},"id":7}', 1)
    rig.pipeline.frame(b'{"stream":"!","data":{"e":"serverShutdown","E":1}}', 1)
    assert rig.pipeline.tally.kinds()["reply"] == 3
    assert len(rig.controls) == 2


def test_status_records_tell_how_each_symbol_stands(rig: Any, market: Any) -> None:
    rig.pipeline.status(VenueState.CONNECTED, "x" * 100, 1)
    live(rig, market)
    rig.pipeline.lost(9)
    states = [(s.instrument_id != 0, s.state) for s in rig.of(VenueStatus)]
    assert states == [
        (False, VenueState.CONNECTED),
        (True, VenueState.SYNCING),
        (True, VenueState.SYNCED),
    ]
    assert rig.of(Gap)[0].reason is GapReason.RECONNECT


def test_every_segment_begins_with_the_instruments_and_gets_a_snapshot(
    make_rig: Callable[..., Any], make_market: type, profile: Any
) -> None:
    rig = make_rig(profile, segment_size=64 << 10)
    market = make_market(profile, Random(3))
    live(rig, market)
    rolls = 0
    for _ in range(1500):
        rig.pipeline.frame(market.depth(), 2)
        if len(rig.asked) > rolls + 1:
            rolls = len(rig.asked) - 1
            rig.pipeline.snapshot(0, market.snapshot(), 2)
    assert rolls >= 3
    segments: dict[int, list[int]] = {}
    with Queue.open_subscriber(rig.path, None, start="earliest") as reader:
        while (message := reader.next()) is not None:
            segments.setdefault((reader.position - 1) // (64 << 10), []).append(message.type_id)
    assert len(segments) == rolls + 1
    assert all(types[0] == Instrument.TEMPLATE_ID for types in segments.values())
    assert all(types.count(Instrument.TEMPLATE_ID) == 1 for types in segments.values())
    assert all(BookSnapshot.TEMPLATE_ID in types for types in segments.values())
    assert rig.book().last_update_id == market._update
    assert sum(types.count(BookDelta.TEMPLATE_ID) for types in segments.values()) == 1501


def test_a_queue_that_takes_nothing_is_counted_and_declared_when_it_goes_on(
    rig: Any, market: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(rig, market)
    full = NoSpace(path="queue", size=1)

    class Full:
        """The decoder in front of a full disk."""

        def __init__(self, decoder: Any) -> None:
            self._decoder = decoder

        def __getattr__(self, name: str) -> Any:
            return getattr(self._decoder, name)

        def append(self, *_: object) -> int:
            raise full

        def push(self, *_: object) -> int:
            raise full

    pipeline = rig.pipeline
    working = pipeline.decoder
    monkeypatch.setattr(pipeline, "_push", Full(working).push)
    monkeypatch.setattr(pipeline.writer, "_decoder", Full(working))
    for _ in range(5):
        pipeline.frame(market.depth(), 2)
    assert pipeline.writer.fault is full
    assert pipeline.tally[tally.QUEUE_FULL] == 5
    monkeypatch.undo()
    assert pipeline.writer.flush()
    pipeline.frame(market.depth(), 3)
    assert pipeline.writer.fault is None
    assert rig.of(Gap)[-1].reason is GapReason.SEQUENCE
    pipeline.snapshot(0, market.snapshot(), 3)
    assert rig.book().last_update_id == market._update


def test_the_hot_path_leaves_no_objects_behind(make_rig: Callable[..., Any], make_market: type) -> None:
    import sys

    rig = make_rig(SPOT)
    market = make_market(SPOT, Random(9))
    live(rig, market)
    frames = [market.depth() for _ in range(500)]
    before = sys.getallocatedblocks()
    for frame in frames:
        rig.pipeline.frame(frame, 2)
    assert sys.getallocatedblocks() - before < 100
