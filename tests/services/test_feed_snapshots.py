"""The snapshot fetcher: retries, refusals, request weight. Answers are scripted, the pipeline and its queue are real."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from libchronicle.clock import now_ns
from libchronicle.errors import HttpFailed
from libchronicle.protocol import BookMode, Instrument, instrument_id
from libchronicle.queue import Queue, QueueConfig
from libchronicle.runtime.backoff import Backoff
from libchronicle.runtime.logging import Log
from libchronicle.runtime.transports import HttpResponse
from libchronicle.venues.binance.pipeline import Pipeline
from libchronicle.venues.binance.profile import SPOT
from libchronicle.venues.binance.sync import State
from services.feed.snapshots import SnapshotFetcher

BODY = b'{"lastUpdateId":%d,"bids":[["1","1"]],"asks":[["2","1"]]}'
UNAVAILABLE = HttpResponse(503, {}, b"{}")


class Script:
    """Gives the answers in turn, the last one for ever."""

    def __init__(self, *answers: HttpResponse | Exception) -> None:
        self.answers = itertools.chain(answers, itertools.repeat(answers[-1]))
        self.targets: list[str] = []
        self.times: list[float] = []

    async def get(self, target: str) -> HttpResponse:
        self.targets.append(target)
        self.times.append(asyncio.get_running_loop().time())
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


def good(update: int = 7) -> HttpResponse:
    return HttpResponse(200, {}, BODY % update)


@pytest.fixture
def work(
    tmp_path: Path,
) -> Iterator[Callable[[Script, Callable[[Pipeline], Coroutine[Any, Any, None]]], SnapshotFetcher]]:
    publisher = Queue.open_publisher(tmp_path / "queue", QueueConfig(segment_size=1 << 20, prepare=False))
    number = instrument_id("binance-spot:BTCUSDT")
    instrument = Instrument(
        instrument_id=number, price_exponent=-8, qty_exponent=-8, book_mode=BookMode.L2, symbol="BTCUSDT"
    )

    def run(script: Script, body: Callable[[Pipeline], Coroutine[Any, Any, None]]) -> SnapshotFetcher:
        async def main() -> SnapshotFetcher:
            fetcher = SnapshotFetcher(
                SPOT, script.get, lambda: Backoff(lambda: 0.0), now_ns, Log("feed"), retry_s=0.05
            )
            pipeline = Pipeline(SPOT, [instrument], publisher, on_ask=fetcher.ask)
            fetcher.serve(pipeline)
            pipeline.connected(now_ns())
            try:
                async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
                    watch = tasks.create_task(fetcher.broken())
                    await body(pipeline)
                    watch.cancel()
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None
            await fetcher.close()
            pipeline.decoder.detach()
            return fetcher

        return asyncio.run(main())

    yield run
    publisher.close()


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def test_a_symbol_out_of_sync_asks_until_it_gets_a_snapshot(work: Any) -> None:
    malformed = HttpResponse(200, {}, b'{"lastUpdateId":"x"}')
    script = Script(UNAVAILABLE, HttpFailed(url="u", reason="cut off"), malformed, good())

    async def body(pipeline: Pipeline) -> None:
        await until(lambda: pipeline.synced() == 1)

    fetcher = work(script, body)
    assert script.targets == ["/api/v3/depth?symbol=BTCUSDT&limit=5000"] * 4
    assert fetcher.failures == 3
    pauses = [b - a for a, b in itertools.pairwise(script.times)]
    assert (
        pauses[0] >= 0.09
    )  # the first try is free; then 0.1 s and doubling, with the least jitter half of it
    assert pauses[2] >= 0.19


def test_a_refresh_that_fails_is_tried_again_later_and_the_book_stays_live(work: Any) -> None:
    script = Script(good(7), UNAVAILABLE, UNAVAILABLE, good(9))

    async def body(pipeline: Pipeline) -> None:
        await until(lambda: pipeline.synced() == 1)
        pipeline.refresh(0, now_ns())
        await until(lambda: pipeline.snapshots == 2)
        assert pipeline.machines[0].state is State.LIVE
        assert pipeline.gaps == 0

    assert work(script, body).failures == 2


def test_a_lost_connection_makes_answers_under_way_worthless(work: Any) -> None:
    held = asyncio.Event()

    class Slow(Script):
        async def get(self, target: str) -> HttpResponse:
            if not self.targets:
                self.targets.append(target)
                await held.wait()
                return good(1)
            return await super().get(target)

    script = Slow(good(50))

    async def body(pipeline: Pipeline) -> None:
        await until(lambda: script.targets)
        pipeline.lost(now_ns())
        pipeline.connected(now_ns())
        held.set()
        await until(lambda: pipeline.synced() == 1)
        assert pipeline.machines[0]._base == 50

    work(script, body)


def test_what_nobody_foresaw_in_a_fetch_comes_out_instead_of_leaving_a_symbol_waiting(work: Any) -> None:
    async def body(pipeline: Pipeline) -> None:
        await until(lambda: pipeline.synced() == 1)

    with pytest.raises(ZeroDivisionError):
        work(Script(ZeroDivisionError("a bug")), body)
