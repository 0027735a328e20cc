"""Is a queue what was written? Every frame of every segment and every page beside them; changes nothing, takes no lock.

    frames     by the core's own walk (`Audit`)
    segments   verify_segments: numbers without a gap, each begins as the one before ended, seal, index
    pages      verify_pages: control, notify, READY, writer.lock, readers, quarantine.json, strays

Works while the writer appends: the head is read before the walk begins, and nothing at or behind it is judged.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from libchronicle.errors import CorruptControl, NoPermission, NotReady
from libchronicle.native.binding import lock_held, parse_control
from libchronicle.queue.report import Finding, Report, Severity
from libchronicle.queue.segment_files import is_file, open_to_read
from libchronicle.queue.verify_pages import check_pages
from libchronicle.queue.verify_segments import SegmentWalk, Subject

__all__ = ["check", "verify"]

_PAGE = 4096


def verify(path: str | os.PathLike[str]) -> list[Finding]:
    """What is wrong with the queue; an empty list = all good. Raises NotReady, NoPermission, CorruptControl."""
    return check(path).faults


def check(path: str | os.PathLike[str]) -> Report:
    """Look at everything.

    Raises NotReady if there is no queue, NoPermission, CorruptControl if nothing tells whose files these are, HostError
    where another process holds a lease on a segment.
    """
    began = time.monotonic()
    try:
        subject = _open(Path(path))
        walk = SegmentWalk(subject)
        walk.run()
        check_pages(subject, walk)
    except PermissionError as error:
        raise NoPermission(path=error.filename or str(path), reason="read") from error
    return Report(
        path=str(subject.path),
        queue_id=subject.queue_id,
        segment_size=subject.size,
        writer_pid=subject.writer_pid,
        segments=tuple(walk.segments),
        records=sum(segment.frames for segment in walk.segments),
        bytes_walked=sum(segment.end for segment in walk.segments),
        seconds=time.monotonic() - began,
        findings=tuple(subject.findings),
        unlisted=walk.unlisted,
    )


def _open(path: Path) -> Subject:
    """The control page, or what tells instead of it whose queue this is."""
    subject = Subject(path)
    file = path / "control.meta"
    page, active = b"", False
    try:
        if is_file(file):
            with os.fdopen(open_to_read(file), "rb") as handle:
                page = handle.read(_PAGE)
                active = lock_held(handle.fileno())
    except (FileNotFoundError, NotADirectoryError):
        if not path.is_dir() or not subject.numbers():
            raise NotReady(path=str(path)) from None
        reason = "missing"
    else:
        reason = f"{len(page)} bytes instead of {_PAGE}" if len(page) < _PAGE else "no queue's magic number"
    control = parse_control(page)
    if control is not None and control["version"] == 1 and control["sound"]:
        subject.control, subject.writer_pid = control, control["pid"] if active else None
        subject.queue_id, subject.size = control["queue_id"], control["segment_size"]
        if active:
            subject.head = control["head"]
        return subject
    if control is not None:
        reason = "the checksum of its geometry"
    told = f"{reason}; the next writer builds it anew from the segments"
    subject.find(Severity.REPAIR, "control", file, told, remedy="control")
    if active:
        subject.writer_pid = 0  # it cannot say who
    for number in reversed(subject.numbers()):
        header = subject.header(number)
        if header is not None and header["sound"]:
            subject.queue_id, subject.size = header["queue_id"], header["size"]
            return subject
    raise CorruptControl(path=str(file), reason=f"{reason}, and no segment tells whose queue this is")
