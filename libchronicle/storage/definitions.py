"""What the archive knows of an instrument itself: exponents, tick and lot."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from libchronicle.protocol import Instrument, instrument_id
from libchronicle.storage.archive import Archive
from libchronicle.storage.catalog import Stream

__all__ = ["definition_of", "definitions_of"]

_HEAD = 10_000  # records: the definitions of a feed stand before all others


def definition_of(archive: Archive, stream: Stream, name: str | None = None) -> Instrument | None:
    """From the head of the stream's oldest segment; `name`: `venue:SYMBOL` where the stream holds many. None: there is none.

    Exponents never change; tick and lot may have since.
    """
    number = instrument_id(name or f"{stream.venue}:{stream.symbol}")
    return next((one for one in definitions_of(archive, stream) if one.instrument_id == number), None)


def definitions_of(archive: Archive, stream: Stream) -> Iterator[Instrument]:
    """All those that stand at the head of the stream's oldest segment: one of a clean stream, of a feed's raw records many."""
    for message in islice(archive.read(stream.venue, stream.symbol, stream.stream, damage="skip"), _HEAD):
        if message.type_id == Instrument.TEMPLATE_ID:
            yield Instrument.decode(message)
