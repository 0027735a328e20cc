"""A consumer's view of one queue whose writer comes and goes. Passive: it looks and tells, nothing else.

`why_lost` is the look at an open reader, the same for everybody; `FeedWatch` opens the reader too and tells what changed.

What to do about a loss (cancel orders, mute a strategy) is the consumer's business. `poll()` never waits. While the
writer's heartbeat is young it makes no system call; else it opens files and asks the kernel for locks, at most once per
cadence.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

import msgspec

from libchronicle.bus.feed_states import FeedState, Observation, advance
from libchronicle.errors import CorruptControl, NotReadyError, QueueReplaced
from libchronicle.queue import DisconnectReason, Queue, QueueConfig, Subscriber
from libchronicle.queue.face import Start

__all__ = [
    "DEFAULT_CADENCE_S",
    "DEFAULT_TTL_S",
    "LEADS_NOWHERE",
    "FeedChange",
    "FeedState",
    "FeedWatch",
    "why_lost",
]

DEFAULT_CADENCE_S: Final = 0.1
DEFAULT_TTL_S: Final = 1.0

LEADS_NOWHERE: Final = (DisconnectReason.QUEUE_REPLACED, DisconnectReason.SEGMENT_MISSING)
"""Losses after which the old reader leads nowhere. After the others it reads on, first what is left, then the new epoch."""


def why_lost(reader: Subscriber, ttl_s: float) -> DisconnectReason | None:
    """Why the writer of what `reader` reads counts as lost; None while it lives.

    A young heartbeat, read from the mapped control page, is answer enough. An old one is looked into with system calls: a
    killed writer has lost its lock, one that hangs gets its whole time to live.
    """
    if reader.heartbeat_age() < ttl_s / 4:
        return None
    return reader.detect_disconnect(ttl_s)


class FeedChange(msgspec.Struct, frozen=True):
    """A state was entered. `epoch` is the writer's; `reopened` says that `reader` is another object than before."""

    state: FeedState
    reason: str
    epoch: int
    reopened: bool = False


class FeedWatch:
    """Watches the queue at `path`, reading it as `name` (None: anonymous) from `start`.

    `reader` is there once there was a queue to open, also while its writer is not; it belongs to the watch, which
    closes it when the queue was replaced. A replaced queue is read from its oldest record, or its end if `start` is
    "latest".
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        name: str | None,
        config: QueueConfig | None = None,
        start: Start = "latest",
        *,
        ttl_s: float = DEFAULT_TTL_S,
        cadence_s: float = DEFAULT_CADENCE_S,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path: Final = os.fspath(path)
        self.name: Final = name
        self.reader: Subscriber | None = None
        self.state = FeedState.WAITING
        self.epoch = 0
        self._config: Final = config
        self._start: Start = start
        self._ttl_s: Final = ttl_s
        self._cadence_s: Final = cadence_s
        self._monotonic_s: Final = monotonic_s
        self._due_s = monotonic_s()
        self._opened = False

    def poll(self) -> list[FeedChange]:
        """States entered since the last call, oldest first.

        Raises what opening a reader raises, but for "not yet": ReaderAlreadyActive, Evicted, Rewound, NoPermission.
        """
        now = self._monotonic_s()
        if now < self._due_s:
            return []
        self._due_s = now + self._cadence_s
        observation, reason = self._observe()
        changes = []
        for state in advance(self.state, observation):
            self.state = state
            if state is FeedState.CONNECTED:
                reason = Observation.READY.value
                self.epoch = self.reader.writer_epoch if self.reader is not None else 0
            changes.append(
                FeedChange(state, reason, self.epoch, state is FeedState.CONNECTED and self._opened)
            )
        if self.state is FeedState.CONNECTED:
            self._opened = False
        return changes

    def adopt(self, reader: Subscriber) -> None:
        """Watch this reader, which was opened elsewhere; it belongs to the watch from now on. Before the first `poll`."""
        self.reader = reader

    def failed(self) -> None:
        """Reading has failed: let go. The next `poll` opens another reader and tells that it is connected again."""
        self.close()
        self.state = FeedState.DISCONNECTED

    def close(self) -> None:
        """Give the reader back; its position is the one last committed."""
        if self.reader is not None:
            self.reader.close()
            self.reader = None

    def _observe(self) -> tuple[Observation, str]:
        if self.reader is None and not self._open():
            return Observation.ABSENT, Observation.ABSENT.value
        assert self.reader is not None
        lost = why_lost(self.reader, self._ttl_s)
        if lost is not None:
            if lost in LEADS_NOWHERE:
                self.close()
            return Observation.LOST, lost.value
        if self.state is FeedState.CONNECTED and self.reader.writer_epoch != self.epoch:
            return Observation.REOPENED, Observation.REOPENED.value
        return Observation.READY, Observation.READY.value

    def _open(self) -> bool:
        try:
            self.reader = Queue.open_subscriber(self.path, self.name, self._config, self._start)
        except (NotReadyError, CorruptControl):  # its next writer builds a damaged control page anew
            return False
        except QueueReplaced:  # our position belongs to the queue that stood here before
            self.reader = Queue.open_subscriber(self.path, self.name, self._config, "earliest")
        self._opened = True
        return True
