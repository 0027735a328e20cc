"""W1: the rows of one recorded instrument, or made-up ones in the same mix; as tape, queue and archive."""

from __future__ import annotations

import random
from array import array
from pathlib import Path
from typing import Any

from libchronicle.backtest import Tape, tape_of_rows
from libchronicle.bus.paths import BusPaths
from libchronicle.cli.bench._market import NAME, definition
from libchronicle.cli.bench.harness import BenchOptions
from libchronicle.errors import ConfigError
from libchronicle.protocol import Instrument
from libchronicle.queue import Queue, QueueConfig
from libchronicle.storage.catalog import queue_segments
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.moves import adopt

__all__ = ["COLUMNS", "fill_archive", "fill_queue", "load_rows", "tape_of"]

RECORDING = "W1_norm.parquet"
COLUMNS = {"kind": "b", "msg_id": "i", "local_ns": "q", "exch_ns": "q", "side": "b", "px": "d", "qty": "d"}
STREAMS = {2: "book", 3: "book", 5: "trade"}

Rows = dict[str, Any]


def load_rows(options: BenchOptions) -> Rows:
    """Columns by name. Made up when there is no recording, or where there is no pyarrow to read it."""
    try:
        path = options.recording(RECORDING)
        from pyarrow import parquet
    except (ConfigError, ImportError):
        return _made_up(2_000 if options.tiny else 28_000)
    table = parquet.read_table(path, columns=list(COLUMNS))
    count = 20_000 if options.tiny else table.num_rows
    return {name: table[name][:count].to_numpy() for name in COLUMNS}


def _made_up(messages: int, seed: int = 1) -> Rows:
    rng = random.Random(seed)
    rows: Rows = {name: array(code) for name, code in COLUMNS.items()}

    def put(kind: int, message: int, ts: int, side: int, price: float, qty: float) -> None:
        for name, value in zip(COLUMNS, (kind, message, ts, ts, side, price, qty), strict=True):
            rows[name].append(value)

    centre, ts = 61_800.0, 1_723_161_256_000_000_000
    for at in range(1, 1001):
        put(1, 1, ts, 1, round(centre - 0.1 * at, 1), 1.0)
    for at in range(1000):
        put(1, 1, ts, -1, round(centre + 0.1 * at, 1), 1.0)
    for message in range(2, messages):
        ts += rng.randrange(1, 25_000_000)
        if rng.random() < 0.77:
            side = rng.choice((1, -1))
            put(3, message, ts, side, round(centre - (0.1 if side < 0 else 0.0), 1), 0.002)
            continue
        for _ in range(34):
            away = 0.1 * rng.randrange(2, 500)
            put(2, message, ts, 1, round(centre - away, 1), rng.choice((0.0, rng.randrange(1, 900) / 100)))
            put(2, message, ts, -1, round(centre + away, 1), rng.choice((0.0, rng.randrange(1, 900) / 100)))
    return rows


def tape_of(rows: Rows) -> Tape:
    known = Instrument.decode(definition().payload)
    return tape_of_rows(known, *(rows[name] for name in COLUMNS))


def _records(tape: Tape, rounds: int) -> Any:
    """(type, payload, time), `rounds` times over, each after the one before."""
    from libchronicle.backtest.tape import records_of

    length = tape.last_ns - tape.first_ns + 1_000_000
    for number in range(rounds):
        for type_id, payload, ts_ns in records_of(tape):
            yield type_id, payload, ts_ns + number * length


def fill_queue(path: Path, tape: Tape, rounds: int = 1) -> Path:
    """A raw queue of the tape."""
    with Queue.open_publisher(path, QueueConfig(segment_size=16 << 20, prefault=False, sync=False)) as writer:
        for type_id, payload, ts_ns in _records(tape, rounds):
            writer.append(type_id, payload, ts_ns)
        writer.roll()
    return path


def fill_archive(root: Path, tape: Tape) -> Path:
    """An archive of the tape's book and trade streams, warm."""
    paths = BusPaths(root)
    venue, _, symbol = NAME.partition(":")
    config = QueueConfig(segment_size=1 << 20, prefault=False, sync=False)
    for stream in ("book", "trade"):
        queue = paths.clean(venue, symbol, stream)
        with Queue.open_publisher(queue, config) as writer:
            for type_id, payload, ts_ns in _records(tape, 1):
                if STREAMS.get(type_id, stream) == stream:
                    writer.append(type_id, payload, ts_ns)
            writer.roll()
        for ref in queue_segments(queue):
            if ref.last_ts is not None:
                adopt(ArchiveLayout.of(paths), ref.path, venue, symbol, stream)
    return root
