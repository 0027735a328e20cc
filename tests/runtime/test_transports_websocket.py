"""Both WebSocket clients against a real server, over real sockets, plain and TLS."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop
from websockets.asyncio.server import ServerConnection, serve

from libchronicle.errors import ConfigError, ConnectFailed
from libchronicle.runtime.transports import CLIENTS, Limits, WebSocket, connect

Handler = Callable[[ServerConnection], Awaitable[None]]


class Listener:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.opened = 0
        self.frames: list[bytes] = []
        self.stamps: list[int] = []
        self.binary: list[int] = []
        self.too_large = 0
        self.closed: list[str] = []
        self.arrived = asyncio.Event()

    def on_open(self, socket: WebSocket) -> None:
        assert not self.frames
        self.opened += 1

    def on_text(self, frame: Any, recv_ts: int) -> None:
        assert self.opened == 1
        assert not self.closed
        self.frames.append(bytes(frame))
        self.stamps.append(recv_ts)
        self.arrived.set()

    def on_binary(self, size: int) -> None:
        self.binary.append(size)
        self.arrived.set()

    def on_too_large(self) -> None:
        self.too_large += 1

    def on_closed(self, reason: str) -> None:
        self.closed.append(reason)
        self.arrived.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self.arrived.clear()
                await self.arrived.wait()


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    if request.param == "picows":
        pytest.importorskip("picows")
    return str(request.param)


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Awaitable[None]], None]:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def runner(main: Any) -> None:
        with asyncio.Runner(loop_factory=factory) as loop:
            loop.run(main)

    return runner


@asynccontextmanager
async def server(handler: Handler, **options: Any) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, compression=None, close_timeout=0.2, **options) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"{'wss' if options.get('ssl') else 'ws'}://127.0.0.1:{port}/stream?streams=a/b"


async def opened(url: str, listener: Listener, client: str, **options: Any) -> WebSocket:
    return await connect(url, listener, clock=time.time_ns, client=client, **options)


def test_frames_arrive_whole_in_order_and_stamped(client: str, run: Any) -> None:
    sent = [b"x" * size for size in (0, 1, 125, 126, 65_535, 65_536, 300_000)] + [
        b"%d" % i for i in range(2000)
    ]

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        assert connection.request.path == "/stream?streams=a/b"
        for frame in sent:
            await connection.send(frame, text=True)
        await connection.wait_closed()

    async def main() -> None:
        listener = Listener()
        async with server(handler) as url:
            begun = time.time_ns()
            socket = await opened(url, listener, client)
            await listener.until(lambda: len(listener.frames) == len(sent))
            socket.close()
            await socket.wait_closed()
        assert listener.frames == sent
        assert listener.stamps == sorted(listener.stamps)
        assert begun <= listener.stamps[0]
        assert listener.closed == ["closed by us"]

    run(main())


def test_text_goes_to_the_server(client: str, run: Any) -> None:
    async def handler(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async def main() -> None:
        listener = Listener()
        async with server(handler) as url:
            socket = await opened(url, listener, client)
            socket.send_text('{"method":"SUBSCRIBE","params":["é"],"id":1}')
            await listener.until(lambda: listener.frames)
            socket.close()
            await socket.wait_closed()
        assert listener.frames == ['{"method":"SUBSCRIBE","params":["é"],"id":1}'.encode()]

    run(main())


def test_fragments_are_joined_and_binary_messages_are_told_apart(client: str, run: Any) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(["one ", "and ", "two"])
        await connection.send([b"12", b"345"])
        await connection.send(b"123")
        await connection.send("after")
        await connection.wait_closed()

    async def main() -> None:
        listener = Listener()
        async with server(handler) as url:
            socket = await opened(url, listener, client)
            await listener.until(lambda: len(listener.frames) == 2)
            socket.close()
            await socket.wait_closed()
        assert listener.frames == [b"one and two", b"after"]
        assert listener.binary == [5, 3]

    run(main())


def test_pings_of_the_server_are_answered(client: str, run: Any) -> None:
    async def handler(connection: ServerConnection) -> None:
        async with asyncio.timeout(20):
            await (await connection.ping(b"1723161255208"))
        await connection.send("answered")
        await connection.wait_closed()

    async def main() -> None:
        listener = Listener()
        async with server(handler, ping_interval=None) as url:
            socket = await opened(url, listener, client)
            await listener.until(lambda: listener.frames)
            socket.close()
            await socket.wait_closed()

    run(main())


def test_the_servers_close_is_told_once_with_its_reason(client: str, run: Any) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send("last words")
        await connection.close(1008, "disconnected after 24 h")

    async def main() -> None:
        listener = Listener()
        async with server(handler) as url:
            socket = await opened(url, listener, client)
            await socket.wait_closed()
        assert listener.frames == [b"last words"]
        assert len(listener.closed) == 1
        assert "1008" in listener.closed[0]
        assert "24 h" in listener.closed[0]

    run(main())


def test_a_server_that_says_close_but_keeps_the_connection_is_hung_up_on(client: str, run: Any) -> None:
    async def main() -> None:
        listener = Listener()

        async def handler(connection: ServerConnection) -> None:
            connection.transport.write(b"\x88\x02\x03\xe9")  # a close frame behind the library's back
            await listener.until(lambda: listener.closed)

        async with server(handler) as url:
            socket = await opened(url, listener, client, limits=Limits(close_timeout_s=0.1))
            await socket.wait_closed()
        assert len(listener.closed) == 1
        assert "1001" in listener.closed[0]

    run(main())


def test_a_cut_connection_is_told(client: str, run: Any) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send("x")
        connection.transport.abort()

    async def main() -> None:
        listener = Listener()
        async with server(handler) as url:
            socket = await opened(url, listener, client)
            await listener.until(lambda: listener.closed)
            await socket.wait_closed()
        assert len(listener.closed) == 1

    run(main())


def test_a_silent_connection_gets_a_ping_and_is_dropped(client: str, run: Any) -> None:
    async def main() -> None:
        listener, silent = Listener(), asyncio.Event()

        async def handler(connection: ServerConnection) -> None:
            await connection.send("x")
            connection.transport.pause_reading()  # never answers
            await silent.wait()

        async with server(handler, ping_interval=None) as url:
            limits = Limits(ping_after_s=0.1, dead_after_s=0.2)
            socket = await opened(url, listener, client, limits=limits)
            await listener.until(lambda: listener.closed)
            await socket.wait_closed()
            silent.set()
        assert len(listener.closed) == 1

    run(main())


def test_a_message_beyond_the_limit_ends_the_connection_and_is_told(client: str, run: Any) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send("y" * 1000)
        await connection.send("z" * 1001)
        await connection.wait_closed()

    async def main() -> None:
        listener = Listener()
        async with server(handler) as url:
            socket = await opened(url, listener, client, limits=Limits(max_frame_bytes=1000))
            await listener.until(lambda: listener.closed)
            await socket.wait_closed()
        assert listener.frames == [b"y" * 1000]
        assert listener.too_large == 1
        assert len(listener.closed) == 1

    run(main())


def test_fragments_together_beyond_the_limit_end_the_connection(client: str, run: Any) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(["z" * 400] * 9)
        await connection.wait_closed()

    async def main() -> None:
        listener = Listener()
        async with server(handler) as url:
            socket = await opened(url, listener, client, limits=Limits(max_frame_bytes=1000))
            await listener.until(lambda: listener.closed)
            await socket.wait_closed()
        assert (listener.frames, listener.too_large) == ([], 1)

    run(main())


@pytest.mark.parametrize("part", [b"x", b""], ids=["crumbs", "nothings"])
def test_parts_without_end_cost_no_more_than_a_large_message(client: str, run: Any, part: bytes) -> None:
    async def main() -> None:
        listener = Listener()
        crumb = bytes([0x00, len(part)]) + part

        async def handler(connection: ServerConnection) -> None:
            connection.transport.write(
                bytes([0x01, len(part)]) + part
            )  # the beginning of a text; no part is the last
            while not listener.closed:
                connection.transport.write(crumb * 1000)
                await asyncio.sleep(0)

        async with server(handler) as url:
            socket = await opened(url, listener, client, limits=Limits(max_frame_bytes=100_000))
            await listener.until(lambda: listener.closed)
            await socket.wait_closed()
        assert (listener.frames, listener.too_large) == ([], 1)

    run(main())


def test_a_server_that_asks_and_takes_no_answer_is_dropped(
    client: str, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "sans_io" if client == "websockets" else "fast"
    # A machine that stands still within one read is no flood.
    monkeypatch.setattr(f"libchronicle.runtime.transports.{module}.TURN_LIMIT_S", 60.0)

    async def main() -> None:
        listener = Listener()

        async def handler(connection: ServerConnection) -> None:
            connection.transport.pause_reading()
            while not listener.closed:
                connection.transport.write((b"\x89\x7d" + b"p" * 125) * 1000)
                await asyncio.sleep(0)

        async with server(handler, ping_interval=None) as url:
            socket = await opened(url, listener, client, limits=Limits(max_unsent_bytes=10_000))
            await listener.until(lambda: listener.closed)
            await socket.wait_closed()
        assert listener.closed == ["the server does not take our answers"]

    run(main())


def test_frames_too_dear_to_read_hold_up_the_loop_for_one_turn_at_most(client: str, run: Any) -> None:
    """20 s of work arrive at once: the loop gets its turns in between, or the connection ends."""
    frames = b"\x81\x01x" * 10_000

    class Dear(Listener):
        def on_text(self, frame: Any, recv_ts: int) -> None:
            super().on_text(frame, recv_ts)
            time.sleep(0.002)

    async def main() -> None:
        listener = Dear()

        async def handler(connection: ServerConnection) -> None:
            connection.transport.write(frames)
            await connection.wait_closed()

        async with server(handler) as url:
            socket = await opened(url, listener, client)
            await listener.until(lambda: listener.frames)
            await asyncio.sleep(0)
            assert len(listener.frames) < 1000
            socket.close()
            await socket.wait_closed()
        print(len(listener.frames), listener.closed)
        assert listener.closed in (["closed by us"], ["the server sends more than can be read"])

    run(main())


@pytest.mark.parametrize("code", [*range(1000, 1016), 0, 999, 2999, 3000, 4999, 5000, 65535])
def test_every_close_code_ends_the_connection_once(client: str, run: Any, code: int) -> None:
    async def main() -> None:
        listener = Listener()

        async def handler(connection: ServerConnection) -> None:
            connection.transport.write(b"\x88\x05" + code.to_bytes(2, "big") + b"why")
            await listener.until(lambda: listener.closed)

        async with server(handler) as url:
            socket = await opened(url, listener, client, limits=Limits(close_timeout_s=0.05))
            await socket.wait_closed()
        assert len(listener.closed) == 1

    run(main())


def test_a_server_that_hangs_up_instead_of_answering_is_no_connection(client: str, run: Any) -> None:
    async def main() -> None:
        async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.close()

        listening = await asyncio.start_server(rude, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        listener = Listener()
        with pytest.raises(ConnectFailed, match="closed during the handshake"):
            await opened(url, listener, client)
        assert (listener.opened, listener.closed) == (0, [])
        listening.close()
        await listening.wait_closed()

    run(main())


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/", "ws://[::1", "http://127.0.0.1:1/"])
def test_no_connection_is_one_error_whatever_the_cause(client: str, run: Any, url: str) -> None:
    async def main() -> None:
        listener = Listener()
        with pytest.raises(ConnectFailed) as caught:
            await opened(url, listener, client)
        assert caught.value.url == url
        assert (listener.opened, listener.closed) == (0, [])

    run(main())


def test_a_refused_handshake_names_the_status(client: str, run: Any) -> None:
    async def main() -> None:
        def refuse(connection: ServerConnection, request: Any) -> Any:
            return connection.respond(451, "not from there\n")

        async with server(lambda _: asyncio.sleep(0), process_request=refuse) as url:
            with pytest.raises(ConnectFailed, match="HTTP 451"):
                await opened(url, Listener(), client)

    run(main())


def test_a_server_that_never_answers_is_given_up(client: str, run: Any) -> None:
    async def main() -> None:
        stop = asyncio.Event()

        async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await stop.wait()
            writer.close()

        listening = await asyncio.start_server(deaf, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        with pytest.raises(ConnectFailed, match=r"not open after 0\.2 s"):
            await opened(url, Listener(), client, limits=Limits(open_timeout_s=0.2))
        stop.set()
        listening.close()
        await asyncio.sleep(0.05)

    run(main())


def test_tls_is_spoken_and_a_stranger_is_refused(client: str, run: Any, certificate: Path) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send("secret")
        await connection.wait_closed()

    async def main() -> None:
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(certificate)
        trusting = ssl.create_default_context(cafile=certificate)
        listener = Listener()
        async with server(handler, ssl=serving) as url:
            socket = await opened(url, listener, client, tls=trusting)
            await listener.until(lambda: listener.frames)
            socket.close()
            await socket.wait_closed()
            with pytest.raises(ConnectFailed, match="certificate"):
                await opened(url, Listener(), client)
        assert listener.frames == [b"secret"]

    run(main())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run([*command, "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("openssl is not installed")
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


def test_an_unknown_client_is_refused_by_name() -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match="take one of websockets, picows"):
            await connect("ws://127.0.0.1:1/", Listener(), clock=time.time_ns, client="curl")

    asyncio.run(main())
