"""What a WebSocket server may do to its client (RFC 6455), from rude to insane. Each is a `gate.Behaviour`."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import socket
import struct
import zlib
from asyncio import StreamReader, StreamWriter

from gate import Behaviour, pour

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CONT, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA
FOREVER = 10**9


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, claim: int | None = None
) -> bytes:
    """One frame; `claim` is the length its header tells, true or not."""
    size = len(payload) if claim is None else claim
    head = bytes([(fin << 7) | (rsv << 4) | opcode])
    if size < 126:
        head += bytes([size])
    elif size < 1 << 16:
        head += b"\x7e" + struct.pack("!H", size)
    else:
        head += b"\x7f" + struct.pack("!Q", size)
    return head + payload


async def accept(head: bytes, writer: StreamWriter, extra: str = "") -> None:
    key = re.search(rb"sec-websocket-key: *(\S+)", head, re.IGNORECASE)
    assert key is not None
    proof = base64.b64encode(hashlib.sha1(key.group(1) + GUID).digest()).decode()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + f"Sec-WebSocket-Accept: {proof}\r\n{extra}\r\n".encode()
    )
    await writer.drain()


async def linger(reader: StreamReader) -> None:
    """Takes what the client says until it leaves."""
    while await reader.read(1 << 16):
        pass


def sends(name: str, *frames: bytes, pause_s: float = 0.0, extra: str = "") -> Behaviour:
    """Accepts, sends these, and waits until the client leaves."""

    async def behaviour(head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
        await accept(head, writer, extra)
        for data in frames:
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(pause_s)
        await linger(reader)

    behaviour.__name__ = name
    return behaviour


def floods(name: str, data: bytes, *, begin: bytes = b"", deaf: bool = True) -> Behaviour:
    """Accepts and sends `data` for ever; deaf = reads nothing of what comes back."""

    async def behaviour(head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
        await accept(head, writer)
        writer.write(begin)
        listening = None if deaf else asyncio.ensure_future(linger(reader))
        try:
            while True:
                writer.write(data)
                await writer.drain()
                await asyncio.sleep(0)
        finally:
            if listening is not None:
                listening.cancel()

    behaviour.__name__ = name
    return behaviour


def answers(name: str, raw: bytes, *, close: bool = True) -> Behaviour:
    """These bytes instead of a handshake."""

    async def behaviour(head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        if close:
            writer.write_eof()
        await linger(reader)

    behaviour.__name__ = name
    return behaviour


def closes(code: int, reason: bytes = b"") -> Behaviour:
    return sends(f"closes_{code}", frame(CLOSE, struct.pack("!H", code) + reason))


async def endless_handshake(head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
    await pour(writer, b"HTTP/1.1 101 Switching Protocols\r\n", b"X-Padding: " + b"x" * 4000 + b"\r\n")


async def endless_refusal(head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
    await pour(writer, b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"x" * 65536)


async def slow_handshake(head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
    for byte in b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" * 100:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.2)


async def silent_handshake(head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
    await linger(reader)


async def hangs_up(head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
    writer.close()


async def resets(head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
    await accept(head, writer)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def half_closes(head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
    await accept(head, writer)
    writer.write_eof()
    await linger(reader)


async def noise(head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
    await accept(head, writer)
    await pour(writer, b"", os.urandom(4096))


def _deflated(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(b"\0" * size) + packer.flush()


NO = b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n"
DEEP = b'{"stream":"btcusdt@depth","data":' + b"[" * 200_000
ODD_TEXTS = [
    b"", b"{}", b"[]", b"null", b"1e999999999", b"{" * 100_000, DEEP, b'{"id":' + b"9" * 100_000 + b"}",
    b'{"stream":"btcusdt@depth"}', b'{"stream":"nope@depth","data":{}}', b'{"stream":1,"data":[1,2,3]}',
    b'{"stream":"btcusdt@depth","data":{"e":"depthUpdate","s":"ETHUSDT","U":1,"u":2,"b":[],"a":[]}}',
    b'{"stream":"btcusdt@depth","data":{"e":"depthUpdate","s":"BTCUSDT","U":9e99,"u":-1,"b":[["1e9","x"]],"a":{}}}',
    b'{"stream":"btcusdt@depth","data":{"e":"depthUpdate","E":99999999999999999999,"s":"BTCUSDT","U":5,"u":1,"b":[],"a":[]}}',
    b'{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT","t":1,"p":"NaN","q":"Infinity","T":1,"m":true}}',
    b'{"stream":"\xff\xfe","data":"\xc3\x28"}', b"\xff" * 1000, b"\x00" * 1000, b"x" * (7 << 20),
    b'{"error":{"code":2,"msg":"' + b"m" * 100_000 + b'"}}', b'{"e":"serverShutdown"}',
]  # fmt: skip

CODES = [0, 1000, 1006, 4999]

ENDING: list[Behaviour] = [
    answers("refuses_500", NO % b"500 Internal Server Error"),
    answers("refuses_429", b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"),
    answers("html", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>" + b"x" * 100_000),
    answers("redirects", b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"),
    answers("speaks_tls", b"\x15\x03\x01\x00\x02\x02\x28"),
    answers("speaks_nonsense", os.urandom(2000).replace(b"\n", b"")),
    answers(
        "false_proof",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
    ),
    answers(
        "no_proof", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    ),
    endless_handshake,
    endless_refusal,
    hangs_up,
    resets,
    half_closes,
    noise,
    sends("claims_an_exabyte", frame(TEXT, b"x" * 100, claim=1 << 60)),
    sends("claims_all_bits", b"\x81\x7f" + b"\xff" * 8 + b"x"),
    sends("nine_mebibytes", frame(TEXT, b"x" * (9 << 20))),
    sends("reserved_opcode_3", frame(0x3, b"x")),
    sends("reserved_opcode_11", frame(0xB, b"x")),
    sends("fragmented_ping", frame(PING, b"x", fin=False)),
    sends("long_ping", frame(PING, b"x" * 126)),
    sends("long_close", frame(CLOSE, b"\x03\xe8" + b"x" * 200)),
    sends("masked", b"\x81\x83\x01\x02\x03\x04abc"),
    sends("close_of_one_byte", frame(CLOSE, b"\x03")),
    sends("close_without_code", frame(CLOSE)),
    sends("close_not_utf8", frame(CLOSE, b"\x03\xe8\xff\xfe")),
    sends("closes_twice", frame(CLOSE, b"\x03\xe8") * 2 + frame(TEXT, b"more")),
    *(closes(code, b"why") for code in CODES),
]
"""After these the client must leave by itself, or be hung up on: it has to connect anew."""

LASTING: list[Behaviour] = [
    slow_handshake,
    silent_handshake,
    sends("silent"),
    sends("odd_texts", *(frame(TEXT, text) for text in ODD_TEXTS)),
    sends("compressed_unasked", frame(TEXT, _deflated(64 << 20), rsv=4)),
    sends("compressed_and_said_so", frame(TEXT, _deflated(64 << 20), rsv=4),
          extra="Sec-WebSocket-Extensions: permessage-deflate\r\n"),
    sends("cont_without_begin", frame(CONT, b"x"), frame(CONT, b"y", fin=False)),
    sends("text_within_fragments", frame(TEXT, b"a", fin=False), frame(TEXT, b"b"), frame(CONT, b"c")),
    floods("binary_flood", frame(BINARY, b"x" * 1000) * 50),
    floods("ping_flood", frame(PING, b"x" * 125) * 500),
    floods("pong_flood", frame(PONG, b"x" * 125) * 500),
    floods("endless_message", frame(CONT, b"x" * 65_000, fin=False), begin=frame(TEXT, b"x", fin=False)),
    floods("endless_crumbs", frame(CONT, b"x", fin=False) * 5000, begin=frame(TEXT, b"x", fin=False)),
    floods("endless_nothing", frame(CONT, b"", fin=False) * 5000, begin=frame(TEXT, b"", fin=False)),
    floods("garbage_flood", frame(TEXT, b"garbage") * 500),
    floods("shutdown_flood", frame(TEXT, b'{"e":"serverShutdown"}') * 10),
]  # fmt: skip
"""These can be borne for a while, or take a time-out to notice. FOREVER is how long some of them go on."""
