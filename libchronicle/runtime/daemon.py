"""Lifecycle of a daemon: start, ready, beat, stop.

Rules:
- SIGTERM and SIGINT set the stop flag and wake the loop; whatever is open is closed by the loop itself,
  within a second.
- The loop that does the work beats (`beat()` once a turn), never a helper that would hide a hung loop.
- `run_daemon` is the process boundary: the only place that catches everything, logs it and turns it into an
  exit code.

        starting ──ready()──▶ ready ──stop()──▶ stopping ──▶ exit code
            └───────────────stop()──────────────────▲

A hot daemon runs a plain loop:                      An async one is a coroutine, cancelled at stop:

    with Daemon("router", beat=counters.beat) as daemon:      async def serve(daemon): ...
        daemon.ready()                                        daemon.run_async(serve)
        while daemon.running:
            daemon.beat()
            ...
"""

from __future__ import annotations

import argparse
import contextlib
import enum
import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

import msgspec

from libchronicle.bus.affinity import pin_to_core
from libchronicle.bus.files import host_error
from libchronicle.errors import (
    ChronicleError,
    ConfigError,
    CorruptError,
    DaemonsFailed,
    EnvironmentFault,
    MisuseError,
    NotReadyError,
    StrategyFailed,
)
from libchronicle.runtime.config import HostConfig, check_host, load_host
from libchronicle.runtime.logging import Log, log_to_stderr
from libchronicle.runtime.notify import Notifier

__all__ = ["Daemon", "ExitCode", "exit_code", "pin_to_core", "run_daemon", "told"]

BEAT_INTERVAL_S = 0.25
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class ExitCode(enum.IntEnum):
    """What a supervisor or a script can tell from the exit (numbers of sysexits.h)."""

    OK = 0
    MISUSE = 64  # the caller: do not restart
    CORRUPT = 65  # data on disk is damaged: `chronicle queue repair`
    HOLES = 66  # `chronicle queue verify`: records are missing, and the queue says so
    WORSE = 67  # `chronicle bench --baseline`: slower, or larger, than it was
    FAILED = 69  # a strategy's own code, again and again: do not restart
    INTERNAL = 70  # a bug in Chronicle
    HOST = 71  # disk, permission, port, limits
    NOT_READY = 75  # try again
    CONFIG = 78  # the configuration: do not restart


_EXITS: tuple[tuple[type[ChronicleError], ExitCode], ...] = (
    (ConfigError, ExitCode.CONFIG),
    (StrategyFailed, ExitCode.FAILED),
    (DaemonsFailed, ExitCode.FAILED),
    (MisuseError, ExitCode.MISUSE),
    (CorruptError, ExitCode.CORRUPT),
    (NotReadyError, ExitCode.NOT_READY),
    (EnvironmentFault, ExitCode.HOST),
)


def exit_code(error: BaseException) -> ExitCode:
    """Which exit an error means."""
    return next((code for kind, code in _EXITS if isinstance(error, kind)), ExitCode.INTERNAL)


def told(error: BaseException) -> BaseException:
    """`error`, or what the operator can act on if the host itself refused: a disk, a permission, a limit nobody foresaw."""
    if not isinstance(error, OSError) or error.errno not in _HOST_ERRNOS:
        return error
    made = host_error(error, Path(os.fsdecode(error.filename or "this process")))
    made.__cause__ = error
    return made


_HOST_ERRNOS = frozenset(
    getattr(errno, name)
    for name in (
        "EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "EIO", "EMFILE", "ENFILE", "ENOMEM",
        "ENOTDIR", "EISDIR", "EEXIST", "ENAMETOOLONG", "ELOOP", "ENODEV", "ESTALE",
    )
)  # fmt: skip


class Daemon:
    """Stop flag, heartbeat cadence and service-manager notifications of one process."""

    def __init__(
        self, name: str, *, beat: Callable[[], object] | None = None, interval_s: float = BEAT_INTERVAL_S
    ) -> None:
        self.name = name
        self.running = True
        self.stop_reason = ""
        self.is_ready = False
        self._beat = beat
        self._notifier = Notifier()
        if self._notifier.watchdog_s:
            interval_s = min(interval_s, self._notifier.watchdog_s / 3)
        self._interval_ns = int(interval_s * 1e9)
        self._next_beat_ns = 0
        self._wakers: list[Callable[[], object]] = []
        self._previous: dict[int, Any] = {}

    # -- states

    def ready(self, status: str = "") -> None:
        """The daemon does its work from now on. Call it once."""
        self.is_ready = True
        self._notifier.send("READY=1" + (f"\nSTATUS={status}" if status else ""))

    def stop(self, reason: str = "asked") -> None:
        """Ask the loop to end. Safe from a signal handler; the first reason stays."""
        if self.running:
            self.running = False
            self.stop_reason = reason
            self._notifier.send("STOPPING=1")
        for wake in self._wakers:
            wake()

    def on_stop(self, wake: Callable[[], object]) -> None:
        """Call `wake` at stop: it gets the loop out of its sleep. Must not block."""
        self._wakers.append(wake)

    # -- heartbeat

    def beat(self, monotonic_ns: int | None = None) -> bool:
        """Once a turn of the loop; does something (and returns True) four times a second."""
        now = time.monotonic_ns() if monotonic_ns is None else monotonic_ns
        if now < self._next_beat_ns:
            return False
        self._next_beat_ns = now + self._interval_ns
        if self._beat is not None:
            self._beat()
        if self._notifier.watchdog_s:
            self._notifier.send("WATCHDOG=1")
        return True

    # -- loops

    def __enter__(self) -> Self:
        """Take the stop signals for a plain loop in the main thread."""
        for number in _STOP_SIGNALS:
            self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.stop_reason.startswith(
            "SIG"
        ):  # else the process ends, and a second signal must not cut its closing short
            for number, handler in self._previous.items():
                signal.signal(number, handler)
        self._previous.clear()
        self._notifier.close()

    def run_async(self, main: Callable[[Daemon], Coroutine[Any, Any, None]]) -> None:
        """Run `main(self)` on uvloop until it returns or a stop cancels it. The loop beats by itself while
        it turns.
        """
        import asyncio  # here: a hot daemon needs none of it, and it is memory

        import uvloop

        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._supervise(main))
        finally:
            # The closing loop gave the signals back their default; until the process ends they only set the flag again.
            for number in _STOP_SIGNALS:
                signal.signal(number, self._on_signal)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
            self._notifier.close()

    async def _supervise(self, main: Callable[[Daemon], Coroutine[Any, Any, None]]) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        work = loop.create_task(main(self), name=self.name)
        self.on_stop(lambda: loop.call_soon_threadsafe(work.cancel))
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self.stop, signal.Signals(number).name)
        beats = loop.create_task(self._beat_forever(), name="beats")
        try:
            await work
        except asyncio.CancelledError:
            if self.running:
                raise
        finally:
            beats.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beats
            self._wakers.clear()
            signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)

    async def _beat_forever(self) -> None:
        import asyncio

        while True:
            self.beat()
            await asyncio.sleep(self._interval_ns / 1e9)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop(signal.Signals(number).name)


class _Parser(argparse.ArgumentParser):
    """A wrong flag exits as any other misuse: a supervisor must not try again."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(ExitCode.MISUSE, f"{self.prog}: error: {message}\n")


def run_daemon(
    program: str,
    body: Callable[[HostConfig, argparse.Namespace, Log], None],
    *,
    description: str,
    arguments: Callable[[argparse.ArgumentParser], object] | None = None,
    load: Callable[[argparse.Namespace], HostConfig] | None = None,
    argv: Sequence[str] | None = None,
    hot: bool = False,
) -> int:
    """Parse the arguments, load the configuration, run `body`; the exit code of the process.

    `program` is "chronicle-feed"; `arguments` adds options beside --config, --log-format and --log-level; `load`
    makes the configuration where it may come from elsewhere than --config. A `hot` daemon's log lines are written out
    by a native thread: its loop makes no system call for them and never waits for who reads the log.
    """
    parser = _Parser(prog=program, description=description)
    parser.add_argument(
        "--config", default="deploy/host.toml", metavar="FILE", help="the host's TOML (%(default)s)"
    )
    parser.add_argument("--bus-root", metavar="DIR", help="the run directory, instead of [bus] root")
    parser.add_argument("--log-format", choices=("text", "json"), help="default: $CHRONICLE_LOG or text")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"))
    if arguments is not None:
        arguments(parser)
    options = parser.parse_args(argv)
    with log_to_stderr(options.log_format, options.log_level, ring=hot):
        return _run(program, body, load, options)


def _run(
    program: str,
    body: Callable[[HostConfig, argparse.Namespace, Log], None],
    load: Callable[[argparse.Namespace], HostConfig] | None,
    options: argparse.Namespace,
) -> int:
    log = Log(program.removeprefix("chronicle-"))
    try:
        config = load(options) if load is not None else load_host(options.config)
        if options.bus_root is not None:
            config = msgspec.structs.replace(config, bus=config.bus.at(options.bus_root))
            check_host(config, "--bus-root")
        log.info("starting", pid=os.getpid(), config=options.config, python=sys.version.split()[0])
        body(config, options, log)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001  (the process boundary)
        failure = told(error)
        log.error("failed", failure)
        return exit_code(failure)
    log.info("stopped")
    return ExitCode.OK
