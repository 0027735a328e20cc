"""What on_save returned, on disk: one JSON file, replaced by rename so that a crash leaves the old or the new one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from libchronicle.errors import CorruptControl, HostError, MisuseError

__all__ = ["SavedState"]


class SavedState:
    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Any:
        """What was saved last, None if nothing was. Raises CorruptControl."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
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
