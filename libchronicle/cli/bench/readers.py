"""What readers cost the writer: nanoseconds of an append beside four readers, over those of an append beside none.

parked     asleep in wait() when the burst begins; each is woken once and goes on sleeping elsewhere
lagging    each reads on and on, a segment or more behind the head
killed     as parked, but killed with -9 in its sleep before the burst: its request to be woken is still there
spinning   each reads at the head, all the time: they take the lines the writer writes, so this is told and not promised

Rounds with and without take turns; a ratio is the median over rounds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from libchronicle.cli.bench import _queue_peer
from libchronicle.cli.bench.append import PAYLOAD, python_loop
from libchronicle.cli.bench.harness import BenchOptions, undisturbed
from libchronicle.native.bench import append_loop
from libchronicle.queue import Publisher, Queue, QueueConfig

_READERS = 4
_STRETCH = 2_000
_CONFIG = QueueConfig(segment_size=64 << 20, retain_segments=8)
_ROLES = {"parked": "doze", "lagging": "trail", "killed": "sleep", "spinning": "spin"}


@contextmanager
def _beside(kind: str, where: Path, core: int) -> Iterator[None]:
    """With four readers of a kind."""
    if kind == "none":
        time.sleep(0.2)  # until the next segment is prepared, as with the others
        yield
        return
    peers = [_queue_peer.start(_ROLES[kind], where, core, 0, f"r{n}") for n in range(_READERS)]
    try:
        time.sleep(0.2)  # until they are where they should be
        if kind == "killed":
            for peer in peers:
                peer.kill()
        yield
    finally:
        for peer in peers:
            peer.kill()
            peer.communicate()


def _burst(writer: Publisher, count: int) -> tuple[float, float]:
    """Medians over stretches shorter than a time slice, so that what else the machine does falls on few of them."""
    stretches = count // _STRETCH
    in_python = median(python_loop(writer, _STRETCH) for _ in range(stretches))
    in_c = median(append_loop(writer, PAYLOAD, _STRETCH) for _ in range(stretches))
    return in_python / _STRETCH, in_c / _STRETCH


def _one(options: BenchOptions, kind: str, core: int, count: int) -> tuple[float, float]:
    """Nanoseconds of an append in a Python loop and in a native one, both within one segment that is all there."""
    with options.scratch() as where, Queue.open_publisher(where / "q", _CONFIG) as writer:
        append_loop(writer, PAYLOAD, 2 * _CONFIG.segment_size // 96)  # something to lag behind in
        writer.roll()
        with _beside(kind, where / "q", core):
            return _burst(writer, count)


def run(options: BenchOptions) -> dict[str, Any]:
    count = 20_000 if options.tiny else 300_000
    near, far = options.pair()
    kinds = ("none", *_ROLES)
    taken: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    with undisturbed(near):
        for _ in range(1 if options.tiny else options.repeats):
            for kind in kinds:
                taken[kind].append(_one(options, kind, far, count))
    figures: dict[str, Any] = {}
    for kind in _ROLES:
        pairs = list(zip(taken[kind], taken["none"], strict=True))
        figures[f"{kind}_ratio"] = round(median(ours[0] / none[0] for ours, none in pairs), 3)
        figures[f"{kind}_native_ratio"] = round(median(ours[1] / none[1] for ours, none in pairs), 3)
    for kind in kinds:
        figures[f"{kind}_ns_per_op"] = round(median(python for python, _ in taken[kind]), 1)
    return {**figures, "n": count, "hash": f"{count * len(kinds):x}"}
