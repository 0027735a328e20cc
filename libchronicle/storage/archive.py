"""`Archive`: every recorded message found again, whatever tier it is in."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from time import time_ns
from typing import Any, Final, Self, overload

from libchronicle.book import L2Book, L3Book
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import InvalidArgument
from libchronicle.native.binding import LOST_TYPE, Message
from libchronicle.protocol.codec import SbeMessage
from libchronicle.storage.book_at import BookAt, BookFinder
from libchronicle.storage.catalog import Catalog, Stream
from libchronicle.storage.layout import ArchiveLayout, day_bounds
from libchronicle.storage.reading import Reading, Times
from libchronicle.storage.remote import RemoteOpener
from libchronicle.storage.tailing import tail

__all__ = ["Archive", "Time", "to_ns"]

Time = int | str | datetime | date
"""ns since the Unix epoch; or ISO 8601 text, a datetime or a date: UTC where they name no zone."""


def _hot_of(root: Path) -> str | None:
    """Where the market data of a run directory lies, by the configuration that `chronicle up` left there; None: below it."""
    try:
        written = (BusPaths(root).run_dir("supervisor") / "host.toml").read_text(encoding="utf-8")
        hot = tomllib.loads(written)["bus"]["hot"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return hot if isinstance(hot, str) else None


class Archive:
    """The archive of a host and the queues before it, as one.

    `root` is the bus's root, the directory that holds `archive/`; `hot` where market data lies if elsewhere, and by
    itself what `chronicle up` ran there with. A
    directory that holds `v1/` itself is an archive without a bus, e.g. a copy. Opens nothing until asked; may be used
    from one thread at a time.

    `remote` and `remote_options` say how to reach the object store where it needs more than the environment tells, e.g.
    another endpoint than its stubs were written with.

        with Archive("run") as archive:
            for message in archive.read("binance-spot:BTCUSDT", "trade", "2024-08-08", "2024-08-09"):
                ...
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | BusPaths,
        hot: str | os.PathLike[str] | None = None,
        *,
        remote: str = "",
        remote_options: Mapping[str, str] | None = None,
    ) -> None:
        if isinstance(root, BusPaths):
            paths: BusPaths | None = root
            layout = ArchiveLayout.of(root)
        elif (Path(root) / "v1").is_dir():
            paths, layout = None, ArchiveLayout(root)
        else:
            paths = BusPaths(root, hot or _hot_of(Path(root)))
            layout = ArchiveLayout.of(paths)
        self.layout: Final = layout
        self.open_remote: Final = RemoteOpener(remote, remote_options)
        self.catalog: Final = Catalog(layout, paths, self.open_remote)
        self._books: BookFinder | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.catalog.close()

    @overload
    def read(
        self,
        instrument: str,
        stream: str,
        start: Time | None = None,
        end: Time | None = None,
        *,
        time: Times = "ingest",
        types: Iterable[type[SbeMessage]] | None = None,
        damage: str = "raise",
    ) -> Reading: ...
    @overload
    def read(
        self,
        venue: str,
        symbol: str,
        stream: str,
        start: Time | None = None,
        end: Time | None = None,
        *,
        time: Times = "ingest",
        types: Iterable[type[SbeMessage]] | None = None,
        damage: str = "raise",
    ) -> Reading: ...
    def read(
        self,
        *where: Any,
        time: Times = "ingest",
        types: Iterable[type[SbeMessage]] | None = None,
        damage: str = "raise",
        **named: Any,
    ) -> Reading:
        """Records of an instrument's stream, told as `venue:SYMBOL, stream` or as `venue, symbol, stream`.

        Those with start <= time < end, in the order in which they were recorded. None = from the first, to the
        last there is.

        `time` says by which clock: "ingest" (the frame's own) or "venue" (when it happened there; day by day, within
        a day by ingest). `damage`: "raise" BadSegment at a place that does not hold, once, then go on behind it; or
        "skip" it. Either way a LOST record (type 0xFFFE) tells what is missing, as between segments that are gone.
        Raises InvalidArgument.
        """
        stream, start, end = _asked("Archive.read", where, named, times=("start", "end"))
        since, until = _bounds(start, end)
        if damage not in ("raise", "skip"):
            raise InvalidArgument(
                where="Archive.read", field="damage", value=damage, allowed='"raise" or "skip"'
            )
        if time not in ("ingest", "venue"):
            raise InvalidArgument(
                where="Archive.read", field="time", value=time, allowed='"ingest" or "venue"'
            )
        return Reading(
            self.catalog,
            stream,
            since,
            until,
            time=time,
            tolerant=damage == "skip",
            types=None if types is None else frozenset((*(kind.TEMPLATE_ID for kind in types), LOST_TYPE)),
        )

    @overload
    def tail(
        self,
        instrument: str,
        stream: str,
        start: Time | None = None,
        *,
        timeout_s: float | None = None,
        damage: str = "raise",
    ) -> Iterator[Message]: ...
    @overload
    def tail(
        self,
        venue: str,
        symbol: str,
        stream: str,
        start: Time | None = None,
        *,
        timeout_s: float | None = None,
        damage: str = "raise",
    ) -> Iterator[Message]: ...
    def tail(
        self,
        *where: Any,
        timeout_s: float | None = None,
        damage: str = "raise",
        **named: Any,
    ) -> Iterator[Message]:
        """Records of a stream from `start` on and then those being written, for ever; with `start` None from now on.

        What was archived and what is live is one run: nothing is told twice and nothing left out where one goes over into the
        other. Waits for queues that do not exist yet. Ends after `timeout_s` without a record. Takes and raises as read.
        """
        stream, start = _asked("Archive.tail", where, named, times=("start",))
        since = time_ns() if start is None else to_ns(start)
        if damage not in ("raise", "skip"):
            raise InvalidArgument(
                where="Archive.tail", field="damage", value=damage, allowed='"raise" or "skip"'
            )
        return tail(self.catalog, stream, since, timeout_s, tolerant=damage == "skip")

    def book_at(self, instrument: str, at: Time, *, time: Times = "ingest") -> L2Book | L3Book | None:
        """The book of `venue:SYMBOL` after every record up to and including a time; None: nothing was recorded.

        `time` as in `read`; by "venue" time it is the book up to the first record whose event came later.
        It is read from the last snapshot before that time on, whatever tiers that lies in. Its `valid` says whether it can be
        trusted: a gap makes it wrong until the next snapshot. Raises InvalidArgument, BadSegment, SegmentMoved, ArchiveError.
        """
        return self.find_book(instrument, at, time=time).book

    def find_book(self, instrument: str, at: Time, *, time: Times = "ingest") -> BookAt:
        """As book_at, with what it was made from."""
        venue, symbol = _split("Archive", instrument)
        if time not in ("ingest", "venue"):
            raise InvalidArgument(where="Archive", field="time", value=time, allowed='"ingest" or "venue"')
        if self._books is None:
            self._books = BookFinder(self.catalog)
        return self._books.find(venue, symbol, to_ns(at), time)

    def streams(self) -> Iterator[Stream]:
        """What has been archived."""
        yield from self.catalog.streams()


def _asked(
    where: str, given: tuple[Any, ...], named: dict[str, Any], *, times: tuple[str, ...]
) -> tuple[Any, ...]:
    """The stream and the times of a call that tells the instrument as one word or as two. Raises InvalidArgument, TypeError."""
    whole = "instrument" in named or (bool(given) and ":" in given[0])
    names = (("instrument", "stream") if whole else ("venue", "symbol", "stream")) + times
    if len(given) > len(names):
        raise TypeError(f"{where}({', '.join(names)}): {len(given)} arguments")
    told = dict(zip(names, given, strict=False))
    for name, value in named.items():
        if name in told or name not in names:
            raise TypeError(f"{where}({', '.join(names)}): unexpected argument {name!r}")
        told[name] = value
    missing = [name for name in names if name not in told and name not in times]
    if missing:
        raise InvalidArgument(where=where, field=missing[0], value=None, allowed="venue:SYMBOL and a stream")
    venue, symbol = _split(where, told["instrument"]) if whole else (told["venue"], told["symbol"])
    return Stream(venue, symbol, told["stream"]), *(told.get(name) for name in times)


def _split(where: str, instrument: str) -> tuple[str, str]:
    venue, colon, symbol = instrument.partition(":")
    if not (venue and colon and symbol):
        raise InvalidArgument(where=where, field="instrument", value=instrument, allowed="venue:SYMBOL")
    return venue, symbol


_ALL: Final = 1 << 62


def _bounds(start: Time | None, end: Time | None) -> tuple[int, int]:
    return (-_ALL if start is None else to_ns(start)), (_ALL if end is None else to_ns(end))


def to_ns(time: Time) -> int:
    """ns since the Unix epoch. Raises InvalidArgument for text that is no ISO 8601 time, and what is no time at all."""
    if isinstance(time, bool) or not isinstance(time, int | date | str):
        raise InvalidArgument(
            where="Archive", field="time", value=time, allowed="ns, ISO 8601 text, datetime or date"
        )
    if isinstance(time, int):
        return time
    if isinstance(time, datetime):
        return _ns_of(time)
    if isinstance(time, date):
        return day_bounds(time)[0]
    return _ns_of_text(time)


def _ns_of_text(text: str) -> int:
    whole, dot, rest = text.partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    fraction, zone = rest[:digits], rest[digits:]
    try:
        if dot and not 1 <= digits <= 9:
            raise ValueError
        parsed = datetime.fromisoformat(whole + zone)
    except ValueError:
        allowed = "ISO 8601, e.g. 2024-08-08 or 2024-08-08T12:00:00.123456789Z"
        raise InvalidArgument(where="Archive", field="time", value=text, allowed=allowed) from None
    return _ns_of(parsed) + int(fraction.ljust(9, "0") or 0)


def _ns_of(time: datetime) -> int:
    from datetime import UTC, timedelta

    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
