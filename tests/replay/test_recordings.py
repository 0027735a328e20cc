"""Real recordings, imported and replayed: after every diff the book has the touch of the latest ticker it reached."""

from __future__ import annotations

from bisect import bisect_right

import pytest

from libchronicle.bus.paths import BusPaths
from libchronicle.etl.recordings import ALL_KINDS
from libchronicle.protocol import BestBidAsk, BookDelta, BookFlags
from libchronicle.replay import archive_replay, replay_parallel
from libchronicle.storage.archive import Archive
from libchronicle.storage.importers import import_file
from libchronicle.storage.layout import ArchiveLayout


@pytest.mark.recording
@pytest.mark.parametrize(
    ("file", "instrument", "cases"),
    [
        ("spot/btcusdt_20240808.gz", "binance-spot:BTCUSDT", 3_000),
        ("usdm/btcusdt_20240808.gz", "binance-usdm:BTCUSDT", 6_000),
    ],
)
def test_the_touch_of_a_replayed_book_is_the_one_the_venue_published(
    chronicle_data, tmp_path, file, instrument, cases
):
    paths = BusPaths(tmp_path)
    import_file(ArchiveLayout.of(paths), chronicle_data / "binance" / file, kinds=ALL_KINDS)
    tickers = {}
    venue, symbol = instrument.split(":")
    with Archive(paths) as archive:
        for _, ticker in archive.read(venue, symbol, "quote").decoded():
            if isinstance(ticker, BestBidAsk):
                tickers[ticker.update_id] = ticker
        ids = sorted(tickers)
        compared = different = 0
        hashes = {}

        def look(event):
            nonlocal compared, different
            delta = event.message()
            if delta.flags & BookFlags.STALE or not event.book.valid:
                return
            hashes[event.ts_ns] = event.book.hash()
            at = bisect_right(ids, delta.last_update_id)
            if at:
                told = tickers[ids[at - 1]]
                compared += 1
                bid, ask = event.book.best_bid, event.book.best_ask
                different += bid != (told.bid_price, told.bid_qty) or ask != (told.ask_price, told.ask_qty)

        replay = archive_replay(archive, [instrument], types=[BookDelta], gaps="stop")
        report = replay.run(look)
        assert (report.gaps, report.refused) == (0, 0)
        assert compared > cases
        assert different <= 2
        for ts_ns in list(hashes)[:: len(hashes) // 40]:
            assert archive.book_at(instrument, ts_ns).hash() == hashes[ts_ns]
    assert replay_parallel(lambda: Archive(paths), [instrument]).state_hash == report.state_hash
