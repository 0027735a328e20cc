"""The remote tier: a stub on this host, the bytes of the `.q.zst` in an object store under the path they had here.

`ship` and `fetch` are moves like those of moves.py: cut off anywhere and made again, and the file here goes only when the
store has given back every byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from libchronicle.bus.files import host_error, publish_file
from libchronicle.errors import ArchiveError, BadSegment, ObjectStoreError
from libchronicle.storage.facts import SegmentFacts
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.manifest import SegmentRecord
from libchronicle.storage.moves import (
    Step,
    file_digest,
    making,
    must_expand_to,
    no_step,
    sync_directory,
    sync_file,
)
from libchronicle.storage.objects import ObjectStore
from libchronicle.storage.seekable import SeekableZstd

__all__ = ["RemoteOpener", "Stub", "fetch", "read_stub", "ship"]

_CHUNK: Final = 4 << 20
_TOP: Final = "/v1/"
"""Where, in an object's URL, the store ends and the archive begins."""


class Stub(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a `.q.remote` file says. `digest` is BLAKE2b of the object's bytes, 16 bytes in hexadecimal."""

    version: int = 1
    url: str
    bytes: int
    digest: str
    facts: SegmentFacts


def read_stub(path: Path) -> Stub:
    """Raises ArchiveError: no stub (BadSegment), or of a later version; FileNotFoundError."""
    try:
        stub = msgspec.json.decode(path.read_bytes(), type=Stub)
        stub.facts.check()
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        reason = f"no stub of a remote segment: {error}"
        raise BadSegment(path=str(path), reason=reason, offset=0, seq=-1) from None
    if stub.version != 1:
        raise ArchiveError(path=str(path), reason=f"a stub of version {stub.version}, this build reads 1")
    return stub


class RemoteOpener:
    """Opens objects by their stubs: in the store it was given, or in the one that the stub names. Clients are kept."""

    def __init__(self, url: str = "", options: Mapping[str, str] | None = None) -> None:
        self._url, self._options = url.rstrip("/"), options
        self._stores: dict[str, ObjectStore] = {}

    def __call__(self, path: Path) -> SeekableZstd:
        """The object, block by block. Raises ArchiveError, ObjectStoreError, HostError, FileNotFoundError (no such stub)."""
        stub = read_stub(path)
        base, parted, rest = stub.url.rpartition(_TOP)
        if not parted:
            raise ArchiveError(path=str(path), reason=f"{stub.url} is no place of an archive")
        store = self.store(self._url or base)
        return SeekableZstd(
            lambda offset, size: store.read(_TOP[1:] + rest, offset, size), stub.bytes, stub.url
        )

    def store(self, url: str) -> ObjectStore:
        if url not in self._stores:
            self._stores[url] = ObjectStore(url, self._options)
        return self._stores[url]


def ship(
    layout: ArchiveLayout, record: SegmentRecord, store: ObjectStore, *, step: Step = no_step
) -> SegmentRecord:
    """Put a cold segment into the store; the file here goes when the object has been read back and is equal.

    Raises ObjectStoreError, ArchiveError (the cold file is not what the record says), NoSpace and its like.
    """
    cold = layout.segment(record.partition, record.id, "cold")
    remote = layout.segment(record.partition, record.id, "remote")
    key = cold.relative_to(layout.root).as_posix()
    try:
        if cold.exists():
            must_expand_to(cold, record.facts, step)
            digest, size = file_digest(cold), cold.stat().st_size
            step("put")
            store.put(key, cold.read_bytes())
            step("read back")
            _must_be_there(store, key, size, digest, step)
            step("stub")
            stub = Stub(url=store.url_of(key), bytes=size, digest=digest, facts=record.facts)
            publish_file(remote, msgspec.json.encode(stub))
            sync_directory(remote.parent)
            step("unlink cold")
            cold.unlink()
            sync_directory(cold.parent)
        return msgspec.structs.replace(record, tier="remote", bytes=read_stub(remote).bytes)
    except OSError as error:
        raise host_error(error, cold) from error


def fetch(
    layout: ArchiveLayout, record: SegmentRecord, store: ObjectStore, *, step: Step = no_step
) -> SegmentRecord:
    """Back from the store to cold; the object stays where it is. Raises as ship."""
    cold = layout.segment(record.partition, record.id, "cold")
    remote = layout.segment(record.partition, record.id, "remote")
    try:
        if remote.exists():
            stub = read_stub(remote)
            if not cold.exists():
                key = store.key_of(stub.url)
                with making(cold) as beside:
                    with open(beside, "xb") as out:
                        for at in range(0, stub.bytes, _CHUNK):
                            step("get")
                            out.write(store.read(key, at, min(_CHUNK, stub.bytes - at)))
                    sync_file(beside)
                    must_expand_to(beside, stub.facts, step)
                    step("rename")
                    beside.rename(cold)
            must_expand_to(cold, stub.facts, step)
            sync_directory(cold.parent)
            step("unlink stub")
            remote.unlink()
            sync_directory(remote.parent)
        return msgspec.structs.replace(record, tier="cold", bytes=cold.stat().st_size)
    except OSError as error:
        raise host_error(error, cold) from error


def _must_be_there(store: ObjectStore, key: str, size: int, digest: str, step: Step) -> None:
    """Raises ObjectStoreError unless the store gives back exactly what was put."""
    found = blake2b(digest_size=16)
    there = store.size(key)
    for at in range(0, there, _CHUNK):
        step("read back part")
        found.update(store.read(key, at, min(_CHUNK, there - at)))
    if there != size or found.hexdigest() != digest:
        raise ObjectStoreError(url=store.url_of(key), reason="the store gives back other bytes than were put")
