"""What is known of an instrument that a file is about to be imported of: its exponents are frozen.

It stands at the head of every segment: of the archive, of the suite's clean queues, and of imports that are staged, which
will be part of the archive.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from libchronicle.bus.paths import STREAMS
from libchronicle.protocol import Instrument
from libchronicle.storage.catalog import Catalog, Stream
from libchronicle.storage.importers.record import Staged, staged_imports
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.walk import SegmentSpan

__all__ = ["Definitions", "definitions_in"]


class Definitions:
    """Raises what reading segments raises."""

    def __init__(self, layout: ArchiveLayout, *, besides: Path | None = None) -> None:
        """`besides`: a staging directory that does not count."""
        self._layout = layout
        self._catalog = Catalog(layout, layout.bus)
        self._staged: dict[tuple[str, str], Path] = {}
        for work, staged in staged_imports(layout, besides=besides):
            self._staged |= _heads(work, staged)

    def get(self, venue: str, symbol: str) -> Instrument | None:
        """None: there is nothing yet."""
        path = self._staged.get((venue, symbol))
        staged = None if path is None else _head(_open(path))
        return staged or self._recorded(venue, symbol)

    def _recorded(self, venue: str, symbol: str) -> Instrument | None:
        archived = (
            (ref, Stream(venue, symbol, partition.stream))
            for partition in self._layout.partitions(venue, symbol)
            for ref in self._catalog.archived(partition)
        )
        hot = (
            (ref, stream)
            for stream in (Stream(venue, symbol, s) for s in STREAMS)
            for ref in self._catalog.hot(stream)
        )
        found = (_head(self._catalog.open(ref, stream)) for ref, stream in chain(archived, hot))
        return next((one for one in found if one is not None), None)


def definitions_in(work: Path, staged: Staged) -> dict[tuple[str, str], Instrument]:
    """Of all instruments of an import, by venue and symbol."""
    found = {name: _head(_open(path)) for name, path in _heads(work, staged).items()}
    return {name: one for name, one in found.items() if one is not None}


def _heads(work: Path, staged: Staged) -> dict[tuple[str, str], Path]:
    return {(queue.venue, queue.symbol): work / queue.path / f"{0:09d}.q" for queue in staged.queues}


def _open(path: Path) -> SegmentSpan | None:
    """None: it has become part of the archive since."""
    try:
        return SegmentSpan.open_file(path)
    except FileNotFoundError:
        return None


def _head(span: SegmentSpan | None) -> Instrument | None:
    message = None if span is None else next(iter(span.walk()), None)
    return (
        Instrument.decode(message)
        if message is not None and message.type_id == Instrument.TEMPLATE_ID
        else None
    )
