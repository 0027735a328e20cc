"""LOBSTER message files into the archive. Where the order book file lies beside it, its first row gives the book that the
messages begin with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from libchronicle.errors import ImportRejected
from libchronicle.protocol import BookMode, Instrument, instrument_id
from libchronicle.storage.importers.definitions import Definitions
from libchronicle.storage.importers.newyork import date_in_name, midnight_ns
from libchronicle.storage.importers.options import ImportOptions, checked_name
from libchronicle.storage.importers.plan import FLUSH_BYTES, Plan, Written, stage_batches
from libchronicle.storage.importers.record import ImportReport, Staged, import_key
from libchronicle.storage.importers.source import InputFile
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.venues.batch import RecordBatch
from libchronicle.venues.lobster import LobsterParser

__all__ = ["is_lobster", "plan"]

KIND = "lobster"
_NO_BOOK = "no order book file lies beside it: the book begins empty, without the orders from before the file"
_NAME = re.compile(r"(?P<symbol>[A-Z.\-]+)_(?P<day>\d{4}-\d{2}-\d{2})_\d+_\d+_message_\d+\.csv")


def is_lobster(file: InputFile) -> bool:
    return bool(_NAME.fullmatch(file.name))


def plan(file: InputFile, options: ImportOptions, layout: ArchiveLayout) -> Plan:
    """Raises ImportRejected."""
    name = str(file.path)
    symbol, day = _subject(file, options, name)
    venue = options.venue or "nasdaq"
    checked_name(venue, symbol, name)
    instrument = Definitions(layout).get(venue, symbol) or _definition(venue, symbol)
    book = _first_book(file)
    content = file.digest()

    def stage(work: Path) -> Staged:
        batch = RecordBatch()
        parser = LobsterParser(instrument.instrument_id, midnight_ns(day), batch, name)
        owners = {instrument.instrument_id: instrument}

        def batches() -> Iterator[Written]:
            if book:
                parser.seed(file.head(4096).partition(b"\n")[0], book)
            for chunk in file.text_chunks("importing"):
                parser.feed(chunk)
                if batch.bytes >= FLUSH_BYTES:
                    yield batch, owners
                    batch.clear()
            parser.finish()
            if not parser.rows:
                raise ImportRejected(file=name, place="line 1", reason="there is no message")
            yield batch, owners

        def report(records: dict[str, int]) -> ImportReport:
            return ImportReport(
                key=key,
                kind=KIND,
                file=name,
                content=content,
                rows=parser.rows,
                records=records,
                instruments=[f"{venue}:{symbol}"],
                skipped={"orders from before the file": parser.unknown} if parser.unknown else {},
                last_ns=parser.last_ns,
                notes=[] if book else [_NO_BOOK],
            )

        return stage_batches(work, batches(), report)

    key = import_key(content, KIND, [venue, symbol, day.isoformat(), book.decode("ascii", "replace")])
    return Plan(key, stage)


def _subject(file: InputFile, options: ImportOptions, name: str) -> tuple[str, date]:
    match = _NAME.fullmatch(file.name)
    symbol = options.symbol or (match["symbol"] if match else "")
    day = options.day or date_in_name(file.name)
    if not symbol or day is None:
        raise ImportRejected(
            file=name,
            place="its name",
            reason="neither symbol nor date can be told from it; give --symbol and --date",
        )
    return symbol, day


def _first_book(file: InputFile) -> bytes:
    """First row of the order book file beside the message file; empty when there is none."""
    path = file.path.with_name(file.path.name.replace("_message_", "_orderbook_"))
    if path == file.path or not path.is_file():
        return b""
    return InputFile(path).head().partition(b"\n")[0].rstrip(b"\r")


def _definition(venue: str, symbol: str) -> Instrument:
    return Instrument(
        instrument_id=instrument_id(f"{venue}:{symbol}"),
        tick_size=100,
        lot_size=1,
        min_qty=1,
        contract_size=1,
        price_exponent=-4,
        qty_exponent=0,
        book_mode=BookMode.L3,
        trading=1,
        venue=venue,
        symbol=symbol,
        base_currency=symbol,
        quote_currency="USD",
        settle_currency="USD",
    )
