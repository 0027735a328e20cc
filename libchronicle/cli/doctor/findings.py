"""What the doctor says: a finding, its weight, its place and its remedy. Data only."""

from __future__ import annotations

import enum

import msgspec

__all__ = ["Finding", "Level"]


class Level(enum.StrEnum):
    """How soon somebody must act, the most urgent first."""

    ERROR = "error"  # something does not work
    WARNING = "warning"  # it works, and will not for long, or not as fast as it could
    NOTE = "note"  # worth knowing


class Finding(msgspec.Struct, frozen=True):
    """`remedy` is a command or a sentence. `corrupt`: data on disk is not what was written."""

    level: Level
    place: str
    what: str
    remedy: str
    corrupt: bool = False
