"""Records as text: one line for people, one JSON object for programs, a hexdump for doubters. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from libchronicle.errors import DecodeError
from libchronicle.protocol import Instrument, InstrumentRegistry, SbeMessage, decode, format_decimal
from libchronicle.protocol.instruments import instrument_name
from libchronicle.queue import LOST_TYPE, Message

__all__ = ["Describer", "hexdump", "utc"]

GROUPS = ("bids", "asks")
SILENT = ("reserved",)
SHOWN = 32


def utc(ns: int) -> str:
    """Nanoseconds since the Unix epoch as 2026-03-01T12:00:00.123456789Z."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{fraction:09d}Z"


def hexdump(payload: bytes) -> Iterator[str]:
    """Lines of 16 bytes: offset, hex, text."""
    for at in range(0, len(payload), 16):
        part = payload[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        yield f"    {at:06x}  {part.hex(' ', 1):<47}  {text}"


class Describer:
    """Knows the instruments that passed by, to write names and decimal prices instead of ids and mantissas."""

    def __init__(self) -> None:
        self.instruments = InstrumentRegistry()

    def learn(self, message: SbeMessage | None) -> None:
        """Take note of an instrument's definition."""
        if isinstance(message, Instrument):
            self.instruments.add(message)

    def line(self, record: Message) -> str:
        """`seq time Kind field=value …`; zero fields are left out."""
        head = f"{record.seq} {utc(record.ts_ns)}"
        kind, fields, message = self._fields(record)
        if message is None:
            fields.pop("error", None)  # whoever writes payloads of another making knows that they are
        words = [f"{name}={value}" for name, value in fields.items() if value not in (0, "", "0", "NONE")]
        return " ".join([head, kind, *words])

    def json(self, record: Message) -> dict[str, Any]:
        """Everything, mantissas as they are, names and decimals beside them."""
        kind, readable, message = self._fields(record)
        row: dict[str, Any] = {
            "seq": record.seq,
            "ts_ns": record.ts_ns,
            "epoch": record.epoch,
            "flags": record.flags,
            "type_id": record.type_id,
            "type": kind,
        }
        if message is None:
            row["payload"] = bytes(record).hex()
            return row | {key: value for key, value in readable.items() if key == "error"}
        row["message"] = {name: _plain(value) for name, value in msgspec.structs.asdict(message).items()}
        named = {
            key: value for key, value in readable.items() if key not in GROUPS and isinstance(value, str)
        }
        return row | {"readable": named}

    def _fields(self, record: Message) -> tuple[str, dict[str, Any], SbeMessage | None]:
        if record.type_id == LOST_TYPE:
            return "LOST", {"payload": bytes(record).hex()}, None
        try:
            message = decode(record.type_id, record)
        except DecodeError as error:
            return f"type-{record.type_id}", {**_foreign(bytes(record)), "error": str(error)}, None
        if message is None:
            return f"type-{record.type_id}", _foreign(bytes(record)), None
        self.learn(message)
        return type(message).__name__, self._readable(message), message

    def _readable(self, message: SbeMessage) -> dict[str, Any]:
        values = msgspec.structs.asdict(message)
        definition = self.instruments.get(values.get("instrument_id", 0))
        if isinstance(message, Instrument):
            definition = message
        found = {}
        for name, value in values.items():
            if name not in SILENT:
                found[name] = self._value(name, value, definition)
        return found

    def _value(self, name: str, value: Any, definition: Instrument | None) -> Any:
        if isinstance(value, Enum):
            return value.name or str(int(value.value))
        if name.endswith("_ts") and isinstance(value, int):
            return utc(value) if value else 0
        if isinstance(value, bytes):
            return value.hex() if any(value) else ""
        if name == "instrument_id" and definition is not None:
            return instrument_name(definition)
        if definition is None:
            return f"{len(value)} levels" if name in GROUPS else value
        if name in GROUPS:
            best = f" {_price(value[0][0], definition)}@{_qty(value[0][1], definition)}" if value else ""
            return f"{len(value)}{best}".replace(" ", ":")
        if name.endswith("price") or name == "tick_size":
            return _price(value, definition)
        if name.endswith("qty") or name in ("lot_size", "contract_size"):
            return _qty(value, definition)
        if name == "min_notional":
            return _notional(value, definition)
        return value


def _foreign(payload: bytes) -> dict[str, Any]:
    """Length and beginning of what is none of Chronicle's messages: as text where it is text, else in hex."""
    head = payload[:SHOWN]
    text = head.decode("ascii", "replace")
    shown = repr(text) if text.isascii() and text.isprintable() else head.hex(" ", 4)
    return {"bytes": len(payload), "payload": shown + ("…" if len(payload) > SHOWN else "")}


def _price(mantissa: int, definition: Instrument) -> str:
    return _decimal(mantissa, definition.price_exponent)


def _qty(mantissa: int, definition: Instrument) -> str:
    return _decimal(mantissa, definition.qty_exponent)


def _notional(mantissa: int, definition: Instrument) -> str:
    """Its exponent, the sum of two, may be beyond what a price's may be."""
    amount = Decimal(mantissa).scaleb(definition.price_exponent + definition.qty_exponent)
    return f"{amount.normalize():f}"


def _decimal(mantissa: int, exponent: int) -> str:
    """Without the zeros at its end: venues define up to eight places and use two."""
    text = format_decimal(mantissa, exponent)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name if value.name else value.value
    return value.hex() if isinstance(value, bytes) else value
