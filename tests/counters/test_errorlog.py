"""The error log counts instead of growing and outlives its writer."""

from __future__ import annotations

from pathlib import Path

from libchronicle.counters import ErrorLog, read_errors
from libchronicle.counters.errorlog import ENTRIES


def test_the_same_error_is_kept_once_with_count_first_and_last(tmp_path: Path) -> None:
    log = ErrorLog(tmp_path / "e")
    log.record(ValueError("bad"), now_ns=10)
    log.record("other", now_ns=15)
    log.record(ValueError("bad"), now_ns=20)
    first, second = read_errors(tmp_path / "e")
    assert (first.text, first.count, first.first_ns, first.last_ns) == ("ValueError: bad", 2, 10, 20)
    assert (second.text, second.count) == ("other", 1)


def test_it_is_kept_over_a_restart(tmp_path: Path) -> None:
    ErrorLog(tmp_path / "e").record("x", now_ns=1)
    ErrorLog(tmp_path / "e").record("x", now_ns=2)
    (entry,) = read_errors(tmp_path / "e")
    assert (entry.count, entry.first_ns, entry.last_ns) == (2, 1, 2)


def test_more_kinds_than_entries_are_counted_in_the_last(tmp_path: Path) -> None:
    log = ErrorLog(tmp_path / "e")
    for i in range(ENTRIES + 10):
        log.record(f"error {i}", now_ns=i)
    entries = read_errors(tmp_path / "e")
    assert len(entries) == ENTRIES
    assert sum(entry.count for entry in entries) == ENTRIES + 10


def test_long_and_odd_texts_are_cut_at_a_character(tmp_path: Path) -> None:
    log = ErrorLog(tmp_path / "e")
    log.record("ä" * 1000)
    (entry,) = read_errors(tmp_path / "e")
    assert set(entry.text) == {"ä"}


def test_no_log_is_an_empty_one(tmp_path: Path) -> None:
    assert read_errors(tmp_path / "none") == []
    (tmp_path / "junk").write_bytes(b"x" * 100_000)
    assert read_errors(tmp_path / "junk") == []
