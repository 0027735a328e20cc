"""The fast client: picows parses frames natively and hands out views of its read buffer (0.3–1.5 µs a frame here)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from time import monotonic

from picows import (
    WSError,
    WSFrame,
    WSHandshakeError,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

from libchronicle.errors import ConnectFailed
from libchronicle.runtime.transports.interface import (
    DEAF,
    FLOOD,
    FRAGMENT_BYTES,
    LOOK_MASK,
    TURN_LIMIT_S,
    TURN_S,
    FrameListener,
    Limits,
    WebSocket,
)

__all__ = ["open_fast"]

TEXT, BINARY, CONT, CLOSE = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION, WSMsgType.CLOSE
READ_BUFFER_BYTES = 256 << 10

_silent = logging.getLogger("chronicle.picows")  # what it has to say, the listener is told
_silent.setLevel(logging.CRITICAL + 1)


async def open_fast(
    url: str,
    listener: FrameListener,
    clock: Callable[[], int],
    limits: Limits,
    tls: ssl.SSLContext | None,
) -> WebSocket:
    connection = _Connection(listener, clock, limits, asyncio.get_running_loop())
    try:
        await ws_connect(
            lambda: connection,
            url,
            ssl_context=tls,
            websocket_handshake_timeout=limits.open_timeout_s,
            enable_auto_ping=True,
            auto_ping_idle_timeout=limits.ping_after_s,
            auto_ping_reply_timeout=min(
                max(limits.dead_after_s - limits.ping_after_s, 0.001), limits.ping_after_s
            ),
            max_frame_size=limits.max_frame_bytes,
            max_redirects=0,
            read_buffer_init_size=READ_BUFFER_BYTES,
            use_aiofastnet=False,
            logger_name=_silent,
        )
    except WSHandshakeError as error:
        raise ConnectFailed(url=url, reason=_handshake_reason(error)) from None
    except TimeoutError:
        raise ConnectFailed(url=url, reason=f"not open after {limits.open_timeout_s:g} s") from None
    except OSError as error:
        raise ConnectFailed(url=url, reason=error.strerror or str(error)) from None
    except WSError as error:
        raise ConnectFailed(url=url, reason=str(error)) from None
    if not connection.was_open:  # picows takes an end before any answer for a success
        raise ConnectFailed(url=url, reason="closed during the handshake")
    return connection


class _Connection(WSListener):
    def __init__(
        self,
        listener: FrameListener,
        clock: Callable[[], int],
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__()
        self._listener = listener
        self._clock = clock
        self._limits = limits
        self._max_bytes = limits.max_frame_bytes
        self._loop = loop
        self._dropped = False
        self._ending: asyncio.Task[None] | None = None
        self._transport: WSTransport | None = None
        self._fresh_read = True
        self._frames = 0
        self._began = 0.0
        self._recv_ts = 0
        self._fragments: list[bytes] = []
        self._fragments_cost = 0
        self._fragment_is_text = False
        self._reason = ""
        self._closed: asyncio.Future[None] = loop.create_future()

    @property
    def was_open(self) -> bool:
        return self._transport is not None

    # ------------------------------------------------------------ picows

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        transport.underlying_transport.set_write_buffer_limits(high=self._limits.max_unsent_bytes)
        self._listener.on_open(self)

    def pause_writing(self) -> None:
        """What we write is pongs and a subscription: nobody reads it."""
        self.drop(DEAF)

    def resume_writing(self) -> None:
        """Of a connection that is dropped already."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self._dropped:
            return
        if self._fresh_read:
            self._recv_ts = self._clock()
            self._began = monotonic()
        self._fresh_read = frame.last_in_buffer
        self._frames += 1
        if self._fresh_read:
            if monotonic() - self._began > TURN_S:
                self._give_way(transport)
        elif not self._frames & LOOK_MASK and monotonic() - self._began > TURN_LIMIT_S:
            self.drop(FLOOD)
            return
        if frame.payload_size > self._max_bytes:
            self._too_large()
        elif frame.msg_type == TEXT and frame.fin:
            self._listener.on_text(frame.get_payload_as_memoryview(), self._recv_ts)
        else:
            self._other_frame(transport, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if not self._closed.done():
            self._ending = self._loop.create_task(_settle(transport))
            reason = self._why(transport)
            self._closed.set_result(None)
            self._listener.on_closed(reason)

    def _give_way(self, transport: WSTransport) -> None:
        reading = transport.underlying_transport
        if not reading.is_closing():
            reading.pause_reading()
            self._loop.call_soon(self._read_on, reading)

    def _read_on(self, reading: asyncio.Transport) -> None:
        if not reading.is_closing():
            reading.resume_reading()

    # ------------------------------------------------------------ the rarer frames

    def _other_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == CLOSE:
            told = f"{frame.get_close_code().value} {frame.get_close_reason() or ''}"
            self._reason = self._reason or f"closed by the server: {told}".rstrip()
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif kind == CONT or (kind in (TEXT, BINARY) and not frame.fin):
            self._fragment(frame)
        elif kind == BINARY:
            self._listener.on_binary(frame.payload_size)

    def _fragment(self, frame: WSFrame) -> None:
        if frame.msg_type != CONT:
            self._fragment_is_text = frame.msg_type == TEXT
        self._fragments.append(frame.get_payload_as_bytes())
        self._fragments_cost += frame.payload_size + FRAGMENT_BYTES
        if self._fragments_cost > self._max_bytes + FRAGMENT_BYTES:
            self._too_large()
        elif frame.fin:
            whole = b"".join(self._fragments)
            self._fragments, self._fragments_cost = [], 0
            if self._fragment_is_text:
                self._listener.on_text(whole, self._recv_ts)
            else:
                self._listener.on_binary(len(whole))

    def _too_large(self) -> None:
        """Said once; what the buffer still holds is not looked at."""
        if not self._dropped:
            self._fragments = []
            self._reason = "message too large"
            self._listener.on_too_large()
            self.drop(self._reason)

    def _why(self, transport: WSTransport) -> str:
        if self._reason:
            return self._reason
        sent = transport.close_handshake.sent if transport.close_handshake else None
        if sent is not None and sent.code.value == 1009 and not self._dropped:
            self._listener.on_too_large()
            return "message too large"
        return (
            f"closed with {sent.code.value} {sent.reason or ''}".rstrip()
            if sent is not None
            else "connection lost"
        )

    # ------------------------------------------------------------ the interface

    def send_text(self, text: str) -> None:
        if self._transport is not None:
            self._transport.send(TEXT, text.encode())

    def close(self) -> None:
        if self._transport is not None and not self._closed.done():
            self._reason = self._reason or "closed by us"
            self._transport.send_close()
            self._loop.call_later(self._limits.close_timeout_s, self.drop, "closed by us")

    def drop(self, reason: str) -> None:
        self._dropped = True
        self._reason = self._reason or reason
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    async def wait_closed(self) -> None:
        await asyncio.shield(self._closed)


async def _settle(transport: WSTransport) -> None:
    """picows keeps a protocol error for whoever waits; the listener has been told."""
    with contextlib.suppress(WSError):
        await transport.wait_disconnected()


def _handshake_reason(error: WSHandshakeError) -> str:
    response = error.response
    if response is None:
        return f"handshake failed: {error}"
    text = (error.raw_body or b"")[:200].decode("utf-8", "replace").strip()
    return f"HTTP {int(response.status)} {response.status.phrase} {text}".rstrip()
