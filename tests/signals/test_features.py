"""Features beside calculations by hand, triggers by counts, and rows around a gap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from libchronicle.errors import BadFeature, InvalidArgument
from libchronicle.protocol import (
    BestBidAsk,
    BookDelta,
    BookMode,
    BookSnapshot,
    Gap,
    GapReason,
    Instrument,
    OrderAdd,
    SbeMessage,
    Side,
    Trade,
    instrument_id,
)
from libchronicle.replay import RecordSource, Replay
from libchronicle.signals import (
    AnyOf,
    Column,
    ColumnBuffer,
    EachRecord,
    Feature,
    FeatureEngine,
    Imbalance,
    Market,
    Microprice,
    Mid,
    OnEvent,
    Spread,
    Time,
    TimeBar,
    Touch,
    TradeFlow,
    feature_named,
    trigger_named,
)

X = instrument_id("my:X")
S = 10**9
DAY = 19_943 * 86_400 * S


def definition(mode: BookMode = BookMode.L2) -> Instrument:
    return Instrument(
        instrument_id=X,
        tick_size=10,
        lot_size=1,
        price_exponent=-2,
        qty_exponent=-3,
        book_mode=mode,
        venue="my",
        symbol="X",
    )


def snapshot(at: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> tuple[int, SbeMessage]:
    return at, BookSnapshot(
        instrument_id=X, last_update_id=at + 1, venue_ts=DAY + at - 7, bids=bids, asks=asks
    )


def trade(at: int, price: int, qty: int, side: Side) -> tuple[int, SbeMessage]:
    return at, Trade(instrument_id=X, venue_ts=DAY + at - 5, price=price, qty=qty, aggressor=side)


def rows_of(
    records: Sequence[tuple[int, SbeMessage]],
    features: Sequence[Feature],
    trigger: object,
    batch_rows: int = 1 << 16,
) -> list[dict]:
    rows: list[dict] = []
    engine = FeatureEngine(
        features,
        trigger,  # type: ignore[arg-type]
        lambda batch: rows.extend(batch.to_pylist()),
        instrument_id=X,
        batch_rows=batch_rows,
    )
    orders = any(isinstance(m, OrderAdd) for _, m in records)
    frames = [(0, definition(BookMode.L3 if orders else BookMode.L2)), *records]
    source = RecordSource([(m.TEMPLATE_ID, m.encode(), DAY + at) for at, m in frames])
    Replay([source], gaps="resync").run(engine)
    engine.finish()
    assert engine.rows == len(rows)
    assert engine.invalid == sum(not row["valid"] for row in rows)
    return rows


BOOK = snapshot(1, [(9990, 3000), (9980, 1000)], [(10010, 1000), (10030, 500)])


def test_every_built_in_feature_equals_the_calculation_by_hand() -> None:
    features = [Time(), Touch(), Mid(), Spread(), Microprice(), Imbalance(), Imbalance(2), TradeFlow()]
    records = [
        BOOK,
        trade(2, 10010, 500, Side.BUY),
        trade(3, 9990, 250, Side.SELL),
        trade(4, 9990, 250, Side.SELL),
    ]
    _, _, row, last = rows_of(records, features, EachRecord())
    assert row["ts"] == DAY + 3
    assert row["venue_ts"] == DAY + 3 - 5
    assert row["day_s"] == 3e-9
    assert (row["bid"], row["bid_qty"], row["ask"], row["ask_qty"]) == (99.9, 3.0, 100.1, 1.0)
    assert row["mid"] == 100.0
    assert row["spread_bps"] == pytest.approx((100.1 - 99.9) / 100.0 * 1e4)
    assert row["microprice"] == pytest.approx((99.9 * 1.0 + 100.1 * 3.0) / 4.0)
    assert row["imbalance_1"] == (3 - 1) / (3 + 1)
    assert row["imbalance_2"] == pytest.approx((4 - 1.5) / (4 + 1.5))
    assert (row["buy_qty"], row["sell_qty"], row["trades"], row["flow"]) == (0.0, 0.25, 1, -1.0)
    assert row["valid"] is True
    assert last["vwap"] == pytest.approx(99.9)


def test_trade_flow_is_that_since_the_last_row() -> None:
    records = [
        BOOK,
        trade(2, 10010, 500, Side.BUY),
        trade(3, 10000, 250, Side.SELL),
        trade(4, 9990, 100, Side.NONE),
        (5, BestBidAsk(instrument_id=X)),
        (6, BestBidAsk(instrument_id=X)),
    ]
    first, second = rows_of(records, [TradeFlow()], OnEvent(("quote",)))
    assert (first["buy_qty"], first["sell_qty"], first["trades"]) == (0.5, 0.25, 3)
    assert first["flow"] == pytest.approx((0.5 - 0.25) / 0.75)
    assert first["vwap"] == pytest.approx((100.1 * 0.5 + 100.0 * 0.25 + 99.9 * 0.1) / 0.85)
    assert (second["buy_qty"], second["trades"], second["flow"], second["vwap"]) == (0.0, 0, None, None)


def test_a_side_that_is_empty_gives_nulls() -> None:
    features = [Touch(), Mid(), Spread(), Microprice(), Imbalance()]
    (row,) = rows_of([snapshot(1, [(9990, 5)], [])], features, EachRecord())
    assert row["bid"] == 99.9
    for name in ("ask", "ask_qty", "mid", "spread_bps", "microprice", "imbalance_1"):
        assert row[name] is None


def test_rows_from_a_gap_to_the_next_snapshot_are_not_valid() -> None:
    records = [
        BOOK,
        (2, Gap(instrument_id=X, reason=GapReason.SEQUENCE)),
        trade(3, 10000, 1, Side.BUY),
        snapshot(4, [(9990, 1)], [(10010, 1)]),
        trade(5, 10000, 1, Side.BUY),
    ]
    rows = rows_of(records, [Mid()], EachRecord())
    assert [row["valid"] for row in rows] == [True, False, False, True, True]
    assert [row["mid"] for row in rows] == [100.0, None, None, 100.0, 100.0]


def test_a_bar_in_which_records_are_missing_is_not_valid_though_the_book_is_whole_at_its_end() -> None:
    records = [
        BOOK,
        (S // 2, Gap(instrument_id=X, reason=GapReason.SEQUENCE)),
        snapshot(S // 2 + 1, [(9990, 1)], [(10010, 1)]),
        (2 * S + 5, BestBidAsk(instrument_id=X)),
    ]
    rows = rows_of(records, [Mid()], TimeBar(S))
    assert [(row["ts"] - DAY, row["valid"], row["mid"]) for row in rows] == [
        (S, False, 100.0),
        (2 * S, True, 100.0),
    ]


def test_bars_are_written_at_their_ends_with_the_state_of_before() -> None:
    records = [
        BOOK,
        trade(S - 1, 10000, 100, Side.BUY),
        trade(S, 10000, 200, Side.BUY),
        trade(4 * S + 1, 10000, 1, Side.BUY),
    ]
    rows = rows_of(records, [TradeFlow()], TimeBar(S))
    assert [(row["ts"] - DAY) // S for row in rows] == [1, 2, 3, 4]
    assert [row["buy_qty"] for row in rows] == [0.1, 0.2, 0.0, 0.0]


COUNTED = [
    BOOK,
    trade(10, 10000, 1, Side.BUY),
    (20, BookDelta(instrument_id=X, first_update_id=30, last_update_id=31, bids=[(9990, 7)])),
    trade(30, 10000, 1, Side.BUY),
    (40, BestBidAsk(instrument_id=X)),
    (50, Gap(instrument_id=X, reason=GapReason.SEQUENCE)),
]


@pytest.mark.parametrize(
    ("trigger", "count"),
    [
        ("any", 6),
        ("trade", 2),
        ("book", 2),
        ("delta", 1),
        ("quote", 1),
        ("gap", 1),
        ("trade,quote", 3),
        ("any,trade", 6),
    ],
)
def test_triggers_fire_exactly_as_often_as_they_should(trigger: str, count: int) -> None:
    assert len(rows_of(COUNTED, [Mid()], trigger_named(trigger))) == count


def test_over_dates_of_which_there_is_no_record_bars_end_and_begin_anew() -> None:
    date, hour = 86_400 * 10**9, 3600 * 10**9
    rest = date - DAY % date  # to the end of the first record's UTC date
    later = rest + 4 * date + hour + 5
    records = [BOOK, trade(rest + hour, 10010, 500, Side.BUY), trade(later, 10010, 250, Side.BUY)]
    rows = rows_of([*records, trade(later + hour, 10010, 1, Side.BUY)], [TradeFlow()], TimeBar(hour))
    midnight = DAY + rest
    quiet = list(range(DAY + 1 - (DAY + 1) % hour + hour, midnight + hour + 1, hour))
    assert [row["ts"] for row in rows] == [*quiet, midnight + 4 * date + 2 * hour]
    assert (rows[-1]["buy_qty"], rows[-1]["valid"]) == (0.75, True)  # flow is since the row before, as ever


def test_two_bars_of_different_length_share_the_rows_they_have_in_common() -> None:
    records = [BOOK, trade(6 * S + 1, 10000, 1, Side.BUY)]
    rows = rows_of(records, [Mid()], AnyOf((TimeBar(2 * S), TimeBar(3 * S))))
    assert [(row["ts"] - DAY) // S for row in rows] == [2, 3, 4, 6]


class LargestTrade(Feature):
    """In Python: the largest trade since the last row, and whether there was one."""

    columns = (Column("largest", "float"), Column("any_trade", "bool"), Column("count", "int"))

    def __init__(self) -> None:
        self.largest, self.count = 0, 0

    def on_event(self, market: Market) -> None:
        message = market.message()
        if isinstance(message, Trade):
            self.largest = max(self.largest, message.qty)
            self.count += 1

    def values(self, market: Market) -> tuple[float | None, bool, int]:
        return self.largest / market.qty_scale if self.largest else None, self.largest > 0, self.count

    def reset(self) -> None:
        self.largest = 0


def test_a_feature_of_the_users_own_adds_columns_with_their_types() -> None:
    records = [
        BOOK,
        trade(2, 1, 300, Side.BUY),
        trade(3, 1, 100, Side.BUY),
        trade(S + 1, 1, 1, Side.BUY),
        trade(2 * S, 1, 1, Side.BUY),
    ]
    rows = rows_of(records, [LargestTrade(), Mid()], TimeBar(S))
    assert [(r["largest"], r["any_trade"], r["count"]) for r in rows] == [(0.3, True, 2), (0.001, True, 3)]
    pa = pytest.importorskip("pyarrow")
    batches = []
    engine = FeatureEngine(
        [LargestTrade()], EachRecord(), lambda b: batches.append(b.to_arrow()), instrument_id=X
    )
    Replay(
        [RecordSource([(m.TEMPLATE_ID, m.encode(), DAY + at) for at, m in [(0, definition()), *records]])]
    ).run(engine)
    engine.finish()
    schema = batches[0].schema
    assert schema.field("largest").type == pa.float64()
    assert schema.field("any_trade").type == pa.bool_()
    assert schema.field("count").type == pa.int64()
    assert schema.field("ts").type == pa.timestamp("ns", "UTC")
    assert batches[0].column("largest").null_count == 1


class Broken(Feature):
    columns = (Column("a", "float"), Column("b", "int"))

    def __init__(self, given: Any) -> None:
        self.given = given

    def values(self, market: Market) -> Any:
        return self.given


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((1.0,), "1 values for 2 columns"),
        (1.0, "values is float, no tuple"),
        (("x", 1), "'x' is no float for column a"),
        ((1.0, "x"), "'x' is no int for column b"),
        ((1.0, 2**70), "is no int for column b"),
    ],
)
def test_values_that_do_not_fit_their_columns_are_told_by_feature_and_column(given: Any, says: str) -> None:
    with pytest.raises(BadFeature, match=f"feature Broken: .*{says}"):
        rows_of([BOOK, trade(2, 1, 1, Side.BUY)], [Broken(given)], EachRecord())


def test_a_feature_without_values_and_a_column_of_no_kind_are_told() -> None:
    class Idle(Feature):
        columns = (Column("a", "float"),)

    with pytest.raises(BadFeature, match="Idle: it gives no values"):
        rows_of([BOOK, trade(2, 1, 1, Side.BUY)], [Idle()], EachRecord())
    with pytest.raises(InvalidArgument, match="column a: kind is 'text'; allowed: float, int, bool, time"):
        ColumnBuffer("a", "text")  # type: ignore[arg-type]


def test_batches_are_full_but_the_last() -> None:
    sizes: list[int] = []
    engine = FeatureEngine([Mid()], EachRecord(), lambda b: sizes.append(b.rows), batch_rows=4)
    frames = [(0, definition()), BOOK, *(trade(i + 2, 1, 1, Side.BUY) for i in range(9))]
    Replay([RecordSource([(m.TEMPLATE_ID, m.encode(), DAY + at) for at, m in frames])]).run(engine)
    engine.finish()
    assert sizes == [4, 4, 2]


def test_an_order_book_of_single_orders_gives_the_same_features() -> None:
    orders = [
        (1, OrderAdd(instrument_id=X, order_id=1, price=9990, qty=1000, side=Side.BUY, venue_seq=1)),
        (2, OrderAdd(instrument_id=X, order_id=2, price=9990, qty=2000, side=Side.BUY, venue_seq=2)),
        (3, OrderAdd(instrument_id=X, order_id=3, price=10010, qty=1000, side=Side.SELL, venue_seq=3)),
    ]
    rows = rows_of(orders, [Mid(), Imbalance()], OnEvent(("order",)))
    assert [row["mid"] for row in rows] == [None, None, 100.0]
    assert rows[-1]["imbalance_1"] == 0.5


def test_numpy_columns_have_nan_for_null() -> None:
    pytest.importorskip("numpy")
    found = {}
    engine = FeatureEngine([Mid()], EachRecord(), lambda b: found.update(b.to_numpy()))
    frames = [(0, definition()), (1, trade(1, 1, 1, Side.BUY)[1]), BOOK]
    Replay([RecordSource([(m.TEMPLATE_ID, m.encode(), DAY + at) for at, m in frames])]).run(engine)
    engine.finish()
    assert math.isnan(found["mid"][0])
    assert found["mid"][1] == 100.0
    assert found["ts"].tolist() == [DAY + 1, DAY + 1]


@pytest.mark.parametrize("text", ["nosuch", "imbalance:x", "mid:3", "imbalance:0"])
def test_a_feature_that_is_not_there_is_named(text: str) -> None:
    with pytest.raises(InvalidArgument):
        feature_named(text)


@pytest.mark.parametrize("text", ["bar:1", "bar:x", "bar:0s", "sometimes", "bar:1d"])
def test_a_trigger_that_is_not_there_is_named(text: str) -> None:
    with pytest.raises(InvalidArgument):
        trigger_named(text)


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="mid"):
        FeatureEngine([Mid(), Mid()], EachRecord(), lambda b: None)
