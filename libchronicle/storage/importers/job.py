"""One import, from a file to segments of the archive: done once, wholly, or not at all.

    <archive>/imports/<key>/            under way: the queues being written
    <archive>/imports/<key>/staged.json all of them are complete: from here on the import is only finished, never begun anew
    <archive>/imports/<key>.json        done: what was imported, when seen from the data, and which segments it became

The key is a hash of the unpacked content and of every option that changes what becomes of it. A run that is killed before
`staged.json` leaves nothing in the archive; one killed after it is finished by the next run of the same import. A second run
of a finished one is DuplicateImport.

`staged.json` holds the time it covers for its import: it is written, under a lock on imports/, only when neither the archive
nor another staged import has records of that stream and time. So of two that overlap one is taken, also when both are under
way at once, or one of them was killed and is finished later. Their definitions hold for whatever comes after them, too.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from libchronicle.bus.files import directory_lock, make_directory, publish_file
from libchronicle.errors import DuplicateImport, ExponentChanged, ImportRejected
from libchronicle.storage.catalog import Catalog, SegmentRef, Stream
from libchronicle.storage.facts import SegmentFacts
from libchronicle.storage.importers.definitions import Definitions, definitions_in
from libchronicle.storage.importers.record import (
    STAGED,
    ImportReport,
    Staged,
    imports_dir,
    report_at,
    staged_imports,
    staged_in,
)
from libchronicle.storage.importers.staging import StagedQueue
from libchronicle.storage.layout import ArchiveLayout, plain_stream
from libchronicle.storage.manifest import Manifest, SegmentRecord
from libchronicle.storage.moves import adopt
from libchronicle.storage.rebuild import archived_rows

__all__ = ["run_import"]


def run_import(
    layout: ArchiveLayout,
    key: str,
    file: str,
    stage: Callable[[Path], Staged],
    *,
    step: Callable[[str], object] = str,
) -> ImportReport:
    """`stage` fills an empty directory with queues. `step` is called with the name of what comes next: tests stop there.

    Raises DuplicateImport, ImportRejected, ArchiveError (its record is damaged), ExponentChanged (another import has told
    of the instrument since this one was planned: plan it again), and what `stage` and moving segments raise.
    """
    base = imports_dir(layout)
    make_directory(base)
    done, work = base / f"{key}.json", base / key
    make_directory(work)
    with directory_lock(work):
        if done.exists():
            shutil.rmtree(work, ignore_errors=True)
            raise DuplicateImport(file=file, source=report_at(done).file)
        staged = staged_in(work)
        if staged is None:
            staged = _stage_anew(layout, work, stage, step)
        step("publish")
        made = _publish(layout, work, staged, step)
        step("done")
        for half_written in base.glob(f".{done.name}.*"):  # by a run that was killed
            half_written.unlink()
        report = msgspec.structs.replace(
            staged.report,
            definitions=sum(one.facts.records for one in made)
            - sum(staged.report.records.values())
            - staged.report.injected,
            segments=[str(one.id) for one in made],
        )
        publish_file(done, msgspec.json.format(msgspec.json.encode(report), indent=1))
        step("clean up")
        shutil.rmtree(work, ignore_errors=True)
    return report


def _stage_anew(
    layout: ArchiveLayout, work: Path, stage: Callable[[Path], Staged], step: Callable[[str], object]
) -> Staged:
    for old in work.iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    try:
        staged = stage(work)
        with directory_lock(work.parent):
            _refuse_overlaps(layout, staged)
            _refuse_staged(layout, work, staged)
            _refuse_other_exponents(layout, work, staged)
            step("staged")
            publish_file(work / STAGED, msgspec.json.encode(staged))
    except (ImportRejected, ExponentChanged):
        shutil.rmtree(work, ignore_errors=True)
        raise
    return staged


def _refuse_overlaps(layout: ArchiveLayout, staged: Staged) -> None:
    """Two sources of one stream at one time would double its trades and mix up its book. Raises ImportRejected."""
    with Manifest(layout.manifest) as manifest:
        for queue in staged.queues:
            for row in archived_rows(layout, manifest, queue.venue, queue.symbol, plain_stream(queue.stream)):
                if row.facts.first_ts <= queue.last_ns and queue.first_ns <= row.facts.last_ts:
                    raise _overlapping(staged, queue, f"already, {_origin(row)}")
    catalog = Catalog(layout, layout.bus)
    for queue in staged.queues:
        stream = Stream(queue.venue, queue.symbol, plain_stream(queue.stream))
        for ref in catalog.hot(stream):
            if ref.from_ts <= queue.last_ns and queue.first_ns <= _last_ts(catalog, ref, stream):
                raise _overlapping(staged, queue, "already, being recorded by the suite")


def _last_ts(catalog: Catalog, ref: SegmentRef, stream: Stream) -> int:
    """Of a segment that is not sealed, its records are gone through."""
    if ref.last_ts is not None:
        return ref.last_ts
    span = catalog.open(ref, stream)
    return 0 if span is None else SegmentFacts.of(span, tolerant=True).last_ts


def _refuse_staged(layout: ArchiveLayout, work: Path, staged: Staged) -> None:
    """The same of imports that are about to become part of the archive, or will when they are finished."""
    for home, other in staged_imports(layout, besides=work):
        for queue in staged.queues:
            for held in other.queues:
                one_stream = (held.venue, held.symbol, plain_stream(held.stream)) == (
                    queue.venue,
                    queue.symbol,
                    plain_stream(queue.stream),
                )
                if one_stream and held.first_ns <= queue.last_ns and queue.first_ns <= held.last_ns:
                    unfinished = f"once {other.report.file}, whose import is under way or was cut off, is in"
                    raise _overlapping(staged, queue, f"{unfinished} (import that again, or remove {home})")


def _refuse_other_exponents(layout: ArchiveLayout, work: Path, staged: Staged) -> None:
    """What one import says of a new instrument binds those that were planned before that could be known."""
    known = Definitions(layout, besides=work)
    for name, own in definitions_in(work, staged).items():
        before = known.get(*name)
        exponents = own.price_exponent, own.qty_exponent
        if before is not None and (before.price_exponent, before.qty_exponent) != exponents:
            frozen = before.price_exponent, before.qty_exponent
            raise ExponentChanged(name=":".join(name), frozen=frozen, wanted=exponents)


def _overlapping(staged: Staged, queue: StagedQueue, why: str) -> ImportRejected:
    return ImportRejected(
        file=staged.report.file,
        place=f"{queue.venue}:{queue.symbol} {queue.stream}",
        reason=f"the archive holds records of this time {why}; import it under another --venue or --symbol",
    )


def _origin(row: SegmentRecord) -> str:
    if row.source is None:
        return "recorded by the suite"
    try:
        return f"from {msgspec.json.decode(row.source)['file']}"
    except (msgspec.DecodeError, KeyError, TypeError):
        return "from a file that its damaged .source.json does not tell"


def _publish(
    layout: ArchiveLayout, work: Path, staged: Staged, step: Callable[[str], object]
) -> list[SegmentRecord]:
    provenance = msgspec.json.encode(_provenance(staged.report))
    made: list[SegmentRecord] = []
    with Manifest(layout.manifest) as manifest:
        for queue in staged.queues:
            found: list[SegmentRecord] = []
            for path in _sealed(work / queue.path):
                step(f"adopt {queue.path}/{path.name}")
                found.append(
                    adopt(layout, path, queue.venue, queue.symbol, queue.stream, provenance=provenance)
                )
            manifest.put(*found)
            made += found
    return made


def _sealed(queue: Path) -> list[Path]:
    """The segments of a staged queue. The last one is empty: it was begun to seal the one before."""
    return sorted(queue.glob("*.q"))[:-1]


def _provenance(report: ImportReport) -> dict[str, Any]:
    return {
        "importer": report.kind,
        "file": report.file,
        "content": f"blake2b-16:{report.content}",
        "import": report.key,
        "rows": report.rows,
        "gaps": report.gaps,
        "skipped": report.skipped,
    }
