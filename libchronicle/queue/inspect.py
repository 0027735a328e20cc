"""A queue seen from outside: works on live and dead queues, takes no lock, changes nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from libchronicle.errors import CorruptControl, NotReady
from libchronicle.native.binding import (
    lock_held,
    parse_control,
    parse_reader,
    parse_segment,
)
from libchronicle.queue.names import decode_name, encode_name
from libchronicle.queue.reader_pages import read_reader_page
from libchronicle.queue.segment_files import is_file, open_to_read, read_head, segment_numbers


class SegmentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One segment file. Counts are known once it is sealed."""

    number: int
    path: str
    bytes: int
    state: str  # "prepared" | "live" | "left" | "sealed" | "quarantined" | "damaged"
    first_seq: int | None
    last_seq: int | None
    frames: int | None


class ReaderInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One named reader's page."""

    name: str
    pid: int
    active: bool  # its lock is held
    durable: bool
    state: str  # "ok" | "new" | "corrupt" | "foreign" (of a queue that stood here before)
    position: int
    seq: int
    lag_bytes: int
    lag_records: int
    heartbeat_age_s: float | None  # None: from before the last boot


class QueueInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Everything `inspect` found."""

    path: str
    queue_id: int
    version: int
    segment_size: int
    epoch: int
    head: int
    next_seq: int
    oldest: int
    oldest_seq: int
    synced: int
    writer_pid: int
    writer_active: bool  # the lock on control.meta is held
    writer_closed: bool  # the last one left in order
    heartbeat_age_s: float | None
    budget_bytes: int
    budget_used: float  # 0 to 1; 0 without a budget
    metrics: dict[str, int]
    segments: tuple[SegmentInfo, ...]
    readers: tuple[ReaderInfo, ...]
    quarantine: tuple[dict[str, Any], ...]


_NEVER_NS = 1 << 62
_COUNTERS = (
    "rolls",
    "roll_stalls",
    "wakes",
    "evicted",
    "forgotten",
    "unlinked",
    "sync_errors",
    "full",
    "rescues",
)


def _age_s(age_ns: int) -> float | None:
    return None if age_ns >= _NEVER_NS else age_ns / 1e9


def _segments(path: Path, live: int) -> tuple[SegmentInfo, ...]:
    found = []
    for number in segment_numbers(path):
        file = path / f"{number:09d}.q"
        try:
            head, size = read_head(file)
        except FileNotFoundError:
            continue  # retention is at work
        facts = parse_segment(head)
        if facts is None or not facts["sound"]:
            state = "damaged"
        elif facts["sealed"]:
            state = "quarantined" if facts["quarantined"] else "sealed"
        else:
            state = "live" if number == live else "left" if number < live else "prepared"
        begun = facts is not None and facts["begun"]
        sealed = state in ("sealed", "quarantined")
        found.append(
            SegmentInfo(
                number=number,
                path=str(file),
                bytes=size,
                state=state,
                first_seq=facts["first_seq"] if facts and begun else None,
                last_seq=facts["last_seq"] if facts and sealed else None,
                frames=facts["frames"] if facts and sealed else None,
            )
        )
    return tuple(found)


def _reader(file: Path, control: dict[str, Any]) -> ReaderInfo:
    page, active = read_reader_page(file)
    facts = parse_reader(page)
    name = decode_name(file.name.removesuffix(".meta"))
    slot = -2 if facts is None else facts["slot"]
    state = {-1: "new", -2: "corrupt"}.get(slot, "ok")
    if facts and state == "ok" and facts["queue_id"] != control["queue_id"]:
        state = "foreign"
    facts = facts or {"pid": 0, "position": 0, "seq": 0, "heartbeat_age_ns": _NEVER_NS}
    return ReaderInfo(
        name=name,
        pid=facts["pid"],
        active=active,
        durable=encode_name(name) in control["durable"],
        state=state,
        position=facts["position"],
        seq=facts["seq"],
        lag_bytes=max(0, control["head"] - facts["position"]) if state == "ok" else 0,
        lag_records=max(0, control["next_seq"] - facts["seq"]) if state == "ok" else 0,
        heartbeat_age_s=_age_s(facts["heartbeat_age_ns"]),
    )


def _quarantine(path: Path) -> tuple[dict[str, Any], ...]:
    file = path / "quarantine.json"
    try:
        return tuple(msgspec.json.decode(file.read_bytes(), type=list[dict[str, Any]]))
    except (FileNotFoundError, msgspec.MsgspecError):  # `verify` tells of one that is damaged
        return ()


def _control(file: Path) -> tuple[dict[str, Any] | None, bool]:
    if not is_file(file):
        return None, False
    with os.fdopen(open_to_read(file), "rb") as handle:
        return parse_control(handle.read(4096)), lock_held(handle.fileno())


def inspect(path: str | os.PathLike[str]) -> QueueInfo:
    """Read control page, segments and reader pages. Raises NotReady, CorruptControl."""
    where = Path(path)
    try:
        control, active = _control(where / "control.meta")
    except (FileNotFoundError, NotADirectoryError):
        raise NotReady(path=str(where)) from None
    if control is None or not control["sound"]:
        raise CorruptControl(path=str(where), reason="magic number or checksum of its geometry")
    readers = sorted((where / "readers").glob("*.meta"))
    return QueueInfo(
        path=str(where),
        queue_id=control["queue_id"],
        version=control["version"],
        segment_size=control["segment_size"],
        epoch=control["epoch"],
        head=control["head"],
        next_seq=control["next_seq"],
        oldest=control["oldest"],
        oldest_seq=control["oldest_seq"],
        synced=control["synced"],
        writer_pid=control["pid"],
        writer_active=active,
        writer_closed=control["closed"],
        heartbeat_age_s=_age_s(control["heartbeat_age_ns"]),
        budget_bytes=control["budget_bytes"],
        budget_used=control["bytes"] / control["budget_bytes"] if control["budget_bytes"] else 0.0,
        metrics={key: control[key] for key in _COUNTERS},
        segments=_segments(where, control["head"] // control["segment_size"]),
        readers=tuple(_reader(file, control) for file in readers),
        quarantine=_quarantine(where),
    )
