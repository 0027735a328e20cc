"""Which of Tardis' CSV data types a file is, told by its header line.

Source: docs.tardis.dev, "Downloadable CSV files". All types begin with exchange, symbol, timestamp and local_timestamp, both
in µs since the Unix epoch; columns may stand in any order.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final, NamedTuple

from libchronicle.errors import ImportRejected
from libchronicle.protocol import ContractKind

__all__ = ["CONTRACTS", "VENUES", "Kind", "Layout", "read_header"]

VENUES: Final = {
    "binance": "binance-spot",
    "binance-futures": "binance-usdm",
    "binance-delivery": "binance-coinm",
}
"""Venue ids of exchanges that Chronicle calls otherwise."""

CONTRACTS: Final = {
    "binance-futures": ContractKind.LINEAR,
    "binance-delivery": ContractKind.INVERSE,
    "bitmex": ContractKind.INVERSE,
    "deribit": ContractKind.INVERSE,
    "huobi-dm": ContractKind.INVERSE,
    "huobi-dm-swap": ContractKind.INVERSE,
}
"""What a quantity is, for exchanges where most instruments agree; the files do not say."""

DEEPEST: Final = 100  # levels a side of a book_snapshot file


class Kind(IntEnum):
    """A data type by the name Tardis gives it."""

    INCREMENTAL_BOOK_L2 = 1
    TRADES = 2
    QUOTES = 3
    BOOK_SNAPSHOT = 4


class Layout(NamedTuple):
    """`columns`: where the type's fields stand, in the order of FIELDS; for book snapshots ask price, ask amount, bid price and
    bid amount of each level, best first."""

    kind: Kind
    width: int
    columns: tuple[int, ...]


_COMMON: Final = ("exchange", "symbol", "timestamp", "local_timestamp")
FIELDS: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.INCREMENTAL_BOOK_L2: (*_COMMON, "is_snapshot", "side", "price", "amount"),
    Kind.TRADES: (*_COMMON, "id", "side", "price", "amount"),
    Kind.QUOTES: (*_COMMON, "ask_amount", "ask_price", "bid_price", "bid_amount"),
}
_LEVEL: Final = re.compile(r"(asks|bids)\[(\d{1,3})\]\.(price|amount)")


def read_header(line: bytes, file: str = "Tardis CSV") -> Layout:
    """Raises ImportRejected: no header of a type that is known, or a column that does not belong to it."""
    names = line.decode("utf-8", "replace").rstrip("\r\n").split(",")
    if len(set(names)) != len(names) or not set(_COMMON) <= set(names):
        raise _rejected(file, f"no header of a Tardis CSV file: it has no {', '.join(_COMMON)}")
    own = [name for name in names if name not in _COMMON]
    if own and all(_LEVEL.fullmatch(name) for name in own):
        return _snapshot(names, own, file)
    for kind, fields in FIELDS.items():
        if set(own) == set(fields) - set(_COMMON):
            return Layout(kind, len(names), tuple(names.index(field) for field in fields))
    raise _rejected(file, _difference(own))


def _snapshot(names: list[str], own: list[str], file: str) -> Layout:
    depth = len(own) // 4
    wanted = [
        f"{side}[{i}].{part}"
        for i in range(depth)
        for side in ("asks", "bids")
        for part in ("price", "amount")
    ]
    if set(own) != set(wanted) or depth > DEEPEST:
        raise _rejected(file, f"levels are missing or doubled, or there are more than {DEEPEST}")
    places = [names.index(name) for name in (*_COMMON, *wanted)]
    return Layout(Kind.BOOK_SNAPSHOT, len(names), tuple(places))


def _difference(own: list[str]) -> str:
    """Names the odd column of the type that comes nearest."""
    kind, near = min(FIELDS.items(), key=lambda pair: len(set(pair[1][4:]) ^ set(own)))
    like = f"it is most like {kind.name.lower()}, whose columns are {', '.join(near)}"
    unknown = [name for name in own if name not in near]
    if unknown:
        return (
            f"unknown column {unknown[0]!r}; {like}; known types: {', '.join(k.name.lower() for k in Kind)}"
        )
    missing = [name for name in near[4:] if name not in own]
    return f"column {missing[0]!r} is missing; {like}"


def _rejected(file: str, reason: str) -> ImportRejected:
    return ImportRejected(file=file, place="line 1", reason=reason)
