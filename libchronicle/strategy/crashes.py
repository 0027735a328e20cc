"""What a strategy's own exceptions come to: each is put on record with its place; after a few in a row the host gives up.

A supervisor would start a strategy that raises again for ever, and each life may send an order first. So the fifth
exception out of the strategy's own code within a minute ends the host with an exit code that is not restarted; a person
starts it again. What ended otherwise (kill -9, a full disk) does not count, nor does what another version of the file did.
"""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from libchronicle.bus.paths import BusPaths
from libchronicle.counters import ErrorLog
from libchronicle.errors import ChronicleError, CorruptError, EnvironmentFault, StrategyFailed
from libchronicle.strategy.identity import code_version

__all__ = ["CRASHES", "WINDOW_S", "CrashGuard", "place_of"]

CRASHES = 5
WINDOW_S = 60.0
SUPERVISOR_START_S = 1.2
"""supervisord takes what ends within a second for something that never started, and tries again whatever its exit code."""


class _Record(msgspec.Struct):
    """The crashes file: times of one version's crashes."""

    code: str = ""
    times_ns: list[int] = []


def place_of(error: BaseException, file: str) -> str:
    """As "first.py:12 in on_book": where `error` left the strategy's `file` or one beside it; "" if it never was there."""
    home = Path(file).resolve().parent
    for raised in (error, error.__cause__):
        frames = traceback.extract_tb(raised.__traceback__) if raised is not None else []
        for frame in reversed(frames):
            if Path(frame.filename).is_absolute() or frame.filename.endswith(".py"):
                path = Path(frame.filename).resolve()
                if home in path.parents and "site-packages" not in path.parts:
                    return f"{path.relative_to(home)}:{frame.lineno} in {frame.name}"
    return ""


class CrashGuard:
    """A context manager around one life of a strategy. Raises StrategyFailed in place of the one exception too many."""

    def __init__(self, paths: BusPaths, strategy: str, file: str) -> None:
        self.path = paths.run_dir("strategies", strategy) / "crashes.json"
        self._errors = paths.errors(f"strategy-{strategy}")
        self._strategy = strategy
        self._file = file
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, SystemExit | KeyboardInterrupt):
            return
        place = place_of(error, self._file)
        if place:
            error.add_note(f"at {place}")
        text = f"{place}: {type(error).__name__}: {error}" if place else f"{type(error).__name__}: {error}"
        with contextlib.suppress(ChronicleError, OSError):  # a full disk must not hide what happened
            self._put_on_record(text)
        if place and not isinstance(error, (EnvironmentFault, CorruptError)) and self.count() >= CRASHES:
            self.path.unlink(missing_ok=True)  # the next start is a person's, and begins to count anew
            time.sleep(max(0.0, SUPERVISOR_START_S - (time.monotonic() - self._began)))
            raise StrategyFailed(
                strategy=self._strategy, count=CRASHES, window_s=WINDOW_S, reason=text
            ) from error

    def count(self, now_ns: int | None = None) -> int:
        """One more crash; how many there were lately. 0 where no record can be kept."""
        now = time.time_ns() if now_ns is None else now_ns
        code = code_version(self._file)
        try:
            record = msgspec.json.decode(self.path.read_bytes(), type=_Record)
        except (OSError, msgspec.MsgspecError):
            record = _Record()
        known = record.times_ns if record.code == code else []
        times = [then for then in known if now - WINDOW_S * 1e9 < then <= now] + [now]
        fresh = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(msgspec.json.encode(_Record(code, times)))
            os.rename(fresh, self.path)
        except OSError:
            return 0
        return len(times)

    def _put_on_record(self, text: str) -> None:
        self._errors.parent.mkdir(parents=True, exist_ok=True)
        log = ErrorLog(self._errors)
        log.record(text)
        log.close()
