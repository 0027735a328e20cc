"""Structured log lines for operators, on stderr; the supervisor collects them.

    ts=2026-03-01T12:00:00.123456Z level=info daemon=feed name=binance-spot event="snapshot taken"
    symbol=BTCUSDT levels=5000

One line per event a person would act on; whatever is frequent is a counter. `CHRONICLE_LOG=json` gives one
JSON object a line instead. Lines of libraries that use the standard `logging` module come out in the same
form.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal, TextIO

import msgspec

from libchronicle.bus.logring import LogRing
from libchronicle.errors import ChronicleError

__all__ = ["Log", "LogFormat", "Seldom", "configure_logging"]

LogFormat = Literal["text", "json"]

_ROOT = "chronicle"
RING_BYTES = 1 << 18  # some two thousand lines
_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/+@%,[]")


class Log:
    """Writes events with fields; `bind` makes one whose lines all carry some."""

    def __init__(self, daemon: str, **bound: Any) -> None:
        self._daemon = daemon
        self._bound = bound
        self._logger = logging.getLogger(f"{_ROOT}.{daemon}")

    def bind(self, **fields: Any) -> Log:
        return Log(self._daemon, **{**self._bound, **fields})

    def debug(self, event: str, **fields: Any) -> None:
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, error: BaseException | None = None, **fields: Any) -> None:
        """`error` adds its class and message, and the traceback unless it is a ChronicleError, which says
        all itself. Its notes are a field of their own.
        """
        if error is None:
            self._write(logging.ERROR, event, fields)
            return
        fields = {**fields, "error": type(error).__name__, "reason": str(error)}
        if notes := getattr(error, "__notes__", ()):
            fields["note"] = "; ".join(notes)
        trace = None if isinstance(error, ChronicleError) else error
        self._write(logging.ERROR, event, fields, trace)

    def _write(
        self, level: int, event: str, fields: dict[str, Any], trace: BaseException | None = None
    ) -> None:
        if self._logger.isEnabledFor(level):
            extra = {"chronicle_fields": {"daemon": self._daemon, **self._bound, "event": event, **fields}}
            self._logger.log(level, "%s", _Said(event, fields), extra=extra, exc_info=trace)


class _Said:
    """What a handler shows that is not ours, in a program that did not call `configure_logging`."""

    def __init__(self, event: str, fields: dict[str, Any]) -> None:
        self._event, self._fields = event, fields

    def __str__(self) -> str:
        return f"{self._event} {_as_text(self._fields)}" if self._fields else self._event


class Seldom:
    """Keeps a line that somebody else can cause from filling the log: one each `interval_s`, and how many were left out."""

    def __init__(self, interval_s: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._next = -math.inf
        self._left_out = 0

    def now(self) -> int | None:
        """None: not now. Else log it; so many were left out since the last one."""
        if self._clock() < self._next:
            self._left_out += 1
            return None
        self._next = self._clock() + self._interval_s
        left_out, self._left_out = self._left_out, 0
        return left_out


class _Formatter(logging.Formatter):
    def __init__(self, form: LogFormat) -> None:
        super().__init__()
        self._render = _as_json if form == "json" else _as_text

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "chronicle_fields", None) or {
            "daemon": record.name,
            "event": record.getMessage(),
        }
        seconds, fraction = divmod(record.created, 1)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(fraction * 1e6):06d}Z"
        line = {"ts": stamp, "level": record.levelname.lower(), **fields}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return self._render(line)


def configure_logging(
    form: LogFormat | None = None, level: str | None = None, stream: TextIO | LogRing | None = None
) -> None:
    """Send every log line of this process to `stream` (stderr). CHRONICLE_LOG and CHRONICLE_LOG_LEVEL give
    the defaults.
    """
    chosen: LogFormat = form or ("json" if os.environ.get("CHRONICLE_LOG") == "json" else "text")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Formatter(chosen))
    logging.basicConfig(
        handlers=[handler], level=_level(level or os.environ.get("CHRONICLE_LOG_LEVEL")), force=True
    )
    logging.getLogger("websockets").setLevel(logging.WARNING)  # a line per connection says nothing new
    logging.captureWarnings(True)


@contextlib.contextmanager
def log_to_stderr(form: LogFormat | None, level: str | None, *, ring: bool) -> Iterator[None]:
    """configure_logging to stderr; with `ring` by way of a LogRing, whose last lines are out when the block ends."""
    configure_logging(form, level)
    if not ring:
        yield
        return
    with LogRing(sys.stderr.fileno(), RING_BYTES) as lines:
        configure_logging(form, level, lines)
        try:
            yield
        finally:
            configure_logging(form, level)


def _level(name: str | None) -> int:
    return logging.getLevelNamesMapping().get((name or "INFO").upper(), logging.INFO)


def _as_json(line: dict[str, Any]) -> str:
    return msgspec.json.encode(line, enc_hook=str).decode()


def _as_text(line: dict[str, Any]) -> str:
    return " ".join(f"{key}={_quoted(value)}" for key, value in line.items())


def _quoted(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if text and _BARE.issuperset(text) else msgspec.json.encode(text).decode()
