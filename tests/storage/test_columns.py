"""Columns are what the records say, row by row, in every form and from every tier."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from archive_world import DAY_NS, NOON, archive_up_to, config

from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ExponentChanged, InvalidArgument
from libchronicle.protocol import (
    BestBidAsk,
    BookDelta,
    BookMode,
    BookSnapshot,
    Gap,
    GapReason,
    Instrument,
    OrderAdd,
    OrderExecute,
    Side,
    Trade,
    instrument_id,
)
from libchronicle.queue import Queue
from libchronicle.storage import Archive

pytest.importorskip("pyarrow")
ID = instrument_id("v:S")
DEFINITION = Instrument(
    instrument_id=ID, price_exponent=-2, qty_exponent=-3, book_mode=BookMode.L2, venue="v", symbol="S"
)
COUNT = 2000


def trade(at: int, ts_ns: int) -> Trade:
    return Trade(
        instrument_id=ID,
        venue_ts=ts_ns - 5,
        event_ts=ts_ns - 3,
        recv_ts=ts_ns - 1,
        trade_id=1000 + at,
        price=50_000 + at,
        qty=at + 1,
        raw_seq=7 * at,
        aggressor=Side.BUY if at % 3 else Side.SELL,
    )


def delta(at: int) -> BookDelta | BookSnapshot:
    source = random.Random(at)
    bids = [(100 - i, source.randrange(1000)) for i in range(source.randrange(12))]
    asks = [(101 + i, source.randrange(1000)) for i in range(source.randrange(12))]
    kind = BookSnapshot if at % 50 == 0 else BookDelta
    return kind(instrument_id=ID, venue_ts=NOON + at, raw_seq=at, bids=bids, asks=asks)


def write(paths: BusPaths, stream: str, records: list[tuple[int, object]]) -> None:
    with Queue.open_publisher(paths.clean("v", "S", stream), config()) as writer:
        writer.append(DEFINITION.TEMPLATE_ID, DEFINITION.encode(), NOON)
        for ts_ns, record in records:
            writer.append(record.TEMPLATE_ID, record.encode(), ts_ns)  # type: ignore[attr-defined]
        writer.flush()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("columns")
    paths = BusPaths(root)
    times = [NOON + at * 1000 for at in range(COUNT)]
    trades: list[tuple[int, object]] = [(ts, trade(at, ts)) for at, ts in enumerate(times)]
    trades.insert(500, (times[500], Gap(instrument_id=ID, reason=GapReason.SEQUENCE)))
    write(paths, "trade", trades)
    write(paths, "book", [(ts, delta(at)) for at, ts in enumerate(times)])
    quotes = [
        (ts, BestBidAsk(instrument_id=ID, update_id=at, bid_price=at, ask_price=at + 1))
        for at, ts in enumerate(times)
    ]
    write(paths, "quote", quotes)  # type: ignore[arg-type]
    archive_up_to(paths, 2, cold=1)
    return root


def test_trades_come_back_field_by_field_and_gaps_are_counted(root: Path) -> None:
    with Archive(root) as archive:
        table = archive.read("v", "S", "trade").to_arrow()
    assert table.num_rows == COUNT
    for at in (0, 1, 499, 500, COUNT - 1):
        ts = NOON + at * 1000
        wanted = trade(at, ts)
        row = {name: table.column(name)[at].as_py() for name in table.column_names}
        assert row.pop("seq") == at + 1 + (at >= 500)
        assert row == {
            "ts_ns": ts,
            "venue_ts": wanted.venue_ts,
            "event_ts": wanted.event_ts,
            "recv_ts": wanted.recv_ts,
            "raw_seq": wanted.raw_seq,
            "trade_id": wanted.trade_id,
            "price": wanted.price,
            "qty": wanted.qty,
            "side": int(wanted.aggressor),
        }
    facts = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert facts == {"gaps": "1", "lost": "0", "price_exponent": "-2", "qty_exponent": "-3"}


def test_a_book_record_is_a_row_for_each_of_its_levels(root: Path) -> None:
    wanted = []
    for at in range(COUNT):
        record = delta(at)
        for side, levels in ((1, record.bids), (2, record.asks)):
            for place, (price, qty) in enumerate(levels):
                wanted.append((NOON + at * 1000, record.TEMPLATE_ID, side, place, price, qty))
    with Archive(root) as archive:
        reading = archive.read("v", "S", "book")
        table = reading.to_arrow()
        names = ("ts_ns", "kind", "side", "level", "price", "qty")
        assert list(zip(*(table.column(name).to_pylist() for name in names), strict=True)) == wanted
        batches = list(reading.batches(rows=10))
    assert max(batch.num_rows for batch in batches) <= 24
    assert sum(batch.num_rows for batch in batches) == len(wanted)


@pytest.mark.parametrize("rows", [1, 7, 65536])
def test_the_size_of_a_batch_changes_nothing(root: Path, rows: int) -> None:
    import pyarrow

    with Archive(root) as archive:
        reading = archive.read("v", "S", "quote", NOON + 1_000_000)
        table = pyarrow.Table.from_batches(list(reading.batches(rows=rows)))
    assert table.column("update_id").to_pylist() == list(range(1000, COUNT))
    assert table.column("ask_price").to_pylist() == list(range(1001, COUNT + 1))


def test_numpy_polars_and_pandas_say_the_same_as_arrow(root: Path) -> None:
    pytest.importorskip("polars")
    pytest.importorskip("pandas")
    with Archive(root) as archive:
        reading = archive.read("v", "S", "trade", NOON + 100_000, NOON + 900_000)
        arrow = reading.to_arrow()
        numpy, polars, pandas = reading.to_numpy(), reading.to_polars(), reading.to_pandas()
    assert arrow.num_rows == 800
    for name in arrow.column_names:
        wanted = arrow.column(name).to_pylist()
        assert numpy[name].tolist() == wanted
        assert polars[name].to_list() == wanted
        assert pandas[name].tolist() == wanted


def test_floats_are_mantissas_scaled_by_the_definition_even_if_it_stands_before_the_range(root: Path) -> None:
    with Archive(root) as archive:
        columns = archive.read("v", "S", "trade", NOON + 10_000, NOON + 20_000).to_numpy(floats=True)
        table = archive.read("v", "S", "trade", NOON + 10_000, NOON + 20_000).to_arrow(floats=True)
    assert columns["price"].tolist() == [(50_010 + at) / 100 for at in range(10)]
    assert columns["qty"].tolist() == pytest.approx([(11 + at) / 1000 for at in range(10)])
    assert table.column("price").to_pylist() == columns["price"].tolist()


def test_order_events_are_rows_of_their_own_table(tmp_path: Path) -> None:
    paths = BusPaths(tmp_path)
    add = OrderAdd(instrument_id=ID, order_id=1, side=Side.BUY, price=10, qty=5)
    fill = OrderExecute(instrument_id=ID, order_id=1, side=Side.BUY, price=10, qty=2, trade_id=9)
    write(paths, "book", [(NOON, add), (NOON + 1, fill)])
    with Archive(tmp_path) as archive:
        table = archive.read("v", "S", "book").to_arrow("orders").to_pylist()
        assert archive.read("v:S", "book", NOON + 5).to_arrow().column_names == list(table[0])
    assert [(row["kind"], row["order_id"], row["trade_id"], row["price"], row["qty"]) for row in table] == [
        (OrderAdd.TEMPLATE_ID, 1, 0, 10, 5),
        (OrderExecute.TEMPLATE_ID, 1, 9, 10, 2),
    ]


def test_a_book_of_single_orders_has_its_own_table_whether_a_definition_says_so_or_its_records(
    tmp_path: Path,
) -> None:
    order = OrderAdd(instrument_id=ID, order_id=1, side=Side.BUY, price=10, qty=5)
    l3 = Instrument(instrument_id=ID, book_mode=BookMode.L3, venue="v", symbol="S")
    for records in ([(NOON, l3), (NOON, order)], [(NOON, order)]):
        root = tmp_path / str(len(records))
        with Queue.open_publisher(BusPaths(root).clean("v", "S", "book"), config()) as writer:
            for ts_ns, record in records:
                writer.append(record.TEMPLATE_ID, record.encode(), ts_ns)
        with Archive(root) as archive:
            reading = archive.read("v:S", "book")
            assert reading.to_arrow().num_rows == len(reading.to_numpy()["order_id"]) == 1
            assert reading.to_arrow("levels").num_rows == 0


@pytest.mark.parametrize(
    "start", [None, NOON + 2], ids=["from the first record", "from behind the definition"]
)
def test_a_definition_with_other_exponents_ends_a_table_with_an_error(
    tmp_path: Path, start: int | None
) -> None:
    coarse = Instrument(
        instrument_id=ID, price_exponent=-1, qty_exponent=-3, book_mode=BookMode.L2, venue="v", symbol="S"
    )
    other = Instrument(
        instrument_id=instrument_id("v:T"),
        price_exponent=-5,
        qty_exponent=0,
        book_mode=BookMode.L2,
        venue="v",
    )
    records: list[tuple[int, object]] = [(NOON + at, trade(at, NOON + at)) for at in range(8)]
    records[4:4] = [(NOON + 4, other), (NOON + 4, DEFINITION)]
    write(BusPaths(tmp_path / "same"), "trade", records)
    write(
        BusPaths(tmp_path / "changed"),
        "trade",
        [*records, (NOON + 9, coarse), (NOON + 9, trade(9, NOON + 9))],
    )
    with Archive(tmp_path / "same") as archive:
        rows = archive.read("v", "S", "trade", start).to_arrow().num_rows
    assert rows == (8 if start is None else 6)
    with Archive(tmp_path / "changed") as archive:
        batches = iter(archive.read("v", "S", "trade", start).batches(rows=100))
        assert next(batches).num_rows == rows, "what came before is right"
        for _ in range(2):
            with pytest.raises(ExponentChanged, match=r"v:S: .*\(-1, -3\) differ from the frozen \(-2, -3\)"):
                next(batches)
            batches = iter(archive.read("v", "S", "trade", start).batches(rows=rows))
            next(batches)
        with pytest.raises(ExponentChanged):
            archive.read("v", "S", "trade", start).to_numpy()


def test_a_table_nobody_has_is_refused_with_those_there_are(root: Path) -> None:
    with Archive(root) as archive, pytest.raises(InvalidArgument, match="levels"):
        archive.read("v", "S", "trade").to_arrow("candles")


def test_by_venue_time_a_late_record_belongs_to_the_day_it_happened(tmp_path: Path) -> None:
    paths = BusPaths(tmp_path)
    midnight = NOON + DAY_NS // 2
    write(paths, "trade", [(midnight + at, trade(at, midnight + at + 5)) for at in range(3)])
    late = Trade(instrument_id=ID, venue_ts=midnight - 100, trade_id=99)
    write(paths, "trade.late", [(midnight + 1, late)])
    for _ in range(2):
        with Archive(tmp_path) as archive:
            before = archive.read("v", "S", "trade", "2024-08-08", "2024-08-09", time="venue")
            after = archive.read("v", "S", "trade", "2024-08-09", time="venue")
            assert before.to_numpy()["trade_id"].tolist() == [99]
            assert after.to_numpy()["trade_id"].tolist() == [1000, 1001, 1002]
            assert datetime.fromtimestamp(midnight / 1e9, UTC).isoformat() == "2024-08-09T00:00:00+00:00"
            both = archive.read("v", "S", "trade", "2024-08-08").to_numpy()["trade_id"].tolist()
            assert both == [1000, 99, 1001, 1002] or both == [1000, 1001, 99, 1002]
        for stream in ("trade", "trade.late"):
            with Queue.open_publisher(paths.clean("v", "S", stream), config()) as writer:
                writer.roll()
                writer.append(200, b"end", midnight + 10)
                writer.flush()
        from libchronicle.storage.keeper import Keeper
        from libchronicle.storage.policy import TierPolicy

        with Keeper(paths, TierPolicy(warm_after_ns=0)) as keeper:
            keeper.take_sealed(midnight + DAY_NS)
