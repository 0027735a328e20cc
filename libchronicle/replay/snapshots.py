"""Snapshot files: all books of a replay at one moment, to start the next replay from there instead of from the beginning.

A file holds

     0  8   "CHRSNAP1"
     8  u32 version (1)            12 u32 reserved, 0
    16  u64 bytes of the body      24 u64 reserved, 0
    32  32  BLAKE2b-256 of the body
    64  body: MessagePack of `Snapshot`

Rules
  - It is published whole: written under a name that starts with a dot, synced, renamed, the directory synced. Its name
    begins with the time it stands for, 19 digits, so names sort as times do.
  - `upto_ns`: every record up to that time is in it, none after. It is taken only between two records of different times,
    so a replay that starts with the records after `upto_ns` goes on exactly there. `marks` says the same per queue, by seq.
  - A book is kept as the records that make it. What is loaded must have the hashes that were written: of the body, of
    each book, of all.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from libchronicle.book import L2Book, L3Book
from libchronicle.errors import BadSnapshot, ChronicleError, InvalidArgument
from libchronicle.protocol import (
    BookDelta,
    BookFlags,
    BookSnapshot,
    Gap,
    GapReason,
    PhaseChange,
    TradingPhase,
)
from libchronicle.replay.engine import Engine

__all__ = ["BookState", "Mark", "Snapshot", "SnapshotStore", "Snapshotter", "load_snapshot", "state_of"]

_LOG = logging.getLogger("chronicle.replay")
_MAGIC: Final = b"CHRSNAP1"
_VERSION: Final = 1
_HEAD: Final = 64
_SUFFIX: Final = ".snapshot"
_GROUP: Final = 65_535  # levels that a record can hold on one side


class Mark(NamedTuple):
    """The next record of a source: of which queue, and its seq. queue_id 0: no queue."""

    name: str
    queue_id: int
    next_seq: int


class BookState(msgspec.Struct, frozen=True, array_like=True):
    """One instrument. `mode` 0: no book yet, 2: L2, 3: L3. `records` (type_id, payload) make the book."""

    instrument_id: int
    mode: int
    definition: bytes | None
    records: list[tuple[int, bytes]]
    book_hash: int
    order_hash: int
    count: int
    quarantined: bool

    def book(self) -> L2Book | L3Book | None:
        """A new book in this state. Raises DecodeError, BadSnapshot."""
        if self.mode == 0:
            return None
        book = L3Book(self.instrument_id) if self.mode == 3 else L2Book(self.instrument_id)
        if self.definition is not None:
            book.apply(1, self.definition)
        book.apply_all(self.records)
        if book.hash() != self.book_hash:
            raise BadSnapshot(
                path="", reason=f"the book of {self.instrument_id:#018x} has another hash than was written"
            )
        return book


class Snapshot(msgspec.Struct, frozen=True):
    """The state of all books of a replay after every record up to `upto_ns`, and where its sources stood."""

    upto_ns: int
    records: int
    state_hash: int
    marks: list[Mark]
    books: list[BookState]

    def restore(self, engine: Engine) -> None:
        """Into an engine that has read nothing. Raises BadSnapshot."""
        for state in self.books:
            engine.restore(
                state.instrument_id,
                state.book(),
                state.definition,
                state.order_hash,
                state.count,
                state.quarantined,
            )
        if engine.wanted is None and engine.state_hash() != self.state_hash:
            raise BadSnapshot(path="", reason="the books together have another hash than was written")


def state_of(engine: Engine) -> Snapshot:
    """As it is between two records of different times; Snapshotter looks after that."""
    books = [_book_state(engine, *row) for row in engine.tallies()]
    marks = [Mark(*mark) for mark in engine.marks()]
    return Snapshot(engine.last_ns, engine.records, engine.state_hash(), marks, books)


def _book_state(engine: Engine, number: int, count: int, *rest: Any) -> BookState:
    *_, quarantined, order_hash = rest
    book = engine.book(number)
    records: list[tuple[int, bytes]] = []
    if isinstance(book, L3Book):
        records = _l3_records(book)
    elif book is not None:
        records = _l2_records(book)
    if book is not None and not book.valid:
        gap = Gap(instrument_id=number, reason=GapReason.SEQUENCE)
        records.append((Gap.TEMPLATE_ID, gap.encode()))
    mode = 0 if book is None else 3 if isinstance(book, L3Book) else 2
    hashed = 0 if book is None else book.hash()
    return BookState(number, mode, engine.definition(number), records, hashed, order_hash, count, quarantined)


def _l2_records(book: L2Book) -> list[tuple[int, bytes]]:
    """One snapshot, and deltas for the levels it has no room for."""
    bids, asks = book.bids(), book.asks()
    whole = max(len(bids), len(asks)) <= _GROUP
    times = {"venue_ts": book.venue_ts, "event_ts": book.event_ts, "recv_ts": book.recv_ts}
    common: dict[str, Any] = {"instrument_id": book.instrument_id, "flags": BookFlags.INJECTED, **times}
    first = BookSnapshot(
        bids=bids[:_GROUP], asks=asks[:_GROUP], last_update_id=book.last_update_id if whole else 0, **common
    )
    records = [(BookSnapshot.TEMPLATE_ID, first.encode())]
    for at in range(_GROUP, max(len(bids), len(asks)), _GROUP):
        last = at + _GROUP >= max(len(bids), len(asks))
        rest = BookDelta(
            bids=bids[at : at + _GROUP],
            asks=asks[at : at + _GROUP],
            last_update_id=book.last_update_id if last else 0,
            **common,
        )
        records.append((BookDelta.TEMPLATE_ID, rest.encode()))
    return records


def _l3_records(book: L3Book) -> list[tuple[int, bytes]]:
    records = list(book.snapshot())
    if book.phase != TradingPhase.UNKNOWN or book.phase_flags:
        phase = PhaseChange(instrument_id=book.instrument_id, phase=book.phase, flags=book.phase_flags)
        records.append((PhaseChange.TEMPLATE_ID, phase.encode()))
    if book.auction is not None:
        records.append((book.auction.TEMPLATE_ID, book.auction.encode()))
    return records


# ------------------------------------------------------------------ files


def load_snapshot(path: str | os.PathLike[str]) -> Snapshot:
    """Raises BadSnapshot for a file that is short, damaged or of another kind; OSError as open does."""

    def bad(reason: str) -> BadSnapshot:
        return BadSnapshot(path=str(path), reason=reason)

    try:
        data = Path(path).read_bytes()
    except IsADirectoryError:
        raise bad("a directory") from None

    if data[:8] != _MAGIC or len(data) < _HEAD:
        raise bad("no snapshot file")
    version, length = int.from_bytes(data[8:12], "little"), int.from_bytes(data[16:24], "little")
    if version != _VERSION:
        raise bad(f"version {version}; this build reads {_VERSION}")
    if len(data) != _HEAD + length:
        raise bad(f"{len(data)} bytes instead of {_HEAD + length}")
    if hashlib.blake2b(data[_HEAD:], digest_size=32).digest() != data[32:64]:
        raise bad("its checksum does not hold")
    try:
        return msgspec.msgpack.decode(data[_HEAD:], type=Snapshot)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise bad(str(error)) from error


def _encode(snapshot: Snapshot) -> bytes:
    body = msgspec.msgpack.encode(snapshot)
    head = _MAGIC + _VERSION.to_bytes(4, "little") + bytes(4) + len(body).to_bytes(8, "little") + bytes(8)
    return head + hashlib.blake2b(body, digest_size=32).digest() + body


class SnapshotStore:
    """Snapshot files in one directory; the newest `keep` of them (None: all). Raises InvalidArgument."""

    def __init__(self, directory: str | os.PathLike[str], keep: int | None = 8) -> None:
        if keep is not None and keep < 1:
            raise InvalidArgument(where="SnapshotStore", field="keep", value=keep, allowed=">= 1, or None")
        self.directory: Final = Path(directory)
        self.keep: Final = keep

    def paths(self) -> list[Path]:
        """Oldest first."""
        found = self.directory.glob(f"*{_SUFFIX}")
        return sorted(p for p in found if not p.name.startswith(".") and p.is_file())

    def publish(self, snapshot: Snapshot) -> Path:
        """Write it, whole or not at all; then older ones go. Raises OSError as the file system does."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"{snapshot.upto_ns:019d}-{snapshot.records:012d}{_SUFFIX}"
        making = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with open(making, "wb") as file:
                file.write(_encode(snapshot))
                file.flush()
                os.fsync(file.fileno())
            making.rename(path)
        finally:
            making.unlink(missing_ok=True)
        self._sync()
        if self.keep is not None:
            for old in self.paths()[: -self.keep]:
                old.unlink(missing_ok=True)
        return path

    def latest(self, upto_ns: int | None = None) -> Snapshot | None:
        """The newest sound one that holds nothing after `upto_ns`. Unsound ones are told in the log and passed over."""
        for path in reversed(self.paths()):
            if upto_ns is not None and int(path.name[:19]) > upto_ns:
                continue
            try:
                found = load_snapshot(path)
                for state in found.books:
                    state.book()
            except FileNotFoundError:
                continue  # retention took it
            except ChronicleError as error:
                _LOG.warning("%s is passed over: %s", path, error)
                continue
            return found
        return None

    def _sync(self) -> None:
        fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


class Snapshotter:
    """Publishes a snapshot when so much has passed since the last: ns of record time, records, payload bytes; what comes first.

    The first interval begins with the first record. Raises InvalidArgument when no trigger is given.
    """

    def __init__(
        self,
        store: SnapshotStore,
        *,
        interval_ns: int | None = None,
        records: int | None = None,
        bytes: int | None = None,
    ) -> None:
        triggers = {"interval_ns": interval_ns, "records": records, "bytes": bytes}
        given = {name: value for name, value in triggers.items() if value is not None}
        if not given or any(value < 1 for value in given.values()):
            raise InvalidArgument(
                where="Snapshotter", field="triggers", value=triggers, allowed="at least one, above 0"
            )
        self.store: Final = store
        self.published = 0
        self._interval_ns, self._records, self._bytes = interval_ns, records, bytes
        self._engine: Engine | None = None

    def attach(self, engine: Engine) -> None:
        self._engine = engine
        engine.checkpoint = self._check
        if self._interval_ns is not None:
            engine.check_ns = -(1 << 63)  # the first record tells when the interval begins
        self._arm(engine, None)

    def publish(self) -> Path:
        """Now. Between two records of different times only: at the end of a replay, say."""
        assert self._engine is not None
        path = self.store.publish(state_of(self._engine))
        self.published += 1
        return path

    def _check(self, ts_ns: int) -> None:
        engine = self._engine
        assert engine is not None
        if engine.first_ns >= 0 and engine.check_ns != -(1 << 63):
            self.publish()
            self._arm(engine, ts_ns)
        elif self._interval_ns is not None:
            engine.check_ns = ts_ns + self._interval_ns

    def _arm(self, engine: Engine, ts_ns: int | None) -> None:
        if self._records is not None:
            engine.check_records = engine.records + self._records
        if self._bytes is not None:
            engine.check_bytes = engine.payload_bytes + self._bytes
        if self._interval_ns is not None and ts_ns is not None:
            engine.check_ns = ts_ns + self._interval_ns
