"""Plain aligned text for terminals and pipes; no dependency, so that `chronicle status` starts fast."""

from __future__ import annotations

from collections.abc import Sequence

from libchronicle.cli.health import DaemonStatus

__all__ = ["STATUS_HEADER", "count", "render_table", "seconds", "size", "status_cells", "status_table"]

STATUS_HEADER = ("DAEMON", "PID", "STATE", "HEARTBEAT", "MSGS/S", "LAG", "ERRORS", "UPTIME")


def status_table(rows: Sequence[DaemonStatus]) -> str:
    """The table of `chronicle status` and `chronicle up`."""
    return render_table(STATUS_HEADER, [status_cells(row) for row in rows], right=(1, 3, 4, 5, 6, 7))


def status_cells(row: DaemonStatus) -> tuple[str, ...]:
    return (
        row.daemon,
        str(row.pid or "-"),
        row.state,
        "-" if row.heartbeat_age_s is None else f"{row.heartbeat_age_s:.1f} s",
        "-" if row.messages_per_s is None else f"{row.messages_per_s:,.0f}",
        "-" if row.lag_records is None else f"{row.lag_records:,}",
        str(row.errors),
        "-" if row.uptime_s is None else seconds(row.uptime_s),
    )


def render_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Columns as wide as their widest cell; those in `right` are aligned right."""
    widths = [max(len(cell) for cell in column) for column in zip(header, *rows, strict=True)]
    lines = []
    for row in (header, *rows):
        cells = (
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def seconds(value: float) -> str:
    """A duration as people say it: 12 s, 3 m 05 s, 2 h 04 m, 5 d 03 h."""
    whole = int(value)
    if whole < 60:
        return f"{whole} s"
    for unit, length, smaller, part in (("m", 60, "s", 1), ("h", 3600, "m", 60), ("d", 86400, "h", 3600)):
        if whole < length * (60 if unit == "m" else 24) or unit == "d":
            return f"{whole // length} {unit} {whole % length // part:02d} {smaller}"
    raise AssertionError("unreachable")


def size(value: int) -> str:
    """Bytes as B, KiB, MiB, GiB."""
    amount = float(value)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def count(number: int, word: str) -> str:
    """1 daemon, 2 daemons."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
