"""The manifest made from the files, wholly (`rebuild`) or where the two differ (`refresh`). Both come to the same rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from libchronicle.errors import ArchiveError, ForeignFile, UnsupportedVersion
from libchronicle.storage.facts import SegmentFacts
from libchronicle.storage.layout import ArchiveLayout, Partition, SegmentId, StoredFile, Tier, day_of
from libchronicle.storage.manifest import Manifest, SegmentRecord
from libchronicle.storage.remote import Stub, read_stub
from libchronicle.storage.seekable import open_seekable
from libchronicle.storage.walk import SegmentSpan

__all__ = ["Rebuilt", "archived_rows", "rebuild", "record_of", "refresh"]

_STORED: Final[tuple[Tier, ...]] = ("warm", "cold", "remote")

Progress = Callable[[int], object]
"""Called with the number of segments seen so far."""


class Rebuilt(msgspec.Struct):
    """What was found. `skipped` are files that cannot be what their names say, and why."""

    segments: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    skipped: list[tuple[str, str]] = []


def record_of(layout: ArchiveLayout, partition: Partition, file: StoredFile) -> SegmentRecord:
    """What the manifest says of a file, from the file. Raises ArchiveError, FileNotFoundError, UnsupportedVersion.

    A warm file is read through; of a cold or a remote one the facts kept in it are taken.
    """
    stored = file.path.stat().st_size
    if file.tier == "warm":
        facts = SegmentFacts.of(SegmentSpan.open_file(file.path), tolerant=True)
    elif file.tier == "cold":
        source = open_seekable(file.path)
        if source.facts:
            facts = SegmentFacts.from_json(source.facts, str(file.path))
        else:
            facts = SegmentFacts.of(SegmentSpan.from_source(source, str(file.path)), tolerant=True)
    else:
        stub: Stub = read_stub(file.path)
        facts, stored = stub.facts, stub.bytes
    if facts.id != file.id:
        raise ForeignFile(path=str(file.path), reason=f"holds segment {facts.id}")
    if day_of(facts.dated_ns) != partition.day:
        raise ForeignFile(
            path=str(file.path), reason=f"its records are of {day_of(facts.dated_ns).isoformat()}"
        )
    source_text = None
    with contextlib.suppress(FileNotFoundError):
        source_text = layout.provenance(partition, file.id).read_text(errors="backslashreplace")
    return SegmentRecord(partition=partition, tier=file.tier, bytes=stored, facts=facts, source=source_text)


def rebuild(layout: ArchiveLayout, manifest: Manifest, progress: Progress | None = None) -> Rebuilt:
    """All rows anew. Readers see the old ones until the end."""
    result = Rebuilt()
    with manifest.replacing():
        for partition in layout.partitions():
            for file in _fastest(layout, partition).values():
                record = _try(layout, partition, file, result)
                if record is not None:
                    manifest.put(record)
                    result.added += 1
                result.segments += 1
                if progress is not None:
                    progress(result.segments)
    return result


def refresh(layout: ArchiveLayout, manifest: Manifest, progress: Progress | None = None) -> Rebuilt:
    """Rows of files that came, went or changed their tier since; what stayed is not opened."""
    result = Rebuilt()
    known = {record.id: record for record in manifest.find()}
    for partition in layout.partitions():
        for segment, file in _fastest(layout, partition).items():
            result.segments += 1
            if progress is not None:
                progress(result.segments)
            old = known.pop(segment, None)
            if old is not None and (old.tier, old.partition) == (file.tier, partition):
                continue
            record = _try(layout, partition, file, result)
            if record is not None:
                manifest.put(record)
                result.added += old is None
                result.changed += old is not None
    manifest.remove(*known)
    result.removed = len(known)
    return result


def archived_rows(
    layout: ArchiveLayout, manifest: Manifest, venue: str, symbol: str, stream: str
) -> Iterator[SegmentRecord]:
    """Segments of a stream that are in the archive, whatever the manifest knows: rows that it lacks are made from the files
    and added to it; rows whose files are gone are passed over. Files that cannot be what their names say too."""
    known = {record.id: record for record in manifest.find(venue, symbol, stream)}
    for partition in layout.partitions(venue, symbol, stream):
        for segment, file in _fastest(layout, partition).items():
            record = known.pop(segment, None)
            if record is None:
                record = _try(layout, partition, file, Rebuilt())
                if record is None:
                    continue
                manifest.put(record)
            yield record
    for record in known.values():  # on its way from tier to tier while its directory was listed
        if any(layout.segment(record.partition, record.id, tier).exists() for tier in _STORED):
            yield record


def _fastest(layout: ArchiveLayout, partition: Partition) -> dict[SegmentId, StoredFile]:
    found: dict[SegmentId, StoredFile] = {}
    for file in layout.files(partition):
        found.setdefault(file.id, file)
    return found


def _try(
    layout: ArchiveLayout, partition: Partition, file: StoredFile, result: Rebuilt
) -> SegmentRecord | None:
    try:
        return record_of(layout, partition, file)
    except (ArchiveError, UnsupportedVersion) as error:
        result.skipped.append((str(file.path), str(error)))
    except FileNotFoundError:
        pass  # it moved on while we looked
    except OSError as error:
        result.skipped.append((str(file.path), error.strerror or str(error)))
    return None
