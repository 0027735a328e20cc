"""The feed daemon's work: instruments, connections, snapshots, and one raw queue.

exchangeInfo ──▶ Pipeline ◀── frames ── LinkGroup (one per connection)
                    │  ▲
                    │  └── snapshots ── SnapshotFetcher ◀── asks
                    ▼
                raw queue
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

from libchronicle.bus.control import ControlReceiver
from libchronicle.clock import now_ns
from libchronicle.errors import ConfigError, HttpFailed, UnknownSymbol, VenueDataError
from libchronicle.protocol import Command, Gap, GapReason, Instrument
from libchronicle.queue import Publisher, Queue
from libchronicle.runtime.backoff import Backoff
from libchronicle.runtime.logging import Log, Seldom
from libchronicle.runtime.transports import FrameListener, HttpLimits, HttpResponse, WebSocket, connect, get
from libchronicle.venues.binance import strict
from libchronicle.venues.binance.instruments import parse_instruments
from libchronicle.venues.binance.pipeline import Pipeline
from services.feed.known import known_instruments
from services.feed.links import LinkGroup, Timing
from services.feed.metrics import FeedMetrics
from services.feed.options import FeedOptions
from services.feed.requests import Requests
from services.feed.snapshots import SnapshotFetcher

__all__ = ["FeedService"]

INVALID_SYMBOL = -1121
INSTRUMENTS_WEIGHT = 20.0
DEPTH_LIMITS = HttpLimits(max_body_bytes=8 << 20)  # 5,000 levels a side are 0.4 MB


class FeedService:
    """Use as a context manager: it opens the queue and closes it, whatever happens. `run` works until it is cancelled."""

    def __init__(
        self, options: FeedOptions, log: Log, *, timing: Timing | None = None, seed: int | None = None
    ) -> None:
        self.options = options
        self.profile = options.profile
        self.pipeline: Pipeline | None = None
        self.groups: list[LinkGroup] = []
        self.fetcher: SnapshotFetcher | None = None
        self._log = log.bind(name=options.name)
        self._timing = timing
        self._random = random.Random(seed).random
        self._stuck = False
        self._on_stop: Callable[[str], object] = lambda reason: None
        self._refusals = Seldom()
        self._requests: Requests
        self._publisher: Publisher
        self._receiver: ControlReceiver
        self._metrics: FeedMetrics

    def __enter__(self) -> FeedService:
        options = self.options
        self._publisher = Queue.open_publisher(options.queue, options.queue_config)
        self._metrics = FeedMetrics(options.paths, options.daemon, options.name)
        self._receiver = ControlReceiver(options.paths, options.daemon)
        self._metrics.state("starting")
        if self._publisher.mended:
            self._metrics.errors.record(f"{options.queue} was damaged: {self._publisher.mended}")
        return self

    def __exit__(self, *_: object) -> None:
        self._metrics.state("stopped")
        self._metrics.publish(self.pipeline, self._figures)
        if self.pipeline is not None:
            self.pipeline.decoder.detach()
        self._publisher.close()
        self._receiver.close()
        self._metrics.close()

    # ------------------------------------------------------------ the work

    async def run(
        self, ready: Callable[[], object] = lambda: None, stop: Callable[[str], object] = lambda reason: None
    ) -> None:
        """Raises ConfigError for a symbol the venue does not have. `stop` is called when an operator asks for it."""
        self._on_stop = stop
        ready()
        self._requests = Requests(self._get, self.profile.weight_per_minute, self._log)
        instruments = await self._instruments()
        self.fetcher = SnapshotFetcher(self.profile, self._depth, self._backoff, now_ns, self._log)
        pipeline = Pipeline(
            self.profile,
            instruments,
            self._publisher,
            on_ask=self.fetcher.ask,
            on_control=self._control,
            on_sync=self._sync_changed,
        )
        self.fetcher.serve(pipeline)
        self.pipeline = pipeline
        if self._publisher.next_seq:
            pipeline.writer.put(Gap(recv_ts=now_ns(), reason=GapReason.RECONNECT))
        self.groups = [self._group(pipeline, symbols) for symbols in self._shares(len(instruments))]
        try:
            async with asyncio.TaskGroup() as tasks:
                for group in self.groups:
                    tasks.create_task(group.run())
                tasks.create_task(self._refresh(pipeline))
                tasks.create_task(self.fetcher.broken())
        except ExceptionGroup as errors:  # one failed, the rest were cancelled
            raise errors.exceptions[0] from None
        finally:
            await self.fetcher.close()

    def hush(self) -> None:
        """Called at a stop: a flood must not hold up the end."""
        for group in self.groups:
            group.hush()

    def beat(self) -> None:
        """Four times a second, by the loop."""
        self._publisher.heartbeat()
        self._obey()
        pipeline = self.pipeline
        if pipeline is not None:
            fault = pipeline.writer.fault
            if fault is not None and pipeline.writer.flush():
                fault = None
            if fault is not None and not self._stuck:
                self._log.error("queue takes nothing", fault)
                self._metrics.errors.record(fault)
            elif fault is None and self._stuck:
                self._log.info("queue takes records again")
            self._stuck = fault is not None
        self._metrics.state(self._state())
        self._metrics.publish(pipeline, self._figures)

    def _obey(self) -> None:
        """RESYNC takes a fresh snapshot of the target symbol, or of all; STOP ends the daemon."""
        pipeline = self.pipeline
        for command in self._receiver.poll():
            who = f"{command.user}@{command.host}"
            self._log.info(
                "told", command=command.command.name, target=command.target, by=who, reason=command.reason
            )
            if command.command is Command.STOP:
                self._on_stop(f"{who}: {command.reason}")
            elif command.command is Command.RESYNC and pipeline is not None:
                for index, instrument in enumerate(pipeline.instruments):
                    if command.target in ("", instrument.symbol):
                        pipeline.refresh(index, now_ns())
            else:
                self._log.warning("not for a feed", command=command.command.name)

    def _state(self) -> str:
        pipeline = self.pipeline
        if pipeline is None:
            return "waiting for the venue"
        if self._stuck:
            return "queue full"
        if not all(group.connected for group in self.groups):
            return "connecting"
        return "live" if pipeline.synced() == len(pipeline.instruments) else "syncing"

    def _figures(self) -> dict[str, int]:
        pipeline, groups = self.pipeline, self.groups
        return {
            "gaps": pipeline.gaps if pipeline else 0,
            "snapshots": pipeline.snapshots if pipeline else 0,
            "missing_trades": pipeline.decoder.missing_trades if pipeline else 0,
            "late_trades": pipeline.decoder.late_trades if pipeline else 0,
            "connects": sum(group.connects for group in groups),
            "renewals": sum(group.renewals for group in groups),
            "connected": sum(group.connected for group in groups),
            "snapshot_failures": self.fetcher.failures if self.fetcher else 0,
            "symbols": len(self.options.feed.symbols),
            "synced": pipeline.synced() if pipeline else 0,
        }

    # ------------------------------------------------------------ instruments

    async def _instruments(self) -> list[Instrument]:
        """Waits for the venue as long as it takes."""
        symbols = self.options.feed.symbols
        known = known_instruments(self.options.queue)
        backoff = self._backoff()
        while True:
            reason = ""
            try:
                body = await self._exchange_info(symbols)
                if body is not None:
                    return parse_instruments(body, self.profile, symbols, known)
                reason = "no usable answer"
            except (HttpFailed, VenueDataError) as error:
                reason = str(error)
            except UnknownSymbol as error:
                raise self._unknown(error) from None
            self._log.warning("no instruments yet", reason=reason, tries=backoff.tries + 1)
            await asyncio.sleep(backoff.next_s())

    async def _exchange_info(self, symbols: Sequence[str]) -> bytes | None:
        """None: the venue cannot answer now. Raises UnknownSymbol."""
        answer = await self._requests.get(self.profile.instruments_target(symbols), INSTRUMENTS_WEIGHT)
        if answer.status == 200:
            return answer.body
        if answer.status == 400 and _error_code(answer) == INVALID_SYMBOL:
            await self._name_the_unknown(symbols)
        return None

    async def _name_the_unknown(self, symbols: Sequence[str]) -> None:
        """The venue rejects the list as a whole; its full list tells which symbol it was, and what it may have meant."""
        answer = await self._requests.get(self.profile.instruments_target(), INSTRUMENTS_WEIGHT)
        if answer.status == 200:
            parse_instruments(answer.body, self.profile, symbols)

    def _unknown(self, error: UnknownSymbol) -> ConfigError:
        return ConfigError(file=self.options.file, key=f"{self.options.key}.symbols", reason=str(error))

    # ------------------------------------------------------------ connections

    def _shares(self, symbols: int) -> list[tuple[int, ...]]:
        """Symbols of each connection: a venue limits the streams one may carry."""
        share = self.profile.streams_limit // 3
        return [tuple(range(start, min(start + share, symbols))) for start in range(0, symbols, share)]

    def _group(self, pipeline: Pipeline, symbols: Sequence[int]) -> LinkGroup:
        names = [pipeline.instruments[index].symbol for index in symbols]

        async def open_socket(listener: FrameListener) -> WebSocket:
            return await connect(
                self.options.feed.ws_url.rstrip("/") + self.profile.stream_target(names),
                listener,
                clock=now_ns,
                client=self.options.feed.client,
            )

        backoff = self._backoff()
        return LinkGroup(pipeline, symbols, open_socket, backoff, now_ns, self._log, self._timing)

    def _backoff(self) -> Backoff:
        cap_s = self.options.feed.reconnect_max_s
        return Backoff(self._random, first_s=min(0.1, cap_s), cap_s=cap_s)

    async def _get(self, target: str, limits: HttpLimits) -> HttpResponse:
        return await get(self.options.feed.rest_url.rstrip("/") + target, limits=limits)

    async def _depth(self, target: str) -> HttpResponse:
        return await self._requests.get(target, self.profile.depth_weight, DEPTH_LIMITS)

    async def _refresh(self, pipeline: Pipeline) -> None:
        """A fresh snapshot of each symbol every interval, one after the other."""
        count = len(pipeline.instruments)
        while True:
            for index in range(count):
                await asyncio.sleep(self.options.feed.snapshot_interval_s / count)
                pipeline.refresh(index, now_ns())

    # ------------------------------------------------------------ what the pipeline tells

    def _control(self, control: strict.Control) -> None:
        if strict.is_shutdown(control):
            if [group for group in self.groups if group.renew()]:
                self._log.info("the venue announces a shutdown; renewing connections")
            return
        left_out = self._refusals.now()
        if left_out is not None:
            text = str(control.error or control.msg)[:200]
            self._log.error("the venue refuses a request", answer=text, left_out=left_out)
            self._metrics.errors.record(f"refused: {text}")

    def _sync_changed(self, index: int, reason: str | None) -> None:
        assert self.pipeline is not None
        symbol = self.pipeline.instruments[index].symbol
        if reason is None:
            self._log.info("in sync", symbol=symbol)
        else:
            self._log.info("syncing", symbol=symbol, reason=reason)
            if reason != "connected":
                self._metrics.errors.record(f"{symbol} out of sync: {reason}")


def _error_code(answer: HttpResponse) -> int | None:
    control = strict.read_reply(answer.body)
    return control.code if control is not None else None
