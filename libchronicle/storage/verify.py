"""Is everything in the archive what was stored? Every byte of every file is read; nothing is changed.

Of a warm file: header, seal, every frame, the bytes no frame covers, against the manifest's checksum. Of a cold or remote
one: the digest of the stored bytes, each frame's checksum, the segment they give. Of all: that it lies where its records
say, that the manifest agrees, that no number of a queue is missing between two that are there, and that nobody's file lies
among them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from libchronicle.errors import ChronicleError, ForeignFile
from libchronicle.native.binding import Audit
from libchronicle.storage.catalog import OpenRemote
from libchronicle.storage.facts import SegmentFacts
from libchronicle.storage.layout import ArchiveLayout, Partition, SegmentId, StoredFile, day_of
from libchronicle.storage.manifest import Manifest, SegmentRecord
from libchronicle.storage.remote import read_stub
from libchronicle.storage.seekable import SeekableZstd, open_seekable
from libchronicle.storage.walk import SegmentSpan

__all__ = ["Finding", "Verified", "verify_archive"]

_HARMLESS: Final = ("lost",)
"""What the queue's own audit tells that is no damage: records that the queue itself declared lost."""


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it was stored."""

    path: str
    reason: str


class Verified(msgspec.Struct):
    """What was looked at, and what was found."""

    segments: int = 0
    bytes: int = 0
    findings: list[Finding] = []
    missing: int = 0  # segments between others of their queue

    @property
    def sound(self) -> bool:
        return not self.findings


Progress = Callable[[int], object]


def verify_archive(
    layout: ArchiveLayout,
    manifest: Manifest | None = None,
    open_remote: OpenRemote | None = None,
    progress: Progress | None = None,
    partitions: Iterator[Partition] | None = None,
) -> Verified:
    """Read all of it, or the partitions given. Without `open_remote` only the stubs of remote segments are looked at."""
    result = Verified()
    seen: dict[int, set[int]] = {}
    for partition in partitions or layout.partitions():
        known = _rows(manifest, partition)
        for file in layout.files(partition):
            seen.setdefault(file.id.queue_id, set()).add(file.id.number)
            for reason in _look(layout, partition, file, known.get(file.id), open_remote):
                result.findings.append(Finding(str(file.path), reason))
            result.segments += 1
            result.bytes += _size(file.path)
            if progress is not None:
                progress(result.segments)
        there = {file.id for file in layout.files(partition)}
        for segment in known.keys() - there:
            where = str(layout.partition_dir(partition) / str(segment))
            result.findings.append(
                Finding(where, "the manifest knows this segment, and no file of it is there")
            )
    if partitions is None:
        _look_around(layout, seen, result)
    return result


def _rows(manifest: Manifest | None, partition: Partition) -> dict[SegmentId, SegmentRecord]:
    if manifest is None:
        return {}
    found = manifest.find(partition.venue, partition.symbol, partition.stream, partition.day, partition.day)
    return {record.id: record for record in found}


def _look_around(layout: ArchiveLayout, seen: dict[int, set[int]], result: Verified) -> None:
    for queue_id, numbers in sorted(seen.items()):
        absent = max(numbers) - min(numbers) + 1 - len(numbers)
        if absent:
            result.missing += absent
            first = next(n for n in range(min(numbers), max(numbers)) if n not in numbers)
            name = SegmentId(queue_id, first)
            result.findings.append(
                Finding(str(layout.partitions_dir), f"{absent} segments missing, the first is {name}")
            )
    for path in layout.strangers():
        result.findings.append(
            Finding(str(path), str(ForeignFile(path=path.name, reason="none of the archive's files")))
        )


def _look(
    layout: ArchiveLayout,
    partition: Partition,
    file: StoredFile,
    known: SegmentRecord | None,
    open_remote: OpenRemote | None,
) -> Iterator[str]:
    try:
        if file.tier == "warm":
            yield from _look_warm(partition, file, known)
        elif file.tier == "cold":
            yield from _look_packed(partition, file, known, open_seekable(file.path))
        else:
            yield from _look_remote(partition, file, known, open_remote)
        yield from _look_source(layout, partition, file, known)
    except (ChronicleError, OSError) as error:
        yield str(error)
    if known is not None and known.tier != file.tier:
        yield f"the manifest has it as {known.tier}; `chronicle archive rebuild` corrects that"


def _look_warm(partition: Partition, file: StoredFile, known: SegmentRecord | None) -> Iterator[str]:
    span = SegmentSpan.open_file(file.path)
    yield from _look_span(partition, file, known, span)
    audit = Audit()
    facts = audit.segment(os.open(file.path, os.O_RDONLY | os.O_CLOEXEC), span.size, span.size, span.queue_id)
    for kind, detail, offset, *_ in facts["findings"]:
        if kind not in _HARMLESS:
            yield f"{kind}{' ' + detail if detail else ''} at offset {offset}"
    if facts["seal"] not in ("good", "quarantined"):
        yield f"seal {facts['seal']}"
    elif not facts["tail_clean"]:
        yield f"bytes behind the last frame, at offset {facts['end']}, are not zero"


def _look_remote(
    partition: Partition, file: StoredFile, known: SegmentRecord | None, open_remote: OpenRemote | None
) -> Iterator[str]:
    stub = read_stub(file.path)
    yield from _look_facts(partition, file, known, stub.facts)
    if known is not None and known.tier == "remote" and known.bytes != stub.bytes:
        yield f"says {stub.bytes} bytes, the manifest {known.bytes}"
    if open_remote is None:
        return
    source = open_remote(file.path)
    yield from _look_packed(partition, file, known, source)
    if SegmentFacts.from_json(source.facts, source.path) != stub.facts:
        yield f"what is kept with {source.path} says otherwise"
    if source.digest() != stub.digest:
        yield f"{source.path} has other bytes than were put there"


def _look_source(
    layout: ArchiveLayout, partition: Partition, file: StoredFile, known: SegmentRecord | None
) -> Iterator[str]:
    """Where an imported segment comes from: what stands beside it and what the manifest took from there."""
    path = layout.provenance(partition, file.id)
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        if known is not None and known.source is not None:
            yield f"{path.name}, which says where it was imported from, is gone"
        return
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        yield f"{path.name}: {error}"
        return
    if known is not None and known.source != text.decode():
        yield f"{path.name}: the manifest says otherwise"


def _look_packed(
    partition: Partition, file: StoredFile, known: SegmentRecord | None, source: SeekableZstd
) -> Iterator[str]:
    source.check_stored()
    if not source.facts:
        yield "no facts are kept with it; it was not made by this archive"
    else:
        kept = SegmentFacts.from_json(source.facts, str(file.path))
        digest = blake2b(digest_size=16)
        for block in range(source.blocks):
            digest.update(source.read_block(block))
        if digest.hexdigest() != kept.checksum:
            yield "gives other bytes than were compressed"
    yield from _look_span(partition, file, known, SegmentSpan.from_source(source, str(file.path)))


def _look_span(
    partition: Partition, file: StoredFile, known: SegmentRecord | None, span: SegmentSpan
) -> Iterator[str]:
    facts = SegmentFacts.of(span, tolerant=True)
    yield from _look_facts(partition, file, known, facts)
    if facts.damaged and (known is None or not known.facts.damaged):
        yield f"{facts.damaged} places do not hold"
    if facts.mixed and not partition.venue.startswith("_"):
        yield "records of more than one instrument"


def _look_facts(
    partition: Partition, file: StoredFile, known: SegmentRecord | None, facts: SegmentFacts
) -> Iterator[str]:
    if facts.id != file.id:
        yield f"holds segment {facts.id}"
    elif day_of(facts.dated_ns) != partition.day:
        yield f"its records are of {facts.day}, not of {partition.day.isoformat()}"
    if known is not None and known.facts != facts:
        names = [f for f in facts.__struct_fields__ if getattr(facts, f) != getattr(known.facts, f)]
        yield f"the manifest says otherwise: {', '.join(names)}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
