"""What a replay did, as it is given back and printed."""

from __future__ import annotations

import msgspec

from libchronicle.protocol import Instrument, instrument_id
from libchronicle.replay.engine import Engine

__all__ = ["InstrumentReport", "ReplayReport", "instrument_name", "report_of"]


class InstrumentReport(msgspec.Struct, frozen=True):
    """`valid`: its book is right at the end; None: there is none. Hashes: of the book, of the records in their order."""

    instrument: str
    records: int
    levels: int
    gaps: int
    refused: int
    dropped: int
    quarantined: bool
    valid: bool | None
    book_hash: int
    order_hash: int


class ReplayReport(msgspec.Struct, frozen=True):
    """`records` were read, `given` passed the filters; `lost` LOST records, `damaged` places, `gaps` broke a book.

    `state_hash` is of all books and of the order of all records: two replays of the same records have the same.
    """

    records: int
    given: int
    payload_bytes: int
    levels: int
    gaps: int
    lost: int
    damaged: int
    refused: int
    first_ns: int | None
    last_ns: int | None
    state_hash: int
    instruments: tuple[InstrumentReport, ...]


def instrument_name(engine: Engine, number: int) -> str:
    """`venue:SYMBOL`, or the id where no definition came."""
    definition = engine.definition(number)
    if definition is None:
        return f"{number:#018x}"
    told = Instrument.decode(definition)
    name = f"{told.venue}:{told.symbol}"
    return name if instrument_id(name) == number else f"{number:#018x}"


def report_of(engine: Engine) -> ReplayReport:
    rows = []
    for number, records, levels, gaps, refused, dropped, quarantined, order_hash in engine.tallies():
        book = engine.book(number)
        rows.append(
            InstrumentReport(
                instrument=instrument_name(engine, number),
                records=records,
                levels=levels,
                gaps=gaps,
                refused=refused,
                dropped=dropped,
                quarantined=quarantined,
                valid=None if book is None else book.valid,
                book_hash=0 if book is None else book.hash(),
                order_hash=order_hash,
            )
        )
    rows.sort(key=lambda row: row.instrument)
    seen = engine.records > 0
    return ReplayReport(
        records=engine.records,
        given=engine.given,
        payload_bytes=engine.payload_bytes,
        levels=sum(row.levels for row in rows),
        gaps=engine.gaps,
        lost=engine.lost,
        damaged=engine.damaged,
        refused=engine.refused,
        first_ns=engine.first_ns if seen else None,
        last_ns=engine.last_ns if seen else None,
        state_hash=engine.state_hash(),
        instruments=tuple(rows),
    )
