"""The sidecar opens, the hot loop never opens files.

    discovery --Added, Removed--> sidecar thread --Attach(handle), Detach--> CommandChannel --> hot loop
                                        ^-------------- retire(handle) -------------------------'

The thread sleeps outside the GIL until an endpoint comes or goes. It opens what belongs to an endpoint (readers,
publishers), hands the open handle over, and closes what the loop gives back, since unmapping costs as much as
mapping. Opening is tried again, ever less often, while the peer is not ready: its queue not made yet, or our own
former reader not yet given back.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from libchronicle.bus.affinity import unpin
from libchronicle.bus.commands import CommandChannel
from libchronicle.bus.discovery import Added, DiscoveryEvent
from libchronicle.errors import ChannelFull, ChronicleError

__all__ = ["Attach", "Detach", "DiscoverySource", "Sidecar"]

H = TypeVar("H")

_RETRY_FIRST_S: Final = 0.02
_RETRY_MOST_S: Final = 0.5


class Attach(msgspec.Struct, Generic[H], frozen=True):
    """An endpoint came; `handle` is what the opener made for it, now the loop's."""

    name: str
    epoch: int
    handle: H


class Detach(msgspec.Struct, frozen=True):
    """An endpoint went. The loop stops using its handle and gives it to `Sidecar.retire`."""

    name: str
    epoch: int
    reason: str


class DiscoverySource(Protocol):
    """Discovery or RemoteDiscovery."""

    def wait(self, timeout_s: float | None = None) -> list[DiscoveryEvent]: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...


class _Opening(msgspec.Struct):
    event: Added
    due_s: float
    pause_s: float = _RETRY_FIRST_S


class Sidecar(Generic[H]):
    """`open_handle` raises a ChronicleError for "not now"; `complain` is told of it once per endpoint. A context
    manager."""

    def __init__(
        self,
        discovery: DiscoverySource,
        open_handle: Callable[[Added], H],
        close_handle: Callable[[H], None],
        channel: CommandChannel[Attach[H] | Detach],
        complain: Callable[[str, ChronicleError], None] = lambda name, error: None,
    ) -> None:
        self.channel: Final = channel
        self._discovery: Final = discovery
        self._open_handle: Final = open_handle
        self._close_handle: Final = close_handle
        self._complain: Final = complain
        self._openings: Final[dict[str, _Opening]] = {}
        self._told: Final[set[str]] = set()
        self._retired: Final[deque[H]] = deque()
        self._unsent: Final[deque[Attach[H] | Detach]] = deque()
        self._stopping = False
        self._thread: Final = threading.Thread(target=self._run, name="sidecar", daemon=True)

    # ------------------------------------------------------------ from the hot loop

    def retire(self, handle: H) -> None:
        """Let the sidecar close `handle`. No system call but the wake-up."""
        self._retired.append(handle)
        self._discovery.interrupt()

    # ------------------------------------------------------------ life

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close what was retired or never handed over. What the loop still holds is the loop's."""
        self._stopping = True
        self._discovery.interrupt()
        if self._thread.ident is not None:  # it was started
            self._thread.join()
        self._discovery.close()
        self._close_retired()
        for command in self._unsent:
            if isinstance(command, Attach):
                self._close_handle(command.handle)

    def __enter__(self) -> Sidecar[H]:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        unpin()
        while not self._stopping:
            for event in self._discovery.wait(self._until_next()):
                self._take(event)
            self._close_retired()
            self._open_due()
            self._hand_over()

    def _take(self, event: DiscoveryEvent) -> None:
        if isinstance(event, Added):
            self._openings[event.name] = _Opening(event, time.monotonic())
            return
        self._told.discard(event.name)
        if self._openings.pop(event.name, None) is None:  # else it was never handed over
            self._unsent.append(Detach(event.name, event.epoch, event.reason))

    def _open_due(self) -> None:
        now = time.monotonic()
        for name, opening in list(self._openings.items()):
            if opening.due_s > now:
                continue
            try:
                handle = self._open_handle(opening.event)
            except ChronicleError as error:
                opening.due_s = now + opening.pause_s
                opening.pause_s = min(2 * opening.pause_s, _RETRY_MOST_S)
                if name not in self._told:
                    self._told.add(name)
                    self._complain(name, error)
                continue
            del self._openings[name]
            self._unsent.append(Attach(name, opening.event.epoch, handle))

    def _hand_over(self) -> None:
        while self._unsent:
            try:
                self.channel.send(self._unsent[0])
            except ChannelFull:
                return  # the loop is busy: looked at again after the next wait
            self._unsent.popleft()

    def _close_retired(self) -> None:
        while self._retired:
            self._close_handle(self._retired.popleft())

    def _until_next(self) -> float | None:
        if self._unsent:
            return _RETRY_FIRST_S
        if not self._openings:
            return None
        return max(0.0, min(opening.due_s for opening in self._openings.values()) - time.monotonic())
