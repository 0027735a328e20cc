"""A bounded channel of commands into a hot loop: one producer (the sidecar), one consumer (the loop).

The loop asks `channel.pending` once per round, which costs an attribute read and takes no lock; only then `poll()`.
Stop overtakes everything that waits, so a loop that looks once per round ends within one. Each side belongs to one thread:
the first that sends is the producer, any other is refused (SecondProducer), since order between two producers would mean
nothing.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final, Generic, TypeVar

from libchronicle.errors import ChannelFull, SecondProducer

__all__ = ["STOP", "CommandChannel", "Stop"]

T = TypeVar("T")


class Stop:
    """What `poll()` gives, from then on, once the channel was told to stop."""

    def __repr__(self) -> str:
        return "STOP"


STOP: Final = Stop()


class CommandChannel(Generic[T]):
    """Bounded to `capacity` commands."""

    __slots__ = ("_commands", "_producer", "_room", "_stopped", "capacity", "name", "pending")

    def __init__(self, name: str, capacity: int = 64) -> None:
        self.name: Final = name
        self.capacity: Final = capacity
        self.pending = False
        """True when `poll()` has something to give."""
        self._commands: Final[deque[T]] = deque()
        self._room: Final = threading.Event()
        self._producer: threading.Thread | None = None
        self._stopped = False

    # ------------------------------------------------------------ producer

    def send(self, command: T, timeout_s: float = 0.0) -> None:
        """Hand over `command`; waits up to `timeout_s` for room. Raises ChannelFull, SecondProducer."""
        self._own()
        deadline = time.monotonic() + timeout_s
        while len(self._commands) >= self.capacity:
            self._room.clear()
            if len(self._commands) < self.capacity:
                break
            left = deadline - time.monotonic()
            if left <= 0 or not self._room.wait(left):
                raise ChannelFull(channel=self.name, capacity=self.capacity)
        self._commands.append(command)
        self.pending = True

    def stop(self) -> None:
        """End the consumer's loop within one round. Any thread may call it; a signal handler too."""
        self._stopped = True
        self.pending = True

    def _own(self) -> None:
        caller = threading.current_thread()
        if self._producer is None:
            self._producer = caller
        elif self._producer is not caller:
            raise SecondProducer(channel=self.name, owner=self._producer.name, caller=caller.name)

    # ------------------------------------------------------------ consumer

    def poll(self) -> T | Stop | None:
        """The next command, STOP, or None. Never waits."""
        if self._stopped:
            return STOP
        self.pending = False  # before the look: a send that comes after it sets the flag again
        try:
            command = self._commands.popleft()
        except IndexError:
            return STOP if self._stopped else None
        if self._commands or self._stopped:
            self.pending = True
        self._room.set()
        return command

    def __len__(self) -> int:
        return len(self._commands)
