"""Moves a source through time and its frames to the subscribers.

    waiting ──first subscriber (a live market: at once)──▶ playing ──source at its end──▶ ended
                                                             ▲ │
                          subscribers have taken what they got └┘ without a pace only

With a finite speed venue time is bound to the clock, nobody is waited for, and who is too slow is cut off. Without a pace the
slowest subscriber sets it; the player also waits, once, until a book it has just got was fetched, since nobody could
fetch it in time at that speed.
"""

from __future__ import annotations

import asyncio
import time

from services.exchange.server import MarketServer

BATCH = 512
MAX_SLEEP_S = 0.05
MIN_SLEEP_S = 0.002
"""The loop's timers count whole milliseconds: a shorter sleep ends early and the loop spins until the event is due."""
FAR_FUTURE_NS = 1 << 62


class Pump:
    def __init__(self, server: MarketServer) -> None:
        self._server = server
        self._source = server.source
        self._options = server.options
        self._gated: set[str] = set()
        self.ended = asyncio.Event()

    async def run(self) -> None:
        if self._source.starts_with_subscriber:
            await self._some_subscriber()
        await (self._run_paced() if self._options.paced else self._run_free())
        self.ended.set()

    async def _run_paced(self) -> None:
        origin_ns = time.monotonic_ns()
        start_ns, speed = self._source.start_ns, self._options.speed
        while (due_ns := self._source.next_time_ns()) is not None:
            position_ns = start_ns + int((time.monotonic_ns() - origin_ns) * speed)
            if due_ns > position_ns:
                sleep_s = (due_ns - position_ns) / speed / 1e9
                await asyncio.sleep(min(max(sleep_s, MIN_SLEEP_S), MAX_SLEEP_S))
                continue
            self._server.broadcast(self._source.take(position_ns, BATCH))
            await asyncio.sleep(0)

    async def _run_free(self) -> None:
        while self._source.next_time_ns() is not None:
            await self._some_subscriber()
            await self._room()
            self._server.broadcast(self._source.take(FAR_FUTURE_NS, BATCH))
            await self._first_book()
            await asyncio.sleep(0)

    async def _some_subscriber(self) -> None:
        while not self._server.subscribers:
            self._server.room.clear()
            await self._server.room.wait()

    async def _room(self) -> None:
        """Until nobody's buffer is full; who does not move at all for long is cut off."""
        deadline = time.monotonic() + self._options.stall_timeout_s
        while slow := [connection for connection in self._server.subscribers if connection.paused]:
            self._server.room.clear()
            try:
                await asyncio.wait_for(self._server.room.wait(), max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                for connection in slow:
                    connection.abort("slow_consumer")
                await asyncio.sleep(0)
                return

    async def _first_book(self) -> None:
        new = [symbol for symbol in self._source.instruments if symbol not in self._gated]
        for symbol in new:
            if self._source.depth(symbol, 1) is None:
                continue
            self._gated.add(symbol)
            deadline = time.monotonic() + self._options.first_book_wait_s
            while symbol not in self._server.rest.depth_served and self._server.subscribers:
                self._server.book_fetched.clear()
                try:
                    await asyncio.wait_for(
                        self._server.book_fetched.wait(), max(0.0, deadline - time.monotonic())
                    )
                except TimeoutError:
                    break
