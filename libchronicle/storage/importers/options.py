"""What may be said about a file that does not say it itself."""

from __future__ import annotations

from datetime import date

import msgspec

from libchronicle.errors import ImportRejected, InvalidName
from libchronicle.protocol import instrument_id

__all__ = ["ImportOptions", "checked_name"]


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
