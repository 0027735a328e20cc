"""Instruments of a run directory: their definitions, and the middles of their books as the feeds left them. Read passively."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from libchronicle.bus.paths import BusPaths
from libchronicle.cli.newest import newest_first
from libchronicle.errors import ChronicleError, UnknownInstrument
from libchronicle.portfolio import InstrumentTerms
from libchronicle.protocol import Instrument
from libchronicle.queue import Queue
from libchronicle.sim.paper_feed import MarketReader

__all__ = ["Marks"]


class Marks:
    """Definitions and marks of instruments, from the feeds' queues; definitions also from the router's journal."""

    def __init__(self, paths: BusPaths, wanted: Iterable[int]) -> None:
        self.terms: dict[int, InstrumentTerms] = {}
        self.marks: dict[int, tuple[int, int]] = {}  # middle of the book, when it was heard
        self._names: dict[int, tuple[str, str]] = {}
        self._missing = set(wanted)
        for feed in paths.feeds() if self._missing else ():
            self._read(paths.raw(feed))
        if self._missing:
            for record in newest_first(paths.session("router"), (Instrument.TEMPLATE_ID,)):
                self._define(Instrument.decode(record.payload))
                if not self._missing:
                    break

    def _read(self, path: Path) -> None:
        try:
            reader = MarketReader(Queue.open_subscriber(path, None, start="latest"))
        except ChronicleError:
            return  # a feed that is not there: its instruments have no mark
        try:
            _, definitions = reader.rebuild()
            for payload in definitions.values():
                self._define(Instrument.decode(payload))
            for instrument, book in reader.books.items():
                bid, ask = book.best_bid, book.best_ask
                if book.valid and bid and ask:
                    mark = (bid[0] + (ask[0] - bid[0]) // 2, book.recv_ts)
                    self.marks[instrument] = max(mark, self.marks.get(instrument, mark), key=lambda m: m[1])
        except ChronicleError:
            return
        finally:
            reader.close()

    def _define(self, definition: Instrument) -> None:
        instrument = definition.instrument_id
        if instrument in self._missing:
            self._missing.discard(instrument)
            self.terms[instrument] = InstrumentTerms.of(definition)
            self._names[instrument] = (definition.venue, definition.symbol)

    def name(self, instrument: int) -> tuple[str, str]:
        """Venue and symbol. Raises UnknownInstrument."""
        if instrument not in self._names:
            raise UnknownInstrument(instrument=instrument)
        return self._names[instrument]
