"""What may be said about a file that does not say it itself."""

from __future__ import annotations

from datetime import date
from itertools import chain

import msgspec

from libchronicle.bus.paths import STREAMS
from libchronicle.errors import ImportRejected, InvalidName
from libchronicle.protocol import Instrument, instrument_id
from libchronicle.storage.catalog import Catalog, Stream
from libchronicle.storage.layout import ArchiveLayout

__all__ = ["ImportOptions", "checked_name", "known_definition"]


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """None and empty: told by the file, or the usual."""

    kind: str | None = None  # tardis, lobster, itch, pcap, hftbacktest, binance
    venue: str | None = None
    symbol: str | None = None
    symbols: tuple[str, ...] = ()  # of a file of many: only these
    day: date | None = None
    tick: str | None = None
    lot: str | None = None
    contract: str | None = None  # spot, linear, inverse


def known_definition(layout: ArchiveLayout, venue: str, symbol: str) -> Instrument | None:
    """What the archive has of an instrument: its exponents are frozen. None: nothing yet."""
    catalog = Catalog(layout, layout.bus)
    archived = (
        (ref, Stream(venue, symbol, partition.stream))
        for partition in layout.partitions(venue, symbol)
        for ref in catalog.archived(partition)
    )
    hot = (
        (ref, stream) for stream in (Stream(venue, symbol, s) for s in STREAMS) for ref in catalog.hot(stream)
    )
    for ref, stream in chain(archived, hot):
        span = catalog.open(ref, stream)
        head = None if span is None else next(iter(span.walk()), None)
        if head is not None and head.type_id == Instrument.TEMPLATE_ID:
            return Instrument.decode(head)
    return None


def checked_name(venue: str, symbol: str, file: str) -> str:
    """`venue:SYMBOL`. Raises ImportRejected where the two are no names, or too long for a record."""
    try:
        instrument_id(f"{venue}:{symbol}")
    except InvalidName as error:
        raise ImportRejected(file=file, place="its names", reason=str(error)) from None
    if len(venue.encode()) > 16 or len(symbol.encode()) > 32:
        raise ImportRejected(
            file=file,
            place="its names",
            reason=f"{venue}:{symbol} is longer than 16:32 bytes; give --venue or --symbol",
        )
    return f"{venue}:{symbol}"
