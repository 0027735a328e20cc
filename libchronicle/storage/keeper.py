"""The one who moves segments: what is due is taken from the queues, compressed, shipped, and written down in the manifest.

`Keeper` is the archive-tier daemon without its loop: it knows no clock (each call is told the time), so that a test
can let years pass. One keeper works on an archive at a time; a lock on `<archive>/.lock` sees to it. `step` is called
between the pieces of all work: the daemon beats there, and stops there.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Final, Self

import msgspec

from libchronicle.bus.files import host_error, make_directory
from libchronicle.bus.orders import ARCHIVE_READER
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import (
    ArchiveBusy,
    ArchiveError,
    BadSegment,
    ChronicleError,
    DamagedManifest,
    ForeignFile,
    NotSealed,
    UnsupportedVersion,
)
from libchronicle.native.binding import parse_segment
from libchronicle.queue import Queue, inspect
from libchronicle.storage.catalog import SegmentRef, queue_files, queue_segments
from libchronicle.storage.layout import ArchiveLayout, SegmentId, Tier
from libchronicle.storage.manifest import Manifest, SegmentRecord
from libchronicle.storage.mending import replace_manifest
from libchronicle.storage.moves import Step, adopt, file_digest, freeze, no_step, quarantine, sweep
from libchronicle.storage.objects import ObjectStore
from libchronicle.storage.policy import TierPolicy
from libchronicle.storage.rebuild import refresh
from libchronicle.storage.remote import ship
from libchronicle.storage.seekable import BLOCK_SIZE, LEVEL
from libchronicle.storage.sources import QueueSource, queues_on_bus
from libchronicle.storage.waiting import Waiting

__all__ = ["Keeper", "Tally"]


class Tally(msgspec.Struct):
    """What a keeper has done since it was made. Bytes are of segments, before compression."""

    adopted: int = 0
    adopted_bytes: int = 0
    compressed: int = 0
    compressed_bytes: int = 0
    stored_bytes: int = 0  # what those take now
    shipped: int = 0
    quarantined: int = 0
    damaged: int = 0  # taken, with places in them that do not hold
    failures: int = 0
    waiting: int = 0  # sealed segments too young to be taken, at the last look
    swept: int = 0
    manifests: int = 0  # that were damaged and made anew


_MOVING: Final[tuple[Tier, ...]] = ("warm", "cold")

Tell = Callable[[str, ChronicleError], object]
"""(what was being done, why it could not be)."""


class Keeper:
    """Holds the archive's lock and its manifest from `__enter__` to `__exit__`."""

    def __init__(
        self,
        paths: BusPaths,
        policy: TierPolicy,
        *,
        level: int = LEVEL,
        block_size: int = BLOCK_SIZE,
        store: ObjectStore | None = None,
        tell: Tell | None = None,
        step: Step = no_step,
    ) -> None:
        self.paths, self.policy = paths, policy
        self.layout: Final = ArchiveLayout.of(paths)
        self.tally: Final = Tally()
        self._level, self._block_size = level, block_size
        self._store = store
        self._tell = tell or (lambda what, error: None)
        self._step = step
        self._lock = -1
        self.totals: dict[Tier, tuple[int, int]] = {}
        """Segments, and bytes of their files, by tier."""
        self._waiting: dict[Tier, Waiting] = {}
        self._foreign = 0
        self._later: dict[SegmentId, int] = {}  # moves that failed, by when
        self._turn = 0
        self._passed: dict[Path, SegmentId] = {}  # of each queue, the last segment that is done with

    # ------------------------------------------------------------ life

    def __enter__(self) -> Self:
        """Raises ArchiveBusy: another keeper works on it; HostError and its like; ArchiveError of the manifest."""
        make_directory(self.layout.root)
        self._lock = _lock(self.layout.root / ".lock")
        try:
            self.tally.swept = sweep(self.layout)
            self._open_manifest()
            self._finish_moves()
            self._look_anew()
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def _open_manifest(self) -> None:
        try:
            self.manifest = Manifest(self.layout.manifest)
        except DamagedManifest as error:
            self._make_manifest(error)
            return
        try:
            refresh(self.layout, self.manifest, lambda seen: self._step("refresh"))
        except DamagedManifest as error:
            self.manifest.close()
            self._make_manifest(error)

    def _make_manifest(self, error: DamagedManifest) -> None:
        replace_manifest(self.layout, str(error), lambda seen: self._step("rebuild"))
        self.manifest = Manifest(self.layout.manifest)
        self.tally.manifests += 1
        self._tell("use the manifest, which is put aside and was made anew", error)

    def mend(self, error: DamagedManifest) -> None:
        """After a method raised it: put the manifest aside, make it anew from the files, go on. Raises as `__enter__`."""
        self.manifest.close()
        self._make_manifest(error)
        self._look_anew()

    def __exit__(self, *_: object) -> None:
        self.manifest.close()
        os.close(self._lock)

    # ------------------------------------------------------------ hot -> warm

    def take_sealed(self, now_ns: int) -> int:
        """Archive what is due in every queue; how many segments were taken."""
        taken = 0
        self.tally.waiting = 0
        for source in queues_on_bus(self.paths):
            try:
                taken += self._take_from(source, now_ns)
            except DamagedManifest:
                raise
            except (ChronicleError, OSError) as error:
                self._failed(f"take from {source.path}", error, source.path)
        return taken

    def _take_from(self, source: QueueSource, now_ns: int) -> int:
        """In order, up to the first that is too young: its writer's live segment is never looked at."""
        taken = 0
        refs = queue_segments(source.path)
        done = self._done(source, refs)
        last_sealed = max((ref.id for ref in refs if ref.last_ts is not None), default=None)
        self._set_aside_first(source, refs, done)
        for ref, following in pairwise(refs):
            if done is not None and ref.id.queue_id == done.queue_id and ref.id <= done:
                continue
            if not self.policy.leaves_hot(following.from_ts, now_ns):  # the time of the last record before it
                self.tally.waiting += following.id.number - ref.id.number
                continue
            self._step(f"take {ref.id}")
            try:
                behind = last_sealed is not None and last_sealed > ref.id
                self._take(source, ref, seal_lost=behind and _has_seal(ref.path))
            except NotSealed:
                break
            self._set_aside_between(source, ref, following)
            self._pass(source, following)
            self._passed[source.path] = ref.id
            taken += 1
        return taken

    def _set_aside_first(self, source: QueueSource, refs: list[SegmentRef], done: SegmentId | None) -> None:
        """Files that stand before the first segment and are none: passing what follows lets retention have them too."""
        if len(refs) > 1:
            from_number = -1 if done is None else done.number
            self._set_aside(
                source, (n for n in queue_files(source.path) if from_number < n < refs[0].id.number)
            )

    def _set_aside_between(self, source: QueueSource, ref: SegmentRef, following: SegmentRef) -> None:
        """Files that stand between two segments and are none."""
        self._set_aside(source, range(ref.id.number + 1, following.id.number))

    def _set_aside(self, source: QueueSource, numbers: Iterable[int]) -> None:
        for number in numbers:
            path = source.path / f"{number:09d}.q"
            if path.exists():
                self._quarantine_hot(
                    source, path, BadSegment(path=str(path), reason="segment header", offset=0, seq=-1)
                )

    def _done(self, source: QueueSource, refs: list[SegmentRef]) -> SegmentId | None:
        """The last segment of this queue that our reader has passed."""
        known = self._passed.get(source.path)
        if not refs or (known is not None and known.queue_id == refs[0].id.queue_id):
            return known
        info = inspect(source.path)
        position = next(
            (r.position for r in info.readers if r.name == ARCHIVE_READER and r.state == "ok"), None
        )
        if position is None:
            return None
        done = SegmentId(info.queue_id, position // info.segment_size - 1)
        self._passed[source.path] = done
        return done

    def _take(self, source: QueueSource, ref: SegmentRef, *, seal_lost: bool) -> None:
        if self._has_gone_on(ref):
            return
        try:
            record = adopt(
                self.layout,
                ref.path,
                source.venue,
                source.symbol,
                source.stream,
                seal_lost=seal_lost,
                step=self._step,
            )
        except (BadSegment, ForeignFile, UnsupportedVersion) as error:
            self._quarantine_hot(source, ref.path, error)
            return
        self._step("manifest")
        self._put(record)
        self.tally.adopted += 1
        self.tally.adopted_bytes += record.facts.size
        if record.facts.damaged:
            self.tally.damaged += 1
            reason = f"{record.facts.damaged} places do not hold; archived as it is"
            self._tell(f"archive {ref.path}", BadSegment(path=str(ref.path), reason=reason, offset=0, seq=-1))

    def _has_gone_on(self, ref: SegmentRef) -> bool:
        """Was it taken before and moved on since? Our page in its queue could not be written then."""
        known = self.manifest.get(ref.id)
        return (
            known is not None
            and known.tier in ("cold", "remote")
            and self.layout.segment(known.partition, known.id, known.tier).exists()
            and file_digest(ref.path) == known.facts.checksum
        )

    def _put(self, record: SegmentRecord) -> None:
        self._count(self.manifest.get(record.id), -1)
        self.manifest.put(record)
        self._count(record, 1)

    def _count(self, record: SegmentRecord | None, sign: int) -> None:
        """One segment more or less, in the totals and among those that wait."""
        if record is None:
            return
        segments, size = self.totals.get(record.tier, (0, 0))
        self.totals[record.tier] = segments + sign, size + sign * record.bytes
        waiting = self._waiting.get(record.tier)
        if waiting is not None and sign > 0:
            waiting.put(record.waiting)
        elif waiting is not None:
            waiting.discard(record.id)

    def _look_anew(self) -> None:
        self._foreign = self.manifest.foreign_changes
        self.totals = self.manifest.totals()
        self._waiting = {tier: self.manifest.waiting(tier) for tier in _MOVING}

    def _due(self, choose: Callable[[], Iterator[SegmentId]], limit: int | None) -> Iterator[SegmentRecord]:
        """Records of those chosen. What others (importers) wrote into the manifest is looked at first."""
        if self.manifest.foreign_changes != self._foreign:
            self._look_anew()
        wanted = None if limit is None else limit + len(self._later)
        chosen = sorted(islice(choose(), wanted), key=lambda segment: self._later.get(segment, 0))
        for segment in chosen[:limit]:
            record = self.manifest.get(segment)
            if record is not None:
                yield record

    def _quarantine_hot(self, source: QueueSource, path: Path, error: ChronicleError) -> None:
        quarantine(self.layout, path, str(error), move=False, detail={"queue": str(source.path)})
        self.tally.quarantined += 1
        self._tell(f"archive {path}", error)

    def _pass(self, source: QueueSource, following: SegmentRef) -> None:
        """Let retention have what lies before `following`: our reader stands there from now on, whatever the machine
        does.
        """
        self._step("commit")
        facts = parse_segment(_read_head(following.path))
        if facts is None:
            return
        with Queue.open_subscriber(source.path, ARCHIVE_READER, start="earliest") as reader:
            reader.seek_seq(facts["first_seq"])
            reader.commit()
            reader.flush()

    # ------------------------------------------------------------ warm -> cold

    def compress_due(self, now_ns: int, limit: int | None = None) -> int:
        """Compress what is due, the oldest first, or put aside what is not what it was; how many were done with."""
        done = 0
        for record in self._due(lambda: self.policy.to_compress(self._waiting["warm"], now_ns), limit):
            self._step(f"compress {record.id}")
            try:
                cold = freeze(
                    self.layout, record, level=self._level, block_size=self._block_size, step=self._step
                )
            except ArchiveError as error:
                if not self._quarantine(record, error):
                    break
                done += 1
                continue
            except ChronicleError as error:
                self._put_off(f"compress {record.id}", error, record.id)
                break
            if not self._moved(cold):
                break
            self.tally.compressed += 1
            self.tally.compressed_bytes += cold.facts.size
            self.tally.stored_bytes += cold.bytes
            done += 1
        return done

    def _finish_moves(self) -> None:
        """Segments that lie in two tiers: a move was cut off between them."""
        for partition in self.layout.partitions():
            found: dict[SegmentId, set[Tier]] = {}
            for file in self.layout.files(partition):
                found.setdefault(file.id, set()).add(file.tier)
            for segment, tiers in found.items():
                record = self.manifest.get(segment) if len(tiers) > 1 else None
                if record is None:
                    continue
                self._step(f"finish {segment}")
                try:
                    if {"warm", "cold"} <= tiers:
                        record = freeze(self.layout, record, step=self._step)
                        self._put(record)
                    if {"cold", "remote"} <= tiers and self._store is not None:
                        self._put(ship(self.layout, record, self._store, step=self._step))
                except DamagedManifest:
                    raise
                except ChronicleError as error:
                    self._failed(f"finish {segment}", error, self.layout.root)

    # ------------------------------------------------------------ cold -> remote

    def ship_due(self, now_ns: int, limit: int | None = None) -> int:
        """Put what is due into the object store, the oldest first; how many segments were done with."""
        if self._store is None or self.policy.remote_after_ns is None:
            return 0
        done = 0
        for record in self._due(lambda: self.policy.to_ship(self._waiting["cold"], now_ns), limit):
            self._step(f"ship {record.id}")
            try:
                shipped = ship(self.layout, record, self._store, step=self._step)
            except ArchiveError as error:
                if not self._quarantine(record, error):
                    break
                done += 1
                continue
            except ChronicleError as error:
                self._put_off(f"ship {record.id}", error, record.id)
                break
            if not self._moved(shipped):
                break
            self.tally.shipped += 1
            done += 1
        return done

    def _moved(self, record: SegmentRecord) -> bool:
        """Write a move down that has been made. False: not now; the move is found made when it is its turn again."""
        try:
            self._put(record)
        except DamagedManifest:
            raise
        except ChronicleError as error:  # a disk that is full, a rebuild that takes its time
            self._put_off(f"note that {record.id} is {record.tier}", error, record.id)
            return False
        self._later.pop(record.id, None)
        return True

    def _quarantine(self, record: SegmentRecord, error: ArchiveError) -> bool:
        """Put aside a file that is not what was archived any more. False: that failed, and is tried again."""
        path = self.layout.segment(record.partition, record.id, record.tier)
        try:
            if path.exists():
                quarantine(self.layout, path, str(error), move=True, detail={"segment": str(record.id)})
            self.manifest.remove(record.id)
        except ChronicleError as failure:
            self._put_off(f"put {record.id} aside", failure, record.id)
            return False
        self._count(record, -1)
        self._later.pop(record.id, None)
        self.tally.quarantined += 1
        self._tell(f"move {record.id}", error)
        return True

    # ------------------------------------------------------------ failures

    def _put_off(self, what: str, error: ChronicleError, segment: SegmentId) -> None:
        """A move that failed is made again after all that have not: what one segment is refused stops no other."""
        self._turn += 1
        self._later[segment] = self._turn
        self._failed(what, error, self.layout.root)

    def _failed(self, what: str, error: Exception, path: Path) -> None:
        self.tally.failures += 1
        if isinstance(error, OSError):
            error = host_error(error, path)
        if isinstance(error, ChronicleError):
            self._tell(what, error)


def _read_head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(128)


def _has_seal(path: Path) -> bool:
    """Has one been written, whether it holds or not? A writer that is behind seals segments out of their order."""
    return any(_read_head(path)[64:])


def _lock(path: Path) -> int:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise host_error(error, path) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise ArchiveBusy(path=str(path.parent)) from None
    return fd
