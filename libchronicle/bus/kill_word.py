"""The kill word: one file that stops all trading of a host.

`control/kill.word` is 4096 bytes; the first eight are CHRALLOW while trading is allowed. Anything else is killed: another
word, another size, no file, no permission. It is changed in place by one store, so a process that has it mapped (see
`killswitch`) sees the change with its next load. `control/kill.log` beside it holds one JSON line per change: when, who,
from where, what and why.

To kill, the word is stored first and the reason written after: nothing may delay it. To allow, the reason comes first:
nobody trades again without a trace of who said so.
"""

from __future__ import annotations

import contextlib
import getpass
import mmap
import os
import socket
import time
from typing import Final

import msgspec

from libchronicle.bus.files import directory_lock, host_error, make_directory, publish_file
from libchronicle.bus.killswitch import FILE_SIZE, WORD_ALLOWED, KillSwitch
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ConfigError

__all__ = ["KillRecord", "KillSwitch", "KillWord", "current_user"]

_DIRECTORY_MODE: Final = 0o2775
_FILE_MODE: Final = 0o664


class KillRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One line of kill.log. `killed` is the state from `ts_ns` (Unix epoch) on."""

    ts_ns: int
    killed: bool
    user: str
    host: str
    reason: str


class KillWord:
    """The writer's side, for people and their tools; safe to use from several processes at once."""

    def __init__(self, paths: BusPaths) -> None:
        self.path: Final = paths.kill_word
        self.log_path: Final = paths.kill_log

    @property
    def killed(self) -> bool:
        switch = KillSwitch(self.path)
        try:
            return switch.killed
        finally:
            switch.close()

    def initialise(self, reason: str = "first start of this run directory") -> None:
        """Allow trading in a run directory that never had a kill word. One that was lost stays killed: a person decides."""
        make_directory(self.path.parent, _DIRECTORY_MODE)
        with directory_lock(self.path.parent):
            if self.path.exists() or self.log_path.exists():
                return
            self._log(killed=False, reason=reason)
            publish_file(self.path, WORD_ALLOWED.to_bytes(8, "little").ljust(FILE_SIZE, b"\0"), _FILE_MODE)

    def kill(self, reason: str) -> None:
        """Stop all trading now. Idempotent; each call leaves its line."""
        _require(reason)
        make_directory(self.path.parent, _DIRECTORY_MODE)
        self._store(0)
        with directory_lock(self.path.parent):
            self._log(killed=True, reason=reason)

    def allow(self, reason: str) -> None:
        """Let orders pass again; makes a missing or damaged file anew."""
        _require(reason)
        make_directory(self.path.parent, _DIRECTORY_MODE)
        with directory_lock(self.path.parent):
            self._log(killed=False, reason=reason)
            self._store(WORD_ALLOWED)

    def history(self) -> list[KillRecord]:
        """All changes, oldest first. A line cut off by a crash is left out."""
        try:
            lines = self.log_path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise host_error(error, self.log_path) from error
        records = []
        for line in lines:
            try:
                records.append(msgspec.json.decode(line, type=KillRecord))
            except msgspec.MsgspecError:
                continue
        return records

    def _store(self, word: int) -> None:
        """One aligned store into the file, and on to the disk."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            publish_file(self.path, word.to_bytes(8, "little").ljust(FILE_SIZE, b"\0"), _FILE_MODE)
            return
        except OSError as error:
            raise host_error(error, self.path) from error
        try:
            if os.fstat(descriptor).st_size != FILE_SIZE:
                publish_file(self.path, word.to_bytes(8, "little").ljust(FILE_SIZE, b"\0"), _FILE_MODE)
                return
            with mmap.mmap(descriptor, FILE_SIZE) as page, memoryview(page) as view, view.cast("Q") as words:
                words[0] = word
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _log(self, *, killed: bool, reason: str) -> None:
        record = KillRecord(
            ts_ns=time.time_ns(), killed=killed, user=current_user(), host=socket.gethostname(), reason=reason
        )
        try:
            descriptor = os.open(
                self.log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE
            )
            try:
                with contextlib.suppress(PermissionError):  # made by another of the group
                    os.fchmod(descriptor, _FILE_MODE)
                os.write(descriptor, msgspec.json.encode(record) + b"\n")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise host_error(error, self.log_path) from error


def current_user() -> str:
    """Login name of this process's user, or its number where it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _require(reason: str) -> None:
    if not reason.strip():
        raise ConfigError(
            file="kill word", key="reason", reason="is empty; say why, for those who read the log"
        )
