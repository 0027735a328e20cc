"""A stop ends a strategy's process within a second, also while the strategy's own code does not come back.

    0.00 s   the signal: the loop sees it and ends in order, almost always; nothing below happens then
    0.50 s   a callback has not returned for a while: CallbackHung is raised in it, so the host cancels and ends
    0.70 s   it was swallowed, or on_stop or on_save hangs: once more
    0.85 s   the last words (cancel all) are said from here, and the process ends without asking the strategy
    0.97 s   the interpreter itself does not come back, from a call into C that looks at no signal: the kernel ends the
             process (SIGXCPU), with the place it hung at in the log; its orders stay, as after kill -9

"For a while" means that the loop has done none of its chores meanwhile, and it does one at least between two callbacks: a
busy strategy is not a hung one. Only code of the strategy is ever interrupted, never the host's.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from libchronicle.runtime import lastresort
from libchronicle.runtime.daemon import Daemon, ExitCode

__all__ = ["CallbackHung", "StopGuard"]

_TICK_S = 0.05
_FIRST_S, _SECOND_S, _LAST_S = 0.5, 0.7, 0.85
_LOG_S = 0.04  # until the last line is out
_STILL_S = 0.2
_KERNEL_MS = 970
_HOST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "live.py")


class CallbackHung(BaseException):
    """Raised in the strategy's code. Not an Exception, so that it is not swallowed by accident."""


class StopGuard:
    """A context manager inside the daemon's. `progress` is a number that grows while the host's loop turns; `last_words` is
    called at most once, between two instructions of the strategy."""

    def __init__(self, daemon: Daemon, file: str, log: Any) -> None:
        self.last_words: Callable[[], object] = lambda: None
        self.progress: Callable[[], int] = lambda: 0
        self._daemon = daemon
        self._home = Path(file).resolve().parent
        self._log = log
        self._asked_s = 0.0
        self._seen = (0.0, -1)  # when progress was last another, and what it was
        self._raised = 0

    def __enter__(self) -> Self:
        self._previous = signal.signal(signal.SIGALRM, self._tick)
        self._daemon.on_stop(self._asked)
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # stderr is no file
            faulthandler.register(signal.SIGXCPU, chain=True)
        for number in (signal.SIGTERM, signal.SIGINT):
            lastresort.arm(number, _KERNEL_MS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disarm()
        signal.signal(signal.SIGALRM, self._previous)

    def disarm(self) -> None:
        """The strategy's code does not run any more: what is left is the host's, and takes its time."""
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        lastresort.disarm()

    def _asked(self) -> None:
        if not self._asked_s:
            self._asked_s = time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, _TICK_S, _TICK_S)

    def _tick(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        since, progress = now - self._asked_s, self.progress()
        if progress != self._seen[1]:
            self._seen = (now, progress)
        if now - self._seen[0] < _STILL_S or not self._in_strategy(frame):
            return
        if since >= _LAST_S:
            self._end(frame)
        if since >= (_SECOND_S if self._raised else _FIRST_S) and self._raised < 2:
            self._raised += 1
            raise CallbackHung

    def _in_strategy(self, frame: FrameType | None) -> bool:
        """Whether a callback runs: code from the strategy's directory, called by the host."""
        while frame is not None and frame.f_code.co_filename != _HOST:
            if self._home in Path(frame.f_code.co_filename).parents:
                return True
            frame = frame.f_back
        return False

    def _end(self, frame: FrameType | None) -> None:
        with contextlib.suppress(BaseException):
            self.last_words()
        with contextlib.suppress(BaseException):
            place = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}" if frame else ""
            self._log.error("a callback did not return; ended", at=place)
            time.sleep(_LOG_S)
        os._exit(ExitCode.FAILED)
