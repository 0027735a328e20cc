from typing import Self, final

@final
class LogRing:
    """A text stream for `logging` whose lines a native thread writes to `fd`: no system call where the line is made.

    A full ring drops the line, counts it, and says so in the log. One thread writes.
    """

    def __init__(self, fd: int, capacity_bytes: int = 1 << 20) -> None:
        """`fd` is duplicated. Raises ConfigError unless the capacity is a power of two, HostError without memory."""
    def write(self, text: str) -> int:
        """Copy `text`, whole lines, into the ring, or drop it. Raises Closed."""
    def flush(self) -> None:
        """Nothing: the writing thread is never waited for."""
    @property
    def dropped(self) -> int:
        """Writes that found no room."""
    @property
    def lost_bytes(self) -> int:
        """What the descriptor refused."""
    @property
    def waiting_bytes(self) -> int:
        """Put in, not written yet."""
    def close(self) -> None:
        """Write what is left and end the thread. Idempotent."""
    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...
