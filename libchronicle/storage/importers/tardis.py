"""Tardis CSV files into the archive. Each file is gone through twice: for its content's hash, its instrument and what its
numbers need; then for its records."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from libchronicle.errors import DecimalError, FixedPointOverflow, ImportRejected
from libchronicle.protocol import ContractKind, Instrument
from libchronicle.storage.importers.definitions import Definitions
from libchronicle.storage.importers.options import ImportOptions, checked_name
from libchronicle.storage.importers.plan import FLUSH_BYTES, Plan, Written, stage_batches
from libchronicle.storage.importers.record import ImportReport, Staged, import_key
from libchronicle.storage.importers.source import InputFile
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.venues.batch import RecordBatch
from libchronicle.venues.definition import recorded_instrument
from libchronicle.venues.tardis import VENUES, TardisParser, TardisSurvey, read_header
from libchronicle.venues.tardis.layout import CONTRACTS, Layout

__all__ = ["is_tardis", "plan"]

KIND = "tardis"


def is_tardis(file: InputFile) -> bool:
    line = file.head(4096).partition(b"\n")[0]
    return b"local_timestamp" in line and b"exchange" in line


def plan(file: InputFile, options: ImportOptions, layout: ArchiveLayout) -> Plan:
    """Raises ImportRejected."""
    name = str(file.path)
    header, survey, content = _survey(file, name)
    if not survey.rows:
        raise ImportRejected(file=name, place="line 2", reason="there is no row")
    instrument = _instrument(survey, options, layout, name)

    def stage(work: Path) -> Staged:
        batch = RecordBatch()
        parser = TardisParser(header, instrument, batch, name)

        def batches() -> Iterator[Written]:
            for _, body in _body(file, "importing"):
                parser.feed(body)
                if batch.bytes >= FLUSH_BYTES:
                    yield batch, {instrument.instrument_id: instrument}
                    batch.clear()
            parser.finish()
            yield batch, {instrument.instrument_id: instrument}

        def report(records: dict[str, int]) -> ImportReport:
            return ImportReport(
                key=key,
                kind=f"{KIND} {header.kind.name.lower()}",
                file=name,
                content=content,
                rows=parser.rows,
                records=records,
                instruments=[f"{instrument.venue}:{instrument.symbol}"],
                gaps=parser.gaps,
                first_ns=survey.first_ns,
                last_ns=survey.last_ns,
            )

        return stage_batches(work, batches(), report)

    key = import_key(content, KIND, [instrument.venue, instrument.symbol])
    return Plan(key, stage)


def _survey(file: InputFile, name: str) -> tuple[Layout, TardisSurvey, str]:
    digest = blake2b(digest_size=16)
    survey: TardisSurvey | None = None
    layout: Layout | None = None
    for header, body in _body(file, "looking"):
        if survey is None:
            digest.update(header)
            layout = read_header(header.rstrip(b"\r\n"), name)
            survey = TardisSurvey(layout, name)
        digest.update(body)
        survey.feed(body)
    if survey is None or layout is None:
        raise ImportRejected(file=name, place="line 1", reason="the file is empty")
    survey.finish()
    return layout, survey, digest.hexdigest()


def _body(file: InputFile, what: str) -> Iterator[tuple[bytes, bytes]]:
    """(header line, chunk of what follows it)."""
    header = b""
    begun = False
    for chunk in file.text_chunks(what):
        if begun:
            yield header, chunk
            continue
        header += chunk
        line, feed, rest = header.partition(b"\n")
        if feed:
            header, begun = line + feed, True
            yield header, rest
    if header and not begun:
        yield header, b""


def _instrument(survey: TardisSurvey, options: ImportOptions, layout: ArchiveLayout, name: str) -> Instrument:
    venue = options.venue or VENUES.get(survey.exchange, survey.exchange)
    symbol = options.symbol or survey.symbol
    checked_name(venue, symbol, name)
    contract = ContractKind[options.contract.upper()] if options.contract else CONTRACTS.get(survey.exchange)
    try:
        return recorded_instrument(
            venue,
            symbol,
            survey.price,
            survey.qty,
            known=Definitions(layout).get(venue, symbol),
            tick=options.tick,
            lot=options.lot,
            contract=contract or ContractKind.SPOT,
        )
    except (FixedPointOverflow, DecimalError) as error:
        raise ImportRejected(file=name, place="its numbers", reason=str(error)) from None
