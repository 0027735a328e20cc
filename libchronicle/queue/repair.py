"""Putting a damaged queue right, as far as that can be done without a guess.

    plan     what `check` found -> steps, in words; pure but for `check`
    repair   the same steps, done in that order

Nothing that was committed is removed or overwritten: pages that are no use are renamed, segments are filled up and closed,
never cut. What a writer owns is left to it while there is one; what no repair can bring back is said. A second run finds
nothing to do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from libchronicle.errors import HostError, NoPermission
from libchronicle.native.binding import (
    lock_held,
    mend_notify,
    mend_segment,
    parse_control,
    parse_segment,
    rebuild_index,
    seal_segment,
)
from libchronicle.queue.config import QueueConfig
from libchronicle.queue.face import Queue
from libchronicle.queue.names import decode_name
from libchronicle.queue.report import Finding, Report, Severity
from libchronicle.queue.verify import check
from libchronicle.queue.verify_pages import ready_text

__all__ = ["Repair", "Step", "plan", "repair"]

_KEEP_ALL = (1 << 32) - 1


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do. `refused` says who stands in the way, "" = nobody."""

    kind: str  # "recover" | "header" | "fill" | "seal" | "index" | "notify" | "ready" | "quarantine" | "reader" | "remove"
    path: str
    text: str
    segment: int | None = None
    refused: str = ""


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or with `dry_run` would be. `beyond`: findings that no repair can undo."""

    path: str
    dry_run: bool
    writer_pid: int | None
    steps: tuple[Step, ...]
    beyond: tuple[Finding, ...]

    @property
    def refused(self) -> list[Step]:
        return [step for step in self.steps if step.refused]


def plan(report: Report) -> tuple[tuple[Step, ...], tuple[Finding, ...]]:
    """Steps that put right what was found, and the findings beyond repair."""
    planner = _Planner(report)
    return tuple(planner.steps()), tuple(planner.beyond)


def repair(path: str | os.PathLike[str], *, dry_run: bool = False) -> Repair:
    """Do what `plan` says, or only say it. Steps that belong to the present writer or reader are refused, the others done.

    Raises NotReady, NoPermission, CorruptControl if nothing tells whose files these are, NoSpace.
    """
    report = check(path)
    steps, beyond = plan(report)
    if not dry_run:
        there = _files(Path(report.path))
        try:
            for step in steps:
                if not step.refused:
                    _DEEDS[step.kind](report, step)
            _hand_over(Path(report.path), there)
        except PermissionError as error:
            raise NoPermission(path=error.filename or report.path, reason="write") from error
        except OSError as error:
            raise HostError(
                path=error.filename or report.path, reason=error.strerror or str(error)
            ) from error
    return Repair(path=report.path, dry_run=dry_run, writer_pid=report.writer_pid, steps=steps, beyond=beyond)


# ---------------------------------------------------------------- the plan


_TEXTS = {
    "header": "write its header anew from its first record",
    "fill": "fill it up with zeros, close it behind its last whole record, list it",
    "seal": "seal it anew from its records",
    "index": "build it anew from its segment",
    "notify": "write it anew",
    "ready": "write it anew",
    "quarantine": "list what the segments say is closed off; what stood there is kept beside it",
    "remove": "remove it",
}
_SAFE = ("ready",)
"""Steps that disturb no writer, whatever they are done to."""
_SAFE_BEHIND = ("header", "index")
"""Steps that disturb no writer when done to a segment it has left."""


class _Planner:
    def __init__(self, report: Report) -> None:
        self.beyond: list[Finding] = []
        self._report = report
        self._control = _control(Path(report.path))
        self._live = self._control["head"] // report.segment_size if self._control else None
        self._broken = {f.segment for f in report.findings if f.severity is Severity.DAMAGE}
        self._cut = {f.segment for f in report.findings if f.remedy == "fill"}
        pid = report.writer_pid
        self._owner = (
            "" if pid is None else f"a writer owns the queue ({f'pid {pid}' if pid else 'it cannot say who'})"
        )

    def steps(self) -> Iterator[Step]:
        """Recovery first: it puts most of the rest right in passing, and what it has done need not be done again."""
        texts = dict.fromkeys(_recovery_text(f) for f in self._report.findings if self._is_for_recovery(f))
        if texts:
            text = f"open as its writer and leave: {'; '.join(texts)}"
            yield Step(kind="recover", path=self._report.path, text=text, refused=self._owner)
        planned = set()
        for finding in self._report.findings:
            step = self._step(finding)
            if step is not None and (step.kind, step.path) not in planned:
                planned.add((step.kind, step.path))
                yield step

    def _is_for_recovery(self, finding: Finding) -> bool:
        """Marks, tail, control page; and damage from the mark `checked` on, which is where the next writer begins to look."""
        if finding.remedy in ("recover", "control"):
            return (
                self._report.writer_pid is None or finding.severity is not Severity.NOTE
            )  # what is at work is no remains
        if finding.severity is not Severity.DAMAGE or self._control is None or finding.segment != self._live:
            return False
        at = (finding.segment or 0) * self._report.segment_size + (finding.offset or 0)
        return at >= self._control["checked"] or finding.remedy == "fill"

    def _step(self, finding: Finding) -> Step | None:
        kind, number = finding.remedy, finding.segment
        if self._is_for_recovery(finding):
            return None
        if (
            finding.severity is Severity.DAMAGE
        ):  # a cut segment can be closed behind its last record; what was cut off stays lost
            self.beyond.append(finding)
        if kind == "reader":
            return _reader_step(finding)
        if (
            kind not in _TEXTS
            or (kind == "seal" and number in self._broken)
            or (kind == "index" and number in self._cut)
        ):
            return None
        left = self._live is None or number is None or number < self._live
        safe = kind in _SAFE or (kind in _SAFE_BEHIND and left)
        return Step(
            kind=kind,
            path=finding.path,
            text=_TEXTS[kind],
            segment=number,
            refused="" if safe else self._owner,
        )


def _reader_step(finding: Finding) -> Step:
    with Path(finding.path).open("rb") as handle:
        refused = "the reader is active; stop it first" if lock_held(handle.fileno()) else ""
    return Step(
        kind="reader", path=finding.path, text=f"put the page aside: {finding.reason}", refused=refused
    )


def _recovery_text(finding: Finding) -> str:
    if finding.remedy == "control":
        return "build control.meta anew from the segments, under an epoch above all used; the old one is kept"
    if finding.part == "control":
        return "put control.meta right by the frames"
    if finding.severity is Severity.DAMAGE:
        return "close the live segment at what cannot be read and declare it lost"
    return "clear away the record that was begun and not committed"


def _control(path: Path) -> dict[str, Any] | None:
    try:
        control = parse_control((path / "control.meta").read_bytes())
    except OSError:
        return None
    return control if control is not None and control["sound"] else None


# ---------------------------------------------------------------- the deeds


def _recover(report: Report, step: Step) -> None:
    """As the next writer would, but nothing is retained away and no policy of the owner is changed."""
    control = _control(Path(report.path))
    kept: dict[str, Any] = {}
    if control is not None:
        kept = {
            "durable": tuple(decode_name(name) for name in control["durable"]),
            "budget_bytes": control["budget_bytes"],
            "max_lag_bytes": control["max_lag_bytes"],
            "on_full": control["on_full"],
            "reader_ttl_s": control["reader_ttl_ns"] / 1e9 or 10.0,
        }
    config = QueueConfig(
        segment_size=report.segment_size, retain_segments=_KEEP_ALL, prepare=False, prefault=False, **kept
    )
    Queue.open_publisher(report.path, config).close()


def _header(report: Report, step: Step) -> None:
    assert step.segment is not None
    mend_segment(report.path, step.segment, report.segment_size, report.queue_id)


def _fill(report: Report, step: Step) -> None:
    assert step.segment is not None
    walked = next(segment for segment in report.segments if segment.number == step.segment)
    mend_segment(report.path, step.segment, report.segment_size, report.queue_id)
    end = max(walked.end, 128)
    if _header_holds(Path(step.path)):
        seal_segment(report.path, step.segment, report.segment_size, report.queue_id, end, True)
    seq = walked.next_seq
    _list(Path(report.path), {"segment": step.segment, "offset": end, "seq": seq, "reason": "cut short"})


def _header_holds(file: Path) -> bool:
    with file.open("rb") as handle:
        facts = parse_segment(handle.read(128))
    return facts is not None and bool(facts["sound"])


def _seal(report: Report, step: Step) -> None:
    assert step.segment is not None
    walked = next(segment for segment in report.segments if segment.number == step.segment)
    seal_segment(report.path, step.segment, report.segment_size, report.queue_id, walked.end, False)


def _index(report: Report, step: Step) -> None:
    assert step.segment is not None
    walked = next(segment for segment in report.segments if segment.number == step.segment)
    rebuild_index(report.path, step.segment, report.segment_size, report.queue_id, walked.end)


def _notify(report: Report, step: Step) -> None:
    mend_notify(report.path, report.queue_id)


def _ready(report: Report, step: Step) -> None:
    _replace(Path(step.path), ready_text(report.queue_id))


def _quarantine(report: Report, step: Step) -> None:
    file = Path(step.path)
    entries: list[dict[str, Any]] = []
    try:
        entries = msgspec.json.decode(file.read_bytes(), type=list[dict[str, Any]])
    except FileNotFoundError:
        pass
    except msgspec.MsgspecError:
        file.rename(_aside(file))
    known = {entry.get("segment") for entry in entries}
    for segment in report.segments:
        if segment.state == "quarantined" and segment.number not in known:
            entries.append(_entry(segment.number, segment.end, segment.next_seq, "found closed off"))
    _replace(file, _listing(entries))


def _list(path: Path, entry: dict[str, Any]) -> None:
    file = path / "quarantine.json"
    try:
        entries = msgspec.json.decode(file.read_bytes(), type=list[dict[str, Any]])
    except (FileNotFoundError, msgspec.MsgspecError):
        entries = []
    entries.append(_entry(entry["segment"], entry["offset"], entry["seq"], entry["reason"]))
    _replace(file, _listing(entries))


def _entry(segment: int, offset: int, seq: int | None, reason: str) -> dict[str, Any]:
    return {
        "segment": segment,
        "offset": offset,
        "seq": seq or 0,
        "reason": reason,
        "found_ns": time.time_ns(),
    }


def _listing(entries: list[dict[str, Any]]) -> bytes:
    """One entry a line, as the core writes it."""
    return (
        b"[\n " + b",\n ".join(msgspec.json.encode(entry) for entry in entries) + b"\n]\n"
        if entries
        else b"[]\n"
    )


def _reader(report: Report, step: Step) -> None:
    file = Path(step.path)
    file.rename(_aside(file))


def _remove(report: Report, step: Step) -> None:
    Path(step.path).unlink(missing_ok=True)


def _files(path: Path) -> set[int]:
    return {file.lstat().st_ino for file in path.iterdir()}


def _hand_over(path: Path, there: set[int]) -> None:
    """What root has made in another's queue is that other's: its writer must be able to open it."""
    owner = path.stat().st_uid
    if os.geteuid() != 0 or owner == 0:
        return
    for file in path.iterdir():
        if file.is_file() and file.lstat().st_ino not in there:
            os.chown(file, owner, -1, follow_symlinks=False)


def _aside(file: Path) -> Path:
    return file.with_name(f"{file.name}.damaged-{time.time_ns()}")


def _replace(file: Path, text: bytes) -> None:
    """By rename, with the mode its neighbours have."""
    temporary = file.with_name(f"{file.name}.tmp-{os.getpid()}-{time.monotonic_ns():x}")
    mode = 0o640 | (file.parent.stat().st_mode & 0o024)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(text)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    temporary.rename(file)


_DEEDS = {
    "recover": _recover,
    "header": _header,
    "fill": _fill,
    "seal": _seal,
    "index": _index,
    "notify": _notify,
    "ready": _ready,
    "quarantine": _quarantine,
    "reader": _reader,
    "remove": _remove,
}
