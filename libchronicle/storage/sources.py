"""Which queue feeds which part of the archive, and where a part of the archive is still hot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from libchronicle.bus.names import decode_name
from libchronicle.bus.paths import STREAMS, BusPaths
from libchronicle.errors import InvalidName
from libchronicle.storage.layout import ORDERS_VENUE, RAW_VENUE, SESSIONS_VENUE

__all__ = ["QueueSource", "hot_queues", "queues_on_bus"]

_ORDER_STREAMS: Final = ("orders_out", "orders_in")
_LATE: Final = ".late"


class QueueSource(msgspec.Struct, frozen=True):
    """A queue and what the archive calls its records. `stream` ends in `.late` where the queue holds what came too late."""

    path: Path
    venue: str
    symbol: str
    stream: str


def queues_on_bus(paths: BusPaths) -> Iterator[QueueSource]:
    """Every queue whose segments are archived, as the directories are now, in the order of their names."""
    for venue_dir, venue in _named(paths.clean_dir):
        for symbol_dir, symbol in _named(venue_dir):
            for stream in (*STREAMS, *(name + _LATE for name in STREAMS)):
                if (symbol_dir / stream).is_dir():
                    yield QueueSource(symbol_dir / stream, venue, symbol, stream)
    for path, feed in _named(paths.raw_dir):
        yield QueueSource(path, RAW_VENUE, feed, "raw")
    for path, strategy in _named(paths.orders_dir):
        for stream in _ORDER_STREAMS:
            if (path / stream).is_dir():
                yield QueueSource(path / stream, ORDERS_VENUE, strategy, stream)
    for path, session in _named(paths.sessions_dir):
        yield QueueSource(path, SESSIONS_VENUE, session, "session")


def hot_queues(paths: BusPaths, venue: str, symbol: str, stream: str) -> list[QueueSource]:
    """The queues that feed one stream of the archive; whether they exist is not looked at. Raises InvalidName."""
    if venue == RAW_VENUE:
        places = {"raw": paths.raw(symbol)}
    elif venue == ORDERS_VENUE:
        places = {"orders_out": paths.orders_out(symbol), "orders_in": paths.orders_in(symbol)}
        places = {stream: places[stream]} if stream in places else {}
    elif venue == SESSIONS_VENUE:
        places = {"session": paths.session(symbol)}
    elif stream in STREAMS:
        places = {name: paths.clean(venue, symbol, name) for name in (stream, stream + _LATE)}
    else:
        places = {}
    return [QueueSource(path, venue, symbol, name) for name, path in places.items()]


def _named(directory: Path) -> Iterator[tuple[Path, str]]:
    try:
        entries = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        try:
            name = decode_name(entry)
        except InvalidName:
            continue
        if (directory / entry).is_dir():
            yield directory / entry, name
