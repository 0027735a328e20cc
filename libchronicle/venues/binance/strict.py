"""The full decoder behind the native scanner: the final word on frames that are not in the usual form.

A frame the scanner called unusual (blanks, escapes, unknown nested objects …) is decoded strictly with msgspec and
written again in the usual form, so that one piece of code only turns text into records.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

__all__ = ["Control", "FrameError", "is_shutdown", "normalise", "read_reply", "read_snapshot"]

Levels = list[tuple[str, str]]


class FrameError(Exception):
    """Not a frame of these streams. `truncated`: the text ends too early."""

    def __init__(self, reason: str, truncated: bool) -> None:
        super().__init__(reason)
        self.truncated = truncated


class _Data(msgspec.Struct, omit_defaults=True):
    """Every field of depthUpdate, trade and bookTicker events that becomes part of a record."""

    e: str | msgspec.UnsetType = msgspec.UNSET
    E: int | msgspec.UnsetType = msgspec.UNSET
    T: int | msgspec.UnsetType = msgspec.UNSET
    s: str | msgspec.UnsetType = msgspec.UNSET
    U: int | msgspec.UnsetType = msgspec.UNSET
    u: int | msgspec.UnsetType = msgspec.UNSET
    pu: int | msgspec.UnsetType = msgspec.UNSET
    t: int | msgspec.UnsetType = msgspec.UNSET
    p: str | msgspec.UnsetType = msgspec.UNSET
    q: str | msgspec.UnsetType = msgspec.UNSET
    m: bool | msgspec.UnsetType = msgspec.UNSET
    b: Levels | str | int | msgspec.UnsetType = msgspec.UNSET
    B: str | msgspec.UnsetType = msgspec.UNSET
    a: Levels | str | int | msgspec.UnsetType = msgspec.UNSET
    A: str | msgspec.UnsetType = msgspec.UNSET


class _Envelope(msgspec.Struct, omit_defaults=True):
    stream: str | msgspec.UnsetType = msgspec.UNSET
    data: _Data | msgspec.UnsetType = msgspec.UNSET


class Control(msgspec.Struct):
    """What is no market data: answers to requests, and notices of the server."""

    e: str = ""
    id: int | str | None = None
    result: object = None
    error: object = None
    code: int | None = None
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw()
    event: msgspec.Raw = msgspec.Raw()


Id = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
Millis = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000)]  # so many nanoseconds still fit


class _Snapshot(msgspec.Struct):
    lastUpdateId: Id
    bids: msgspec.Raw
    asks: msgspec.Raw
    E: Millis = 0
    T: Millis = 0


_envelope: Final = msgspec.json.Decoder(_Envelope)
_data: Final = msgspec.json.Decoder(_Data)
_control: Final = msgspec.json.Decoder(Control)
_snapshot: Final = msgspec.json.Decoder(_Snapshot)
_levels: Final = msgspec.json.Decoder(Levels)
_encoder: Final = msgspec.json.Encoder()
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # the last: nested without end

Buffer = bytes | bytearray | memoryview


def normalise(frame: Buffer) -> bytes:
    """The same frame in the usual form. Raises FrameError."""
    try:
        envelope = _envelope.decode(frame)
        if envelope.data is not msgspec.UNSET:
            return _encoder.encode(envelope)
        return _encoder.encode(_data.decode(frame))
    except _UNREADABLE as error:
        raise FrameError(str(error), "truncated" in str(error)) from None


def read_reply(frame: Buffer) -> Control | None:
    """The frame as an answer or notice, None when it is neither."""
    try:
        control = _control.decode(frame)
    except _UNREADABLE:
        return None
    answer = control.id is not None or control.error is not None or control.code is not None
    return control if answer or is_shutdown(control) else None


def is_shutdown(control: Control) -> bool:
    """The server says that it will close this connection soon (event serverShutdown)."""
    notices = (bytes(control.data), bytes(control.event))
    return control.e == "serverShutdown" or any(b'"serverShutdown"' in notice for notice in notices)


def read_snapshot(body: Buffer) -> tuple[int, int, int, Buffer, Buffer]:
    """(lastUpdateId, E, T, bids, asks) of a REST `depth` answer, both sides as JSON text. Raises FrameError."""
    try:
        answer = _snapshot.decode(body)
    except _UNREADABLE as error:
        raise FrameError(str(error), "truncated" in str(error)) from None
    return answer.lastUpdateId, answer.E, answer.T, memoryview(answer.bids), memoryview(answer.asks)


def compact_levels(text: Buffer) -> bytes:
    """One side of a book in the usual form. Raises FrameError."""
    try:
        return _encoder.encode(_levels.decode(text))
    except _UNREADABLE as error:
        raise FrameError(str(error), False) from None
