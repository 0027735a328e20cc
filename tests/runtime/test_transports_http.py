"""HTTP GET against real sockets that answer well, badly, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from libchronicle.errors import HttpFailed
from libchronicle.runtime.transports import HttpLimits, HttpResponse, get

Check = Callable[[str], Awaitable[None]]


def answer(raw: bytes | list[bytes], check: Check, close: bool = True) -> list[bytes]:
    """Runs `check(url)` while a server answers each request with `raw`; returns the requests seen."""
    seen: list[bytes] = []
    served: list[asyncio.Task[None]] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(cast("asyncio.Task[None]", asyncio.current_task()))
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        for part in [raw] if isinstance(raw, bytes) else raw:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        if not close:
            await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def main() -> None:
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        async with server:
            async with asyncio.timeout(20):
                await check(
                    f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v3/depth?symbol=X&limit=5"
                )
            server.close()
            await asyncio.gather(*served, return_exceptions=True)

    asyncio.run(main())
    return seen


def ok(raw: bytes | list[bytes], close: bool = True) -> tuple[HttpResponse, bytes]:
    got: list[HttpResponse] = []

    async def check(url: str) -> None:
        got.append(await get(url))

    (request,) = answer(raw, check, close)
    return got[0], request


def bad(raw: bytes | list[bytes], match: str, **limits: float) -> None:
    async def check(url: str) -> None:
        with pytest.raises(HttpFailed, match=match):
            await get(url, limits=HttpLimits(**limits))

    answer(raw, check)


def test_a_request_says_what_it_must_and_a_length_is_honoured() -> None:
    response, request = ok(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nhelloEXTRA")
    assert (response.status, response.body, response.headers["x-a"]) == (200, b"hello", "b")
    assert request.startswith(b"GET /api/v3/depth?symbol=X&limit=5 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nConnection: close\r\n" in request


def test_the_body_may_come_in_pieces_in_chunks_or_until_the_end() -> None:
    pieces = [b"HTTP/1.1 200 OK\r\nContent-", b"Length: 6\r\n\r\nab", b"c", b"def"]
    assert ok(pieces)[0].body == b"abcdef"
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
    assert ok(chunks, close=False)[0].body == b"abc0123456789"
    assert ok(b"HTTP/1.0 200 OK\r\n\r\nto the end")[0].body == b"to the end"
    assert ok(b"HTTP/1.1 204 No Content\r\n\r\n", close=False)[0].body == b""


def test_an_interim_answer_is_skipped() -> None:
    raw = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    assert ok(raw)[0].body == b"ok"


def test_other_statuses_are_answers_too() -> None:
    raw = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}"
    response, _ = ok(raw)
    assert (response.status, response.retry_after_s) == (429, 7.0)
    assert ok(b"HTTP/1.1 503 No\r\nRetry-After: soon\r\n\r\n")[0].retry_after_s is None


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (b"", "cut off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", "cut off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nshort", "cut off"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "cut off"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "malformed answer: status line"),
        (b"HTTP/1.1 abc\r\n\r\n", "malformed answer: status line"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "malformed answer: header"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "malformed answer: content length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", "content length 99999, the limit is 1000"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFF\r\n", "body exceeds 1000"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "malformed answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n", "a chunk does not end"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000, "body exceeds 1000"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", "was not asked for"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"\r\n", "more than 200 headers"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 20, "more than 10 interim answers"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 40_000 + b"\r\n\r\n", "malformed answer"),
    ],
)
def test_a_bad_answer_is_one_error_with_the_reason(raw: bytes, match: str) -> None:
    bad(raw, match, max_body_bytes=1000)


def test_no_answer_is_given_up_after_the_time_limit() -> None:
    async def check(url: str) -> None:
        with pytest.raises(HttpFailed, match=r"no answer after 0\.2 s"):
            await get(url, limits=HttpLimits(timeout_s=0.2))

    answer(b"HTTP/1.1 200 OK\r\n", check, close=False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "ftp://x/", "http://", "http://h/a b"])
def test_an_address_nobody_answers_at_is_an_error(url: str) -> None:
    with pytest.raises(HttpFailed):
        asyncio.run(get(url, limits=HttpLimits(timeout_s=5)))
