"""An archive read as Arrow columns, and what that takes of memory: what `scan` and `scan_cold` share."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any
from zlib import crc32

from libchronicle.cli.bench._day import SYMBOL, VENUE, Day
from libchronicle.storage.archive import Archive

__all__ = ["peak_mb", "scan_day"]


def scan_day(day: Day, repeats: int) -> dict[str, Any]:
    """Rows per second of each table, the best of `repeats`; memory of reading a tenth of the day, and all of it."""
    figures: dict[str, Any] = {}
    hashes: list[str] = []
    for table, stream, key in (("trades", "trade", "trades_per_s"), ("levels", "book", "levels_per_s")):
        best, rows, check = 0.0, 0, 0
        for _ in range(repeats):
            start = perf_counter()
            rows, check = _scan(day, stream, table, day.last_ns + 1)
            best = max(best, rows / (perf_counter() - start))
        figures[key] = round(best)
        figures[f"{table}_rows"] = rows
        hashes.append(f"{check:08x}")
    figures |= {"n": figures["trades_rows"] + figures["levels_rows"], "hash": "".join(hashes)}
    tenth = day.first_ns + (day.last_ns - day.first_ns) // 10
    for name, until in (("rss_tenth_mb", tenth), ("rss_mb", day.last_ns + 1)):
        _forget_peak()
        _scan(day, "book", "levels", until)
        figures[name] = peak_mb()
    return figures


def _scan(day: Day, stream: str, table: str, until_ns: int) -> tuple[int, int]:
    """Rows, and a checksum over a column of each batch: so that every batch was there and is looked at."""
    rows = check = 0
    with Archive(day.paths) as archive:
        for batch in archive.read(VENUE, SYMBOL, stream, None, until_ns).batches(table):
            rows += batch.num_rows
            check = crc32(
                memoryview(batch.column("seq").buffers()[1])[: 8 * batch.num_rows : 4096].tobytes(), check
            )
    return rows, check


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_mb() -> float:
    """Most resident memory since it was last forgotten, MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0
