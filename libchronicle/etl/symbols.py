"""What a venue's symbols mean, as of a time: rows that are never changed, only ended (a slowly changing dimension, type 2).

A venue renames an instrument, or gives an old name to a new one. Rows say which canonical symbol a venue's symbol stood for,
from when to when:

    [[symbol]]
    venue = "binance-spot"
    symbol = "MATICUSDT"          # as the venue writes it
    canonical = "POLUSDT"         # where its records go
    from = 2019-04-26T00:00:00Z   # left out: ever since
    to = 2024-09-10T00:00:00Z     # left out: for ever; the end belongs to the next row

A symbol without a row stands for itself, at all times; one with rows stands for itself outside of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from libchronicle.errors import ConfigError
from libchronicle.runtime.decode import decode, read_toml

__all__ = ["FOREVER_NS", "Period", "SymbolRow", "SymbolTable", "load_symbols"]

FOREVER_NS: Final = (1 << 63) - 1


class Period(msgspec.Struct, frozen=True):
    """From `from_ns` on, until the next period begins, the symbol means `canonical`."""

    from_ns: int
    canonical: str


class SymbolRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row. Times are aware; None = without end."""

    venue: str
    symbol: str
    canonical: str
    since: datetime | None = msgspec.field(default=None, name="from")
    until: datetime | None = msgspec.field(default=None, name="to")


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    symbol: tuple[SymbolRow, ...] = ()


class SymbolTable:
    """Raises ConfigError for rows of one symbol that overlap, end before they begin, or name no time zone."""

    def __init__(self, rows: Iterable[SymbolRow] = (), file: str = "symbols") -> None:
        spans: dict[tuple[str, str], list[tuple[int, int, str]]] = {}
        for row in rows:
            span = (_ns(row.since, 0, file), _ns(row.until, FOREVER_NS, file), row.canonical)
            if span[0] >= span[1]:
                raise _refused(file, row, "ends before it begins")
            spans.setdefault((row.venue, row.symbol), []).append(span)
        self._periods = {key: _periods(key[1], sorted(found), file, key[0]) for key, found in spans.items()}

    def periods(self, venue: str, symbol: str) -> tuple[Period, ...]:
        """What the symbol means, oldest first; the first begins at 0."""
        return self._periods.get((venue, symbol)) or (Period(0, symbol),)

    def canonical(self, venue: str, symbol: str, at_ns: int) -> str:
        """What the symbol means at a time, in ns since the Unix epoch."""
        found = symbol
        for period in self.periods(venue, symbol):
            if period.from_ns <= at_ns:
                found = period.canonical
        return found


def load_symbols(file: Path) -> SymbolTable:
    """Raises ConfigError."""
    rows = decode(_File, read_toml(file), str(file)).symbol
    return SymbolTable(rows, str(file))


def _periods(symbol: str, spans: list[tuple[int, int, str]], file: str, venue: str) -> tuple[Period, ...]:
    found: list[Period] = []
    at = 0
    for since, until, canonical in spans:
        if since < at:
            reason = f"two rows of {venue}:{symbol} are valid at the same time"
            raise ConfigError(file=file, key="symbol", reason=reason)
        if since > at:
            found.append(Period(at, symbol))
        found.append(Period(since, canonical))
        at = until
    if at < FOREVER_NS:
        found.append(Period(at, symbol))
    return tuple(found)


def _ns(time: datetime | None, otherwise: int, file: str) -> int:
    if time is None:
        return otherwise
    if time.tzinfo is None:
        raise ConfigError(file=file, key="symbol", reason=f"{time} names no time zone; write a Z behind it")
    since = time.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def _refused(file: str, row: SymbolRow, reason: str) -> ConfigError:
    return ConfigError(file=file, key="symbol", reason=f"the row of {row.venue}:{row.symbol} {reason}")
