"""Text of `chronicle queue ls` and `chronicle queue inspect`. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from libchronicle.cli.tables import render_table, size
from libchronicle.queue import QueueInfo, ReaderInfo

__all__ = ["facts_text", "queue_rows", "table_text"]

HEADER = ("QUEUE", "WRITER", "RECORDS", "HELD", "SEGMENTS", "READERS", "LAG")
READER_HEADER = ("READER", "PID", "STATE", "KIND", "SEQ", "LAG", "BEHIND", "HEARTBEAT")
SEGMENT_HEADER = ("SEGMENT", "STATE", "FIRST SEQ", "LAST SEQ", "FRAMES", "SIZE")


def queue_rows(found: Sequence[tuple[str, QueueInfo | str]]) -> list[tuple[str, ...]]:
    """One row a queue. LAG is that of the slowest live reader, in records; HELD what is still readable."""
    rows: list[tuple[str, ...]] = []
    for name, info in found:
        if isinstance(info, str):
            rows.append((name, "unreadable", "-", "-", "-", "-", info))
            continue
        live = [reader for reader in info.readers if reader.active]
        lag = max((reader.lag_records for reader in live), default=None)
        rows.append(
            (
                name,
                writer_word(info),
                f"{info.next_seq:,}",
                size(info.head - info.oldest),
                str(len(info.segments)),
                f"{len(live)}/{len(info.readers)}",
                "-" if lag is None else f"{lag:,}",
            )
        )
    return rows


def table_text(rows: Sequence[tuple[str, ...]]) -> str:
    return render_table(HEADER, rows, right=(2, 3, 4, 5, 6))


def facts_text(info: QueueInfo) -> str:
    """Everything `inspect` found, for people."""
    budget = f"{info.budget_used:.0%} of {size(info.budget_bytes)}" if info.budget_bytes else "none"
    facts = [
        ("queue", info.path),
        ("id", f"{info.queue_id:#018x}, format {info.version}, epoch {info.epoch}"),
        ("writer", writer_word(info) + _age(info.heartbeat_age_s)),
        (
            "records",
            f"{info.oldest_seq:,} to {info.next_seq:,} (next), head at {info.head:,}, synced to {info.synced:,}",
        ),
        ("segments", f"{len(info.segments)} of {size(info.segment_size)}; budget {budget}"),
        ("counts", ", ".join(f"{name} {value:,}" for name, value in info.metrics.items() if value) or "none"),
    ]
    parts = ["\n".join(f"{name:<9} {text}" for name, text in facts)]
    if info.quarantine:
        parts.append("\n".join(f"QUARANTINE {entry}" for entry in info.quarantine))
    parts.append(
        render_table(READER_HEADER, [_reader(reader) for reader in info.readers], right=(1, 4, 5, 6, 7))
    )
    segments = [
        (
            str(segment.number),
            segment.state,
            _or_dash(segment.first_seq),
            _or_dash(segment.last_seq),
            _or_dash(segment.frames),
            size(segment.bytes),
        )
        for segment in info.segments
    ]
    parts.append(render_table(SEGMENT_HEADER, segments, right=(0, 2, 3, 4, 5)))
    return "\n\n".join(parts)


def writer_word(info: QueueInfo) -> str:
    """The lock says whether it lives; the control page whether it left in order."""
    if info.writer_active:
        return f"pid {info.writer_pid}"
    return "closed" if info.writer_closed else "dead"


def _reader(reader: ReaderInfo) -> tuple[str, ...]:
    live = "active" if reader.active else "away"
    return (
        reader.name,
        str(reader.pid or "-"),
        live if reader.state == "ok" else f"{live}, {reader.state}",
        "durable" if reader.durable else "named",
        f"{reader.seq:,}",
        f"{reader.lag_records:,}",
        size(reader.lag_bytes),
        "-" if reader.heartbeat_age_s is None else f"{reader.heartbeat_age_s:.1f} s",
    )


def _age(age_s: float | None) -> str:
    return "" if age_s is None else f", heartbeat {age_s:.1f} s ago"


def _or_dash(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
