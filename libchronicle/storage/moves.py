"""Moves of a segment from tier to tier, each of which may be cut off at any point and made again.

    hot ─adopt─▶ warm ─freeze─▶ cold ─ship─▶ remote
                   ◀───thaw────   ◀──fetch───

Rules
 - A file appears under its name complete, synced and looked at, or not at all: it is made under a name that starts
   with a dot, then renamed.
 - What was there before goes only when the new one has been read back and found equal; a file of a queue is never
   removed here (retention does that once archive-tier's reader has passed it).
 - So at every moment one valid copy at least is under its name, and a move that finds its result there looks at it
   and goes on from there.
 - What cannot be taken is put into quarantine/ with a reason beside it; it is never deleted.

`step` is called between the steps with the name of the one that comes next: tests cut off there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec

from libchronicle.bus.files import abandoned, host_error, make_directory, publish_file
from libchronicle.errors import BadSegment, ForeignFile, HostError, NotSealed
from libchronicle.storage.facts import SegmentFacts
from libchronicle.storage.layout import ArchiveLayout, Partition, day_of, plain_stream
from libchronicle.storage.manifest import SegmentRecord
from libchronicle.storage.seekable import BLOCK_SIZE, LEVEL, open_seekable, write_seekable
from libchronicle.storage.walk import SegmentSpan

__all__ = [
    "Step",
    "adopt",
    "file_digest",
    "freeze",
    "making",
    "must_expand_to",
    "quarantine",
    "sweep",
    "sync_directory",
    "sync_file",
    "thaw",
]

Step = Callable[[str], object]

_NO_LINK: Final = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOTSUP)
_CHUNK: Final = 1 << 20
_PART: Final = 16 << 20
_TEMPORARY: Final = ".making-"


def no_step(name: str) -> None:
    """Nothing is cut off."""


# ---------------------------------------------------------------- hot -> warm


def adopt(
    layout: ArchiveLayout,
    source: Path,
    venue: str,
    symbol: str,
    stream: str,
    *,
    provenance: bytes | None = None,
    seal_lost: bool = False,
    step: Step = no_step,
) -> SegmentRecord:
    """Take the sealed segment at `source` into the archive: a second name for the same bytes on one device, else a copy.

    The date is that of the segment's records. `stream` may be a `.late` one. `provenance` is JSON that says where an
    imported segment comes from, kept beside it. `seal_lost`: it was sealed, so a seal that does not hold is damage; such a
    file is copied, for its writer may yet mend it. `source` stays. Made again, it finds what it made.

    Raises NotSealed, BadSegment (no segment), ForeignFile (another segment lies there under this name), NoSpace,
    NoPermission, HostError (also where a copy, read back, is not what was written).
    """
    try:
        span = SegmentSpan.open_file(source)
        if not span.sealed and not seal_lost:
            raise NotSealed(path=str(source))
        facts = SegmentFacts.of(span, tolerant=True)
        partition = Partition(venue, symbol, day_of(facts.dated_ns), plain_stream(stream))
        target = layout.segment(partition, facts.id, "warm")
        make_directory(target.parent)
        if provenance is not None:
            publish_file(layout.provenance(partition, facts.id), provenance)
        if target.exists():
            _must_be(target, facts)
        else:
            step("sync source")
            sync_file(source)
            step("place")
            _place(source, target, facts, step, linked=span.sealed)
        step("sync directory")
        sync_directories(target.parent, layout.root)
        return SegmentRecord(
            partition=partition,
            tier="warm",
            bytes=facts.size,
            facts=facts,
            source=None if provenance is None else provenance.decode(),
        )
    except OSError as error:
        raise host_error(error, source) from error


def _place(source: Path, target: Path, facts: SegmentFacts, step: Step, *, linked: bool) -> None:
    try:
        if linked:
            os.link(source, target)
            return
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
    with making(target) as beside:
        _copy(source, beside, step)
        sync_file(beside)
        step("check copy")
        if file_digest(beside) != facts.checksum:
            raise _not_kept(target)
        step("rename")
        beside.rename(target)


def _not_kept(target: Path) -> HostError:
    """What is being made does not hold, which says nothing against what it was made of: that stays where it is."""
    return HostError(path=str(target), reason="the medium gives back other bytes than were written")


def _copy(source: Path, target: Path, step: Step) -> None:
    with open(source, "rb") as read, open(target, "xb") as write:
        step("copy")
        while part := read.read(_PART):
            write.write(part)
            step("copy part")


def _must_be(path: Path, facts: SegmentFacts) -> None:
    """Raises ForeignFile if the bytes of `path` are not those of the segment."""
    if file_digest(path) != facts.checksum:
        raise ForeignFile(path=str(path), reason=f"not the bytes of segment {facts.id}")


# ---------------------------------------------------------------- warm <-> cold


def freeze(
    layout: ArchiveLayout,
    record: SegmentRecord,
    *,
    level: int = LEVEL,
    block_size: int = BLOCK_SIZE,
    step: Step = no_step,
) -> SegmentRecord:
    """Compress a warm segment; the warm file goes when what was written has been read back from the medium and is equal.

    Raises ArchiveError where the warm file is not what the record says; and as adopt.
    """
    warm = layout.segment(record.partition, record.id, "warm")
    cold = layout.segment(record.partition, record.id, "cold")
    try:
        if warm.exists():
            if not (cold.exists() and _holds(cold, record.facts, step)):
                _compress(warm, cold, record.facts, level, block_size, step)
            step("sync directory")
            sync_directory(cold.parent)
            step("unlink warm")
            warm.unlink()
            sync_directory(warm.parent)
        return msgspec.structs.replace(record, tier="cold", bytes=cold.stat().st_size)
    except OSError as error:
        raise host_error(error, warm) from error


def _compress(warm: Path, cold: Path, facts: SegmentFacts, level: int, block_size: int, step: Step) -> None:
    span = SegmentSpan.open_file(warm)
    data = span.data()
    if blake2b(data, digest_size=16).hexdigest() != facts.checksum:
        raise BadSegment(
            path=str(warm), reason="changed since it was archived", offset=0, seq=facts.begin_seq
        )
    with making(cold) as beside:
        step("write")
        with open(beside, "xb") as out:
            write_seekable(data, out, facts.to_json(), level=level, block_size=block_size, step=step)
            out.flush()
            os.fsync(out.fileno())
        step("read back")
        if not _holds(beside, facts, step):
            raise _not_kept(cold)
        step("rename")
        beside.rename(cold)


def must_expand_to(path: Path, facts: SegmentFacts, step: Step = no_step) -> None:
    """Raises BadSegment unless all of the cold file is there and gives the segment."""
    source = open_seekable(path)
    source.check_stored()
    digest = blake2b(digest_size=16)
    for block in range(source.blocks):
        step("read back block")
        digest.update(source.read_block(block))
    if digest.hexdigest() != facts.checksum or source.facts != facts.to_json():
        raise BadSegment(
            path=str(path), reason="does not give back what was compressed", offset=0, seq=facts.begin_seq
        )


def _holds(path: Path, facts: SegmentFacts, step: Step) -> bool:
    try:
        must_expand_to(path, facts, step)
    except (BadSegment, ForeignFile):
        return False
    return True


def thaw(layout: ArchiveLayout, record: SegmentRecord, *, step: Step = no_step) -> SegmentRecord:
    """Back from cold to warm. Raises as freeze."""
    warm = layout.segment(record.partition, record.id, "warm")
    cold = layout.segment(record.partition, record.id, "cold")
    try:
        if cold.exists():
            if not warm.exists():
                source = open_seekable(cold)
                with making(warm) as beside:
                    step("write")
                    with open(beside, "xb") as out:
                        for block in range(source.blocks):
                            out.write(source.read_block(block))
                        out.flush()
                        os.fsync(out.fileno())
                    step("rename")
                    _must_be(beside, record.facts)
                    beside.rename(warm)
            _must_be(warm, record.facts)
            step("sync directory")
            sync_directory(warm.parent)
            step("unlink cold")
            cold.unlink()
            sync_directory(cold.parent)
        return msgspec.structs.replace(record, tier="warm", bytes=record.facts.size)
    except OSError as error:
        raise host_error(error, cold) from error


# ---------------------------------------------------------------- what cannot be taken


def quarantine(
    layout: ArchiveLayout, source: Path, reason: str, *, move: bool, detail: dict[str, Any] | None = None
) -> Path:
    """Put `source` aside with its reason: moved, or (`move` False) a second name or a copy, for a file that is not
    the archive's.

    The name is that of the file with a digest of its bytes, so the same file is put aside once. Returns its place
    there. Raises as adopt.
    """
    try:
        make_directory(layout.quarantine)
        target = layout.quarantine / f"{file_digest(source)[:12]}-{source.name}"
        if not target.exists():
            if move:
                source.rename(target)
            else:
                try:
                    os.link(source, target)
                except OSError as error:
                    if error.errno not in _NO_LINK:
                        raise
                    with making(target) as beside:
                        shutil.copyfile(source, beside)
                        sync_file(beside)
                        beside.rename(target)
        elif move:
            source.unlink()
        facts = {"from": str(source), "reason": reason, **(detail or {})}
        publish_file(target.with_name(f"{target.name}.reason.json"), msgspec.json.encode(facts))
        sync_directory(layout.quarantine)
        return target
    except OSError as error:
        raise host_error(error, source) from error


def sweep(layout: ArchiveLayout) -> int:
    """Remove what a move that was cut off left half made. Only for who holds the archive's lock."""
    removed = 0
    for where, _, names in os.walk(layout.root):
        for name in names:
            if name.startswith(_TEMPORARY) or abandoned(name):
                with contextlib.suppress(FileNotFoundError):
                    Path(where, name).unlink()
                    removed += 1
    return removed


# ---------------------------------------------------------------- files


@contextlib.contextmanager
def making(target: Path) -> Iterator[Path]:
    """A name beside `target` for a file being made; nothing is left of it if it is not renamed."""
    beside = target.with_name(f"{_TEMPORARY}{target.name}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        yield beside
    finally:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()


def file_digest(path: Path) -> str:
    """BLAKE2b of the file's bytes, 16 bytes in hexadecimal."""
    digest = blake2b(digest_size=16)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sync_file(path: Path) -> None:
    """What was written to it survives a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_directory(path: Path) -> None:
    """What was made, renamed and removed in it survives a power cut."""
    sync_file(path)


def sync_directories(path: Path, top: Path) -> None:
    """`path` and all above it up to `top`."""
    while True:
        sync_directory(path)
        if path == top or path == path.parent:
            return
        path = path.parent
