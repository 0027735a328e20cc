"""From a frame's (type_id, payload) to a message, and cheap looks at a payload that need no decoding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from struct import Struct
from typing import TYPE_CHECKING

from libchronicle.errors import DecodeError
from libchronicle.protocol.codec import SbeMessage
from libchronicle.protocol.messages import INSTRUMENT_OFFSETS, TEMPLATES

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Decoder", "MessageFilter", "decode", "instrument_of"]

_U64 = Struct("<Q")


def decode(type_id: int, payload: Buffer) -> SbeMessage | None:
    """The message in a frame, or None for a type this build does not know. Raises DecodeError."""
    kind = TEMPLATES.get(type_id)
    return None if kind is None else kind.decode(payload)


def instrument_of(type_id: int, payload: Buffer) -> int | None:
    """Instrument id a payload names; 0 where it concerns the whole feed, None where its type names none.

    Raises DecodeError when the payload is too short to hold it.
    """
    offset = INSTRUMENT_OFFSETS.get(type_id)
    if offset is None:
        return None
    size = memoryview(payload).nbytes
    if size < offset + 8:
        raise DecodeError(
            message=TEMPLATES[type_id].__name__,
            template_id=type_id,
            size=size,
            reason="cut off before its instrument",
        )
    found: int = _U64.unpack_from(payload, offset)[0]
    return found


class Decoder:
    """Decodes frames one after the other; unknown types are skipped and counted in `unknown`, by type."""

    def __init__(self) -> None:
        self.unknown: Counter[int] = Counter()

    @property
    def skipped(self) -> int:
        return self.unknown.total()

    def decode(self, type_id: int, payload: Buffer) -> SbeMessage | None:
        kind = TEMPLATES.get(type_id)
        if kind is None:
            self.unknown[type_id] += 1
            return None
        return kind.decode(payload)


class MessageFilter:
    """Which records of a multiplexed stream somebody wants: by instrument, by type, or both.

    An instrument filter also lets pass what concerns every instrument (id 0: a gap of the feed, the venue's
    status) and types that name no instrument at all, unless `feed_wide` is False.
    """

    __slots__ = ("feed_wide", "instruments", "types")

    def __init__(
        self,
        *,
        instruments: Iterable[int] | None = None,
        types: Iterable[int] | None = None,
        feed_wide: bool = True,
    ) -> None:
        self.instruments = None if instruments is None else frozenset(instruments)
        self.types = None if types is None else frozenset(types)
        self.feed_wide = feed_wide

    def wants(self, type_id: int, payload: Buffer) -> bool:
        """Reads at most eight bytes of the payload. Raises DecodeError when they are not there."""
        if self.types is not None and type_id not in self.types:
            return False
        if self.instruments is None:
            return True
        instrument = instrument_of(type_id, payload)
        return instrument in self.instruments if instrument else self.feed_wide
