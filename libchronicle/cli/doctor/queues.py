"""Every queue of the run directory, by its pages; segments are `chronicle queue verify`'s matter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from libchronicle.bus.process import ProcessId, boot_id, is_running
from libchronicle.cli.doctor.findings import Finding, Level
from libchronicle.cli.tables import count, size
from libchronicle.errors import ChronicleError, CorruptControl, NoPermission
from libchronicle.native.binding import parse_notify
from libchronicle.queue import QueueInfo, ReaderInfo, inspect
from libchronicle.queue.verify_pages import announced

__all__ = ["check_queue"]

STALE_S = 3.0
BUDGET_ALERT = 0.8
LAG_SEGMENTS = 4
"""A reader further behind than so many segments is told of."""


def check_queue(name: str, path: Path) -> Iterator[Finding]:
    """Everything about one queue that can be seen from outside at once."""
    try:
        info = inspect(path)
    except (CorruptControl, FileNotFoundError, ChronicleError) as error:
        yield _unreadable(name, error)
        return
    yield from _writer(name, path, info)
    yield from _files(name, path, info)
    yield from _space(name, info)
    for reader in info.readers:
        yield from _reader(name, info, reader)


def _visits(reader: ReaderInfo, info: QueueInfo) -> bool:
    """A process that lives and holds its page only while it looks into the queue, as archive-tier does. A page that waits for
    its reader to come is the writer's."""
    return reader.pid not in (0, info.writer_pid) and Path("/proc", str(reader.pid)).exists()


def _unreadable(name: str, error: Exception) -> Finding:
    if isinstance(error, NoPermission | PermissionError):
        return Finding(
            Level.ERROR,
            name,
            f"cannot be read: {error}",
            "run as a member of its group, or `chronicle access`",
        )
    remedy = f"start its daemon, which builds it anew, or run: chronicle queue repair {name}"
    return Finding(Level.ERROR, name, str(error), remedy, corrupt=True)


# ---------------------------------------------------------------- the writer


def _writer(name: str, path: Path, info: QueueInfo) -> Iterator[Finding]:
    age = info.heartbeat_age_s
    if info.writer_active:
        if age is None or age > STALE_S:
            silent = "since before the last boot" if age is None else f"for {age:.0f} s"
            yield Finding(
                Level.ERROR, name, f"its writer (pid {info.writer_pid}) holds the lock and has been silent {silent}",
                f"look into pid {info.writer_pid}; kill -9 it if it hangs: its supervisor starts it again",
            )  # fmt: skip
        return
    if _still_runs(path):
        pid = announced(path)["pid"]
        yield Finding(
            Level.ERROR, name, f"pid {pid} writes to it, but the page it has locked stands here no longer",
            f"stop pid {pid}; the next writer goes on from the segments",
        )  # fmt: skip
    elif not info.writer_closed and info.epoch:
        when = "before the last boot" if age is None else f"{age:.0f} s ago"
        yield Finding(
            Level.WARNING, name, f"its writer (pid {info.writer_pid}) died {when} without closing",
            "start its daemon; nothing committed is lost, and the lock went with the process",
        )  # fmt: skip


def _still_runs(path: Path) -> bool:
    """Whether the process that writer.lock names lives and has not said that it left."""
    said = announced(path)
    try:
        process = ProcessId(int(said["pid"]), int(said["start_time"]), bytes.fromhex(said["boot_id"]))
        text = (path / "writer.lock").read_text(errors="replace")
    except (KeyError, ValueError, OSError):
        return False
    return "closed" not in text and process.boot_id == boot_id() and is_running(process)


# ---------------------------------------------------------------- small files


def _files(name: str, path: Path, info: QueueInfo) -> Iterator[Finding]:
    repair = f"chronicle queue repair {name}"
    if not (path / "READY").exists():
        yield Finding(Level.ERROR, name, "READY is missing: no reader can open it", repair)
    try:
        notify = (path / "notify.meta").read_bytes()
    except OSError:
        notify = b""
    facts = parse_notify(notify)
    if facts is None or len(notify) < 4096 or facts["queue_id"] != info.queue_id:
        yield Finding(
            Level.WARNING,
            name,
            "notify.meta is missing or damaged: readers poll",
            f"its writer restores it, or {repair}",
        )
    missing = [
        s.number
        for s in info.segments
        if s.state != "prepared" and not (path / f"{s.number:09d}.idx").exists()
    ]
    if missing:
        yield Finding(Level.WARNING, name, f"{count(len(missing), 'index')} missing: seeks are slow", repair)
    for state in ("damaged", "quarantined"):
        numbers = [str(segment.number) for segment in info.segments if segment.state == state]
        if numbers:
            yield Finding(
                Level.ERROR if state == "damaged" else Level.WARNING, name, f"{state} segments: {', '.join(numbers)}",
                f"chronicle queue verify {name} says what is lost; archive or let retention remove them",
                corrupt=state == "damaged",
            )  # fmt: skip
    if info.metrics["rescues"]:
        yield Finding(
            Level.WARNING, name, f"its control page was built anew {info.metrics['rescues']} times",
            "look for what damages it (dmesg, disk); then remove control.meta.damaged-*",
        )  # fmt: skip
    kept = [file.name for pattern in ("*.stale-*", "*.damaged-*") for file in path.rglob(pattern)]
    if kept:
        yield Finding(
            Level.NOTE,
            name,
            f"evidence of earlier damage: {', '.join(sorted(kept)[:3])}",
            "remove it when nobody needs it",
        )


# ---------------------------------------------------------------- space


def _space(name: str, info: QueueInfo) -> Iterator[Finding]:
    counts = info.metrics
    if info.budget_bytes and info.budget_used >= BUDGET_ALERT:
        full = info.budget_used >= 1
        yield Finding(
            Level.ERROR if full and counts["full"] else Level.WARNING, name,
            f"uses {info.budget_used:.0%} of its budget of {size(info.budget_bytes)}",
            "raise budget_bytes, or let the readers that hold it back catch up",
        )  # fmt: skip
    if counts["full"] and not info.budget_bytes:
        yield Finding(Level.WARNING, name, f"no room for a segment {counts['full']} times", "free disk space")
    if counts["evicted"]:
        yield Finding(
            Level.WARNING, name, f"{count(counts['evicted'], 'segment')} dropped before all had read them",
            "raise budget_bytes, or find the slow reader: chronicle queue inspect " + name,
        )  # fmt: skip
    if counts["sync_errors"]:
        yield Finding(
            Level.ERROR,
            name,
            f"{counts['sync_errors']} failed syncs: the disk refuses",
            "look into dmesg; replace the disk",
        )


# ---------------------------------------------------------------- readers


def _reader(name: str, info: QueueInfo, reader: ReaderInfo) -> Iterator[Finding]:
    place = f"{name} reader {reader.name}"
    age = reader.heartbeat_age_s
    if reader.state == "corrupt":
        yield Finding(
            Level.WARNING, place, "its page is damaged, its position lost", f"chronicle queue repair {name}"
        )
        return
    if reader.state == "foreign":
        yield Finding(
            Level.NOTE, place, "stood in the queue that was here before", "its owner is told QueueReplaced"
        )
        return
    behind = reader.lag_bytes > LAG_SEGMENTS * info.segment_size
    if reader.active and age is not None and age > max(STALE_S, 10.0):
        yield Finding(
            Level.ERROR, place, f"pid {reader.pid} holds its page and has been silent for {age:.0f} s",
            f"look into pid {reader.pid}: it neither reads nor waits",
        )  # fmt: skip
    elif reader.active and behind:
        yield Finding(
            Level.WARNING,
            place,
            f"{reader.lag_records:,} records ({size(reader.lag_bytes)}) behind",
            f"pid {reader.pid} does not keep up",
        )
    elif reader.durable and not reader.active and reader.lag_records and not _visits(reader, info):
        stopped = not info.writer_active and not behind  # a suite that is down: nothing grows
        yield Finding(
            Level.NOTE if stopped else Level.WARNING,
            place,
            f"is durable, does not run, and holds back {size(reader.lag_bytes)}",
            "start its daemon, or take the name out of the writer's `durable`",
        )
    elif not reader.active and not reader.durable:
        ended = "before the last boot" if age is None else f"{age:.0f} s ago"
        yield Finding(
            Level.NOTE,
            place,
            f"last seen {ended}; it holds nothing back",
            "remove its page if it will not come again",
        )
