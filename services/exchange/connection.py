"""One TCP connection: HTTP requests until one of them turns it into a WebSocket.

h11 and websockets' sans-I/O protocol do the parsing; this class moves bytes between them and the transport. Market data does
not pass through them: the server encodes a frame once for all subscribers and this class only collects and writes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, cast

import h11
from websockets.exceptions import ProtocolError
from websockets.frames import Frame as WsFrame
from websockets.frames import Opcode
from websockets.http11 import Request as WsRequest
from websockets.protocol import State
from websockets.server import ServerProtocol

from libchronicle.sim.faults import FaultInjector
from libchronicle.sim.rest_answers import Response
from libchronicle.sim.streams import LIMITS, Subscriptions, parse_target

if TYPE_CHECKING:
    from services.exchange.server import MarketServer

MAX_REQUEST_BYTES = 64 << 10
MAX_MESSAGE_BYTES = 64 << 10
HIGH_WATER_BYTES = 1 << 20
FRAGMENT_BYTES = 64  # what each part of a message counts beside its payload: empty parts are not free
REQUEST_TIMEOUT_S = 60.0


def encode_message(payload: bytes, opcode: Opcode = Opcode.TEXT) -> bytes:
    """A whole server-to-client message as one unmasked frame (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65536:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


class Connection(asyncio.Protocol):
    """`subscriptions` is None until the WebSocket handshake.

    One request is answered at a turn of the loop, and none while the answers before it are not taken: whoever asks without end
    and reads nothing waits by itself.
    """

    def __init__(self, server: MarketServer) -> None:
        self.server = server
        self.transport: asyncio.Transport
        self.subscriptions: Subscriptions | None = None
        self.outbox: list[bytes] = []
        self.paused = False
        self.injector: FaultInjector | None = None
        self.silent_until = 0.0
        self._loop = asyncio.get_running_loop()
        self._asked_at = self._loop.time()
        self._held = False
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_REQUEST_BYTES)
        self._head = b""
        self._target = ""
        self._method = ""
        self._key = ""
        self._body = b""
        self._ws: ServerProtocol | None = None
        self._fragments: list[bytes] = []
        self._fragments_cost = 0
        self._message_times: deque[float] = deque()
        self._timers: list[asyncio.TimerHandle] = []
        self._pong_due: asyncio.TimerHandle | None = None

    # ------------------------------------------------------------ asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        if self.server.connected(self):
            self._every(REQUEST_TIMEOUT_S / 4, self._end_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers:
            timer.cancel()
        if self._pong_due is not None:
            self._pong_due.cancel()
        self.paused = False
        self.server.disconnected(self)

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.server.room.set()
        if self._held and self._ws is None:
            self._next_request()

    def data_received(self, data: bytes) -> None:
        if self._ws is not None:
            self._receive_frames(data)
            return
        self._head += data
        try:
            self._http.receive_data(data)
        except h11.RemoteProtocolError as error:
            self._malformed(error)
            return
        self._next_request()

    # ------------------------------------------------------------ HTTP

    def _next_request(self) -> None:
        """Answers at most one; the next one, if it is there already, has its turn when this answer is on its way."""
        if self.transport.is_closing() or self._ws is not None:
            return
        try:
            more = self._receive_request()
        except h11.RemoteProtocolError as error:
            self._malformed(error)
            return
        if more and not self._held:
            self._held = True
            self.transport.pause_reading()
        elif self._held and not more and not self.transport.is_closing():
            self._held = False
            self.transport.resume_reading()
        if more and not self.paused:
            self._loop.call_soon(self._next_request)

    def _malformed(self, error: h11.RemoteProtocolError) -> None:
        self._answer(Response(error.error_status_hint, b'{"code":-1000,"msg":"Malformed request."}'))
        self.transport.close()

    def _end_if_idle(self) -> None:
        """Who connects and asks nothing, or asks so slowly, takes a descriptor from somebody else."""
        if self.subscriptions is None and self._loop.time() - self._asked_at > REQUEST_TIMEOUT_S:
            self.abort("idle")

    def _receive_request(self) -> bool:
        """True: one was answered, and there are bytes after it."""
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                self._method, self._target = event.method.decode(), event.target.decode("latin-1")
                self._key = next(
                    (value.decode("latin-1") for name, value in event.headers if name == b"x-mbx-apikey"), ""
                )
                if any(name == b"upgrade" and value.lower() == b"websocket" for name, value in event.headers):
                    self._upgrade()
                    return False
                self._body = b""
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > MAX_REQUEST_BYTES:
                    self._answer(Response(413, b'{"code":-1000,"msg":"Request too large."}'))
                    self.transport.close()
                    return False
            elif isinstance(event, h11.EndOfMessage):
                self._answer(self.server.respond(self._method, self._target, self._body, self._key))
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    self.transport.close()
                    return False
                self._asked_at = self._loop.time()
                self._http.start_next_cycle()
                self._head = self._http.trailing_data[0]
                return bool(self._head)
            else:  # needs more data, or the client is gone
                return False

    def _answer(self, response: Response) -> None:
        headers = [
            ("Content-Type", response.content_type),
            ("Content-Length", str(len(response.body))),
            *response.headers,
        ]
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        out = self._http.send(h11.Response(status_code=response.status, headers=headers)) or b""
        if self._method != "HEAD" and response.body:
            out += self._http.send(h11.Data(data=response.body)) or b""
        self.transport.write(out + (self._http.send(h11.EndOfMessage()) or b""))

    # ------------------------------------------------------------ WebSocket

    def _upgrade(self) -> None:
        """Hands the request's bytes to a WebSocket protocol; from here on h11 sees nothing more."""
        subscriptions = parse_target(self.server.market, self._target)
        if subscriptions is None:
            self._answer(Response(404, b"<html><body>404 Not Found</body></html>", (), "text/html"))
            self.transport.close()
            return
        ws = self._ws = ServerProtocol(max_size=MAX_MESSAGE_BYTES)
        ws.receive_data(self._head)
        self._head = b""
        events = ws.events_received()
        if not events:  # h11 took it for a request, the stricter parser did not
            self.transport.close()
            return
        request, *early = events
        ws.send_response(ws.accept(cast(WsRequest, request)))
        self._flush_protocol()
        if ws.state is not State.OPEN:
            return
        self.subscriptions = subscriptions
        limits, options = LIMITS[self.server.market], self.server.options
        self._every(options.ping_interval_s or limits.ping_interval_s, self._ping)
        self._after(options.max_connection_s, lambda: self.close(1001, "connection lifetime reached"))
        self.server.subscribed(self)
        self._handle_frames(early)

    def _receive_frames(self, data: bytes) -> None:
        ws = self._ws
        assert ws is not None
        ws.receive_data(data)
        self._handle_frames(ws.events_received())
        self._flush_protocol()

    def _handle_frames(self, events: list[Any]) -> None:
        for event in events:
            if not isinstance(event, WsFrame):
                continue
            if event.opcode not in (Opcode.CONT, Opcode.CLOSE) and self._too_many_messages():
                self.server.count("message_limit")
                self.close(1008, "Too many requests")
                self.transport.pause_reading()  # it has said enough; cut off if it does not go
                return
            if event.opcode is Opcode.PONG:
                self._pong()
            elif event.opcode in (Opcode.TEXT, Opcode.CONT, Opcode.BINARY):
                self._fragments.append(bytes(event.data))
                self._fragments_cost += len(event.data) + FRAGMENT_BYTES
                if self._fragments_cost > MAX_MESSAGE_BYTES + FRAGMENT_BYTES:
                    self.close(1009, "message too large")
                    self.transport.pause_reading()
                    return
                if event.fin:
                    text, self._fragments, self._fragments_cost = b"".join(self._fragments), [], 0
                    self._control(text)

    def _control(self, text: bytes) -> None:
        if self.subscriptions is None:
            return
        reply = self.subscriptions.handle(text)
        self.transport.write(encode_message(reply))
        self.server.subscribed(self)

    def _too_many_messages(self) -> bool:
        times, now = self._message_times, self._loop.time()
        times.append(now)
        while times[0] < now - 1.0:
            times.popleft()
        return len(times) > LIMITS[self.server.market].messages_per_s

    def _flush_protocol(self) -> None:
        assert self._ws is not None
        for data in self._ws.data_to_send():
            if data:
                self.transport.write(data)
            else:
                self.transport.close()

    def _ping(self) -> None:
        if self._ws is None or self._ws.state is not State.OPEN:
            return
        self.transport.write(encode_message(b"%d" % self.server.now_ms(), Opcode.PING))
        if self._pong_due is None:
            timeout_s = LIMITS[self.server.market].pong_timeout_s
            self._pong_due = self._loop.call_later(timeout_s, self.abort, "pong_timeout")

    def _pong(self) -> None:
        self.server.count("pongs")
        if self._pong_due is not None:
            self._pong_due.cancel()
            self._pong_due = None

    def _after(self, delay_s: float, action: Any) -> None:
        self._timers.append(self._loop.call_later(delay_s, action))

    def _every(self, interval_s: float, action: Any) -> None:
        def run() -> None:
            self._timers.remove(handle)
            action()
            if not self.transport.is_closing():
                self._every(interval_s, action)

        handle = self._loop.call_later(interval_s, run)
        self._timers.append(handle)

    # ------------------------------------------------------------ what the server calls

    @property
    def open(self) -> bool:
        return self._ws is not None and self._ws.state is State.OPEN and not self.transport.is_closing()

    def send(self, payload: bytes, encoded: bytes) -> None:
        """Queues one stream message; it goes out with `flush`."""
        if self.injector is None:
            self.outbox.append(encoded)
            return
        if self.transport.is_closing() or self.silent_until > self._loop.time():
            return
        for action in self.injector.feed(payload):
            if action.kind == "text":
                self.outbox.append(encode_message(action.payload))
            elif action.kind == "binary":
                self.outbox.append(encode_message(action.payload, Opcode.BINARY))
            elif action.kind == "disconnect":
                self.flush()
                self.abort("fault_disconnect")
                return
            else:
                self.silent_until = self._loop.time() + self.server.options.faults.stall_s
                return

    def flush(self) -> None:
        if self.outbox:
            if not self.transport.is_closing():
                self.transport.write(b"".join(self.outbox))
            self.outbox.clear()

    def backlog_bytes(self) -> int:
        return self.transport.get_write_buffer_size()

    def close(self, code: int, reason: str) -> None:
        """Closing handshake; the transport ends when the client answers, or is cut by the server's stop."""
        if self.open and self._ws is not None:
            try:
                self._ws.send_close(code, reason)
            except ProtocolError:
                self.transport.close()
                return
            self._flush_protocol()
            self._after(1.0, self.transport.abort)

    def abort(self, cause: str) -> None:
        """Cuts the connection without another word."""
        self.server.count(cause)
        self.outbox.clear()
        self.transport.abort()
