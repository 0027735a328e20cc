"""The small files of a queue against what its segments hold: control, notify, READY, lock, readers, quarantine, strays."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import msgspec

from libchronicle.native.binding import frame_at, parse_control, parse_notify, parse_reader, reader_slots
from libchronicle.queue.names import decode_name
from libchronicle.queue.reader_pages import read_reader_page
from libchronicle.queue.report import Severity
from libchronicle.queue.segment_files import open_to_read
from libchronicle.queue.verify_segments import FIRST_FRAME, SegmentWalk, Subject

__all__ = ["announced", "check_pages", "ready_text"]

_PAGE = 4096
_LOOKS = 10
_BETWEEN_LOOKS_S = 0.01
_KNOWN = re.compile(
    r"[0-9]{9}\.(q|idx)|control\.meta|notify\.meta|writer\.lock|READY|quarantine\.json|readers|quarantine"
)
_EVIDENCE = re.compile(r".*\.(stale|damaged)-\d+")
_LEFTOVER = re.compile(r".*\.tmp-(\d+)-[0-9a-f]+")


def check_pages(subject: Subject, walk: SegmentWalk) -> None:
    """Adds its findings to `subject`. After the walk."""
    control = _control_now(subject)
    if control is not None:
        _tail(subject, walk, control)
        _control(subject, walk, control)
    _notify(subject)
    _ready(subject)
    _lock(subject, control)
    for file in sorted((subject.path / "readers").glob("*.meta")):
        _reader(subject, walk, control, file)
    _quarantine(subject, walk)
    _strays(subject)


def ready_text(queue_id: int) -> bytes:
    """What READY says."""
    return b"queue_id=%016x version=1\n" % queue_id


def announced(path: Path) -> dict[str, str]:
    """What writer.lock says of the last writer, by key; empty if it says nothing."""
    try:
        words = (path / "writer.lock").read_text(errors="replace").split()
    except OSError:
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)


# ---------------------------------------------------------------- the control page


def _control_now(subject: Subject) -> dict[str, Any] | None:
    """Read anew: the writer has gone on since."""
    if subject.control is None or subject.writer_pid is None:
        return subject.control
    return parse_control((subject.path / "control.meta").read_bytes()) or subject.control


def _tail(subject: Subject, walk: SegmentWalk, control: dict[str, Any]) -> None:
    """Without a writer the walk must end where the control page says."""
    file, due = subject.path / "control.meta", walk.audit.next_seq
    if subject.writer_pid is not None:
        return
    if due is not None and control["next_seq"] > due and control["head"] > walk.position:
        reason = "committed by what the control page says, and not there"
        subject.find(
            Severity.DAMAGE, "frame", file, reason, remedy="recover", segment=walk.position // subject.size,
            offset=walk.position % subject.size, seq=due, to_seq=control["next_seq"] - 1,
        )  # fmt: skip
    elif due is not None and (control["next_seq"] != due or control["head"] != walk.position):
        said, ended = f"head {control['head']}, seq {control['next_seq']}", f"{walk.position}, seq {due}"
        reason = f"says {said}; the frames end at {ended}; the next writer goes by the frames"
        subject.find(Severity.NOTE, "control", file, reason, remedy="recover")
    if not walk.tail_clean:
        reason = "a record that was begun and not committed; the next writer clears it away"
        at = walk.position
        subject.find(
            Severity.NOTE,
            "frame",
            subject.file(at // subject.size),
            reason,
            remedy="recover",
            segment=at // subject.size,
            offset=at % subject.size,
        )


def _control(subject: Subject, walk: SegmentWalk, control: dict[str, Any]) -> None:
    """A writer stores one mark after the other, and this reads between two stores: what is wrong stays so."""
    wrong = _contradictions(subject, walk, control)
    for _ in range(_LOOKS if subject.writer_pid is not None else 0):
        if not wrong:
            return
        time.sleep(_BETWEEN_LOOKS_S)
        wrong = _contradictions(subject, walk, _control_now(subject) or control)
    for what in wrong:
        reason = f"{what}; the next writer goes by the segments"
        subject.find(Severity.REPAIR, "control", subject.path / "control.meta", reason, remedy="recover")


def _contradictions(subject: Subject, walk: SegmentWalk, control: dict[str, Any]) -> list[str]:
    """What the control page says against the segments, and against itself."""
    begun = [segment for segment in walk.segments if segment.first_seq is not None]
    wrong: list[str] = []
    if control["epoch"] < walk.audit.last_epoch:
        wrong.append(f"epoch {control['epoch']} is below that of the last record, {walk.audit.last_epoch}")
    if control["oldest"] != subject.oldest() and subject.writer_pid is None:
        wrong.append(f"the oldest segment kept is said to be {control['oldest']}, it is {subject.oldest()}")
    elif begun and begun[0].number == control["oldest"] and control["oldest_seq"] != begun[0].first_seq:
        wrong.append(f"the oldest record is said to be {control['oldest_seq']}, it is {begun[0].first_seq}")
    for mark in ("checked", "synced"):
        if control[mark] > control["head"] or control[mark] % subject.size < FIRST_FRAME:
            wrong.append(
                f"the mark `{mark}` stands at {control[mark]}, beyond the head {control['head']} or on no frame"
            )
    return wrong


# ---------------------------------------------------------------- notify, READY, writer.lock


def _notify(subject: Subject) -> None:
    file = subject.path / "notify.meta"
    try:
        page = file.read_bytes()
    except FileNotFoundError:
        subject.find(
            Severity.REPAIR, "notify", file, "missing; readers poll until a writer makes it", remedy="notify"
        )
        return
    facts = parse_notify(page)
    if len(page) < _PAGE:
        reason = f"{len(page)} bytes instead of {_PAGE}; readers are not woken until the next writer mends it"
        subject.find(Severity.REPAIR, "notify", file, reason, remedy="notify")
    elif facts is None or facts["queue_id"] != subject.queue_id:
        subject.find(
            Severity.REPAIR, "notify", file, "does not name this queue; nobody depends on it", remedy="notify"
        )


def _ready(subject: Subject) -> None:
    file = subject.path / "READY"
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        if subject.writer_pid is not None or subject.numbers():
            subject.find(
                Severity.REPAIR, "READY", file, "missing: no reader can open the queue", remedy="ready"
            )
        return
    if text and text != ready_text(subject.queue_id):  # an empty one says no more than that
        subject.find(
            Severity.REPAIR, "READY", file, "does not name this queue; readers do not mind", remedy="ready"
        )


def _lock(subject: Subject, control: dict[str, Any] | None) -> None:
    file, said = subject.path / "writer.lock", announced(subject.path)
    if control is None or control["epoch"] == 0:
        return
    if not said:
        subject.find(Severity.NOTE, "lock", file, "missing or unreadable; the next writer writes it")
    elif subject.writer_pid is not None and said.get("epoch") != str(control["epoch"]):
        reason = f"names epoch {said.get('epoch')}, the writer's is {control['epoch']}"
        subject.find(Severity.NOTE, "lock", file, reason)


# ---------------------------------------------------------------- readers


def _reader(subject: Subject, walk: SegmentWalk, control: dict[str, Any] | None, file: Path) -> None:
    name = decode_name(file.name.removesuffix(".meta"))
    page, _ = read_reader_page(file)
    facts = parse_reader(page)
    lost = f"reader {name!r}: its position is lost; it begins at the oldest record"
    if facts is None or len(page) < _PAGE or facts["slot"] == -2:
        subject.find(Severity.REPAIR, "reader", file, lost, remedy="reader")
        return
    if facts["version"] != 1:
        subject.find(
            Severity.REPAIR,
            "reader",
            file,
            f"reader {name!r}: version {facts['version']} of the page",
            remedy="reader",
        )
        return
    if facts["slot"] == -1:
        return
    if "bad" in reader_slots(page):
        reason = f"reader {name!r}: one of two slots is damaged; the other says seq {facts['seq']}"
        subject.find(Severity.NOTE, "reader", file, reason)
    if facts["queue_id"] != subject.queue_id:
        reason = f"reader {name!r}: of the queue that stood here before; it is told QueueReplaced"
        subject.find(Severity.NOTE, "reader", file, reason)
    elif control is not None:
        _position(subject, walk, facts, name, file)


def _position(subject: Subject, walk: SegmentWalk, facts: dict[str, Any], name: str, file: Path) -> None:
    """Does a frame stand where the reader stopped, and is it the one that is due?"""
    number, offset = divmod(facts["position"], subject.size)
    if number < subject.oldest():
        reason = f"reader {name!r}: stands at seq {facts['seq']}, which is evicted; it is told Evicted"
        subject.find(Severity.NOTE, "reader", file, reason)
        return
    due = walk.audit.next_seq or 0
    if subject.writer_pid is None and (facts["seq"] > due or facts["position"] > walk.position):
        reason = f"reader {name!r}: stands at seq {facts['seq']}, the queue ends at {due}; it is told Rewound"
        subject.find(Severity.NOTE, "reader", file, reason)
        return
    try:
        seq = frame_at(open_to_read(subject.file(number)), subject.size, offset, subject.queue_id)
    except OSError:
        return  # a missing segment is told already
    if seq is not None and seq < facts["seq"]:
        reason = f"reader {name!r}: seq {facts['seq']} is due at its position, {seq} stands there; it is told Rewound"
        subject.find(Severity.NOTE, "reader", file, reason)


# ---------------------------------------------------------------- quarantine, strays


def _quarantine(subject: Subject, walk: SegmentWalk) -> None:
    file = subject.path / "quarantine.json"
    sealed = {segment.number for segment in walk.segments if segment.state == "quarantined"}
    listed: set[int] = set()
    if file.exists():
        try:
            entries = msgspec.json.decode(file.read_bytes(), type=list[dict[str, Any]])
            listed = {int(entry["segment"]) for entry in entries}
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
            subject.find(
                Severity.REPAIR, "quarantine", file, "is no list of damaged places", remedy="quarantine"
            )
            return
    for number in sorted(sealed - listed):
        subject.find(
            Severity.REPAIR,
            "quarantine",
            file,
            "does not list the segment",
            remedy="quarantine",
            segment=number,
        )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return pid > 0  # 0 is this process's group


def _strays(subject: Subject) -> None:
    numbers = {f"{number:09d}" for number in subject.numbers()}
    for file in sorted(subject.path.iterdir()):
        if _EVIDENCE.fullmatch(file.name):
            subject.find(Severity.NOTE, "file", file, "kept as evidence; remove it when nobody needs it")
        elif leftover := _LEFTOVER.fullmatch(file.name):
            if _lives(int(leftover[1])):
                continue  # it is about to become something, or is kept to become a segment
            subject.find(
                Severity.NOTE,
                "file",
                file,
                "left by a process that died",
                remedy="remove",
            )
        elif not _KNOWN.fullmatch(file.name):
            subject.find(Severity.NOTE, "file", file, "is no part of a queue")
        elif file.suffix == ".idx" and file.stem not in numbers:
            subject.find(Severity.NOTE, "index", file, "its segment is gone", remedy="remove")
