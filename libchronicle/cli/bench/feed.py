"""Recorded frames to records in a queue: without a network, and over a loopback WebSocket with each client.

No network: the frames of one kind are given to the pipeline in a Python loop, as a client would; the book is in sync,
the queue is new in each run. `depth_ns_per_msg` and `trade_ns_per_msg` are those of the spot recording (depth frames of
1,286 bytes on average); the futures recording's are reported beside. Over a socket: a process on another core sends all
frames of a recording ready-made; the time runs from the handshake to the close frame behind the last one. `hash` sums
what was counted and the update ids reached.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

import uvloop

from libchronicle.cli.bench._feed_server import encode_frames
from libchronicle.cli.bench.harness import BenchOptions
from libchronicle.clock import now_ns
from libchronicle.protocol import BookMode, Instrument, instrument_id
from libchronicle.queue import Queue, QueueConfig
from libchronicle.runtime.transports import WebSocket, connect
from libchronicle.runtime.transports.interface import Buffer
from libchronicle.venues.binance.pipeline import Pipeline
from libchronicle.venues.binance.profile import PROFILES, Profile

FILES = {
    "binance-spot": "binance/spot/btcusdt_20240808.gz",
    "binance-usdm": "binance/usdm/btcusdt_20240808.gz",
}
KINDS = {"depth": b"@depth", "trade": b"@trade", "book_ticker": b"@bookTicker"}
TINY_FRAMES = 2000
SYMBOL = "BTCUSDT"


def run(options: BenchOptions) -> dict[str, Any]:
    results: dict[str, Any] = {"n": 0}
    total = 0
    for venue, recording in FILES.items():
        source = _Recording(PROFILES[venue], options.recording(recording), options.tiny)
        prefix = "" if venue == "binance-spot" else "usdm_"
        for kind in KINDS:
            times, digest = _offline(source, kind, options)
            results[f"{prefix}{kind}_ns_per_msg"] = round(median(times), 1)
            total += digest
        for client in ("websockets", "picows"):
            rates, digest = _online(source, client, options)
            results[f"{prefix}{client}_frames_per_s"] = round(median(rates))
            total += digest
        results["n"] += len(source.frames)
        results[f"{prefix}depth_bytes_mean"] = round(source.mean_bytes("depth"))
    results["hash"] = f"{total % 2**64:016x}"
    return results


class _Recording:
    """Frames in order, and the snapshot."""

    def __init__(self, profile: Profile, path: Path, tiny: bool) -> None:
        self.profile = profile
        self.frames: list[bytes] = []
        self.snapshot = b""
        with gzip.open(path) as file:
            for line in file:
                text = line.rstrip().partition(b" ")[2]
                if not text.startswith(b'{"stream"'):
                    self.snapshot = text
                elif not tiny or len(self.frames) < TINY_FRAMES:
                    self.frames.append(text)
        number = instrument_id(f"{profile.venue}:{SYMBOL}")
        self.instrument = Instrument(
            instrument_id=number,
            price_exponent=-8,
            qty_exponent=-8,
            venue=profile.venue,
            symbol=SYMBOL,
            book_mode=BookMode.L2,
        )

    def of(self, kind: str) -> list[bytes]:
        return [frame for frame in self.frames if KINDS[kind] in frame[:40]]

    def mean_bytes(self, kind: str) -> float:
        frames = self.of(kind)
        return sum(map(len, frames)) / len(frames)

    @contextmanager
    def pipeline(self, options: BenchOptions) -> Iterator[Pipeline]:
        """Into a new queue on the chosen medium, in sync after the first frames."""
        with options.scratch() as directory:
            publisher = Queue.open_publisher(
                directory / "queue", QueueConfig(segment_size=(8 if options.tiny else 64) << 20)
            )
            pipeline = Pipeline(
                self.profile,
                [self.instrument],
                publisher,
                on_ask=lambda index: pipeline.snapshot(index, self.snapshot, now_ns()),
            )
            try:
                yield pipeline
            finally:
                pipeline.decoder.detach()
                publisher.close()


def _offline(source: _Recording, kind: str, options: BenchOptions) -> tuple[list[float], int]:
    frames, times, digest = source.of(kind), [], 0
    for _ in range(options.repeats):
        with source.pipeline(options) as pipeline:
            pipeline.connected(now_ns())
            first = min(20, len(frames) // 2)
            for frame in frames[:first]:
                pipeline.frame(frame, 1)
            begun = perf_counter_ns()
            _give(pipeline.frame, frames[first:])
            times.append((perf_counter_ns() - begun) / (len(frames) - first))
            _check(pipeline, len(frames))
            digest = _digest(pipeline)
    return times, digest


def _digest(pipeline: Pipeline) -> int:
    kinds = pipeline.tally.kinds()
    return kinds["depth"] + 3 * kinds["trade"] + 7 * kinds["book_ticker"] + 11 * pipeline.chain(0)


def _give(take: Callable[[bytes, int], None], frames: list[bytes]) -> None:
    for frame in frames:
        take(frame, 1)


def _check(pipeline: Pipeline, frames: int) -> None:
    if sum(pipeline.tally.kinds().values()) != frames or pipeline.gaps:
        raise AssertionError(f"{dict(pipeline.tally)} of {frames} frames, {pipeline.gaps} gaps")


# ---------------------------------------------------------------- over a socket


class _Taker:
    """Frames go straight to the pipeline; the time runs from the handshake to the close."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.on_text: Callable[[Buffer, int], None] = pipeline.frame
        self._pipeline = pipeline
        self._begun = 0
        self.took_ns = 0
        self.closed = asyncio.Event()

    def on_open(self, socket: WebSocket) -> None:
        self._pipeline.connected(now_ns())
        self._begun = perf_counter_ns()

    def on_binary(self, size: int) -> None: ...

    def on_too_large(self) -> None: ...

    def on_closed(self, reason: str) -> None:
        self.took_ns = perf_counter_ns() - self._begun
        self.closed.set()


def _online(source: _Recording, client: str, options: BenchOptions) -> tuple[list[float], int]:
    own, other = options.pair()
    before = os.sched_getaffinity(0)
    rates: list[float] = []
    digest = 0
    with options.scratch() as directory, _server(directory, source, other) as port:
        os.sched_setaffinity(0, {own})
        try:
            for _ in range(options.repeats):
                with (
                    asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
                    source.pipeline(options) as pipeline,
                ):
                    rates.append(len(source.frames) / runner.run(_receive(pipeline, port, client)) * 1e9)
                    _check(pipeline, len(source.frames))
                    digest = _digest(pipeline)
        finally:
            os.sched_setaffinity(0, before)
    return rates, digest


async def _receive(pipeline: Pipeline, port: int, client: str) -> int:
    taker = _Taker(pipeline)
    socket = await connect(f"ws://127.0.0.1:{port}/stream", taker, clock=now_ns, client=client)
    await taker.closed.wait()
    await socket.wait_closed()
    return taker.took_ns


@contextmanager
def _server(directory: Path, source: _Recording, core: int) -> Iterator[int]:
    file = directory / "frames"
    file.write_bytes(encode_frames(source.frames))
    command = [sys.executable, "-m", "libchronicle.cli.bench._feed_server", str(file), str(core)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()
