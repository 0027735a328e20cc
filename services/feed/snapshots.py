"""Fetches order book snapshots over REST: one request a symbol at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from libchronicle.errors import HttpFailed
from libchronicle.runtime.backoff import Backoff
from libchronicle.runtime.logging import Log
from libchronicle.runtime.transports import HttpResponse
from libchronicle.venues.binance.pipeline import Pipeline
from libchronicle.venues.binance.profile import Profile
from libchronicle.venues.binance.strict import FrameError
from libchronicle.venues.binance.sync import State

__all__ = ["SnapshotFetcher"]

Get = Callable[[str], Awaitable[HttpResponse]]

CONCURRENT = 4


class SnapshotFetcher:
    """`ask(symbol)` starts a fetch; its answer goes to the pipeline. A new ask replaces one under way."""

    def __init__(
        self,
        profile: Profile,
        get: Get,
        backoff: Callable[[], Backoff],
        clock: Callable[[], int],
        log: Log,
        retry_s: float = 30.0,
    ) -> None:
        self._profile = profile
        self._get = get
        self._backoff = backoff
        self._clock = clock
        self._log = log
        self._retry_s = retry_s  # until a refresh that failed is tried again
        self._pipeline: Pipeline | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._backoffs: dict[int, Backoff] = {}
        self._gate = asyncio.Semaphore(CONCURRENT)
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.failures = 0

    def serve(self, pipeline: Pipeline) -> None:
        """The pipeline that asks and gets the answers."""
        self._pipeline = pipeline
        self._backoffs = {index: self._backoff() for index in range(len(pipeline.instruments))}

    def ask(self, index: int) -> None:
        self.cancel((index,))
        task = asyncio.get_running_loop().create_task(self._fetch(index), name=f"snapshot-{index}")
        task.add_done_callback(self._ended)
        self._tasks[index] = task

    def cancel(self, symbols: Sequence[int]) -> None:
        """Answers to requests made until now are no longer of use."""
        current = asyncio.current_task() if self._tasks else None
        for index in symbols:
            task = self._tasks.pop(index, None)
            if task is not None and task is not current:
                task.cancel()

    async def broken(self) -> None:
        """Raises what nobody foresaw in a fetch: a symbol must not wait for ever for an answer that is not under way."""
        await self._broken

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not self._broken.done():
            self._broken.set_exception(error)

    async def close(self) -> None:
        self._pipeline = None
        tasks = list(self._tasks.values())
        self.cancel(tuple(self._tasks))
        await asyncio.gather(*tasks, return_exceptions=True)
        self._broken.cancel()

    # ------------------------------------------------------------ one fetch

    async def _fetch(self, index: int) -> None:
        backoff = self._backoffs[index]
        if backoff.tries:
            await asyncio.sleep(backoff.next_s())
        else:
            backoff.next_s()  # the first is free
        async with self._gate:
            body = await self._body(index)
        pipeline = self._pipeline
        assert pipeline is not None
        now = self._clock()
        self._tasks.pop(index, None)
        if body is None:
            self._failed(index, now)
            return
        try:
            pipeline.snapshot(index, body, now)
            if pipeline.machines[index].state is State.LIVE:
                backoff.reset()
        except FrameError as error:
            self._log.warning(
                "snapshot malformed", symbol=pipeline.instruments[index].symbol, reason=str(error)
            )
            self._failed(index, now)

    def _failed(self, index: int, now: int) -> None:
        """A symbol that is out of sync asks again by itself; a live one is refreshed a little later."""
        pipeline = self._pipeline
        assert pipeline is not None
        self.failures += 1
        pipeline.snapshot_failed(index, now)
        if pipeline.machines[index].state is State.LIVE:
            asyncio.get_running_loop().call_later(self._retry_s, self._refresh, index)

    def _refresh(self, index: int) -> None:
        if self._pipeline is not None:
            self._pipeline.refresh(index, self._clock())

    async def _body(self, index: int) -> bytes | None:
        assert self._pipeline is not None
        symbol = self._pipeline.instruments[index].symbol
        try:
            answer = await self._get(self._profile.depth_target(symbol))
        except HttpFailed as error:
            self._log.warning("no snapshot", symbol=symbol, reason=str(error))
            return None
        if answer.status == 200:
            return answer.body
        text = answer.body[:200].decode("utf-8", "replace")
        self._log.warning("no snapshot", symbol=symbol, status=answer.status, answer=text)
        return None
