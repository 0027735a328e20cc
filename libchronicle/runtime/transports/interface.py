"""What a WebSocket client offers, and what it tells its listener.

Rules
- One loop, one thread: every callback runs on the loop that called `connect`, from within the read of the socket.
- A frame's buffer belongs to the client: it is valid during the callback only.
- `recv_ts` is read once a socket read, before the first of its frames.
- `on_open` comes once, before the first frame; `on_closed` exactly once after it, and nothing after that. Both may come before
  `connect` returns. A `connect` that fails calls neither.
- A ping of the server is answered by the client itself. A connection that is silent gets a ping of ours after
  `ping_after_s`, and is dropped after `dead_after_s`. A server that asks and asks and does not take the answers is dropped too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = [
    "DEAF",
    "FLOOD",
    "FRAGMENT_BYTES",
    "TURN_LIMIT_S",
    "TURN_S",
    "Buffer",
    "FrameListener",
    "Limits",
    "WebSocket",
]

FRAGMENT_BYTES = 64
"""What each part of a fragmented message counts beside its payload: parts that are empty are not free to keep."""

TURN_S = 0.005
"""A read whose frames took longer lets the rest of the loop have its turn: a flood holds up no heartbeat and no stop."""

TURN_LIMIT_S = 0.25
"""What came with one read cannot be put back: if the frames of it take longer than that, the connection ends instead."""

LOOK_MASK = 0xFF
"""The clock is looked at every so many frames of one read."""

FLOOD = "the server sends more than can be read"
DEAF = "the server does not take our answers"

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Limits:
    max_frame_bytes: int = 8 << 20  # a larger message ends the connection
    open_timeout_s: float = 10.0
    close_timeout_s: float = 0.5
    ping_after_s: float = 20.0
    dead_after_s: float = 60.0
    max_unsent_bytes: int = 1 << 20  # pongs that a server which pings does not take


class FrameListener(Protocol):
    """Whoever takes the frames."""

    def on_open(self, socket: WebSocket) -> None: ...

    def on_text(self, frame: Buffer, recv_ts: int, /) -> None: ...

    def on_binary(self, size: int) -> None: ...

    def on_too_large(self) -> None:
        """A message beyond the limit arrived; the connection is being closed."""

    def on_closed(self, reason: str) -> None: ...


class WebSocket(Protocol):
    """An open connection."""

    def send_text(self, text: str) -> None: ...

    def close(self) -> None:
        """Start the closing handshake; the connection is dropped if it takes longer than `close_timeout_s`."""

    def drop(self, reason: str) -> None:
        """End the connection at once; nothing is told of after that but `on_closed`."""

    async def wait_closed(self) -> None: ...
