"""The remote tier: a stub on this host, the bytes of the `.q.zst` in an object store."""

from __future__ import annotations

from pathlib import Path

import msgspec

from libchronicle.errors import ArchiveError
from libchronicle.storage.facts import SegmentFacts

__all__ = ["Stub", "read_stub"]


class Stub(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a `.q.remote` file says. `digest` is BLAKE2b of the object's bytes, 16 bytes in hexadecimal."""

    version: int = 1
    url: str
    bytes: int
    digest: str
    facts: SegmentFacts


def read_stub(path: Path) -> Stub:
    """Raises ArchiveError: no stub, or of a later version; FileNotFoundError."""
    try:
        stub = msgspec.json.decode(path.read_bytes(), type=Stub)
    except msgspec.DecodeError as error:
        raise ArchiveError(path=str(path), reason=f"no stub of a remote segment: {error}") from None
    if stub.version != 1:
        raise ArchiveError(path=str(path), reason=f"a stub of version {stub.version}, this build reads 1")
    return stub
