"""HTTP/1.1 GET over asyncio streams: one request, one connection, limits on everything.

No redirects, no proxies, no content coding.

Venue requests are rare (a snapshot a quarter of an hour), so nothing is pooled; RFC 9112 for the message format.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from libchronicle.errors import HttpFailed
from libchronicle.runtime.transports.websocket import default_tls

__all__ = ["HttpLimits", "HttpResponse", "get"]

LINE_BYTES = 16 << 10
HEADERS = 200
INTERIM = 10


@dataclass(frozen=True, slots=True)
class HttpLimits:
    timeout_s: float = 10.0
    max_body_bytes: int = 64 << 20  # Binance's whole spot exchangeInfo is about 15 MB


@dataclass(frozen=True, slots=True)
class HttpResponse:
    status: int
    headers: dict[str, str]  # names in lower case; the last of a name counts
    body: bytes

    @property
    def retry_after_s(self) -> float | None:
        """What the server asks for with 429, 418 or 503."""
        value = self.headers.get("retry-after", "")
        return float(value) if value.isascii() and value.isdigit() else None


async def get(
    url: str, *, limits: HttpLimits | None = None, tls: ssl.SSLContext | None = None
) -> HttpResponse:
    """The answer to GET `url`, whatever its status. Raises HttpFailed when there is none."""
    chosen = limits or HttpLimits()
    try:
        parts = urlsplit(url)
        request = _request(
            (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), parts.netloc.rpartition("@")[2]
        )
        port = parts.port
    except ValueError as error:
        raise HttpFailed(url=url, reason=str(error)) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise HttpFailed(url=url, reason="no http:// or https:// address")
    secure = parts.scheme == "https"
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(chosen.timeout_s):
            reader, writer = await asyncio.open_connection(
                parts.hostname,
                port or (443 if secure else 80),
                ssl=(tls or default_tls()) if secure else None,
                limit=LINE_BYTES,
            )
            writer.write(request)
            return await _response(reader, chosen)
    except TimeoutError:
        raise HttpFailed(url=url, reason=f"no answer after {chosen.timeout_s:g} s") from None
    except asyncio.IncompleteReadError:
        raise HttpFailed(url=url, reason="the answer was cut off") from None
    except OSError as error:
        raise HttpFailed(url=url, reason=error.strerror or str(error)) from None
    except (ValueError, asyncio.LimitOverrunError) as error:
        raise HttpFailed(url=url, reason=f"malformed answer: {error}") from None
    finally:
        if writer is not None:
            writer.transport.abort()


def _request(target: str, host: str) -> bytes:
    if any(c <= " " or c > "~" for c in target + host):
        raise ValueError(f"{target!r} is no request target")
    lines = (
        f"GET {target} HTTP/1.1",
        f"Host: {host}",
        "User-Agent: chronicle",
        "Accept: application/json",
        "Accept-Encoding: identity",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


async def _response(reader: asyncio.StreamReader, limits: HttpLimits) -> HttpResponse:
    status = _status(await _line(reader))
    for _ in range(INTERIM):
        if not 100 <= status < 200:
            break
        await _headers(reader)
        status = _status(await _line(reader))
    else:
        raise ValueError(f"more than {INTERIM} interim answers")
    headers = await _headers(reader)
    if headers.get("content-encoding", "identity") != "identity":
        raise ValueError(f"content coding {headers['content-encoding']} was not asked for")
    return HttpResponse(status, headers, await _body(reader, headers, status, limits.max_body_bytes))


async def _line(reader: asyncio.StreamReader) -> str:
    line = await reader.readuntil(b"\n") if not reader.at_eof() else b""
    if not line:
        raise asyncio.IncompleteReadError(b"", None)
    return line.rstrip(b"\r\n").decode("latin-1")


def _status(line: str) -> int:
    version, _, rest = line.partition(" ")
    code = rest[:3]
    if not version.startswith("HTTP/1.") or len(code) != 3 or not code.isdigit():
        raise ValueError(f"status line {line[:80]!r}")
    return int(code)


async def _headers(reader: asyncio.StreamReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(HEADERS):
        line = await _line(reader)
        if not line:
            return headers
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise ValueError(f"header {line[:80]!r}")
        headers[name.lower()] = value.strip()
    raise ValueError(f"more than {HEADERS} headers")


async def _body(reader: asyncio.StreamReader, headers: dict[str, str], status: int, limit: int) -> bytes:
    if status in (204, 304):
        return b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _chunks(reader, limit)
    if "content-length" in headers:
        length = headers["content-length"]
        if not length.isdigit() or int(length) > limit:
            raise ValueError(f"content length {length[:20]}, the limit is {limit}")
        return await reader.readexactly(int(length))
    body = bytearray()
    while data := await reader.read(1 << 16):
        body += data
        if len(body) > limit:
            raise ValueError(f"body exceeds {limit} bytes")
    return bytes(body)


async def _chunks(reader: asyncio.StreamReader, limit: int) -> bytes:
    body = bytearray()
    while True:
        size_text = (await _line(reader)).partition(";")[0].strip()
        size = int(size_text, 16)
        if size < 0 or len(body) + size > limit:
            raise ValueError(f"body exceeds {limit} bytes")
        if size == 0:
            await _headers(reader)  # trailers
            return bytes(body)
        body += await reader.readexactly(size)
        if await _line(reader):
            raise ValueError("a chunk does not end where it says")
