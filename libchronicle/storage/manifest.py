"""The manifest: what lies in the archive, as one SQLite table. A projection: every column is found anew from the files.

Readers take it as a hint that saves opening files and do without it where it is missing, damaged or behind. One
process writes (archive-tier), importers add to it; WAL lets all others read meanwhile.

Each row has a checksum of its other columns, since SQLite notices no byte that changed within one: a row that does not hold is
never believed. A manifest of an earlier version is emptied when its writer opens it, and filled again from the files.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from libchronicle.errors import ArchiveError, DamagedManifest, HostError, NoSpace
from libchronicle.storage.facts import SegmentFacts
from libchronicle.storage.layout import Partition, SegmentId, Tier
from libchronicle.storage.waiting import Waiting, WaitingSegment

__all__ = ["Manifest", "SegmentRecord"]

VERSION: Final = 2
_BUSY_S: Final = 30.0
_PAGE: Final = 4096
_SUM: Final = "row_sum"
_JSON: Final = ("types", "instruments")
_FLAGS: Final = ("mixed", "quarantined")

_COLUMNS: Final = {
    "queue_id": "TEXT NOT NULL",  # 16 hexadecimal digits: SQLite's integers have a sign
    "number": "INTEGER NOT NULL",
    "venue": "TEXT NOT NULL",
    "symbol": "TEXT NOT NULL",
    "day": "TEXT NOT NULL",
    "stream": "TEXT NOT NULL",
    "tier": "TEXT NOT NULL",
    "bytes": "INTEGER NOT NULL",
    "source": "TEXT",
    "size": "INTEGER NOT NULL",
    "checksum": "TEXT NOT NULL",
    "records": "INTEGER NOT NULL",
    "payload_bytes": "INTEGER NOT NULL",
    "levels": "INTEGER NOT NULL",
    "gaps": "INTEGER NOT NULL",
    "lost": "INTEGER NOT NULL",
    "malformed": "INTEGER NOT NULL",
    "damaged": "INTEGER NOT NULL",
    "types": "TEXT NOT NULL",
    "begin_seq": "INTEGER NOT NULL",
    "first_seq": "INTEGER NOT NULL",
    "last_seq": "INTEGER NOT NULL",
    "next_seq": "INTEGER NOT NULL",
    "first_ts": "INTEGER NOT NULL",
    "last_ts": "INTEGER NOT NULL",
    "first_event": "INTEGER",
    "last_event": "INTEGER",
    "dated_by": "INTEGER",
    "instruments": "TEXT NOT NULL",
    "mixed": "INTEGER NOT NULL",
    "quarantined": "INTEGER NOT NULL",
    "row_sum": "TEXT NOT NULL",  # BLAKE2b-64 of the values before it, as JSON
}
_FACTS: Final = tuple(field.name for field in msgspec.structs.fields(SegmentFacts))
_SCHEMA: Final = (
    (
        f"CREATE TABLE segments ({', '.join(f'{name} {kind}' for name, kind in _COLUMNS.items())}, "
        "PRIMARY KEY (queue_id, number)) WITHOUT ROWID"
    ),
    "CREATE INDEX by_partition ON segments (venue, symbol, stream, day)",
    "CREATE INDEX by_time ON segments (venue, symbol, stream, last_ts)",
)
_PUT: Final = f"INSERT OR REPLACE INTO segments VALUES ({', '.join('?' * len(_COLUMNS))})"


class SegmentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One segment of the archive: where it lies, and its facts.

    `bytes` are those of its file (of its object, when remote).
    """

    partition: Partition
    tier: Tier
    bytes: int
    facts: SegmentFacts
    source: str | None = None  # JSON: where an imported segment's records come from

    @property
    def id(self) -> SegmentId:
        return self.facts.id

    @property
    def waiting(self) -> WaitingSegment:
        return WaitingSegment(self.id, self.partition, self.facts.last_ts, self.bytes)


class Manifest:
    """An open manifest. A context manager. Every method raises ArchiveError where the file is no manifest, or is damaged;
    NoSpace and HostError where the disk is full or fails.
    """

    def __init__(self, path: str | os.PathLike[str], *, read_only: bool = False) -> None:
        """Open, making it if there is none; with `read_only` FileNotFoundError then."""
        self.path = Path(path)
        if read_only and not self.path.is_file():
            raise FileNotFoundError(str(path))
        if not read_only:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._guarded():
            if not read_only:
                self._db = self._connect("mode=rwc")
                self._prepare(read_only)
                return
            try:
                self._db = self._connect("mode=ro")
                self._prepare(read_only)
            except sqlite3.OperationalError:
                if self.path.with_name(self.path.name + "-wal").exists():
                    raise
                self._db.close()  # nobody writes it, and we may not make the files that reading beside a writer takes
                self._db = self._connect("immutable=1")
                self._prepare(read_only)

    def _connect(self, how: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{how}",
            uri=True,
            timeout=_BUSY_S,
            isolation_level=None,
            check_same_thread=False,
        )

    def _prepare(self, read_only: bool) -> None:
        if not read_only:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version < VERSION and not read_only:
            with self._transaction():
                if self._db.execute("PRAGMA user_version").fetchone()[0] == version:
                    self._db.execute("DROP TABLE IF EXISTS segments")
                    for statement in _SCHEMA:
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA user_version = {VERSION}")
        elif version != VERSION:
            self._db.close()
            raise DamagedManifest(
                path=str(self.path),
                reason=f"a manifest of version {version}, this build's is {VERSION}; rebuild it",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    # ------------------------------------------------------------ write

    def put(self, *records: SegmentRecord) -> None:
        """Add segments, or what is new of them; all or none."""
        with self._guarded(), self._transaction():
            self._db.executemany(_PUT, map(_row, records))

    def remove(self, *ids: SegmentId) -> None:
        with self._guarded(), self._transaction():
            self._db.executemany(
                "DELETE FROM segments WHERE queue_id = ? AND number = ?",
                [(f"{one.queue_id:016x}", one.number) for one in ids],
            )

    @contextmanager
    def replacing(self) -> Iterator[None]:
        """What is put within takes the place of all there was; nobody sees it half done."""
        with self._guarded(), self._transaction():
            self._db.execute("DELETE FROM segments")
            yield

    # ------------------------------------------------------------ read

    def get(self, segment: SegmentId) -> SegmentRecord | None:
        found = self._select("queue_id = ? AND number = ?", (f"{segment.queue_id:016x}", segment.number))
        return next(found, None)

    def find(
        self,
        venue: str | None = None,
        symbol: str | None = None,
        stream: str | None = None,
        first: date | None = None,
        last: date | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
        tier: Tier | None = None,
    ) -> Iterator[SegmentRecord]:
        """Segments by partition, queue and number. None = any; dates inclusive; [since, until) by ingest time."""
        wanted = (
            ("venue = ?", venue),
            ("symbol = ?", symbol),
            ("stream = ?", stream),
            ("day >= ?", None if first is None else first.isoformat()),
            ("day <= ?", None if last is None else last.isoformat()),
            ("last_ts >= ?", since_ns),
            ("first_ts < ?", until_ns),
            ("tier = ?", tier),
        )
        given = [(clause, value) for clause, value in wanted if value is not None]
        return self._select(
            " AND ".join(clause for clause, _ in given) or "1", tuple(value for _, value in given)
        )

    def waiting(self, tier: Tier) -> Waiting:
        """All segments of a tier, by when they are due to move on."""
        with self._guarded(), self._holding():
            rows = self._db.execute(
                "SELECT queue_id, number, venue, symbol, day, stream, last_ts, bytes FROM segments WHERE tier = ?",
                (tier,),
            )
            return Waiting(
                WaitingSegment(
                    SegmentId(int(queue_id, 16), number),
                    Partition(venue, symbol, date.fromisoformat(day), stream),
                    last_ts,
                    size,
                )
                for queue_id, number, venue, symbol, day, stream, last_ts, size in rows
            )

    @property
    def foreign_changes(self) -> int:
        """A number that is another one when anybody else has written since."""
        with self._guarded():
            found: int = self._db.execute("PRAGMA data_version").fetchone()[0]
            return found

    def totals(self) -> dict[Tier, tuple[int, int]]:
        """Segments, and bytes of their files, by tier."""
        with self._guarded():
            rows = self._db.execute(
                "SELECT tier, count(*), sum(bytes) FROM segments GROUP BY tier"
            ).fetchall()
        found: dict[Tier, tuple[int, int]] = {"warm": (0, 0), "cold": (0, 0), "remote": (0, 0)}
        for tier, segments, size in rows:
            found[tier] = segments, size
        return found

    def dump(self) -> list[dict[str, Any]]:
        """Every row, for comparing two manifests."""
        with self._guarded():
            rows = self._db.execute("SELECT * FROM segments ORDER BY queue_id, number").fetchall()
        return [dict(zip(_COLUMNS, row, strict=True)) for row in rows]

    def _select(self, where: str, values: tuple[Any, ...]) -> Iterator[SegmentRecord]:
        order = "venue, symbol, stream, day, queue_id, number"
        with self._guarded():
            cursor = self._db.execute(f"SELECT * FROM segments WHERE {where} ORDER BY {order}", values)
            while rows := cursor.fetchmany(256):
                with self._holding():
                    found = [_record(row) for row in rows]
                yield from found

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # of a full disk SQLite has rolled back by itself
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_FULL:
                raise NoSpace(path=str(self.path), size=_PAGE) from error
            if code == sqlite3.SQLITE_IOERR:
                raise HostError(path=str(self.path), reason=f"manifest: {error}") from error
            remedy = "`chronicle archive rebuild` makes it anew"
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                remedy = f"another process has been writing it for {_BUSY_S:g} s; try again when it is done"
                raise ArchiveError(path=str(self.path), reason=f"manifest: {error}; {remedy}") from error
            raise DamagedManifest(path=str(self.path), reason=f"manifest: {error}; {remedy}") from error

    @contextmanager
    def _holding(self) -> Iterator[None]:
        """Rows are looked at: SQLite notices no byte that changed within one."""
        try:
            yield
        except (ValueError, TypeError, msgspec.DecodeError) as error:
            reason = f"manifest: a row does not hold ({error}); `chronicle archive rebuild` makes it anew"
            raise DamagedManifest(path=str(self.path), reason=reason) from error


def _row(record: SegmentRecord) -> tuple[Any, ...]:
    facts = msgspec.structs.asdict(record.facts)
    facts["queue_id"] = f"{record.facts.queue_id:016x}"
    for name in _JSON:
        facts[name] = msgspec.json.encode(facts[name], order="sorted").decode()
    place = record.partition
    own = {
        "venue": place.venue,
        "symbol": place.symbol,
        "day": place.day.isoformat(),
        "stream": place.stream,
        "tier": record.tier,
        "bytes": record.bytes,
        "source": record.source,
    }
    values = {**facts, **own}
    row = [values[name] for name in _COLUMNS if name != _SUM]
    return (*row, _sum_of(row))


def _sum_of(values: Sequence[Any]) -> str:
    plain = [int(value) if isinstance(value, bool) else value for value in values]
    return blake2b(msgspec.json.encode(plain), digest_size=8).hexdigest()


def _record(row: tuple[Any, ...]) -> SegmentRecord:
    """Raises ValueError for a row that is not as it was written."""
    if _sum_of(row[:-1]) != row[-1]:
        raise ValueError(f"checksum of segment {row[0]}-{row[1]}")
    values = dict(zip(_COLUMNS, row, strict=True))
    facts = {name: values[name] for name in _FACTS}
    facts["queue_id"] = int(facts["queue_id"], 16)
    for name in _JSON:
        facts[name] = msgspec.json.decode(facts[name])
    for name in _FLAGS:
        facts[name] = bool(facts[name])
    return SegmentRecord(
        partition=Partition(
            values["venue"], values["symbol"], date.fromisoformat(values["day"]), values["stream"]
        ),
        tier=values["tier"],
        bytes=values["bytes"],
        facts=SegmentFacts(**facts),
        source=values["source"],
    )
