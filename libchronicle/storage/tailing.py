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
from libchronicle.storage.chain import Merge
from libchronicle.storage.reading import Reading

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
            reading.join_new(merge)
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_S)
