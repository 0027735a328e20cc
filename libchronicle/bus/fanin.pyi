from typing import Final, final

from libchronicle.queue import Message, Subscriber

MAX_SOURCES: Final[int]

@final
class FanIn:
    """Many queues read as one, ordered by (timestamp, name of the source). See fanin.h for the rules.

    watermark_s: how long a record may be held back for one of an earlier time from a silent source; 0 = not at all.
    Belongs to one thread.
    """

    source: str
    """Name of the source of the record that `next` gave last."""
    failed: str
    """Name of the source whose reader raised last; remove it, or go on if the error says so (Evicted)."""

    def __init__(self, watermark_s: float = 0.0) -> None: ...
    def add(self, subscriber: Subscriber, name: str | None = None) -> int:
        """Read `subscriber` too, from where it stands; it belongs to the fan-in until removed. Returns its slot.

        `name` (default: the reader's name) is its rank in ties. Raises InvalidName if taken, ChannelFull beyond MAX_SOURCES,
        Closed.
        """
    def remove(self, name: str) -> Subscriber:
        """Give the subscriber back, standing behind the last record delivered. Raises InvalidName."""
    def pause(self, name: str) -> None:
        """Give nothing of this source until `resume`; nothing waits for it meanwhile. Raises InvalidName."""
    def resume(self) -> None:
        """End every pause."""
    @property
    def names(self) -> tuple[str, ...]:
        """Sources in rank order."""
    def subscriber(self, name: str) -> Subscriber: ...
    def slot(self, name: str) -> int: ...
    def __len__(self) -> int: ...
    def next(self, now_ns: int | None = None) -> Message | None:
        """The next record of all, or None; `now_ns` is asked of the clock only where there is a watermark.

        The message keeps its mapping alive. Raises what the failing source's `next` raises, see `failed`.
        """
    def wait(self, timeout: float | None = None, now_ns: int | None = None) -> bool:
        """True when `next` may have something to give, False when `timeout` seconds are over. Keeps all heartbeats."""
    def commit(self) -> None:
        """Remember for each source what was delivered: a store each. What is held back or was not asked for comes again.

        Raises what the failing source's `commit` raises, see `failed`; the sources after it keep their former place.
        """
    def flush(self) -> None:
        """commit() that survives power loss."""
    def heartbeat(self) -> None:
        """Say for every source that its reader lives."""
