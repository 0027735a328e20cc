"""Binance recordings into the archive: lines of `<local_ns> <combined-stream JSON>`, and one with the REST snapshot.

    lines ─▶ the feed's own decoder and sync ─▶ raw records ─▶ timed by the recorder ─▶ refinery ─▶ clean queues ─▶ archive

So what is in the archive is what the live suite would have written. The decoder's queue is timed by this host's clock, as a
live one; its records are copied to a second raw queue whose times are those at which the recorder received them. `rawSeq`
counts the records of that one, which is not kept.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ChronicleError, ImportRejected, VenueDataError
from libchronicle.etl.opening import Policy, open_refinery
from libchronicle.native.binding import Message
from libchronicle.protocol import (
    BestBidAsk,
    BookDelta,
    BookSnapshot,
    Gap,
    Instrument,
    Trade,
    VenueStatus,
    instrument_id,
)
from libchronicle.queue import Publisher, Queue, QueueConfig, Subscriber
from libchronicle.sim.instruments import exchange_info
from libchronicle.sim.recording import SNAPSHOT, RecordedLine, RecordingInfo, describe, parse_line
from libchronicle.storage.importers import KINDS, ImportOptions, ImportReport, InputFile, Plan, import_key
from libchronicle.storage.importers.options import checked_name
from libchronicle.storage.importers.record import Staged
from libchronicle.storage.importers.staging import StagedQueue
from libchronicle.storage.layout import ArchiveLayout, plain_stream
from libchronicle.venues.binance import PROFILES, Pipeline, parse_instruments
from libchronicle.venues.binance.strict import FrameError

__all__ = ["ALL_KINDS", "is_recording", "plan"]

KIND: Final = "binance"
RAW_SEGMENT: Final = 16 << 20
_DRAIN_LINES: Final = 4096
_RECV_AT: Final = {
    BookSnapshot.TEMPLATE_ID: 32,
    BookDelta.TEMPLATE_ID: 32,
    BestBidAsk.TEMPLATE_ID: 32,
    Trade.TEMPLATE_ID: 32,
    Gap.TEMPLATE_ID: 16,
    VenueStatus.TEMPLATE_ID: 16,
}
"""Where recvTs stands in a payload."""
_ID_AT: Final = 8
"""Where instrumentId stands in each of these."""


def is_recording(file: InputFile) -> bool:
    stamp, _, text = file.head(256).partition(b" ")
    return len(stamp) == 19 and stamp.isdigit() and text[:1] == b"{"


def plan(file: InputFile, options: ImportOptions, layout: ArchiveLayout) -> Plan:
    """Raises ImportRejected."""
    name = str(file.path)
    info = _described(file, name)
    recorded = _definition(info, name)
    definition = _renamed(recorded, options, name)
    content = file.digest()
    key = import_key(content, KIND, [definition.venue, definition.symbol])

    def stage(work: Path) -> Staged:
        decoded = _Decoded(work / "decoded", work / "raw", recorded, info, definition)
        try:
            lines = decoded.run(_lines(file.text_chunks("importing"), name))
        finally:
            decoded.close()
        queues, records = _refine(work, definition)
        return Staged(
            queues=queues,
            report=ImportReport(
                key=key,
                kind=KIND,
                file=name,
                content=content,
                rows=lines,
                records=records,
                instruments=[f"{definition.venue}:{definition.symbol}"],
                gaps=decoded.pipeline.gaps,
                skipped={k: v for k, v in decoded.pipeline.tally.rejected().items() if v},
                first_ns=info.first_local_ns,
                last_ns=decoded.last_ns,
            ),
        )

    return Plan(key, stage)


# ---------------------------------------------------------------- the file


def _lines(chunks: Iterable[bytes], name: str) -> Iterator[RecordedLine]:
    number, rest = 0, b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            number += 1
            if line:
                yield _line(line, number, name)
    if rest:
        yield _line(rest, number + 1, name)


def _line(line: bytes, number: int, name: str) -> RecordedLine:
    try:
        return parse_line(line, number, name)
    except ChronicleError as error:
        raise ImportRejected(file=name, place=f"line {number}", reason=str(error)) from None


def _described(file: InputFile, name: str) -> RecordingInfo:
    try:
        return describe(_raw_lines(file.text_chunks("looking")), name)
    except (ChronicleError, msgspec.DecodeError) as error:
        raise ImportRejected(file=name, place="its beginning", reason=str(error)) from None


def _raw_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _definition(info: RecordingInfo, name: str) -> Instrument:
    """As the live feed would define it, from the grid that the recording shows."""
    body = msgspec.json.encode(exchange_info(info.market, [info.instrument], 0))
    try:
        return parse_instruments(body, PROFILES[info.market], [info.instrument.symbol])[0]
    except VenueDataError as error:
        raise ImportRejected(file=name, place="its prices", reason=str(error)) from None


def _renamed(recorded: Instrument, options: ImportOptions, name: str) -> Instrument:
    """Under the venue and symbol asked for. Raises ImportRejected."""
    venue, symbol = options.venue or recorded.venue, options.symbol or recorded.symbol
    number = instrument_id(checked_name(venue, symbol, name))
    return msgspec.structs.replace(recorded, venue=venue, symbol=symbol, instrument_id=number)


# ---------------------------------------------------------------- lines to raw records


class _Decoded:
    """The decoder's queue and the copy with the recorder's times, of the instrument's name in the archive."""

    def __init__(
        self, decoded: Path, raw: Path, recorded: Instrument, info: RecordingInfo, definition: Instrument
    ) -> None:
        config = QueueConfig(segment_size=RAW_SEGMENT, durable=("import",), prefault=False, sync=False)
        self.last_ns = self._raw_ns = info.first_local_ns
        self._name = info.path
        self._decoded: Publisher = Queue.open_publisher(decoded, config)
        self._raw: Publisher = Queue.open_publisher(raw, config)
        self._reader: Subscriber = Queue.open_subscriber(decoded, "import")
        self.pipeline = Pipeline(PROFILES[info.market], [recorded], self._decoded)
        self._recorded, self._definition = recorded, definition

    def run(self, lines: Iterable[RecordedLine]) -> int:
        """How many lines there were."""
        count = 0
        self.pipeline.connected(self.last_ns)
        for count, line in enumerate(lines, 1):
            self.last_ns = max(self.last_ns, line.local_ns)
            if line.kind == SNAPSHOT:
                self._snapshot(line, count)
            else:
                self.pipeline.frame(line.text, line.local_ns)
            if count % _DRAIN_LINES == 0:
                self._drain()
        self._drain()
        return count

    def _snapshot(self, line: RecordedLine, number: int) -> None:
        try:
            self.pipeline.snapshot(0, line.text, line.local_ns)
        except FrameError as error:
            reason = f"a snapshot that cannot be read: {error}"
            raise ImportRejected(file=self._name, place=f"line {number}", reason=reason) from None

    def _drain(self) -> None:
        for message in self._reader.drain():
            at = _RECV_AT.get(message.type_id)
            received = struct.unpack_from("<q", message, at)[0] if at else 0
            self._raw_ns = max(self._raw_ns, received)
            self._raw.append(message.type_id, self._named(message, at), self._raw_ns)
        self._reader.commit()

    def _named(self, message: Message, at: int | None) -> Message | bytes | bytearray:
        if self._definition.instrument_id == self._recorded.instrument_id:
            return message
        if message.type_id == Instrument.TEMPLATE_ID:
            told, own = Instrument.decode(message), self._definition
            return msgspec.structs.replace(
                told, venue=own.venue, symbol=own.symbol, instrument_id=own.instrument_id
            ).encode()
        payload = bytearray(message)
        if at and struct.unpack_from("<Q", payload, _ID_AT)[0] == self._recorded.instrument_id:
            struct.pack_into("<Q", payload, _ID_AT, self._definition.instrument_id)
        return payload

    def close(self) -> None:
        self.pipeline.decoder.detach()
        self._reader.close()
        self._decoded.close()
        self._raw.close()


# ---------------------------------------------------------------- raw records to clean queues


def _drained(reader: Subscriber) -> Iterator[Message]:
    while batch := reader.drain(_DRAIN_LINES):
        yield from batch


def _refine(work: Path, definition: Instrument) -> tuple[list[StagedQueue], dict[str, int]]:
    paths = BusPaths(work / "bus")
    refinery = open_refinery(paths, work / "raw", "etl", policy=Policy(sync=False, late_limit_s=86_400.0))
    raw = refinery.raw
    try:
        while refinery.run(1 << 16):
            pass
        if refinery.faults:
            raise refinery.faults[0]
    finally:
        refinery.close()
        raw.close()
    queues: list[StagedQueue] = []
    records: dict[str, int] = {}
    for path in sorted(paths.clean_dir.glob("*/*/*/control.meta")):
        queue = path.parent
        first_ns: int | None = None
        told = 0
        with Queue.open_subscriber(queue, None, start="earliest") as reader:
            for message in _drained(reader):
                first_ns = message.ts_ns if first_ns is None else first_ns
                told += message.type_id != Instrument.TEMPLATE_ID
        stream = plain_stream(queue.name)
        records[stream] = records.get(stream, 0) + told
        with Queue.open_publisher(queue, QueueConfig(durable=("archive-tier",), sync=False)) as writer:
            last_ns = writer.last_ts_ns
            writer.roll()
        queues.append(
            StagedQueue(
                path=str(queue.relative_to(work)),
                venue=definition.venue,
                symbol=definition.symbol,
                stream=queue.name,
                first_ns=last_ns if first_ns is None else first_ns,
                last_ns=last_ns,
            )
        )
    return queues, records


ALL_KINDS: Final = {KIND: (is_recording, plan), **KINDS}
"""Every kind of file that can be imported."""
