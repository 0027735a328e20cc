"""The archive, replay, importers and venues."""

from __future__ import annotations

from libchronicle.errors.tree import CorruptError, MisuseError, NotReadyError

# ---------------------------------------------------------------- archive


class ArchiveError(CorruptError):
    """Something in the archive is not what was stored."""

    template = "{path}: {reason}"
    path: str
    reason: str


class DamagedManifest(ArchiveError):
    """The manifest cannot be used. Nothing is lost: it is made anew from the files, by archive-tier on its own."""


class NotRecorded(CorruptError):
    """What was asked for is not there at all: an instrument, a stream, a run directory. `near` says what is."""

    template = "{what}: {reason}; {near}"
    what: str
    reason: str
    near: str


class BadSegment(ArchiveError):
    """A segment's file, or a place in it, that does not hold. Reading goes on behind it."""

    template = "{path}: {reason} at offset {offset} (seq {seq}); run `chronicle archive verify`"
    offset: int
    seq: int


class ForeignFile(ArchiveError):
    """A file in the archive that is none of its own, or does not belong where it lies."""

    template = "{path}: {reason}; move it out of the archive"


class ArchiveBusy(MisuseError):
    template = (
        "{path}: another process moves segments here; stop archive-tier, or wait for the command that does"
    )
    path: str


class NotSealed(NotReadyError):
    """A segment that its queue is not done with."""

    template = "{path}: not sealed yet; its queue's writer does so once it has left the segment"
    path: str


class ObjectStoreError(NotReadyError):
    """An object store refuses, stalls or cuts off. What was to go there stays on this host."""

    template = "{url}: {reason}; nothing is lost on this host, it is tried again"
    url: str
    reason: str


class BadQuery(MisuseError):
    """SQL that DuckDB does not take, at the place it says."""

    template = "archive sql: {reason}\n{remedy}"
    query: str
    reason: str
    remedy: str


class SegmentMoved(NotReadyError):
    """A segment left its place while it was looked for, again and again."""

    template = "{path}: the segment moved {attempts} times while it was being opened; try again"
    path: str
    attempts: int


# ---------------------------------------------------------------- venues


class UnknownSymbol(MisuseError):
    template = "{venue} lists no symbol {symbol!r}: {hint}"
    venue: str
    symbol: str
    hint: str


class VenueDataError(CorruptError):
    template = "{venue}: {what} cannot be read: {reason}"
    venue: str
    what: str
    reason: str


class ImportRejected(CorruptError):
    """A file of recorded data that cannot be taken; nothing of it is in the archive."""

    template = "{file}, {place}: {reason}"
    file: str
    place: str  # such as "line 12" or "byte 4711"
    reason: str


class DuplicateImport(MisuseError):
    """The archive holds this very content already. Nothing was changed."""

    template = (
        "{file}: the archive holds this content already, imported from {source}; there is nothing to do"
    )
    file: str
    source: str


class ConnectFailed(NotReadyError):
    template = "{url}: no connection: {reason}"
    url: str
    reason: str


class HttpFailed(NotReadyError):
    template = "{url}: {reason}"
    url: str
    reason: str


class ReplayGap(CorruptError):
    template = "{source}: {reason} at seq {seq} (time {ts_ns}, instrument {instrument_id:#018x}); another gap policy goes on"
    source: str
    seq: int
    ts_ns: int
    instrument_id: int
    reason: str


class UnknownSession(MisuseError):
    template = "{name}: no such session was recorded; known: {known}"
    name: str
    known: str


class BadSnapshot(CorruptError):
    template = "{path}: no snapshot to start from: {reason}; take an older one, or replay from the start"
    path: str
    reason: str
