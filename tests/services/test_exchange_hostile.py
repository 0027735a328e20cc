"""chronicle-exchange against clients that attack it, over real sockets: the others get their data, and it does not grow."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import struct
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest
from feed_process import LISTENING, Process
from hostile_streams import BINARY, CLOSE, CONT, PING, PONG, TEXT
from websockets.sync.client import connect

from libchronicle.runtime.daemon import ExitCode

GROWTH_BYTES = 100 << 20
STREAMS = "btcusdt@depth/btcusdt@trade/btcusdt@bookTicker"
GET_DEPTH = b"GET /api/v3/depth?symbol=BTCUSDT&limit=5000 HTTP/1.1\r\nHost: x\r\n\r\n"


class Venue(Process):
    """chronicle-exchange with one market, and how it is seen from outside."""

    def __init__(self, *flags: str) -> None:
        common = ("--market", "binance-spot", "--port", "0", "--symbols", "BTCUSDT", "--rate", "3000")
        super().__init__("services.exchange", *common, *flags)
        self.port = int(self.until(LISTENING).group(1))
        self.base_rss = self.rss()
        self.seen = 0

    def check_well(self, after: str) -> None:
        assert self.process.poll() is None, (
            f"{after}: ended with {self.process.returncode}\n{self.log[-3000:]}"
        )
        grown = self.rss() - self.base_rss
        assert grown < GROWTH_BYTES, f"{after}: grew by {grown >> 20} MiB"
        new, self.seen = self.log[self.seen :], len(self.log)
        assert "Traceback" not in new, f"{after}:\n{new[-3000:]}"
        assert "Fatal error" not in new, f"{after}:\n{new[-3000:]}"


class Witness:
    """A well-behaved subscriber; notes how much it got."""

    def __init__(self, port: int) -> None:
        self.got = 0
        self.fault: Exception | None = None
        self._url = f"ws://127.0.0.1:{port}/stream?streams={STREAMS}"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            with connect(self._url) as venue:
                while not self._over.is_set():
                    json.loads(venue.recv(timeout=20))
                    self.got += 1
        except Exception as error:  # noqa: BLE001  (told to the test)
            self.fault = error

    def check_fed(self, after: str) -> None:
        before, deadline = self.got, time.monotonic() + 20
        while self.got < before + 50:
            assert time.monotonic() < deadline, f"{after}: the witness gets nothing; {self.fault}"
            time.sleep(0.01)

    def close(self) -> None:
        self._over.set()
        self._thread.join(30)


@pytest.fixture(scope="module")
def venue() -> Iterator[Venue]:
    process = Venue()
    yield process
    process.kill()


@pytest.fixture(scope="module")
def witness(venue: Venue) -> Iterator[Witness]:
    one = Witness(venue.port)
    yield one
    one.close()


def raw(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=5)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return connection


def subscribed(port: int) -> socket.socket:
    connection = raw(port)
    connection.sendall(
        f"GET /stream?streams={STREAMS} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    return connection


def masked(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, claim: int | None = None
) -> bytes:
    size = len(payload) if claim is None else claim
    head = bytes([(fin << 7) | (rsv << 4) | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += b"\xfe" + struct.pack("!H", size)
    else:
        head += b"\xff" + struct.pack("!Q", size)
    return head + b"\0\0\0\0" + payload


def pour(connection: socket.socket, data: bytes, seconds: float = 1.0) -> None:
    """As much of it, again and again, as goes in; nothing is read."""
    connection.settimeout(0.2)
    deadline = time.monotonic() + seconds
    with contextlib.suppress(OSError):
        while time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                connection.sendall(data)


REQUESTS = {
    "nothing": b"",
    "half_a_head": b"GET /api/v3/ping HTTP/1.1\r\nHost: x\r\nX-Long: ",
    "no_http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    "long_line": b"GET /" + b"a" * 200_000,
    "many_headers": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 50_000,
    "odd_target": b"GET //[x HTTP/1.1\r\nHost: x\r\n\r\n",
    "odd_upgrade": b"GET //[x HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "upgrade_without_key": b"GET /ws/a HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "big_body": b"POST /api/v3/depth HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 300_000,
    "endless_chunks": b"POST /api/v3/depth HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 100_000,
    "bad_length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "two_lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "odd_query": b"GET /api/v3/depth?symbol=%ff%fe&limit=9999999999999999999999&symbol= HTTP/1.1\r\nHost: x\r\n\r\n",
    "thousands_of_streams": b"GET /stream?streams=" + b"/".join(b"a%d@trade" % i for i in range(4000))
    + b" HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
}  # fmt: skip

SUBSCRIBE = b'{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}'
NAMES = json.dumps({"method": "SUBSCRIBE", "params": [f"s{i}@trade" for i in range(5000)], "id": 1}).encode()
FRAMES = {
    "unmasked": b"\x81\x03abc",
    "huge": masked(TEXT, b"x" * 1000, claim=1 << 50),
    "too_large": masked(TEXT, b"x" * 100_000),
    "binary": masked(BINARY, b"x" * 1000) * 100,
    "reserved": masked(0x3, b"x"),
    "compressed": masked(TEXT, b"x", rsv=4),
    "deep": masked(TEXT, b"[" * 60_000),
    "deep_object": masked(TEXT, b'{"a":' * 12_000),
    "not_utf8": masked(TEXT, b"\xff\xfe"),
    "odd_method": masked(TEXT, b'{"method":{"x":[]},"params":7,"id":{}}'),
    "big_id": masked(TEXT, b'{"method":"SUBSCRIBE","params":[],"id":' + b"9" * 6000 + b"}"),
    "requests": masked(TEXT, SUBSCRIBE) * 1000,
    "many_names": masked(TEXT, NAMES),
    "pings": masked(PING, b"x" * 125) * 1000,
    "pongs": masked(PONG, b"x" * 125) * 1000,
    "long_ping": masked(PING, b"x" * 126),
    "crumbs": masked(TEXT, b"x", fin=False) + masked(CONT, b"x", fin=False) * 100_000,
    "nothings": masked(TEXT, b"", fin=False) + masked(CONT, b"", fin=False) * 100_000,
    "cont_first": masked(CONT, b"x"),
    "close_0": masked(CLOSE, b"\x00\x00"),
    "close_1005": masked(CLOSE, b"\x03\xed"),
    "close_65535": masked(CLOSE, b"\xff\xff"),
    "close_short": masked(CLOSE, b"\x03"),
    "close_not_utf8": masked(CLOSE, b"\x03\xe8\xff\xfe"),
    "talks_after_close": masked(CLOSE, b"\x03\xe8") + masked(TEXT, SUBSCRIBE) * 100,
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_no_request_harms_the_others(venue: Venue, witness: Witness, name: str) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            connection = stack.enter_context(raw(venue.port))
            with contextlib.suppress(OSError):
                connection.sendall(REQUESTS[name])
        witness.check_fed(name)
        venue.check_well(name)
    assert urllib.request.urlopen(f"http://127.0.0.1:{venue.port}/api/v3/ping", timeout=20).read() == b"{}"


@pytest.mark.parametrize("name", FRAMES)
def test_no_frame_harms_the_others(venue: Venue, witness: Witness, name: str) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            connection = stack.enter_context(subscribed(venue.port))
            pour(connection, FRAMES[name], 0.1)
        witness.check_fed(name)
        venue.check_well(name)


def test_who_asks_without_end_and_reads_nothing_costs_little(venue: Venue, witness: Witness) -> None:
    with contextlib.ExitStack() as stack:
        askers = [stack.enter_context(raw(venue.port)) for _ in range(4)]
        threads = [threading.Thread(target=pour, args=(asker, GET_DEPTH * 200, 2.0)) for asker in askers]
        for thread in threads:
            thread.start()
        witness.check_fed("askers")
        for thread in threads:
            thread.join()
        venue.check_well("askers")


def test_subscribers_that_never_read_are_cut_off_and_cost_the_others_nothing(
    venue: Venue, witness: Witness
) -> None:
    with contextlib.ExitStack() as stack:
        sleepers = [stack.enter_context(subscribed(venue.port)) for _ in range(20)]
        witness.check_fed("sleepers")
        for _ in range(10):
            witness.check_fed("sleepers")
            venue.check_well("sleepers")
        del sleepers


def test_a_crowd_that_takes_every_descriptor_is_outlived() -> None:
    venue = Venue()
    try:
        witness = Witness(venue.port)
        witness.check_fed("before the crowd")
        limit = len(os.listdir(f"/proc/{venue.process.pid}/fd")) + 20
        resource.prlimit(venue.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
        with contextlib.ExitStack() as stack:
            for _ in range(200):
                connection = stack.enter_context(socket.socket())
                connection.setblocking(False)
                connection.connect_ex(("127.0.0.1", venue.port))
            witness.check_fed("a crowd")
            venue.check_well("a crowd")
        second = Witness(venue.port)
        second.check_fed("after the crowd")
        for one in (witness, second):
            one.close()
        assert venue.end(signal.SIGTERM) == ExitCode.OK
    finally:
        venue.kill()


def test_sigterm_ends_it_among_hostile_clients() -> None:
    venue = Venue()
    try:
        with contextlib.ExitStack() as stack:
            for data in (b"", REQUESTS["half_a_head"], GET_DEPTH * 300):
                connection = stack.enter_context(raw(venue.port))
                pour(connection, data or b"G", 0.1)
            for name in ("crumbs", "pings", "requests"):
                pour(stack.enter_context(subscribed(venue.port)), FRAMES[name], 0.1)
            began = time.monotonic()
            assert venue.end(signal.SIGTERM) == ExitCode.OK
            print(f"ended after {time.monotonic() - began:.2f} s")
    finally:
        venue.kill()
