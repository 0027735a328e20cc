"""The venue on real sockets: HTTP, streams, faults, slow and silent subscribers."""

from __future__ import annotations

import asyncio
import functools
import gzip
import http.client
import json
import math
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from libchronicle.errors import ConfigError, HostError
from libchronicle.sim.faults import Fault, FaultPlan
from libchronicle.sim.instruments import SPOT, USDM
from libchronicle.sim.recording import RecordingCorrupt
from libchronicle.testing.recordings import generated_lines
from services.exchange.options import ExchangeOptions, MarketOptions
from services.exchange.server import MarketServer
from services.exchange.venue import Venue

STREAMS = ("btcusdt@depth@100ms", "btcusdt@trade", "btcusdt@bookTicker")
COMBINED = "/stream?streams=" + "/".join(STREAMS)


@asynccontextmanager
async def serving(market: str = SPOT, **options: Any) -> AsyncIterator[tuple[Venue, MarketServer]]:
    symbols = options.pop("symbols", ("BTCUSDT",))
    options.setdefault("rate", 500.0)
    markets = (MarketOptions(market=market, symbols=symbols),)
    async with Venue(ExchangeOptions(markets=markets, **options)) as venue:
        yield venue, venue.servers[market]


def client(server: MarketServer, target: str, **options: Any) -> connect:
    return connect(f"ws://127.0.0.1:{server.port}{target}", compression=None, close_timeout=0.5, **options)


async def receive(ws: ClientConnection) -> Any:
    async with asyncio.timeout(20):
        return json.loads(await ws.recv())


async def close_code(ws: ClientConnection) -> int | None:
    """Reads on until the connection ends: the venue's closing code, None when it said nothing."""
    try:
        while True:
            await receive(ws)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


async def receive_until(ws: ClientConnection, wanted: Callable[[Any], bool]) -> Any:
    while not wanted(message := await receive(ws)):
        pass
    return message


async def get(server: MarketServer, target: str, method: str = "GET") -> tuple[int, bytes]:
    def fetch() -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request(method, target)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, body

    return await asyncio.to_thread(fetch)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def asynchronous(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*arguments: Any, **fixtures: Any) -> None:
        asyncio.run(test(*arguments, **fixtures))

    return run


@pytest.fixture
def recording(tmp_path: Path) -> Callable[[str], Path]:
    def write(market: str) -> Path:
        path = tmp_path / f"{market}.gz"
        path.write_bytes(gzip.compress(b"".join(generated_lines(market)), 1))
        return path

    return write


# ---------------------------------------------------------------- HTTP


@asynchronous
async def test_one_connection_carries_many_requests_also_pipelined() -> None:
    async with serving() as (_, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        request = b"GET /api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n"
        writer.write(request + request)
        for _ in range(2):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(2) == b"{}"
        for byte in request:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writer.close()


@asynchronous
async def test_head_has_no_body_and_post_is_understood_but_refused() -> None:
    async with serving() as (_, server):
        assert await get(server, "/api/v3/time", "HEAD") == (200, b"")
        status, body = await get(server, "/api/v3/ping", "POST")
        assert (status, json.loads(body)["code"]) == (405, -1020)
        assert (await get(server, "/"))[0] == 404


@asynchronous
async def test_bytes_that_are_no_http_get_400_and_the_venue_lives() -> None:
    async with serving() as (_, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
        writer.close()
        assert (await get(server, "/api/v3/ping"))[0] == 200


@asynchronous
async def test_an_upgrade_that_is_no_websocket_handshake_is_refused() -> None:
    async with serving() as (_, server):
        for version in ("1.0", "1.1"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(f"GET /ws HTTP/{version}\r\nHost: x\r\nUpgrade: websocket\r\n\r\n".encode())
            async with asyncio.timeout(20):
                answer = await reader.read()
            assert b" 101 " not in answer
            writer.close()
        assert (await get(server, "/api/v3/ping"))[0] == 200


# ---------------------------------------------------------------- streams


@pytest.mark.parametrize("market", [SPOT, USDM])
@asynchronous
async def test_combined_and_raw_streams_carry_the_same_events(market: str) -> None:
    async with (
        serving(market) as (_, server),
        client(server, COMBINED) as combined,
        client(server, "/ws/btcusdt@depth@100ms") as raw,
    ):
        diff = await receive(raw)
        assert (diff["e"], diff["s"]) == ("depthUpdate", "BTCUSDT")
        assert ("pu" in diff) == (market == USDM)
        following = await receive(raw)
        in_envelope = await receive_until(
            combined, lambda m: "@depth" in m["stream"] and m["data"]["u"] == following["u"]
        )
        assert in_envelope == {"stream": "btcusdt@depth@100ms", "data": following}


@asynchronous
async def test_a_stream_answers_under_the_name_it_was_subscribed_with() -> None:
    async with serving(USDM) as (_, server), client(server, "/stream?streams=btcusdt@depth") as ws:
        assert (await receive(ws))["stream"] == "btcusdt@depth"


@asynchronous
async def test_subscriptions_change_on_a_living_connection() -> None:
    async with serving(symbols=("BTCUSDT", "ETHUSDT")) as (_, server), client(server, "/ws") as ws:
        await ws.send('{"method":"SUBSCRIBE","params":["ethusdt@bookTicker"],"id":1}')
        assert await receive(ws) == {"result": None, "id": 1}
        assert (await receive(ws))["s"] == "ETHUSDT"
        await ws.send('{"method":"SET_PROPERTY","params":["combined",true],"id":2}')
        await receive_until(ws, lambda message: message.get("id") == 2)
        assert (await receive(ws))["stream"] == "ethusdt@bookTicker"
        await ws.send('{"method":"UNSUBSCRIBE","params":["ethusdt@bookTicker"],"id":3}')
        await receive_until(ws, lambda message: message.get("id") == 3)
        await ws.send('{"method":"LIST_SUBSCRIPTIONS","id":4}')
        assert await receive(ws) == {"result": [], "id": 4}, "nothing comes between once unsubscribed"


@asynchronous
async def test_nonsense_on_a_stream_is_answered_and_the_stream_goes_on() -> None:
    async with serving() as (_, server), client(server, "/ws/btcusdt@bookTicker") as ws:
        await ws.send("nonsense")
        assert (await receive_until(ws, lambda message: "error" in message))["error"]["code"] == 3
        await receive_until(ws, lambda message: "u" in message)


@asynchronous
async def test_a_path_without_streams_refuses_the_upgrade() -> None:
    async with serving() as (_, server):
        with pytest.raises(Exception, match="404"):
            await client(server, "/nothing")


@asynchronous
async def test_ping_frames_are_answered_and_sent() -> None:
    async with serving(ping_interval_s=0.05) as (_, server), client(server, "/ws") as ws:
        async with asyncio.timeout(20):
            await (await ws.ping(b"hello"))
        await until(lambda: server.counts["pongs"] > 0)


@asynchronous
async def test_too_many_control_messages_end_the_connection() -> None:
    async with serving() as (_, server), client(server, "/ws") as ws:
        for number in range(8):
            await ws.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
        assert await close_code(ws) == 1008
        assert server.counts["message_limit"] == 1


@asynchronous
async def test_a_connection_ends_at_its_lifetime() -> None:
    async with serving(max_connection_s=0.2) as (_, server), client(server, COMBINED) as ws:
        assert await close_code(ws) == 1001
        async with client(server, COMBINED) as again:
            await receive(again)


@asynchronous
async def test_stopping_says_goodbye_to_every_subscriber() -> None:
    async with serving() as (venue, server), client(server, COMBINED) as ws:
        await receive(ws)
        await venue.stop()
        assert await close_code(ws) == 1001


# ---------------------------------------------------------------- slow subscribers


async def subscribe_and_never_read(server: MarketServer) -> socket.socket:
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, ("127.0.0.1", server.port))
    await loop.sock_sendall(
        raw,
        f"GET {COMBINED} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode(),
    )
    await until(lambda: len(server.subscribers) > 0)
    return raw


@asynchronous
async def test_who_does_not_read_is_cut_off_and_the_others_go_on() -> None:
    options = {"rate": 5000.0, "max_backlog_bytes": 100_000, "speed": 20.0}
    async with serving(**options) as (_, server):
        raw = await subscribe_and_never_read(server)
        async with client(server, "/ws/btcusdt@trade") as ws:
            drain = asyncio.create_task(_drain(ws))
            await until(lambda: server.counts["slow_consumer"] == 1)
            await until(lambda: len(server.subscribers) == 1)
            before = server.counts["frames"]
            await until(lambda: server.counts["frames"] > before)
            drain.cancel()
        raw.close()


async def _drain(ws: ClientConnection) -> None:
    async for _ in ws:
        pass


@asynchronous
async def test_without_a_pace_a_subscriber_that_stopped_reading_does_not_hold_the_others_for_ever(
    recording: Callable[[str], Path],
) -> None:
    options = {"speed": math.inf, "at_end": "loop", "stall_timeout_s": 0.2, "first_book_wait_s": 0.01}
    async with serving(recordings=(str(recording(SPOT)),), **options) as (_, server):
        raw = await subscribe_and_never_read(server)
        async with client(server, "/ws/btcusdt@trade") as ws:
            drain = asyncio.create_task(_drain(ws))
            await until(lambda: server.counts["slow_consumer"] == 1)
            drain.cancel()
        raw.close()


# ---------------------------------------------------------------- recordings


async def play(server: MarketServer, expected: int) -> Counter[str]:
    """Everything a subscriber gets of a recording at unlimited speed; the book is fetched as soon as there is one."""
    prefix = "/api/v3" if server.market == SPOT else "/fapi/v1"
    seen: Counter[str] = Counter()
    async with client(server, COMBINED, max_queue=None) as ws:
        assert (await get(server, f"{prefix}/depth?symbol=BTCUSDT"))[0] in (200, 503)
        while (await get(server, f"{prefix}/depth?symbol=BTCUSDT"))[0] == 503:
            await asyncio.sleep(0.005)
        while seen.total() < expected:
            seen[(await receive(ws))["stream"].split("@")[1]] += 1
    return seen


@pytest.mark.parametrize("market", [SPOT, USDM])
@asynchronous
async def test_a_subscriber_from_the_start_gets_every_frame_of_the_recording(
    recording: Callable[[str], Path], market: str
) -> None:
    lines = generated_lines(market)
    kinds = Counter(
        json.loads(line.split(b" ", 1)[1]).get("stream", "@snapshot").split("@")[1] for line in lines
    )
    del kinds["snapshot"]

    async with serving(market, recordings=(str(recording(market)),), speed=math.inf) as (_, server):
        assert server.counts["frames"] == 0, "nothing plays before somebody subscribes"
        assert await play(server, kinds.total()) == kinds
        status, _ = await get(server, ("/api/v3" if market == SPOT else "/fapi/v1") + "/depth?symbol=BTCUSDT")
        assert status == 200, "at its end the venue stays as it is"


@pytest.mark.recording
@pytest.mark.parametrize(
    ("market", "name", "kinds"),
    [
        (SPOT, "spot", {"depth": 3451, "trade": 9757, "bookTicker": 28040}),
        (USDM, "usdm", {"depth": 6551, "trade": 21313, "bookTicker": 66089}),
    ],
)
@asynchronous
async def test_a_real_recording_arrives_whole(
    chronicle_data: Path, market: str, name: str, kinds: dict[str, int]
) -> None:
    path = chronicle_data / "binance" / name / "btcusdt_20240808.gz"

    async with serving(market, recordings=(str(path),), speed=math.inf) as (_, server):
        assert await play(server, sum(kinds.values())) == kinds


@pytest.mark.parametrize("fetched", [True, False])
@asynchronous
async def test_without_a_pace_the_player_waits_at_its_first_book_until_it_was_fetched_but_not_for_ever(
    recording: Callable[[str], Path], fetched: bool
) -> None:
    wait_s = 3600.0 if fetched else 0.2
    options = {"recordings": (str(recording(SPOT)),), "speed": math.inf, "first_book_wait_s": wait_s}
    async with serving(**options) as (venue, server), client(server, COMBINED, max_queue=None) as ws:
        await receive(ws)
        await until(lambda: server.source.depth("BTCUSDT", 1) is not None)
        if fetched:
            await asyncio.sleep(0.1)
            assert not venue.pumps[SPOT].ended.is_set()
            _, body = await get(server, "/api/v3/depth?symbol=BTCUSDT")
            seen = json.loads(body)["lastUpdateId"]
            diff = await receive_until(ws, lambda m: "@depth" in m["stream"] and m["data"]["u"] > seen)
            assert diff["data"]["U"] <= seen + 1, "nothing between the book and the stream is missing"
        async with asyncio.timeout(20):
            await venue.pumps[SPOT].ended.wait()


@asynchronous
async def test_a_recording_is_paced_by_its_own_clock(recording: Callable[[str], Path]) -> None:
    async with serving(recordings=(str(recording(SPOT)),), speed=2.0, at_end="stop") as (venue, server):
        loop = asyncio.get_running_loop()
        async with client(server, COMBINED) as ws:
            started = loop.time()
            drain = asyncio.create_task(_drain(ws))
            async with asyncio.timeout(60):
                await venue.run()
            assert loop.time() - started >= 1.4, "three seconds at double speed"
            drain.cancel()


@asynchronous
async def test_two_recordings_make_one_market_of_two_symbols(tmp_path: Path) -> None:
    paths = []
    for symbol in ("BTCUSDT", "ETHUSDT"):
        path = tmp_path / symbol
        text = b"".join(generated_lines(SPOT))
        path.write_bytes(
            text.replace(b"BTCUSDT", symbol.encode()).replace(b"btcusdt", symbol.lower().encode())
        )
        paths.append(str(path))

    async with serving(recordings=tuple(paths), speed=math.inf, symbols=(), first_book_wait_s=0.01) as (
        _,
        server,
    ):
        async with client(server, "/stream?streams=btcusdt@trade/ethusdt@trade") as ws:
            seen = {(await receive(ws))["data"]["s"] for _ in range(20)}
        assert seen == {"BTCUSDT", "ETHUSDT"}


# ---------------------------------------------------------------- faults


@asynchronous
async def test_injected_faults_reach_the_subscriber_as_counted() -> None:
    plan = FaultPlan(seed=2, drop=0.05, duplicate=0.05, binary=0.02, garbage=0.02)

    async with (
        serving(faults=plan, rate=2000.0) as (_, server),
        client(server, "/ws/btcusdt@trade") as ws,
    ):
        ids: list[int] = []
        async with asyncio.timeout(20):
            while len(ids) < 400:
                message = await ws.recv()
                try:
                    ids.append(msgspec.json.decode(message)["t"])
                except (msgspec.DecodeError, TypeError, KeyError):
                    continue
        doubled = len(ids) - len(set(ids))
        missing = ids[-1] - ids[0] + 1 - len(set(ids))
        assert 0 < doubled <= server.fault_counts[Fault.DUPLICATE]
        assert 0 < missing <= server.fault_counts[Fault.DROP]


@asynchronous
async def test_an_injected_disconnect_cuts_without_a_goodbye() -> None:
    plan = FaultPlan(disconnect=1.0, skip=5)
    async with serving(faults=plan) as (_, server), client(server, "/ws/btcusdt@trade") as ws:
        for _ in range(5):
            await receive(ws)
        assert await close_code(ws) is None


@asynchronous
async def test_an_injected_stall_is_silence_on_an_open_connection() -> None:
    plan = FaultPlan(stall=1.0, stall_s=60.0, skip=5)
    async with serving(faults=plan) as (_, server), client(server, "/ws/btcusdt@trade") as ws:
        for _ in range(5):
            await receive(ws)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await ws.recv()
        await (await ws.ping())


# ---------------------------------------------------------------- what cannot be served


@asynchronous
async def test_a_port_in_use_is_named() -> None:
    async with serving() as (_, server):
        options = ExchangeOptions(markets=(MarketOptions(market=USDM, port=server.port),))
        with pytest.raises(HostError, match=f"127.0.0.1:{server.port}: port in use"):
            await Venue(options).start()


def test_what_is_wrong_with_a_recording_is_said_at_the_start(
    tmp_path: Path, recording: Callable[[str], Path]
) -> None:
    def venue(path: Path, market: str = SPOT, symbol: str = "BTCUSDT") -> Venue:
        markets = (MarketOptions(market=market, symbols=(symbol,)),)
        return Venue(ExchangeOptions(markets=markets, recordings=(str(path),)))

    with pytest.raises(HostError, match="no such recording"):
        venue(tmp_path / "none.gz")
    with pytest.raises(ConfigError, match="no recording fits this market"):
        venue(recording(SPOT), USDM)
    with pytest.raises(ConfigError, match="no recording fits"):
        venue(recording(SPOT), SPOT, "ETHUSDT")
    cut = tmp_path / "cut.gz"
    cut.write_bytes(recording(SPOT).read_bytes()[:300])
    with pytest.raises(RecordingCorrupt, match="gzip stream is damaged"):
        venue(cut)
    text = tmp_path / "text"
    text.write_text("hello\n")
    with pytest.raises(RecordingCorrupt, match="line 1"):
        venue(text)
