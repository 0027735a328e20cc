"""The codec behind every message class: SBE 1.0 header, fixed block, groups of levels.

Payload of a frame:

    0  u16 blockLength | u16 templateId | u16 schemaId | u16 version
    8  fixed block, blockLength bytes
    …  per group: u16 blockLength | u16 numInGroup | u16 numGroups | u16 numVarDataFields, then the entries

Version tolerance: a longer block (a newer writer) is read as far as it is known, a shorter one (an older
writer) as if its missing fields were zero; a group the writer did not know is empty, groups the reader does
not know are ignored. A number of an enum that this build does not know becomes a member called
`UNKNOWN_<number>`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum, IntFlag
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Self

import msgspec

from libchronicle.errors import DecodeError, EncodeError
from libchronicle.protocol.enums import SCHEMA_ID, SCHEMA_VERSION

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["HEADER_SIZE", "GroupLayout", "Layout", "Levels", "SbeMessage", "header"]

Levels = list[tuple[int, int]]
"""Entries of a book group: (price, qty), mantissas at the instrument's exponents."""

HEADER_SIZE = 8
MAX_GROUP = 0xFFFF
_HEADER = struct.Struct("<4H")


def header(payload: Buffer) -> tuple[int, int, int, int]:
    """(block length, template id, schema id, version) of a payload.

    Raises DecodeError when it is shorter than a header or belongs to another schema.
    """
    try:
        fields: tuple[int, int, int, int] = _HEADER.unpack_from(payload)
    except struct.error:
        raise DecodeError(
            message="payload",
            template_id=0,
            size=memoryview(payload).nbytes,
            reason="shorter than its header",
        ) from None
    if fields[2] != SCHEMA_ID:
        raise DecodeError(
            message="payload",
            template_id=fields[1],
            size=memoryview(payload).nbytes,
            reason=f"schema id {fields[2]}, not {SCHEMA_ID}",
        )
    return fields


class GroupLayout:
    """One repeating group: entries of fixed size, each a tuple of integers."""

    __slots__ = ("entry", "name", "since")

    def __init__(self, name: str, codes: str, since: int = 0) -> None:
        self.name = name
        self.entry = struct.Struct("<" + codes)
        self.since = since

    def encode(self, message: str, entries: Levels) -> bytes:
        count = len(entries)
        if count > MAX_GROUP:
            raise EncodeError(
                message=message, field=self.name, reason=f"{count} entries, at most {MAX_GROUP} fit"
            )
        pack = self.entry.pack
        try:
            body = b"".join([pack(*entry) for entry in entries])
        except (struct.error, TypeError) as error:
            raise EncodeError(message=message, field=self.name, reason=str(error)) from None
        return _HEADER.pack(self.entry.size, count, 0, 0) + body

    def decode(self, view: memoryview, position: int) -> tuple[Levels, int]:
        """Entries and the position after them; struct.error or ValueError when the payload is cut off."""
        size, count, nested, data = _HEADER.unpack_from(view, position)
        position += HEADER_SIZE
        end = position + size * count
        if nested or data:
            raise ValueError(f"group {self.name} has nested parts, which this build does not know")
        if end > view.nbytes:
            raise ValueError(f"group {self.name} is cut off")
        if size == self.entry.size:
            return list(self.entry.iter_unpack(view[position:end])), end
        fill = bytes(max(0, self.entry.size - size))
        entries = [
            self.entry.unpack_from(bytes(view[at : at + size]) + fill)
            for at in range(position, end, size or 1)
        ]
        return entries, end


class Layout:
    """Wire layout of one message: where its attributes stand in the block, which of them need conversion."""

    __slots__ = (
        "blobs",
        "block",
        "converted",
        "enums",
        "groups",
        "head",
        "name",
        "names",
        "read",
        "template_id",
        "texts",
    )

    def __init__(
        self,
        name: str,
        template_id: int,
        codes: str,
        names: str,
        *,
        enums: Mapping[str, type[IntEnum] | type[IntFlag]] | None = None,
        texts: Mapping[str, int] | None = None,
        blobs: Mapping[str, int] | None = None,
        groups: tuple[GroupLayout, ...] = (),
    ) -> None:
        self.name = name
        self.template_id = template_id
        self.block = struct.Struct("<" + codes)
        self.names = tuple(names.split())
        self.read = attrgetter(*self.names)
        self.head = _HEADER.pack(self.block.size, template_id, SCHEMA_ID, SCHEMA_VERSION)
        self.enums = {key: _Members(kind) for key, kind in (enums or {}).items()}
        self.texts = dict(texts or {})
        self.blobs = dict(blobs or {})
        self.groups = groups
        self.converted = tuple(
            (index, key) for index, key in enumerate(self.names) if key in self.texts or key in self.blobs
        )

    def encode(self, message: SbeMessage) -> bytes:
        values: Sequence[Any] = self.read(message)
        if self.converted:
            values = self._to_wire(values)
        try:
            block = self.block.pack(*values)
        except struct.error:
            raise self._out_of_range(values) from None
        parts = [self.head, block]
        parts += [group.encode(self.name, getattr(message, group.name)) for group in self.groups]
        return b"".join(parts)

    def _to_wire(self, values: Sequence[Any]) -> list[Any]:
        wire = list(values)
        for index, name in self.converted:
            if name in self.texts:
                wire[index] = self._text(name, wire[index]) if wire[index] else b""
            elif len(wire[index]) != self.blobs[name]:
                raise EncodeError(message=self.name, field=name, reason=f"not {self.blobs[name]} bytes long")
        return wire

    def _text(self, name: str, value: str) -> bytes:
        """Text is never cut in silence: a shortened symbol would name another instrument."""
        data = value.encode()
        if len(data) > self.texts[name]:
            raise EncodeError(
                message=self.name, field=name, reason=f"{value!r} is longer than {self.texts[name]} bytes"
            )
        if b"\0" in data:
            raise EncodeError(message=self.name, field=name, reason="text holds a NUL")
        return data

    def _out_of_range(self, values: Sequence[Any]) -> EncodeError:
        """Which field struct.pack refused; only walked on the way to an error."""
        codes = [c for c in _expand(self.block.format) if c != "x"]
        for name, code, value in zip(self.names, codes, values, strict=True):
            try:
                struct.pack("<" + code, value)
            except struct.error as error:
                return EncodeError(message=self.name, field=name, reason=f"{value!r}: {error}")
        return EncodeError(message=self.name, field="?", reason="cannot be packed")

    def decode(self, payload: Buffer) -> dict[str, Any]:
        """Attributes by name. Raises DecodeError."""
        size, template_id, _, version = header(payload)
        if template_id != self.template_id:
            raise self._bad(payload, template_id, f"not a {self.name}")
        try:
            attributes = dict(zip(self.names, self._block(payload, size), strict=True))
            if self.groups:
                self._groups(memoryview(payload), HEADER_SIZE + size, version, attributes)
        except (struct.error, ValueError) as error:
            raise self._bad(payload, template_id, str(error)) from None
        for name in self.texts:
            attributes[name] = attributes[name].partition(b"\0")[0].decode("utf-8", "replace")
        for name, members in self.enums.items():
            attributes[name] = members[attributes[name]]
        return attributes

    def _block(self, payload: Buffer, size: int) -> tuple[Any, ...]:
        if size >= self.block.size:
            if size > self.block.size and memoryview(payload).nbytes < HEADER_SIZE + size:
                raise ValueError("the block is cut off")
            return self.block.unpack_from(payload, HEADER_SIZE)
        known = bytes(memoryview(payload)[HEADER_SIZE : HEADER_SIZE + size])
        if len(known) < size:
            raise ValueError("the block is cut off")
        return self.block.unpack(known.ljust(self.block.size, b"\0"))

    def _groups(self, view: memoryview, position: int, version: int, attributes: dict[str, Any]) -> None:
        view = view.cast("B") if view.format != "B" else view
        for group in self.groups:
            if group.since > version:
                attributes[group.name] = []
            else:
                attributes[group.name], position = group.decode(view, position)

    def _bad(self, payload: Buffer, template_id: int, reason: str) -> DecodeError:
        return DecodeError(
            message=self.name, template_id=template_id, size=memoryview(payload).nbytes, reason=reason
        )


def _expand(format_string: str) -> list[str]:
    """`<2Q16sB7x` -> Q, Q, 16s, B, x (padding once)."""
    codes: list[str] = []
    count = ""
    for char in format_string[1:]:
        if char.isdigit():
            count += char
            continue
        codes += [f"{count}s"] if char == "s" else ["x"] if char == "x" else [char] * int(count or 1)
        count = ""
    return codes


class _Members(dict[int, Any]):
    """Wire number -> member, filled on demand for numbers this build does not name."""

    def __init__(self, kind: type[IntEnum] | type[IntFlag]) -> None:
        super().__init__((member.value, member) for member in kind)
        self.kind = kind

    def __missing__(self, value: int) -> Any:
        if issubclass(self.kind, IntFlag):
            member: Any = self.kind(value)
        else:
            member = int.__new__(self.kind, value)
            member._name_ = f"UNKNOWN_{value}"
            member._value_ = value
        return self.setdefault(value, member)


class SbeMessage(msgspec.Struct, kw_only=True, gc=False):
    """Base of every message: attributes are plain integers, text and enums; groups are lists of tuples."""

    TEMPLATE_ID: ClassVar[int]
    LAYOUT: ClassVar[Layout]

    def encode(self) -> bytes:
        """The payload of a frame: header, block, groups. Raises EncodeError."""
        return self.LAYOUT.encode(self)

    @classmethod
    def decode(cls, payload: Buffer) -> Self:
        """The message a payload holds. Raises DecodeError."""
        return cls(**cls.LAYOUT.decode(payload))
