"""A queue with gigabytes in it, every byte of it real: 64-byte records, or larger ones to fill it faster."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from libchronicle.cli.bench.harness import BenchOptions
from libchronicle.errors import ConfigError
from libchronicle.native.bench import append_loop
from libchronicle.queue import Queue, QueueConfig

TEN_GIB = 10 << 30
_TINY = 64 << 20
_FRAME_HEADER = 32
_BURST = 1_000_000
CONFIG = QueueConfig(segment_size=128 << 20, sync=False)


@contextmanager
def deep_queue(options: BenchOptions, payload: bytes) -> Iterator[tuple[Path, int]]:
    """(queue, records in it). Raises ConfigError where the medium lacks the room."""
    size = _TINY if options.tiny else TEN_GIB
    config = QueueConfig(segment_size=16 << 20, sync=False) if options.tiny else CONFIG
    with options.scratch() as where:
        free = shutil.disk_usage(where).free
        if free < size + (1 << 30):
            reason = f"needs {size >> 20} MiB and 1 GiB to spare, {free >> 20} MiB are free"
            raise ConfigError(file=str(where), key="--medium", reason=reason)
        count = size // (len(payload) + _FRAME_HEADER)
        with Queue.open_publisher(where / "q", config) as writer:
            for left in range(count, 0, -_BURST):
                append_loop(writer, payload, min(_BURST, left))
            yield where / "q", count
