"""The connections of one group of symbols: one is live, and its successor is up before it ends.

                     connected                        closed
    CONNECTING ───────────────────▶ LIVE ──────────────────────▶ CONNECTING (after a back-off)
                                     │ old enough, or the server
                                     ▼ says it will close
                                  RENEWING ── successor delivers what comes next ──▶ LIVE, on the successor

While both are up only the old connection's frames are taken; the successor's wait. The change happens at once: as soon as the
old one has come up to where the successor begins (for every symbol the successor has diffs of), the old one is closed and what
waited is taken, copies being told by their ids. So no diff is missed and none is taken ahead of its predecessor.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from libchronicle.errors import ConnectFailed
from libchronicle.protocol import VenueState
from libchronicle.runtime.backoff import Backoff
from libchronicle.runtime.logging import Log
from libchronicle.runtime.transports import WebSocket
from libchronicle.runtime.transports.interface import Buffer, FrameListener
from libchronicle.venues.binance import tally
from libchronicle.venues.binance.decoder import DEPTH, DUPLICATE
from libchronicle.venues.binance.pipeline import Pipeline

__all__ = ["Link", "LinkGroup", "Timing"]

Open = Callable[[FrameListener], Awaitable[WebSocket]]


@dataclass(frozen=True, slots=True)
class Timing:
    renew_after_s: float = 23 * 3600.0
    overlap_limit_s: float = 10.0  # a successor takes over after that, caught up or not
    stable_after_s: float = 10.0  # a connection that lived so long resets the back-off
    waiting_limit: int = 50_000  # frames of a successor
    waiting_bytes: int = 32 << 20


class Link:
    """One connection's listener. `on_text` is the pipeline itself while the link is live."""

    def __init__(self, pipeline: Pipeline, on_open: Callable[[], object] = lambda: None) -> None:
        self._pipeline = pipeline
        self._on_open = on_open
        self.on_text: Callable[[Buffer, int], None] = pipeline.frame
        self.closed = asyncio.Event()
        self.reason = ""
        self.socket: WebSocket | None = None

    def on_open(self, socket: WebSocket) -> None:
        self.socket = socket
        self._on_open()

    def on_binary(self, size: int) -> None:
        self._pipeline.reject(tally.BINARY)

    def on_too_large(self) -> None:
        self._pipeline.reject(tally.TOO_LARGE)

    def on_closed(self, reason: str) -> None:
        self.reason = reason
        self.closed.set()

    def retire(self) -> None:
        """Another link has taken over; what still arrives here was delivered there."""
        self.on_text = lambda frame, recv_ts: self._pipeline.reject(DUPLICATE)
        if self.socket is not None:
            self.socket.close()


class Successor(Link):
    """A link whose frames wait until the link before it has come up to where this one begins."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline)
        self.on_text = self._keep
        self.waiting: list[tuple[bytes, int]] = []
        self.waiting_bytes = 0
        self.begins: dict[int, int] = {}  # symbol -> the update id its first diff builds on

    def _keep(self, frame: Buffer, recv_ts: int) -> None:
        kept = bytes(frame)
        self.waiting.append((kept, recv_ts))
        self.waiting_bytes += len(kept)
        decoder = self._pipeline.decoder
        kind, _ = decoder.encode(kept, recv_ts)
        if kind == DEPTH:
            self.begins.setdefault(decoder.index, decoder.before_id)

    def caught_up(self, symbols: Sequence[int]) -> bool:
        """Every symbol has a diff here that continues (or repeats) what was taken from the old link."""
        chain = self._pipeline.chain
        return all(index in self.begins and self.begins[index] <= chain(index) for index in symbols)

    def take_over(self) -> None:
        self.on_text = self._pipeline.frame
        for frame, recv_ts in self.waiting:
            self._pipeline.frame(frame, recv_ts)
        self.waiting.clear()


class LinkGroup:
    """Keeps one group of symbols connected until it is cancelled. `symbols` are indices of the pipeline's."""

    def __init__(
        self,
        pipeline: Pipeline,
        symbols: Sequence[int],
        open_socket: Open,
        backoff: Backoff,
        clock: Callable[[], int],
        log: Log,
        timing: Timing | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._symbols = tuple(symbols)
        self._open = open_socket
        self._backoff = backoff
        self._clock = clock
        self._log = log
        self._timing = timing or Timing()
        self._renew = asyncio.Event()
        self._link: Link | None = None
        self._next: Link | None = None
        self._stopping = False
        self.connected = False
        self.connects = 0
        self.renewals = 0
        self._renewed_s = -math.inf

    def renew(self) -> bool:
        """Bring up a successor: the server says it is about to close the connection. False if that was asked for already."""
        asked = not self._renew.is_set()
        self._renew.set()
        return asked

    def hush(self) -> None:
        """The daemon stops: from this moment nothing is read, however much there is; the venue is told."""
        self._stopping = True
        for link in (self._link, self._next):
            if link is not None and link.socket is not None and not link.closed.is_set():
                link.retire()
                link.socket.drop("stopped")

    async def run(self) -> None:
        try:
            while True:
                link = await self._connect()
                started = asyncio.get_running_loop().time()
                link = await self._live(link)
                self._lost(link.reason)
                if asyncio.get_running_loop().time() - started >= self._timing.stable_after_s:
                    self._backoff.reset()
                await asyncio.sleep(self._backoff.next_s())
        finally:
            self._end()

    # ------------------------------------------------------------ states

    async def _connect(self) -> Link:
        self._pipeline.status(VenueState.CONNECTING, "", self._clock())
        while True:
            link = Link(self._pipeline, self._connected)
            self._link = link
            try:
                await self._open(link)
            except ConnectFailed as error:
                self._log.warning("no connection", error=str(error), tries=self._backoff.tries + 1)
                await asyncio.sleep(self._backoff.next_s())
                continue
            return link

    def _connected(self) -> None:
        """Before the first frame."""
        self.connects += 1
        self.connected = True
        self._renew.clear()
        self._log.info("connected", symbols=len(self._symbols))
        now = self._clock()
        self._pipeline.status(VenueState.CONNECTED, "", now)
        self._pipeline.connected(now, self._symbols)

    async def _live(self, link: Link) -> Link:
        """Until no connection is left; the last one is returned."""
        while True:
            due = await self._closed_or_due(link)
            if not due:
                return link
            successor = await self._successor(link)
            if successor is None:
                return link
            await self._overlap(link, successor)
            if successor.closed.is_set() and not link.closed.is_set():
                self._log.warning("successor lost", reason=successor.reason)
                await asyncio.sleep(self._backoff.next_s())
                self._renew.set()
                continue
            link.retire()
            self._link = link = successor
            self._renew.clear()
            successor.take_over()
            self.renewals += 1
            self._log.info("connection renewed")
            await self._settle(link)

    async def _settle(self, link: Link) -> None:
        """A server that announces its end on every new connection is not asked for another one at once."""
        if self._loop_s() - self._renewed_s < self._timing.stable_after_s:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(link.closed.wait(), self._backoff.next_s())
        self._renewed_s = self._loop_s()

    @staticmethod
    def _loop_s() -> float:
        return asyncio.get_running_loop().time()

    async def _closed_or_due(self, link: Link) -> bool:
        closed = asyncio.ensure_future(link.closed.wait())
        asked = asyncio.ensure_future(self._renew.wait())
        try:
            await asyncio.wait(
                (closed, asked), timeout=self._timing.renew_after_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            closed.cancel()
            asked.cancel()
        return not link.closed.is_set()

    async def _successor(self, link: Link) -> Successor | None:
        """None: the old link ended before one was up."""
        while not link.closed.is_set():
            self._next = successor = Successor(self._pipeline)
            try:
                await self._open(successor)
            except ConnectFailed as error:
                self._log.warning("no successor yet", error=str(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(link.closed.wait(), self._backoff.next_s())
                continue
            self.connects += 1
            return successor
        return None

    async def _overlap(self, link: Link, successor: Successor) -> None:
        deadline = asyncio.get_running_loop().time() + self._timing.overlap_limit_s
        while not successor.caught_up(self._symbols):
            full = (
                len(successor.waiting) >= self._timing.waiting_limit
                or successor.waiting_bytes >= self._timing.waiting_bytes
            )
            ended = link.closed.is_set() or successor.closed.is_set()
            if full or ended or asyncio.get_running_loop().time() >= deadline:
                return
            await asyncio.sleep(0.02)

    # ------------------------------------------------------------ ends

    def _lost(self, reason: str) -> None:
        self.connected = False
        reason = "stopped" if self._stopping else reason
        self._log.warning("disconnected", reason=reason)
        now = self._clock()
        self._pipeline.lost(now, self._symbols)
        self._pipeline.status(VenueState.DISCONNECTED, reason, now)

    def _end(self) -> None:
        """The daemon stops, or a group beside this one failed: write what waits."""
        self.hush()
        if self.connected:
            self._lost("stopped")
