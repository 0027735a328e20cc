"""What a REST server may answer. Each is a `gate.Behaviour`; some answer one path only and are silent on the other."""

from __future__ import annotations

import asyncio
import gzip
from asyncio import StreamReader, StreamWriter

from gate import Behaviour, pour


def answers(name: str, raw: bytes) -> Behaviour:
    """Whatever was asked."""

    async def behaviour(head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        writer.close()

    behaviour.__name__ = name
    return behaviour


def ok(name: str, body: bytes, headers: str = "") -> Behaviour:
    return answers(name, f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)


def refuses(name: str, status: str, headers: str = "", body: bytes = b"{}") -> Behaviour:
    return answers(
        name, f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode("latin-1") + body
    )


async def endless_body(head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
    await pour(writer, b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536)


async def endless_chunks(head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
    await pour(
        writer,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"10000\r\n" + b" " * 65536 + b"\r\n",
    )


async def endless_head(head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
    await pour(writer, b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 65536)


async def endless_interim(head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
    await pour(writer, b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


async def a_byte_at_a_time(head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b" " * 1_000_000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.1)


async def silence(head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
    await reader.read()


def depth(name: str, body: bytes) -> Behaviour:
    return ok(f"depth_{name}", body)


BOMB = gzip.compress(b"[" * (64 << 20))
FOREIGN = b'{"symbols":[{"symbol":"DOGEEUR","filters":[]}]}'

ANYWHERE: list[Behaviour] = [
    refuses("500", "500 Internal Server Error"),
    refuses("503_html", "503 Service Unavailable", body=b"<html>busy</html>"),
    refuses("418", "418 I'm a teapot", "Retry-After: 1\r\n", b'{"code":-1003,"msg":"banned"}'),
    refuses("429", "429 Too Many Requests", "Retry-After: 1\r\n", b'{"code":-1003,"msg":"slow down"}'),
    refuses("429_never", "429 Too Many Requests", "Retry-After: -5\r\n"),
    refuses("429_odd", "429 Too Many Requests", "Retry-After: \xb2\r\n"),
    refuses("429_soon", "429 Too Many Requests", "Retry-After: soon\r\n"),
    refuses("400_deep", "400 Bad Request", body=b"[" * 100_000),
    refuses("400_code", "400 Bad Request", body=b'{"code":99999999999999999999,"msg":1}'),
    refuses("302", "302 Found", "Location: http://127.0.0.1:9/elsewhere\r\n"),
    refuses("204", "204 No Content"),
    refuses("999", "999 Whatever"),
    ok("empty", b""),
    ok("html", b"<!doctype html><html><body>Welcome to the hotel</body></html>"),
    ok("not_utf8", b'{"symbols":"\xff\xfe\xc3\x28"}'),
    ok("null", b"null"),
    ok("list", b"[]"),
    ok("deep", b"[" * 200_000),
    ok("deep_object", b'{"symbols":' * 100_000),
    ok("unasked_gzip", BOMB, "Content-Encoding: gzip\r\n"),
    ok("gzip_in_disguise", BOMB),
    ok("big_number", b'{"lastUpdateId":' + b"9" * 100_000 + b',"bids":[],"asks":[]}'),
    answers("cut_off", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"),
    answers("exabyte", b"HTTP/1.1 200 OK\r\nContent-Length: 1152921504606846976\r\n\r\n{"),
    answers("odd_length", b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\n{"),
    answers("tls", b"\x15\x03\x01\x00\x02\x02\x28"),
    answers("nothing", b""),
    endless_body,
    endless_chunks,
    endless_head,
    endless_interim,
]

INSTRUMENTS: list[Behaviour] = [
    ok("no_symbols", b'{"symbols":[]}'),
    ok("no_filters", b'{"symbols":[{"symbol":"BTCUSDT","filters":[]}]}'),
    *(
        ok(
            f"filter_{number}",
            b'{"symbols":[{"symbol":"BTCUSDT","filters":['
            b'{"filterType":"PRICE_FILTER","minPrice":"0.01","maxPrice":"%b","tickSize":"%b"},'
            b'{"filterType":"LOT_SIZE","minQty":"0.00001","maxQty":"%b","stepSize":"%b"},'
            b'{"filterType":"NOTIONAL","minNotional":"%b"}]}]}' % values,
        )
        for number, values in enumerate([
            (b"x", b"0.01", b"9000", b"0.00001", b"5"),
            (b"NaN", b"0.01", b"9000", b"0.00001", b"5"),
            (b"Infinity", b"0.01", b"9000", b"0.00001", b"5"),
            (b"1e999999", b"0.01", b"9000", b"0.00001", b"5"),
            (b"1000000", b"1e-999999", b"9000", b"0.00001", b"5"),
            (b"1000000", b"0." + b"0" * 5000 + b"1", b"9000", b"0.00001", b"5"),
            (b"1000000", b"0.01", b"9000", b"0.00001", b"sNaN"),
            (b"1000000", b"0.01", b"9000", b"0.00001", b"1e99999"),
            (b"1000000", b"-0.01", b"-9000", b"-0.00001", b"-5"),
            (b"1000000", b"", b"", b"", b""),
        ])
    ),
]  # fmt: skip
"""Answers to exchangeInfo alone."""

DEPTHS: list[Behaviour] = [
    depth("empty", b"{}"),
    depth("wrong_types", b'{"lastUpdateId":"x","bids":{},"asks":1}'),
    depth("negative_id", b'{"lastUpdateId":-1,"bids":[],"asks":[]}'),
    depth("huge_id", b'{"lastUpdateId":99999999999999999999999,"bids":[],"asks":[]}'),
    depth("max_id", b'{"lastUpdateId":9223372036854775807,"bids":[],"asks":[]}'),
    depth("odd_levels", b'{"lastUpdateId":1,"bids":[["1e99","1"],["x","y"],[]],"asks":[["NaN","Infinity"]]}'),
    depth("deep_levels", b'{"lastUpdateId":1,"bids":' + b"[" * 100_000),
    depth(
        "far_levels",
        b'{"lastUpdateId":1,"bids":[["99999999999999999999","1"]],"asks":[["0.000000000001","1"]]}',
    ),
    depth(
        "million_levels",
        b'{"lastUpdateId":1,"bids":[' + b'["1.00","1.0"],' * 400_000 + b'["1.00","1.0"]],"asks":[]}',
    ),
    depth("old", b'{"lastUpdateId":1,"bids":[["1.00","1"]],"asks":[["2.00","1"]]}'),
]
"""Answers to depth alone."""

SLOW: list[Behaviour] = [a_byte_at_a_time, silence]
