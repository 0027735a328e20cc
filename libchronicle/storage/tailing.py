"""Following a stream: from the archive into the queues being written, for ever.

The chains of a reading go on by themselves where a live segment grows and where the next one begins; what is added here is
the wait, and a look for queues that were not there before. Records are given as they come: by time among those that are
there, and no record waits for another queue's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from libchronicle.native.binding import Message
from libchronicle.storage.catalog import Catalog, Stream
from libchronicle.storage.chain import Chain, Merge
from libchronicle.storage.reading import QueueSpans, Reading

__all__ = ["tail"]

_PAUSE_S: Final = 0.001
_LONGEST_S: Final = 0.02
_LOOK_S: Final = 1.0
_FOR_EVER: Final = 1 << 62


def tail(
    catalog: Catalog, stream: Stream, since_ns: int, timeout_s: float | None, *, tolerant: bool
) -> Iterator[Message]:
    """Records from `since_ns` on; ends after `timeout_s` without one."""
    reading = Reading(catalog, stream, since_ns, _FOR_EVER, tolerant=tolerant)
    merge = Merge()
    for merge in reading.merges():
        yield from merge
    known = {chain.queue_id for chain in merge.chains}
    quiet_since = looked = time.monotonic()
    pause = _PAUSE_S
    while True:
        found = False
        for message in merge:
            found = True
            yield message
        now = time.monotonic()
        if found:
            quiet_since, pause = now, _PAUSE_S
            continue
        if timeout_s is not None and now - quiet_since >= timeout_s:
            return
        if now - looked >= _LOOK_S:
            looked = now
            _add_new(catalog, stream, merge, known, since_ns, tolerant=tolerant)
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_S)


def _add_new(
    catalog: Catalog, stream: Stream, merge: Merge, known: set[int], since_ns: int, *, tolerant: bool
) -> None:
    """Queues made since: a late one, or the stream's own where there was none."""
    refs = [
        ref
        for ref in catalog.hot(stream)
        if ref.id.queue_id not in known and ref.overlaps(since_ns, _FOR_EVER)
    ]
    for queue_id in sorted({ref.id.queue_id for ref in refs}):
        spans = QueueSpans(catalog, stream, queue_id, follow=True)
        spans.extend(ref for ref in refs if ref.id.queue_id == queue_id)
        merge.add(Chain(spans, queue_id, tolerant=tolerant, since_ns=since_ns))
        known.add(queue_id)
