"""`Replay`: records again in the order they came, with every book as it was."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from libchronicle.book import L2Book, L3Book
from libchronicle.errors import InvalidArgument
from libchronicle.protocol import SbeMessage, instrument_id
from libchronicle.replay.engine import Engine
from libchronicle.replay.event import ReplayEvent
from libchronicle.replay.report import ReplayReport, instrument_name, report_of
from libchronicle.replay.snapshots import Snapshot, Snapshotter, state_of
from libchronicle.replay.source import FrameSource

__all__ = ["Callback", "GapPolicy", "Replay"]

Callback = Callable[[ReplayEvent], object]


class GapPolicy(enum.StrEnum):
    """What a gap does: a Gap record, lost or damaged records, a delta that does not follow, a record that contradicts."""

    STOP = "stop"
    """The replay ends there with ReplayGap (or BadSegment)."""
    QUARANTINE = "quarantine"
    """The books it hit are wrong until the end; their later records are counted, not given."""
    RESYNC = "resync"
    """The books it hit are wrong until their next snapshot."""
    IGNORE = "ignore"
    """As if nothing had happened."""


_NUMBERS: Final = {policy: number for number, policy in enumerate(GapPolicy)}


class Replay:
    """Merges sources by (time, source), keeps the book of every instrument in them, gives what was asked for.

        replay = Replay([SpanSource(spans)], gaps="resync", types=[Trade])
        report = replay.run(lambda event: print(event.ts_ns, event.message()))
        replay.book("binance-spot:BTCUSDT").bids(5)

    start_ns, end_ns   given are records with start <= time < end; earlier ones only warm the books
    types              kinds of record to give (messages or type ids); None = all. Books see all kinds
    symbols            instruments (`venue:SYMBOL` or ids) to keep and give; None = all
    every, interval_ns give each n-th of what passes; at most one per instrument and interval
    channel            each source is a whole channel of its venue: a hole in venueSeq is a gap of all its books
    pace               e.g. RealTime(2); None = as fast as possible
    snapshotter        writes snapshot files on the way
    begin_with         a Snapshot to start from; its sources must begin where it was taken (`Snapshot.marks`)

    Raises InvalidArgument. run() and iteration raise ReplayGap, BadSegment, DecodeError by policy, and what a callback raises.
    """

    def __init__(
        self,
        sources: Iterable[FrameSource],
        *,
        gaps: GapPolicy | str = GapPolicy.RESYNC,
        start_ns: int | None = None,
        end_ns: int | None = None,
        types: Iterable[int | type[SbeMessage]] | None = None,
        symbols: Iterable[str | int] | None = None,
        every: int = 1,
        interval_ns: int = 0,
        channel: bool = False,
        pace: Callable[[int], int] | None = None,
        snapshotter: Snapshotter | None = None,
        begin_with: Snapshot | None = None,
    ) -> None:
        wanted = None if types is None else [_type_id(one) for one in types]
        self._engine: Final = Engine(list(sources), _NUMBERS[_policy(gaps)], wanted)
        engine = self._engine
        if symbols is not None:
            engine.wanted = frozenset(instrument_id(s) if isinstance(s, str) else s for s in symbols)
        if every < 1 or interval_ns < 0:
            raise InvalidArgument(
                where="Replay", field="every, interval_ns", value=(every, interval_ns), allowed=">= 1, >= 0"
            )
        engine.sample_every, engine.sample_ns = every, interval_ns
        engine.channel = channel
        engine.start_ns = -(1 << 63) if start_ns is None else start_ns
        if end_ns is not None:
            engine.end_ns = end_ns
        if pace is not None:
            engine.pace, engine.pace_ns = pace, -(1 << 63)
        if begin_with is not None:
            begin_with.restore(engine)
        if snapshotter is not None:
            snapshotter.attach(engine)

    def run(self, callback: Callback | None = None) -> ReplayReport:
        """To the end of all sources, or of what they have now, or until the callback returns False. Call it again to go on."""
        self._engine.run(callback)
        return self.report()

    def __iter__(self) -> Iterator[ReplayEvent]:
        """Events one by one; each is good until the next is asked for."""
        while (event := self._engine.next()) is not None:
            yield event

    @property
    def finished(self) -> bool:
        """Nothing will come any more. False after run(): a live source has nothing yet."""
        return self._engine.finished

    @property
    def books(self) -> dict[str, L2Book | L3Book]:
        """By `venue:SYMBOL`, as they are now."""
        engine = self._engine
        found = {row[0]: engine.book(row[0]) for row in engine.tallies()}
        return {instrument_name(engine, number): book for number, book in found.items() if book is not None}

    def book(self, instrument: str | int) -> L2Book | L3Book | None:
        """Of one instrument; None before its first record of a book."""
        return self._engine.book(instrument_id(instrument) if isinstance(instrument, str) else instrument)

    def state_hash(self) -> int:
        return self._engine.state_hash()

    def report(self) -> ReplayReport:
        return report_of(self._engine)

    def snapshot(self) -> Snapshot:
        """The state of all books between two records."""
        return state_of(self._engine)


def _policy(gaps: GapPolicy | str) -> GapPolicy:
    try:
        return GapPolicy(gaps)
    except ValueError:
        allowed = ", ".join(GapPolicy)
        raise InvalidArgument(where="Replay", field="gaps", value=gaps, allowed=allowed) from None


def _type_id(kind: int | type[SbeMessage]) -> int:
    return kind if isinstance(kind, int) else kind.TEMPLATE_ID
