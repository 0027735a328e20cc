"""Replays of what the archive and the queues before it hold: which streams, from where, on how many threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import sleep as sleep_s
from typing import Any

from libchronicle.errors import InvalidArgument
from libchronicle.replay.replayer import Callback, Replay
from libchronicle.replay.report import ReplayReport
from libchronicle.replay.source import ReadingSource
from libchronicle.storage.archive import Archive, Time, to_ns
from libchronicle.storage.reading import Times

__all__ = ["archive_replay", "follow", "replay_parallel"]

Streams = Sequence[str]


def archive_replay(
    archive: Archive,
    instruments: Iterable[str],
    streams: Streams = ("book", "trade"),
    start: Time | None = None,
    end: Time | None = None,
    *,
    live: bool = False,
    time: Times = "ingest",
    **options: Any,
) -> Replay:
    """A Replay of instruments (`venue:SYMBOL`), start <= time < end, merged by time; ties in the order given, stream by stream.

    `time` "venue": the range is that of the events, day by day; the order within a day stays that of the records. By
    "ingest" time, with a `start`, each book is warmed from the last snapshot before it, so it is right from the first record
    on. `live`: at the end of what there is, it waits for more. `options` are Replay's. Raises InvalidArgument.
    """
    names = list(instruments)
    begin = None if start is None else to_ns(start)
    finish = None if end is None else to_ns(end)
    begin_with = options.get("begin_with")
    if begin_with is not None:
        begin = begin_with.upto_ns + 1 if begin is None else max(begin, begin_with.upto_ns + 1)
    sources = []
    until = None if live else finish  # of a live one the first record behind the end tells that it has come
    for name in names:
        venue, symbol = _split(name)
        for stream in streams:
            since: Time | None = begin
            if stream == "book" and begin is not None and time == "ingest":
                since = begin_with.upto_ns + 1 if begin_with is not None else _warm_from(archive, name, begin)
            sources.append(
                ReadingSource(archive.read(venue, symbol, stream, since, until, time=time), follow=live)
            )
    if time == "venue":
        return Replay(sources, **options)
    return Replay(sources, start_ns=begin, end_ns=finish, **options)


def _warm_from(archive: Archive, name: str, begin: int) -> int | None:
    """Where to begin reading so that the book is right at `begin`; None: at the first record."""
    found = archive.find_book(name, begin - 1)
    return begin if found.book is None else found.from_ns


def _split(name: str) -> tuple[str, str]:
    venue, colon, symbol = name.partition(":")
    if not (venue and colon and symbol):
        raise InvalidArgument(where="replay", field="instrument", value=name, allowed="venue:SYMBOL")
    return venue, symbol


def replay_parallel(
    open_archive: Callable[[], Archive],
    instruments: Iterable[str],
    streams: Streams = ("book", "trade"),
    start: Time | None = None,
    end: Time | None = None,
    *,
    workers: int = 2,
    **options: Any,
) -> ReplayReport:
    """Each instrument on its own, `workers` at a time; the report is that of one replay of all of them, state hash and all.

    Without a callback a replay holds no GIL, so threads are enough. `open_archive` is called once per instrument. The hashes of
    instruments add up, so nothing depends on who came first. Raises InvalidArgument, and what the first replay to fail raised.
    """
    names = list(instruments)
    if workers < 1:
        raise InvalidArgument(where="replay_parallel", field="workers", value=workers, allowed=">= 1")

    def one(name: str) -> ReplayReport:
        with open_archive() as archive:
            return archive_replay(archive, [name], streams, start, end, **options).run()

    with ThreadPoolExecutor(workers, thread_name_prefix="replay") as pool:
        return _sum(list(pool.map(one, names)))


def _sum(reports: list[ReplayReport]) -> ReplayReport:
    def total(field: str) -> int:
        return sum(getattr(report, field) for report in reports)

    counted = ("records", "given", "payload_bytes", "levels", "gaps", "lost", "damaged", "refused")
    rows = sorted((row for report in reports for row in report.instruments), key=lambda row: row.instrument)
    return ReplayReport(
        **{field: total(field) for field in counted},
        first_ns=min((r.first_ns for r in reports if r.first_ns is not None), default=None),
        last_ns=max((r.last_ns for r in reports if r.last_ns is not None), default=None),
        state_hash=total("state_hash") % 2**64,
        instruments=tuple(rows),
    )


def follow(
    replay: Replay,
    callback: Callback | None = None,
    *,
    until: Callable[[], bool],
    idle_s: float = 0.002,
    sleep: Callable[[float], object] = sleep_s,
) -> ReplayReport:
    """Run a live replay until `until()`: what was recorded, then what is being written, without a seam."""
    while not until():
        report = replay.run(callback)
        if replay.finished:
            return report
        sleep(idle_s)
    return replay.report()
