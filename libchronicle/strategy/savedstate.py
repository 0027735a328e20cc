"""What on_save returned, on disk: one JSON file, replaced by rename so that a crash leaves the old or the new one.

What on_load is given also stands in the session journal, in parts (StateChunk): a replay of the session needs no file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from libchronicle.errors import CorruptControl, CorruptJournal, HostError, MisuseError
from libchronicle.protocol import StateChunk

__all__ = ["SavedState", "chunks_of", "state_of"]

_CHUNK = 1024


def chunks_of(raw: bytes) -> Iterator[StateChunk]:
    """The records that hold a saved state."""
    for offset in range(0, len(raw), _CHUNK):
        data = raw[offset : offset + _CHUNK].ljust(_CHUNK, b"\0")
        yield StateChunk(total_size=len(raw), offset=offset, data=data)


def state_of(chunks: Iterable[StateChunk]) -> Any:
    """What on_load was given, from a session's StateChunk records; None if there are none. Raises CorruptJournal."""
    found = list(chunks)
    if not found:
        return None
    raw = b"".join(chunk.data for chunk in found)[: found[0].total_size]
    if [chunk.offset for chunk in found] != list(range(0, found[0].total_size, _CHUNK)):
        raise CorruptJournal(reason="parts of the saved state are missing")
    return msgspec.json.decode(raw)


class SavedState:
    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> bytes | None:
        """The file as it is, None if nothing was saved. Raises HostError."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HostError(path=str(self.path), reason=error.strerror or str(error)) from None

    def decode(self, raw: bytes) -> Any:
        """What was saved. Raises CorruptControl."""
        try:
            return msgspec.json.decode(raw)
        except msgspec.DecodeError as error:
            raise CorruptControl(path=str(self.path), reason=f"saved state: {error}") from None

    def save(self, state: Any) -> None:
        """None leaves what was saved before. Raises MisuseError, HostError."""
        if state is None:
            return
        try:
            raw = msgspec.json.encode(state)
        except (TypeError, ValueError) as error:
            raise MisuseError(reason=f"on_save returned what JSON cannot hold: {error}") from None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self.path.with_suffix(".new")
            with open(fresh, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            os.rename(fresh, self.path)
        except OSError as error:
            raise HostError(path=str(self.path), reason=error.strerror or str(error)) from None
