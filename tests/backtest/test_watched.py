"""Features that a strategy watches in a backtest, beside an extract of the same recording: the same numbers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from libchronicle.backtest import BacktestRunner
from libchronicle.etl.extract import extract
from libchronicle.etl.recordings import ALL_KINDS
from libchronicle.etl.sinks import NullSink
from libchronicle.signals import OnEvent, features_named
from libchronicle.storage.archive import Archive
from libchronicle.storage.importers import import_file
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.strategy import Book, Context, Strategy

VENUE, SYMBOL = "binance-usdm", "BTCUSDT"
FEATURES = "vector,microprice,ofi:5,zscore:ofi:5,atr:3"


class Watcher(Strategy):
    """Keeps the vector at every book."""

    def __init__(self) -> None:
        self.rows: dict[int, list[float]] = {}

    def on_start(self, ctx: Context) -> None:
        self.features = ctx.watch(ctx.subscribe(f"{VENUE}:{SYMBOL}"), features_named(FEATURES))

    def on_book(self, ctx: Context, book: Book) -> None:
        self.rows[ctx.now_ns()] = self.features.vector(ctx.now_ns()).tolist()


class Kept(NullSink):
    """Rows in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []

    def write(self, batch: Any) -> None:
        self.rows += batch.to_pylist()


@pytest.mark.recording
def test_a_backtest_sees_the_values_an_extract_writes(tmp_path: Path, chronicle_data: Path) -> None:
    file = chronicle_data / "binance/usdm/btcusdt_20240808.gz"
    import_file(ArchiveLayout(tmp_path), file, kinds=ALL_KINDS)
    strategy, sink = Watcher(), Kept()
    BacktestRunner(tmp_path).run(strategy)
    with Archive(tmp_path) as archive:
        extract(archive, VENUE, SYMBOL, features_named(FEATURES), OnEvent(("book",)), sink)
    extracted = {row["ts"]: row for row in sink.rows}
    names = strategy.features.names
    compared = dict.fromkeys(names, 0)
    for ts, values in strategy.rows.items():
        for name, value in zip(names, values, strict=True):
            wanted = extracted[ts][name]
            if not math.isnan(value) and wanted is not None:
                assert value == wanted, (ts, name)
                compared[name] += 1
    assert len(strategy.rows) > 6_000
    assert set(compared) == set(names)
    assert min(compared.values()) > 500, compared
