"""The feed in one process with the embedded exchange, over real sockets: faults, overlap, reconnects."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop

from libchronicle.book import L2Book
from libchronicle.bus.control import send_command
from libchronicle.bus.paths import BusPaths
from libchronicle.counters import read_counters
from libchronicle.errors import ConfigError, HttpFailed
from libchronicle.protocol import (
    BestBidAsk,
    BookDelta,
    BookFlags,
    BookSnapshot,
    Command,
    Gap,
    GapReason,
    Instrument,
    Trade,
    VenueState,
    VenueStatus,
    decode,
)
from libchronicle.queue import Queue
from libchronicle.runtime.config import FeedConfig
from libchronicle.runtime.logging import Log
from libchronicle.runtime.transports import get
from libchronicle.sim.faults import Fault, FaultPlan
from libchronicle.testing.recordings import generated_lines
from services.exchange.options import ExchangeOptions, MarketOptions
from services.exchange.venue import Venue
from services.feed.links import Timing
from services.feed.options import FeedOptions
from services.feed.service import FeedService

MARKETS = ("binance-spot", "binance-usdm")


def run(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_limited(main))


async def _limited(main: Coroutine[Any, Any, None]) -> None:
    async with asyncio.timeout(60):
        await main


def exchange(market: str, **options: Any) -> ExchangeOptions:
    symbols = () if options.get("recordings") else ("BTCUSDT", "ETHUSDT")
    return ExchangeOptions(markets=(MarketOptions(market=market, symbols=symbols),), **options)


def feed_options(tmp_path: Path, market: str, port: int, **over: Any) -> FeedOptions:
    feed = FeedConfig(
        venue=market,  # type: ignore[arg-type]
        symbols=over.pop("symbols", ("BTCUSDT", "ETHUSDT")),
        rest_url=f"http://127.0.0.1:{port}",
        ws_url=f"ws://127.0.0.1:{port}",
        segment_size=over.pop("segment_size", 4 << 20),
        **over,
    )
    return FeedOptions(
        name="x",
        file="host.toml",
        feed=feed,
        paths=BusPaths(tmp_path),
        queue=tmp_path / "queue",
    )


@asynccontextmanager
async def feeding(options: FeedOptions, timing: Timing | None = None) -> AsyncIterator[FeedService]:
    """The service at work, beating as the daemon does."""
    with FeedService(options, Log("feed"), timing=timing, seed=1) as service:
        work = asyncio.create_task(service.run())

        async def beat() -> None:
            while True:
                service.beat()
                await asyncio.sleep(0.05)

        beats = asyncio.create_task(beat())
        try:
            yield service
        finally:
            for task in (beats, work):
                task.cancel()
            await asyncio.gather(beats, work, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def frames(service: FeedService, kind: str = "depth") -> int:
    return service.pipeline.tally.kinds()[kind] if service.pipeline else 0


def synced(service: FeedService) -> bool:
    return service.pipeline is not None and service.pipeline.synced() == len(service.pipeline.instruments)


def records(queue: Path) -> list[Any]:
    with Queue.open_subscriber(queue, None, start="earliest") as reader:
        return [decode(message.type_id, bytes(message)) for message in reader]


def check_books(queue: Path, instruments: list[Instrument]) -> list[L2Book]:
    """Replays the queue; no valid book is ever crossed."""
    books = {i.instrument_id: L2Book(i.instrument_id) for i in instruments}
    with Queue.open_subscriber(queue, None, start="earliest") as reader:
        for message in reader:
            for book in books.values():
                book.apply(message.type_id, message)
                assert not (book.valid and book.crossed)
    return list(books.values())


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("client", ["websockets", "picows"])
def test_every_frame_of_a_recording_becomes_its_record(tmp_path: Path, market: str, client: str) -> None:
    lines = generated_lines(market)
    recording = tmp_path / "recording.txt"
    recording.write_bytes(b"".join(lines))
    sent = Counter(
        msgspec.json.decode(line.split(b" ", 1)[1])["stream"].split("@")[1]
        for line in lines
        if b'"stream"' in line
    )

    async def main() -> None:
        options = exchange(market, recordings=(str(recording),), speed=float("inf"))
        async with Venue(options) as venue:
            port = venue.servers[market].port
            async with feeding(
                feed_options(tmp_path, market, port, client=client, symbols=("BTCUSDT",))
            ) as feed:
                await until(
                    lambda: feed.pipeline and feed.pipeline.tally.total >= sent.total() and synced(feed)
                )
                assert feed.pipeline is not None
                assert not any(feed.pipeline.tally.rejected().values())

    run(main())
    kinds = Counter(type(record).__name__ for record in records(tmp_path / "queue"))
    assert kinds["Trade"] == sent["trade"]
    assert kinds["BestBidAsk"] == sent["bookTicker"]
    assert kinds["BookDelta"] == sum(n for kind, n in sent.items() if kind.startswith("depth"))
    assert (kinds["BookSnapshot"], kinds["Instrument"]) == (1, 1)
    counters = read_counters(tmp_path / "services" / "feed-x.counters")
    assert counters.value("messages_total", feed="x") == sent.total()
    assert counters.value("feed_frames_total", feed="x", kind="trade") == sent["trade"]


RECORDINGS = [
    ("binance-spot", "BTCUSDT", "spot/btcusdt_20240808.gz", "websockets"),
    ("binance-usdm", "BTCUSDT", "usdm/btcusdt_20240808.gz", "picows"),
]


@pytest.mark.recording
@pytest.mark.parametrize(
    ("market", "symbol", "name", "client"), RECORDINGS, ids=lambda value: value.split("/")[0]
)
def test_a_real_recording_through_exchange_and_feed_gives_the_venues_own_book(
    tmp_path: Path, chronicle_data: Path, market: str, symbol: str, name: str, client: str
) -> None:
    """At every bookTicker whose update id a diff ends on, best price and quantity are the rebuilt book's, but for two."""
    recording = chronicle_data / "binance" / name
    with gzip.open(recording) as file:
        kinds = (re.search(rb'^\d+ {"stream":"[a-z]+@(\w+)', line) for line in file)
        sent = Counter(found.group(1).decode() for found in kinds if found)

    async def main() -> None:
        async with Venue(exchange(market, recordings=(str(recording),), speed=float("inf"))) as venue:
            options = feed_options(
                tmp_path, market, venue.servers[market].port, client=client, symbols=(symbol,)
            )
            async with feeding(options) as feed:
                await until(lambda: feed.pipeline and feed.pipeline.tally.total >= sent.total())
                assert feed.pipeline is not None
                assert not any(feed.pipeline.tally.rejected().values())
                assert feed.pipeline.gaps == 0

    run(main())
    counted: Counter[int] = Counter()
    tops: dict[int, tuple[Any, Any]] = {}
    tickers: list[BestBidAsk] = []
    book = L2Book()
    with Queue.open_subscriber(tmp_path / "queue", None, start="earliest") as reader:
        for message in reader:
            book.apply(message.type_id, message)
            counted[message.type_id] += 1
            if message.type_id == BookDelta.TEMPLATE_ID and book.valid:
                tops[book.last_update_id] = (book.best_bid, book.best_ask)
            elif message.type_id == BestBidAsk.TEMPLATE_ID:
                tickers.append(BestBidAsk.decode(message))
    assert counted[BookDelta.TEMPLATE_ID] == sent["depth"]
    assert counted[Trade.TEMPLATE_ID] == sent["trade"]
    assert counted[BestBidAsk.TEMPLATE_ID] == sent["bookTicker"]
    cases = [t for t in tickers if t.update_id in tops]
    wrong = [t for t in cases if tops[t.update_id] != ((t.bid_price, t.bid_qty), (t.ask_price, t.ask_qty))]
    assert len(cases) > 500
    assert len(wrong) <= 2


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("client", ["websockets", "picows"])
def test_under_faults_gaps_are_declared_and_the_feed_comes_back_each_time(
    tmp_path: Path, market: str, client: str
) -> None:
    # Diffs are few among the frames (ten a second and symbol): a drop in twenty is a gap every second.
    plan = FaultPlan(
        seed=20240808, drop=0.05, duplicate=0.02, swap=0.02, truncate=0.005, garbage=0.002, binary=0.005,
        huge=0.0001, disconnect=0.00005, skip=50,
    )  # fmt: skip

    async def main() -> None:
        async with Venue(exchange(market, rate=3000.0, faults=plan)) as venue:
            server = venue.servers[market]
            async with feeding(feed_options(tmp_path, market, server.port, client=client)) as feed:
                needed = {
                    Fault.DROP,
                    Fault.DUPLICATE,
                    Fault.SWAP,
                    Fault.TRUNCATE,
                    Fault.GARBAGE,
                    Fault.BINARY,
                }
                await until(
                    lambda: (
                        needed <= {f for f, n in server.fault_counts.items() if n >= 2}
                        and feed.pipeline
                        and feed.pipeline.gaps >= 5
                    )
                )
                assert feed.pipeline is not None
                injector_off = [c for c in server.connections if c.injector is not None]
                for connection in injector_off:
                    connection.injector = None
                server.options = msgspec.structs.replace(server.options, faults=FaultPlan())
                await until(lambda: synced(feed))
                mark = frames(feed)
                await until(lambda: frames(feed) > mark + 20 and synced(feed))
                tally = feed.pipeline.tally
                rejected = tally.rejected()
                assert tally.total == sum(tally.kinds().values()) + sum(rejected.values())
                assert rejected["binary"] > 0
                assert rejected["malformed"] + rejected["truncated"] > 0

    run(main())
    found = records(tmp_path / "queue")
    instruments = list({r.instrument_id: r for r in found if isinstance(r, Instrument)}.values())
    check_books(tmp_path / "queue", instruments)
    assert sum(isinstance(r, Gap) for r in found) >= 5
    # After each gap of a symbol comes a snapshot before any diff that counts.
    out: set[int] = {i.instrument_id for i in instruments}
    for record in found:
        if isinstance(record, Gap):
            out |= (
                {i.instrument_id for i in instruments}
                if record.instrument_id == 0
                else {record.instrument_id}
            )
        elif isinstance(record, BookSnapshot):
            out.discard(record.instrument_id)
        elif isinstance(record, BookDelta) and record.instrument_id in out:
            assert record.flags & BookFlags.STALE


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("client", ["websockets", "picows"])
def test_a_connection_is_replaced_before_its_life_ends_without_a_gap(
    tmp_path: Path, market: str, client: str
) -> None:
    async def main() -> None:
        async with Venue(exchange(market, rate=1500.0, max_connection_s=4.0)) as venue:
            port = venue.servers[market].port
            timing = Timing(renew_after_s=0.7, overlap_limit_s=10.0)
            async with feeding(feed_options(tmp_path, market, port, client=client), timing) as feed:
                await until(lambda: feed.groups and feed.groups[0].renewals >= 4)
                mark = frames(feed)
                await until(lambda: frames(feed) > mark + 20)
                assert feed.pipeline is not None
                assert feed.pipeline.gaps == 0
                assert feed.pipeline.decoder.missing_trades == 0
                assert feed.pipeline.tally.rejected()["duplicate"] > 0
                assert venue.servers[market].counts["connections"] >= 5

    run(main())
    found = records(tmp_path / "queue")
    gaps = [r for r in found if isinstance(r, Gap)]
    assert all(gap.reason is GapReason.RECONNECT for gap in gaps)
    assert len(gaps) == 2  # the stop
    for number in {r.instrument_id for r in found if isinstance(r, Instrument)}:
        trades = [r.trade_id for r in found if isinstance(r, Trade) and r.instrument_id == number]
        assert trades == list(range(trades[0], trades[0] + len(trades)))


def test_the_venues_shutdown_notice_renews_the_connection(tmp_path: Path) -> None:
    async def main() -> None:
        async with Venue(exchange("binance-spot", rate=1000.0)) as venue:
            server = venue.servers["binance-spot"]
            async with feeding(feed_options(tmp_path, "binance-spot", server.port)) as feed:
                await until(lambda: synced(feed))
                notice = b'{"stream":"!","data":{"e":"serverShutdown","E":1}}'
                from services.exchange.connection import encode_message

                for connection in server.subscribers:
                    connection.transport.write(encode_message(notice))
                await until(lambda: feed.groups[0].renewals == 1)
                assert feed.pipeline is not None
                assert feed.pipeline.gaps == 0

    run(main())


@pytest.mark.parametrize("market", MARKETS)
def test_a_venue_that_goes_away_and_comes_back_is_a_gap_and_a_new_start(tmp_path: Path, market: str) -> None:
    async def main() -> None:
        async with Venue(exchange(market, rate=1000.0)) as venue:
            port = venue.servers[market].port
            options = feed_options(tmp_path, market, port)
            feed_context = feeding(options)
            feed = await feed_context.__aenter__()
            await until(lambda: synced(feed) and frames(feed) > 20)
        await until(lambda: not feed.groups[0].connected)
        again = exchange(market, rate=1000.0, seed=2)
        again = msgspec.structs.replace(
            again, markets=(MarketOptions(market=market, port=port, symbols=("BTCUSDT", "ETHUSDT")),)
        )
        async with Venue(again):
            mark = frames(feed)
            await until(lambda: synced(feed) and frames(feed) > mark + 20)
            await feed_context.__aexit__(None, None, None)

    run(main())
    found = records(tmp_path / "queue")
    states = [r.state for r in found if isinstance(r, VenueStatus) and r.instrument_id == 0]
    once = [VenueState.CONNECTING, VenueState.CONNECTED, VenueState.DISCONNECTED]
    assert states == once * 2
    check_books(tmp_path / "queue", [r for r in found if isinstance(r, Instrument)])


def test_snapshots_are_renewed_at_their_interval_with_the_book_live_all_the_while(tmp_path: Path) -> None:
    async def main() -> None:
        async with Venue(exchange("binance-usdm", rate=2000.0)) as venue:
            options = feed_options(
                tmp_path, "binance-usdm", venue.servers["binance-usdm"].port, snapshot_interval_s=0.3
            )
            async with feeding(options) as feed:
                await until(lambda: feed.pipeline and feed.pipeline.snapshots >= 8)
                assert feed.pipeline is not None
                assert feed.pipeline.gaps == 0

    run(main())
    found = records(tmp_path / "queue")
    symbols = [r for r in found if isinstance(r, Instrument)]
    snapshots = [r for r in found if isinstance(r, BookSnapshot)]
    assert sum(bool(r.flags & BookFlags.RESYNC) for r in snapshots) == len(symbols)
    check_books(tmp_path / "queue", symbols)


@pytest.mark.parametrize("market", MARKETS)
def test_a_symbol_the_venue_does_not_have_names_key_and_remedy(tmp_path: Path, market: str) -> None:
    async def main() -> None:
        async with Venue(exchange(market)) as venue:
            options = feed_options(
                tmp_path, market, venue.servers[market].port, symbols=("BTCUSDT", "BTCUSD")
            )
            with (
                FeedService(options, Log("feed")) as feed,
                pytest.raises(
                    ConfigError, match=r"host.toml: feeds.x.symbols: .*'BTCUSD'.*did you mean BTCUSDT"
                ),
            ):
                await feed.run()

    run(main())


def test_the_feed_waits_for_a_venue_that_is_not_there_yet(tmp_path: Path) -> None:
    async def main() -> None:
        async with Venue(exchange("binance-spot")) as venue:
            port = venue.servers["binance-spot"].port
        with pytest.raises(HttpFailed):
            await get(f"http://127.0.0.1:{port}/api/v3/ping")
        async with feeding(feed_options(tmp_path, "binance-spot", port)) as feed:
            await asyncio.sleep(0.3)
            assert feed.pipeline is None
            late = msgspec.structs.replace(
                exchange("binance-spot"),
                markets=(MarketOptions(market="binance-spot", port=port, symbols=("BTCUSDT", "ETHUSDT")),),
            )
            async with Venue(late):
                await until(lambda: synced(feed))

    run(main())


def test_an_operator_may_ask_for_fresh_snapshots_and_for_the_end(tmp_path: Path) -> None:
    async def main() -> None:
        async with Venue(exchange("binance-spot", rate=1000.0)) as venue:
            options = feed_options(tmp_path, "binance-spot", venue.servers["binance-spot"].port)
            async with feeding(options) as feed:
                await until(lambda: synced(feed))
                assert feed.pipeline is not None
                before = feed.pipeline.snapshots
                send_command(options.paths, options.daemon, Command.RESYNC, target="ETHUSDT", reason="a look")
                await until(lambda: feed.pipeline and feed.pipeline.snapshots == before + 1)
                send_command(options.paths, options.daemon, Command.RESYNC, reason="all of them")
                await until(lambda: feed.pipeline and feed.pipeline.snapshots == before + 3)
                assert feed.pipeline.gaps == 0
                told: list[str] = []
                feed._on_stop = told.append
                send_command(options.paths, options.daemon, Command.STOP, reason="maintenance")
                await until(lambda: told)
                assert "maintenance" in told[0]

    run(main())


def test_exponents_of_an_existing_queue_are_kept_and_its_sequence_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with Venue(exchange("binance-spot")) as venue:
            options = feed_options(tmp_path, "binance-spot", venue.servers["binance-spot"].port)
            for _ in range(2):
                async with feeding(options) as feed:
                    await until(lambda: synced(feed) and frames(feed) > 3)

    run(main())
    with Queue.open_subscriber(tmp_path / "queue", None, start="earliest") as reader:
        seqs = [message.seq for message in reader]
    assert seqs == list(range(len(seqs)))
    found = records(tmp_path / "queue")
    assert sum(isinstance(r, Instrument) for r in found) == 4
    restart = [r for r in found if isinstance(r, Gap) and r.instrument_id == 0]
    assert [gap.reason for gap in restart] == [GapReason.RECONNECT]
