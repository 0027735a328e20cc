"""A raw queue of three recordings refined: how fast, and how far behind a feed of 100,000 messages a second.

The recordings are merged by time into one raw queue (outside the clock), several passes of them, each beginning with its
snapshots. `records_per_s` is one process from raw queue to clean queues with books and snapshots, committed each 4,096
records. `lag_*` are of a second process appending at a steady rate: at the end of each batch the age of its oldest record,
weighted with the records of the batch, so an upper bound for each of them. `hash` is of the final books.
"""

from __future__ import annotations

import subprocess
import sys
from heapq import merge
from pathlib import Path
from statistics import median
from time import monotonic, perf_counter_ns
from typing import Any

from libchronicle.bus.paths import BusPaths
from libchronicle.cli.bench._market import definition, recorded
from libchronicle.cli.bench.harness import BenchOptions, undisturbed
from libchronicle.clock import now_ns
from libchronicle.errors import NotReady
from libchronicle.etl import Policy, Refinery, open_refinery
from libchronicle.protocol import Instrument, instrument_id
from libchronicle.queue import Queue, QueueConfig

FILES = {
    "binance-spot:BTCUSDT": "binance/spot/btcusdt_20240808.gz",
    "binance-spot:ETHUSDT": "binance/spot/ethusdt_20240808.gz",
    "binance-usdm:BTCUSDT": "binance/usdm/btcusdt_20240808.gz",
}
START_NS = 1_723_104_000_000_000_000
PASSES = 6
TINY_EVENTS = 300
RATE = 100_000.0
BATCH = 4096
WARM_UP_NS = 1_000_000_000
"""Before that the feed is ahead: clean queues are being made."""

Record = tuple[int, int, bytes]
"""(nanoseconds from the start of its pass, type_id, payload)"""


def run(options: BenchOptions) -> dict[str, Any]:
    records = _records(options)
    span_ns = records[-1][0] + 1_000_000
    rates: list[float] = []
    figures: dict[str, int] = {}
    digest = 0
    core, _ = options.pair()
    for _ in range(options.repeats):
        with options.scratch() as root, undisturbed(core):
            raw = root / "raw"
            count = _write(raw, records, span_ns, 1 if options.tiny else PASSES)
            took_ns, figures, digest = _refine(BusPaths(root), raw)
            rates.append(count / took_ns * 1e9)
    result: dict[str, Any] = {
        "records_per_s": round(median(rates)),
        "n": sum(figures[kind] for kind in ("book", "trade", "quote")),
        "snapshots": figures["snapshots"],
        "segments": figures["rolls"],
    }
    with options.scratch() as root:
        raw = root / "source"
        _write(raw, records, span_ns, 1 if options.tiny else PASSES)
        result |= _lag(BusPaths(root), raw, options)
    result["hash"] = f"{digest:016x}"
    return result


# ------------------------------------------------------------ input


def _records(options: BenchOptions) -> list[Record]:
    """One pass: definitions, snapshots, and every event of the three recordings by time."""
    heads: list[Record] = []
    streams = []
    for name, relative in FILES.items():
        venue, _, symbol = name.partition(":")
        number = instrument_id(name)
        template = Instrument.decode(definition().payload)
        template.instrument_id, template.venue, template.symbol = number, venue, symbol
        snapshot, events = recorded(options.recording(relative), TINY_EVENTS if options.tiny else 1 << 30)
        heads.append((0, Instrument.TEMPLATE_ID, template.encode()))
        heads.append((0, snapshot.type_id, _of(number, snapshot.payload)))
        streams.append([(event.at_ns, event.type_id, _of(number, event.payload)) for event in events])
    return [*sorted(heads, key=lambda record: record[1]), *merge(*streams, key=lambda record: record[0])]


def _of(number: int, payload: bytes) -> bytes:
    return payload[:8] + number.to_bytes(8, "little") + payload[16:]


def _write(raw: Path, records: list[Record], span_ns: int, passes: int) -> int:
    with Queue.open_publisher(raw, QueueConfig(segment_size=64 << 20)) as writer:
        for turn in range(passes):
            base = START_NS + turn * span_ns
            for at_ns, type_id, payload in records:
                writer.append(type_id, payload, ts_ns=base + at_ns)
        return writer.next_seq


# ------------------------------------------------------------ measurement


def _refine(paths: BusPaths, raw: Path) -> tuple[int, dict[str, int], int]:
    refinery = open_refinery(paths, raw, "etl")
    began = perf_counter_ns()
    while refinery.run(BATCH):
        refinery.commit()
    took_ns = perf_counter_ns() - began
    digest = sum(target.book.hash() for target in refinery.targets.values()) % 2**64
    figures = refinery.figures
    _close(refinery)
    return took_ns, figures, digest


def _close(refinery: Refinery) -> None:
    refinery.close()
    refinery.raw.close()


def _lag(paths: BusPaths, source: Path, options: BenchOptions) -> dict[str, Any]:
    """Behind a feed in another process."""
    seconds = 0.1 if options.tiny else 8.0
    raw = paths.raw("feed")
    core, other = options.pair()
    command = [sys.executable, "-m", "libchronicle.cli.bench._etl_feed"]
    command += [str(source), str(raw), str(RATE), str(seconds), str(other)]
    wanted = min(int(RATE * seconds), _count(source))
    with undisturbed(core), subprocess.Popen(command) as feed:
        refinery = _wait_for(paths, raw, feed)
        batches = _follow(refinery, wanted, 0 if options.tiny else WARM_UP_NS)
        _close(refinery)
        feed.wait(60)
    batches.sort()
    total = sum(taken for _, taken in batches)
    return {
        "lag_p50_us": round(_quantile(batches, total * 0.5) / 1000, 1),
        "lag_p99_us": round(_quantile(batches, total * 0.99) / 1000, 1),
        "lag_max_us": round(batches[-1][0] / 1000, 1),
        "lag_messages_per_s": round(RATE),
    }


def _count(source: Path) -> int:
    with Queue.open_subscriber(source, None) as reader:
        return reader.head_seq


def _wait_for(paths: BusPaths, raw: Path, feed: subprocess.Popen[bytes]) -> Refinery:
    deadline = monotonic() + 60
    while True:
        try:
            return open_refinery(paths, raw, "etl", policy=Policy())
        except NotReady:
            if monotonic() > deadline or feed.poll() is not None:
                raise


def _follow(refinery: Refinery, wanted: int, warm_up_ns: int) -> list[tuple[int, int]]:
    """(age of the oldest record at the end of a batch in ns, records of the batch)"""
    batches = []
    done = begun_ns = 0
    deadline = monotonic() + 120
    while done < wanted and monotonic() < deadline:
        taken = refinery.run(BATCH)
        if taken:
            refinery.commit()
            begun_ns = begun_ns or refinery.oldest_ts
            done += taken
            if refinery.oldest_ts - begun_ns >= warm_up_ns or done >= wanted:
                batches.append((now_ns() - refinery.oldest_ts, taken))
        else:
            refinery.raw.wait(0.05)
    return batches


def _quantile(batches: list[tuple[int, int]], rank: float) -> int:
    seen = 0
    for age_ns, taken in batches:
        seen += taken
        if seen >= rank:
            return age_ns
    return batches[-1][0]
