"""What was recorded at all, archived or still in its queues: an error for what was not names what there is near."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Final

from libchronicle.bus.paths import STREAMS
from libchronicle.errors import NotRecorded
from libchronicle.native.binding import parse_control
from libchronicle.storage.archive import Archive
from libchronicle.storage.catalog import Stream, queue_segments
from libchronicle.storage.layout import ORDERS_VENUE, RAW_VENUE, SESSIONS_VENUE, Partition, plain_stream
from libchronicle.storage.sources import queues_on_bus

__all__ = ["hot_times", "nearest", "recorded_names", "recorded_range", "require_recorded", "streams_recorded"]

_OWN_STREAMS: Final = {
    RAW_VENUE: ("raw",),
    ORDERS_VENUE: ("orders_out", "orders_in"),
    SESSIONS_VENUE: ("session",),
}
_LISTED: Final = 5
_CLOSE: Final = 0.5


def require_recorded(
    archive: Archive, venue: str, symbol: str, streams: Sequence[str] | None = None
) -> list[str]:
    """Of the streams asked for (None: any) those that were recorded. Raises NotRecorded: none of them; InvalidName."""
    known = streams_recorded(archive, venue, symbol)
    name = f"{venue}:{symbol}"
    if not known:
        everything = recorded_names(archive)
        if venue in _OWN_STREAMS:  # of a session only sessions are near, of a feed feeds
            everything = [one for one in everything if one.startswith(f"{venue}:")]
            if not everything:
                raise _not_recorded(archive, name, "there is none of its kind yet")
        raise _not_recorded(archive, name, nearest(name, everything))
    found = known if streams is None else [stream for stream in streams if stream in known]
    if not found:
        what = f"{name} {', '.join(streams or ())}"
        raise _not_recorded(archive, what, f"its streams are {', '.join(known)}")
    return found


def _not_recorded(archive: Archive, what: str, near: str) -> NotRecorded:
    root = archive.layout.root if archive.catalog.paths is None else archive.catalog.paths.root
    return NotRecorded(what=what, reason=f"nothing of it was recorded in {root}", near=near)


def streams_recorded(archive: Archive, venue: str, symbol: str) -> list[str]:
    """Of an instrument, a feed, a strategy or a session. Raises InvalidName."""
    streams = _OWN_STREAMS.get(venue, STREAMS)
    return [one for one in streams if _is_recorded(archive, Stream(venue, symbol, one))]


def _is_recorded(archive: Archive, stream: Stream) -> bool:
    if next(_partitions(archive, stream), None) is not None:
        return True
    return any(source.path.is_dir() for source in archive.catalog.sources(stream))


def _partitions(archive: Archive, stream: Stream) -> Iterator[Partition]:
    """Of the stream itself: another one of the same date makes none."""
    for partition in archive.layout.partitions(stream.venue, stream.symbol, stream.stream):
        if archive.layout.partition_dir(partition).is_dir():
            yield partition


def recorded_names(archive: Archive) -> list[str]:
    """`venue:SYMBOL` of all there is, sorted; those of the archive's own venues (`_raw:FEED` …) come last."""
    names = {f"{one.venue}:{one.symbol}" for one in archive.streams()}
    if archive.catalog.paths is not None:
        names |= {f"{queue.venue}:{queue.symbol}" for queue in queues_on_bus(archive.catalog.paths)}
    return sorted(names, key=lambda name: (name.startswith("_"), name))


def nearest(asked: str, known: Iterable[str]) -> str:
    """What to say of a name that is not known: those like it, or some of all."""
    by_lower = {name.lower(): name for name in known}
    if not by_lower:
        return "nothing is recorded there yet"
    close = get_close_matches(asked.lower(), by_lower, 3, _CLOSE)
    if close:
        return f"near it: {', '.join(by_lower[name] for name in close)}"
    names = list(by_lower.values())
    more = f" and {len(names) - _LISTED} more, see `chronicle archive ls`" if len(names) > _LISTED else ""
    return f"there is {', '.join(names[:_LISTED])}{more}"


# ---------------------------------------------------------------- times


def recorded_range(
    archive: Archive, venue: str, symbol: str, streams: Iterable[str]
) -> tuple[int, int] | None:
    """Times of receipt of the first and of the last record of these streams; None: none of them has a record."""
    times = [
        pair for stream in streams for pair in _times(archive, Stream(venue, symbol, plain_stream(stream)))
    ]
    return (min(first for first, _ in times), max(last for _, last in times)) if times else None


def _times(archive: Archive, stream: Stream) -> Iterator[tuple[int, int]]:
    """A partition's date is that of the events, at most a day from that of their receipt: so two at either end count."""
    partitions = sorted(_partitions(archive, stream))
    for partition in sorted({*partitions[:2], *partitions[-2:]}):
        for ref in archive.catalog.archived(partition):
            if ref.from_ts:  # 0: its head cannot be read
                yield ref.from_ts, ref.last_ts or ref.from_ts
    yield from hot_times(archive, stream)


def hot_times(archive: Archive, stream: Stream) -> Iterator[tuple[int, int]]:
    """Of each queue that is read: the times of its oldest record and of its newest."""
    for source in archive.catalog.sources(stream):
        try:
            page = parse_control((source.path / "control.meta").read_bytes())
        except FileNotFoundError:
            continue
        oldest = next(iter(queue_segments(source.path)), None)
        span = None if oldest is None else archive.catalog.open(oldest, stream)
        first = None if span is None else next(iter(span.walk()), None)
        if page is not None and first is not None:
            yield first.ts_ns, max(page["last_ts_ns"], first.ts_ns)
