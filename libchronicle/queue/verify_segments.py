"""Segments one after the other: does each begin as the one before ended, do its frames, its seal and its index hold?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from libchronicle.native.binding import Audit, parse_control, parse_segment
from libchronicle.queue.report import Finding, SegmentCheck, Severity
from libchronicle.queue.segment_files import SEGMENT_HEAD, is_file, open_to_read, read_head, segment_numbers

__all__ = ["FIRST_FRAME", "SegmentWalk", "Subject"]

FIRST_FRAME = SEGMENT_HEAD
"""Offset of a segment's first frame."""

_NAMED = 16  # missing segments of one gap that get a finding each
_STATES = {"good": "sealed", "quarantined": "quarantined", "bad": "left", "none": "left"}
_REASONS = {
    "seq": (Severity.DAMAGE, "frame", "records are missing, and nothing says so"),
    "epoch": (Severity.DAMAGE, "frame", "the epoch goes back"),
    "time": (Severity.DAMAGE, "frame", "the timestamp goes back"),
    "lost": (Severity.HOLE, "frame", "declared lost"),
    "bad lost": (Severity.DAMAGE, "frame", "a LOST record that fits nothing around it"),
    "trail": (Severity.NOTE, "frame", "bytes that belong to no record are not zero; no reader looks at them"),
    "padding": (Severity.DAMAGE, "frame", "the padding does not reach the segment's end"),
}


class Subject:
    """The queue under examination: what is known of it, and what was found so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.control: dict[str, Any] | None = None  # None: there is none that holds
        self.writer_pid: int | None = None
        self.queue_id = 0
        self.size = 0
        self.head: int | None = None  # where the writer that is at work stood before the walk began
        self.findings: list[Finding] = []
        self._oldest: int | None = None  # without a writer, who alone moves it

    def find(
        self,
        severity: Severity,
        part: str,
        path: Path,
        reason: str,
        *,
        remedy: str = "",
        segment: int | None = None,
        offset: int | None = None,
        seq: int | None = None,
        to_seq: int | None = None,
    ) -> None:
        self.findings.append(
            Finding(
                severity=severity,
                part=part,
                path=str(path),
                reason=reason,
                remedy=remedy,
                segment=segment,
                offset=offset,
                seq=seq,
                to_seq=to_seq,
            )
        )

    def numbers(self) -> list[int]:
        """Numbers of the segment files, ascending."""
        return segment_numbers(self.path)

    def file(self, number: int, kind: str = "q") -> Path:
        return self.path / f"{number:09d}.{kind}"

    def header(self, number: int) -> dict[str, Any] | None:
        """A segment's header and seal as they stand in the file; None if it has no segment's magic number."""
        return parse_segment(read_head(self.file(number))[0])

    def oldest(self) -> int:
        """The oldest segment kept, as of now: retention may have moved on since the walk began. Without a writer the
        control page is believed only where the segments bear it out: a flipped bit there must hide nothing.
        """
        if self.control is None:
            return 0
        if self.writer_pid is not None:
            with (self.path / "control.meta").open("rb") as handle:
                control = parse_control(handle.read(4096))
            return control["oldest"] if control is not None else 0
        if self._oldest is None:
            self._oldest = self._oldest_at_rest()
        return self._oldest

    def _oldest_at_rest(self) -> int:
        assert self.control is not None
        numbers = self.numbers()
        told, first = self.control["oldest"], self.control["oldest_seq"]
        if (
            not numbers
            or self._begins_with(told, first)
            or (told < numbers[0] and not self._begins_with(numbers[0], first))
        ):
            return int(told)
        return numbers[0]

    def _begins_with(self, number: int, seq: int) -> bool:
        try:
            header = self.header(number)
        except FileNotFoundError:
            return False
        return header is not None and header["first_seq"] == seq

    @property
    def live(self) -> int | None:
        """Number of the segment under the head; None if no control page tells."""
        return None if self.control is None else self.control["head"] // self.size


class SegmentWalk:
    """Carries what one segment's end says of the next one's beginning."""

    def __init__(self, subject: Subject) -> None:
        self.segments: list[SegmentCheck] = []
        self.unlisted = 0
        self.audit = Audit()
        self.position = 0  # where the walk ended: what the head should be
        self.tail_clean = True
        self._subject = subject
        self._due: int | None = None  # number of the next segment
        self._torn: int | None = None  # index of the finding at which the segment before broke off

    def run(self) -> None:
        for number in self._subject.numbers():
            try:
                if not is_file(self._subject.file(number)):
                    self._no_file(number)
                elif not self._is_later(number):
                    self._one(number)
            except FileNotFoundError:
                if number >= self._subject.oldest():
                    raise

    def _no_file(self, number: int) -> None:
        subject, file = self._subject, self._subject.file(number)
        subject.find(Severity.DAMAGE, "segment", file, "has a segment's name and is no file", segment=number)

    def _is_later(self, number: int) -> bool:
        """Begun while this looks on: its header may be half written, and the listing may lack the one before it."""
        head = self._subject.head
        if head is None or number <= head // self._subject.size:
            return False
        header = self._subject.header(number)
        return header is None or not header["sound"] or bool(header["begun"])

    def _is_stray(self, number: int) -> bool:
        """Named like a segment, behind a gap behind the end. Only of a file whose header does not hold."""
        control = self._subject.control
        if control is None or self._subject.file(number - 1).exists():
            return False
        return bool(number > control["head"] // self._subject.size + 1)

    # ------------------------------------------------------------ the beginning

    def _one(self, number: int) -> None:
        subject, file = self._subject, self._subject.file(number)
        header = subject.header(number)
        holds = header is not None and header["sound"] and header["version"] == 1
        if not holds and self._is_stray(number):
            subject.find(Severity.NOTE, "file", file, "is no part of the queue, which ends far before it")
            return
        if header is None or not holds:
            subject.find(
                Severity.REPAIR,
                "segment",
                file,
                "its header does not hold",
                remedy="header",
                segment=number,
                offset=0,
            )
            header = None
        elif (header["queue_id"], header["number"], header["size"]) != (
            subject.queue_id,
            number,
            subject.size,
        ):
            subject.find(
                Severity.NOTE, "segment", file, "of another queue; the writer moves it aside", segment=number
            )
            return
        elif not header["begun"]:
            self._prepared(number)
            return
        if number < subject.oldest():
            reason = "older than the oldest kept; the writer removes it"
            subject.find(Severity.NOTE, "segment", file, reason, segment=number)
            return
        self._missing_before(number)
        if header is not None:
            self._joins(number, header)
        self._look(number, header)
        self._due = number + 1

    def _prepared(self, number: int) -> None:
        subject, file = self._subject, self._subject.file(number)
        self._add(number, os.stat(file).st_size, "prepared", None, None)
        if subject.live is not None and number < subject.live:
            reason = "never begun, yet the queue goes on behind it"
            subject.find(Severity.DAMAGE, "segment", file, reason, segment=number)

    def _missing_before(self, number: int) -> None:
        subject = self._subject
        oldest = subject.oldest() if subject.control is not None else number
        if self._due is None or self._due < oldest:  # the first, or retention has overtaken the walk
            self._due = min(number, oldest)
            self.audit = Audit()
        if self._due < number and self._torn is None:
            self._torn = len(subject.findings)
        for missing in range(self._due, min(number, self._due + _NAMED)):
            subject.find(Severity.DAMAGE, "segment", subject.file(missing), "missing", segment=missing)
        if number > self._due + _NAMED:
            first = self._due + _NAMED
            reason = f"missing, as are all before {subject.file(number).name}"
            subject.find(Severity.DAMAGE, "segment", subject.file(first), reason, segment=first)

    def _joins(self, number: int, header: dict[str, Any]) -> None:
        """Does it go on where the one before ended?"""
        due, first, subject = self.audit.next_seq, header["first_seq"], self._subject
        if due is None:
            self.audit.expect(first, header["first_ts_ns"], header["prev_epoch"])
            if self._torn is not None and subject.control is not None:
                self._close(subject.control["oldest_seq"], first)
        elif self._torn is not None and first >= due:
            self._close(due, first)
            self.audit.expect(first, header["first_ts_ns"], header["prev_epoch"])
        elif first < due or header["first_ts_ns"] < self.audit.last_ts_ns:
            reason = f"its header begins with seq {first}, time {header['first_ts_ns']}; the one before ended at seq {due}"
            subject.find(
                Severity.REPAIR,
                "segment",
                subject.file(number),
                reason,
                remedy="header",
                segment=number,
                offset=0,
            )

    def _close(self, due: int, first: int) -> None:
        """The segment before broke off; what that cost is known only now."""
        findings, at = self._subject.findings, self._torn
        self._torn = None
        if at is not None:
            lost = (due, first - 1) if first > due else (None, None)
            findings[at] = msgspec.structs.replace(findings[at], seq=lost[0], to_seq=lost[1])

    # ------------------------------------------------------------ frames, seal, index

    def _look(self, number: int, header: dict[str, Any] | None) -> None:
        subject, file = self._subject, self._subject.file(number)
        fd = open_to_read(file)
        there = min(os.fstat(fd).st_size, subject.size)  # no queue looks at what is behind
        if there <= FIRST_FRAME:
            os.close(fd)
            self._cut(number, there)
            self._add(number, there, "damaged", header, None)
            return
        upto = self._upto(number)
        found = self.audit.segment(fd, there, subject.size, subject.queue_id, upto)
        if there < subject.size:
            self._cut(number, there)
        self._take(number, found)
        if upto is not None and upto > found["end"] and self._torn is None:
            reason = "no commit before the head"
            subject.find(
                Severity.DAMAGE,
                "frame",
                file,
                reason,
                segment=number,
                offset=found["end"],
                seq=self.audit.next_seq,
            )
        self._seal(number, found)
        self._index(number, there)
        state = _STATES[found["seal"]]
        if header is None or there < subject.size:
            state = "damaged"
        elif state == "left" and (subject.live is None or number >= subject.live):
            state = "live"
        self._add(number, there, state, header, found)
        self.position = number * subject.size + found["end"]
        if found["ended"]:
            self.position = (number + 1) * subject.size + FIRST_FRAME
        self.tail_clean = found["tail_clean"]

    def _upto(self, number: int) -> int | None:
        """Offset from which on the writer may be at work; None: nowhere in this segment."""
        head = self._subject.head
        if head is None or number < head // self._subject.size:
            return None
        return head % self._subject.size if number == head // self._subject.size else FIRST_FRAME

    def _cut(self, number: int, there: int) -> None:
        subject = self._subject
        self._torn = len(subject.findings) if self._torn is None else self._torn
        reason = f"cut to {there} of {subject.size} bytes"
        subject.find(Severity.DAMAGE, "segment", subject.file(number), reason, remedy="fill", segment=number)

    def _take(self, number: int, found: dict[str, Any]) -> None:
        subject, file = self._subject, self._subject.file(number)
        self.unlisted += found["found"] - len(found["findings"])
        for kind, detail, offset, until, seq, to_seq in found["findings"]:
            if kind == "seal":
                reason = f"{detail} is not that of its frames"
                subject.find(
                    Severity.REPAIR, "seal", file, reason, remedy="seal", segment=number, offset=offset
                )
            elif kind == "frame":
                self._damaged(number, found, detail, offset, until, seq, to_seq)
            else:
                severity, part, reason = _REASONS[kind]
                if kind == "seq" and offset == FIRST_FRAME and self._after_quarantine():
                    severity, reason = Severity.HOLE, "lost with the end of the quarantined segment before"
                if kind == "seq":
                    to_seq = to_seq - 1 if to_seq > seq else seq
                subject.find(
                    severity, part, file, reason, segment=number, offset=offset, seq=seq, to_seq=to_seq
                )

    def _damaged(
        self, number: int, found: dict[str, Any], detail: str, offset: int, until: int, seq: int, to_seq: int
    ) -> None:
        """In a quarantined segment readers know of it already, and give a LOST record for it."""
        known = found["seal"] == "quarantined"
        if until == 0 and self._torn is None and not known:
            self._torn = len(self._subject.findings)
        lost: tuple[int | None, int | None] = (seq, to_seq)
        if self.audit.next_seq is None or (
            known and until == 0
        ):  # the next segment says what the end of this one cost
            lost = (None, None)
        self._subject.find(
            Severity.HOLE if known else Severity.DAMAGE,
            "frame",
            self._subject.file(number),
            f"{detail}, in quarantine: readers get a LOST record for it" if known else detail,
            segment=number,
            offset=offset,
            seq=lost[0],
            to_seq=lost[1],
        )

    def _after_quarantine(self) -> bool:
        begun = [segment for segment in self.segments if segment.state != "prepared"]
        return bool(begun) and begun[-1].state == "quarantined"

    def _seal(self, number: int, found: dict[str, Any]) -> None:
        subject, file = self._subject, self._subject.file(number)
        if found["seal"] == "bad":
            subject.find(
                Severity.REPAIR, "seal", file, "its checksum", remedy="seal", segment=number, offset=64
            )
        elif found["seal"] == "none" and found["ended"]:
            mine = subject.writer_pid is None
            by = "the next writer" if mine else "the writer's clean thread"
            subject.find(
                Severity.NOTE,
                "seal",
                file,
                f"not sealed yet; {by} will",
                remedy="seal" if mine else "",
                segment=number,
            )
        elif found["seal"] == "quarantined":
            reason = "quarantined: damaged from here on; readers get what is good in it"
            subject.find(Severity.HOLE, "segment", file, reason, segment=number, offset=found["seal_end"])

    def _index(self, number: int, there: int) -> None:
        """A hint only: a bad one costs time, never a record."""
        subject, file = self._subject, self._subject.file(number, "idx")
        live = subject.head is not None and number >= subject.head // subject.size
        segment = open_to_read(subject.file(number))
        try:
            index = open_to_read(file)
        except FileNotFoundError:
            os.close(segment)
            if live or number < subject.oldest():  # not made yet, or just evicted
                return
            subject.find(
                Severity.REPAIR,
                "index",
                file,
                "missing; seeks read the whole segment",
                remedy="index",
                segment=number,
            )
            return
        sound, empty, bad = self.audit.index(index, segment, there, subject.size, number, subject.queue_id)
        if not sound:
            subject.find(
                Severity.REPAIR,
                "index",
                file,
                "its header does not hold; seeks read the whole segment",
                remedy="index",
                segment=number,
            )
        elif bad and not live:
            subject.find(
                Severity.REPAIR,
                "index",
                file,
                f"{bad} entries name no frame that is there",
                remedy="index",
                segment=number,
            )
        elif empty and number != subject.live:
            subject.find(
                Severity.NOTE,
                "index",
                file,
                f"{empty} entries are empty; a seek scans there",
                segment=number,
            )

    def _add(
        self, number: int, there: int, state: str, header: dict[str, Any] | None, found: dict[str, Any] | None
    ) -> None:
        self.segments.append(
            SegmentCheck(
                number=number,
                path=str(self._subject.file(number)),
                bytes=there,
                state=state,
                first_seq=header["first_seq"] if header else None,
                next_seq=self.audit.next_seq if found else None,
                frames=found["frames"] if found else 0,
                payload_bytes=found["payload_bytes"] if found else 0,
                end=found["end"] if found else 0,
            )
        )
