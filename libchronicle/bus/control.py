"""Control: how people tell a running daemon something.

`control/queue/<daemon>`: any user of the group writes, the daemon reads. A queue has one writer at a time, so a
sender opens, appends and closes within a millisecond, and tries again while another does the same. Every command
carries who, from where and why, and stays in the queue as the record of it.

A daemon resumes behind the last command it handled. What was sent while it was down is handled at start if it is
younger than `max_age_s`, else passed over and counted: yesterday's PAUSE must not surprise anyone.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from libchronicle.bus.files import make_directory
from libchronicle.bus.kill_word import current_user
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import Busy, ConfigError, DecodeError, WriterAlreadyActive
from libchronicle.protocol import Command, ControlCommand
from libchronicle.queue import Publisher, Queue, QueueConfig, Subscriber

__all__ = ["CONTROL_CONFIG", "DIRECTORY_MODE", "ControlReceiver", "make_control_queue", "send_command"]

CONTROL_CONFIG: Final = QueueConfig(segment_size=65536, prefault=False, prepare=False)
DIRECTORY_MODE: Final = 0o2775
"""Writable by the group, readable by all: the files of a queue take both from their directory."""

_RETRY_FIRST_S: Final = 0.002
_RETRY_MOST_S: Final = 0.05


def send_command(
    paths: BusPaths,
    daemon: str,
    command: Command,
    *,
    reason: str,
    target: str = "",
    value: str = "",
    patience_s: float = 2.0,
) -> int:
    """Append one command for `daemon`, whether it runs or not; returns its seq. It is on the medium when this
    returns.

    Raises Busy when others kept writing for `patience_s`, ConfigError without a reason, NoPermission outside the
    group.
    """
    if not reason.strip():
        raise ConfigError(
            file="control", key="reason", reason="is empty; say why, for those who read the record"
        )
    payload = ControlCommand(
        ts=time.time_ns(),
        uid=os.getuid(),
        pid=os.getpid(),
        command=command,
        user=_fit(current_user(), 32),
        host=_fit(socket.gethostname(), 32),
        target=target,
        value=value,
        reason=_fit(reason, 128),
    ).encode()
    with _open_sender(paths.control(daemon), patience_s) as publisher:
        seq = publisher.append(ControlCommand.TEMPLATE_ID, payload)
        publisher.flush()
    return seq


def _open_sender(path: Path, patience_s: float) -> Publisher:
    make_directory(path, DIRECTORY_MODE)
    began, pause_s = time.monotonic(), _RETRY_FIRST_S
    while True:
        try:
            return Queue.open_publisher(path, CONTROL_CONFIG)
        except WriterAlreadyActive as error:
            waited_s = time.monotonic() - began
            if waited_s >= patience_s:
                raise Busy(path=str(path), pid=error.pid, waited_s=waited_s) from error
        time.sleep(pause_s * (0.5 + random.random()))
        pause_s = min(2 * pause_s, _RETRY_MOST_S)


def make_control_queue(paths: BusPaths, daemon: str) -> None:
    """For a hot daemon, before its loop: the queue is there before the first command, since looking for a file that is not
    would cost system calls."""
    path = paths.control(daemon)
    make_directory(path, DIRECTORY_MODE)
    with contextlib.suppress(WriterAlreadyActive):  # somebody is sending: it is there
        Queue.open_publisher(path, CONTROL_CONFIG).close()


class ControlReceiver:
    """The daemon's side: `for command in receiver.poll(): ...`. Belongs to one thread; never waits."""

    def __init__(
        self,
        paths: BusPaths,
        daemon: str,
        *,
        max_age_s: float = 60.0,
        cadence_s: float = 0.1,
        monotonic_s: Callable[[], float] = time.monotonic,
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.path: Final = paths.control(daemon)
        self.passed_over = 0
        """Commands too old when they were first seen, or not readable."""
        self._daemon: Final = daemon
        self._max_age_ns: Final = int(max_age_s * 1e9)
        self._cadence_s: Final = cadence_s
        self._monotonic_s: Final = monotonic_s
        self._time_ns: Final = time_ns
        self._due_s = monotonic_s()
        self._reader: Subscriber | None = None

    def poll(self) -> list[ControlCommand]:
        """Commands that came since the last call. Those of the call before are taken as handled and will not come
        again.

        Costs a clock read between cadences. Raises what opening and reading a queue raises, but for "no queue yet".
        """
        now = self._monotonic_s()
        if now < self._due_s:
            return []
        self._due_s = now + self._cadence_s
        if self._reader is None:
            self._reader = Queue.try_open_subscriber(
                self.path, self._daemon, CONTROL_CONFIG, "resume_or_oldest"
            )
            if self._reader is None:
                return []
        self._reader.commit()
        commands = []
        while (message := self._reader.next()) is not None:
            command = _decode(message.type_id, message.payload)
            if command is None or self._time_ns() - command.ts > self._max_age_ns:
                self.passed_over += 1
            else:
                commands.append(command)
        return commands

    def close(self) -> None:
        """Everything given by `poll` is taken as handled."""
        if self._reader is not None:
            self._reader.commit()
            self._reader.close()
            self._reader = None


def _decode(type_id: int, payload: memoryview) -> ControlCommand | None:
    if type_id != ControlCommand.TEMPLATE_ID:
        return None
    try:
        return ControlCommand.decode(payload)
    except DecodeError:
        return None


def _fit(text: str, size: int) -> str:
    """What of `text` fits into a field of `size` bytes."""
    return text.encode()[:size].decode(errors="ignore")
