"""Nasdaq TotalView-ITCH 5.0 into the archive: from the daily file, or from packets captured with their receive times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from libchronicle.errors import ImportRejected
from libchronicle.storage.importers.newyork import date_in_name, midnight_ns, new_york_date
from libchronicle.storage.importers.options import ImportOptions
from libchronicle.storage.importers.plan import FLUSH_BYTES, Plan, Written, stage_batches
from libchronicle.storage.importers.record import ImportReport, Staged, import_key
from libchronicle.storage.importers.source import InputFile
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.venues.batch import RecordBatch
from libchronicle.venues.itch import LENGTHS, ItchParser
from libchronicle.venues.pcap import packets, udp_payload

__all__ = ["is_itch", "is_pcap", "plan"]

_PCAP_MAGICS = (
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\xc3\xd4",
    b"\x4d\x3c\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x0a\x0d\x0d\x0a",
)
_PACKETS = 4096  # between two looks at the batch


def is_pcap(file: InputFile) -> bool:
    return file.head(4) in _PCAP_MAGICS


def is_itch(file: InputFile) -> bool:
    """Begins with a system event, with its length before it or a 0 in its place."""
    head = file.head(3)
    return head[:2] in (b"\0\0", LENGTHS["S"].to_bytes(2, "big")) and head[2:] == b"S"


def plan(file: InputFile, options: ImportOptions, layout: ArchiveLayout) -> Plan:
    """Raises ImportRejected."""
    name = str(file.path)
    captured = is_pcap(file)
    day = options.day or (_first_day(file, name) if captured else date_in_name(file.name))
    if day is None:
        raise ImportRejected(file=name, place="its name", reason="it holds no date; give --date")
    venue = options.venue or "nasdaq"
    symbols = options.symbols or ((options.symbol,) if options.symbol else ())
    content = file.digest()

    def stage(work: Path) -> Staged:
        batch = RecordBatch()
        parser = ItchParser(midnight_ns(day), batch, venue=venue, symbols=symbols or None, file=name)
        feed = _packets(file, parser, name) if captured else _messages(file, parser)
        other: dict[str, int] = {}

        def batches() -> Iterator[Written]:
            for others in feed:
                other["packets that are no UDP"] = others
                if batch.bytes >= FLUSH_BYTES:
                    yield batch, parser.instruments
                    batch.clear()
            if not parser.total:
                raise ImportRejected(file=name, place="byte 0", reason="there is no message of ITCH 5.0")
            yield batch, parser.instruments

        def report(records: dict[str, int]) -> ImportReport:
            skipped = {
                "messages of unnamed stocks": parser.unknown_stock,
                "trades of unknown orders": parser.unknown_order,
                "messages that came again": parser.doubled,
                **other,
            }
            return ImportReport(
                key=key,
                kind="pcap" if captured else "itch",
                file=name,
                content=content,
                rows=parser.total,
                records=records,
                instruments=sorted(f"{i.venue}:{i.symbol}" for i in parser.instruments.values()),
                gaps=parser.gaps,
                skipped={what: count for what, count in skipped.items() if count},
            )

        return stage_batches(work, batches(), report)

    key = import_key(content, "itch", [venue, sorted(symbols), day.isoformat()])
    return Plan(key, stage)


def _first_day(file: InputFile, name: str) -> date | None:
    first = next(packets(file.chunks("looking"), name), None)
    return None if first is None else new_york_date(first.ts_ns)


def _messages(file: InputFile, parser: ItchParser) -> Iterator[int]:
    for chunk in file.chunks("importing"):
        parser.feed(chunk)
        yield 0
    parser.finish()


def _packets(file: InputFile, parser: ItchParser, name: str) -> Iterator[int]:
    """How many packets were no UDP, from time to time."""
    others = 0
    for number, packet in enumerate(packets(file.chunks("importing"), name)):
        payload = udp_payload(packet)
        if payload is None:
            others += 1
        else:
            parser.packet(payload, packet.ts_ns)
        if number % _PACKETS == _PACKETS - 1:
            yield others
    yield others
