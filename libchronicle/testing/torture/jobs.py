"""What a process of the run is told to do, and how it reports what must not be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

__all__ = ["FlipJob", "Job", "Report", "WorkJob", "read_reports", "report"]


class WorkJob(msgspec.Struct, frozen=True, kw_only=True, tag="work"):
    """Append or read without end."""

    role: str  # "writer", or a reader's name
    index: int  # of the reader's slots in the ledger
    arena: str
    queue: str
    seed: int
    segment_size: int
    keep: bool  # nothing is ever removed: a durable reader that never comes holds it back
    window: int  # records the writer may be ahead of the slowest reader


class FlipJob(msgspec.Struct, frozen=True, kw_only=True, tag="flip"):
    """Judge a queue that has one bit flipped."""

    arena: str
    queue: str
    seed: int
    records: int
    committed: int
    target: str  # the file, for the report
    place: str


Job = WorkJob | FlipJob


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must not be."""

    who: str
    kind: Literal["loss", "torn", "error"]
    text: str
    count: int = 1


def _file(arena: str | Path) -> Path:
    return Path(arena, "reports.ndjson")


def report(
    arena: str | Path, who: str, kind: Literal["loss", "torn", "error"], text: str, count: int = 1
) -> None:
    """One line, in one write: several processes share the file."""
    line = msgspec.json.encode(Report(who=who, kind=kind, text=text, count=count)) + b"\n"
    fd = os.open(_file(arena), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        os.write(fd, line)
    finally:
        os.close(fd)


def read_reports(arena: str | Path) -> list[Report]:
    try:
        text = _file(arena).read_bytes()
    except FileNotFoundError:
        return []
    return [msgspec.json.decode(line, type=Report) for line in text.splitlines() if line]
