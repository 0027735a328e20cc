"""What `check` says of a queue: findings, each with its place and weight, and one verdict. Data only."""

from __future__ import annotations

import enum

import msgspec

__all__ = ["Finding", "Report", "SegmentCheck", "Severity", "Verdict"]


class Severity(enum.StrEnum):
    """Who loses what by a finding, the worst first."""

    DAMAGE = "damage"  # records that were committed cannot be read
    REPAIR = "repair"  # no record is touched; `chronicle queue repair` or the next writer puts it right
    HOLE = "hole"  # records are missing, and the queue itself says so
    NOTE = "note"  # worth knowing; nothing need be done


class Verdict(enum.StrEnum):
    """The worst that was found."""

    GOOD = "good"
    HOLES = "declared holes"
    DAMAGED = "damaged"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it was written. `seq` to `to_seq` are the records it costs, both inclusive; None: none."""

    severity: Severity
    part: str  # "control", "notify", "READY", "lock", "segment", "frame", "seal", "index", "reader", "quarantine", "file"
    path: str
    reason: str
    segment: int | None = None
    offset: int | None = None
    seq: int | None = None
    to_seq: int | None = None
    remedy: str = ""  # kind of the step of `repair` that puts it right; "": none does

    def __str__(self) -> str:
        place = [] if self.segment is None else [f"segment {self.segment}"]
        if self.offset is not None:
            place.append(f"offset {self.offset}")
        if self.seq is not None:
            place.append(
                f"seq {self.seq}" if self.to_seq in (None, self.seq) else f"seqs {self.seq} to {self.to_seq}"
            )
        return f"{' '.join(place) or self.path}: {self.reason}"


class SegmentCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One segment as it was walked."""

    number: int
    path: str
    bytes: int
    state: str  # "prepared" | "live" | "left" | "sealed" | "quarantined" | "damaged"
    first_seq: int | None
    next_seq: int | None  # behind its last record
    frames: int
    payload_bytes: int
    end: int  # offset of the padding, the tail, or the place where reading ends


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was looked at. `unlisted`: findings beyond the 64 that are kept of one segment."""

    path: str
    queue_id: int
    segment_size: int
    writer_pid: int | None  # of the process that holds the queue's lock
    segments: tuple[SegmentCheck, ...]
    records: int
    bytes_walked: int
    seconds: float
    findings: tuple[Finding, ...]
    unlisted: int = 0

    @property
    def verdict(self) -> Verdict:
        severities = {finding.severity for finding in self.findings}
        if self.unlisted or severities & {Severity.DAMAGE, Severity.REPAIR}:
            return Verdict.DAMAGED
        return Verdict.HOLES if Severity.HOLE in severities else Verdict.GOOD

    @property
    def faults(self) -> list[Finding]:
        """Those that somebody must act on."""
        return [f for f in self.findings if f.severity in (Severity.DAMAGE, Severity.REPAIR)]
