"""Commands of people to a running strategy: its control queue, looked at by housekeeping.

set_parameter  target = name (or "" with a JSON object as value), value
pause, resume  orders are refused meanwhile, cancels are not
cancel_all     target = instrument, "" = all
stop           as SIGTERM
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from libchronicle.clock import monotonic_ns
from libchronicle.errors import ChronicleError, MisuseError
from libchronicle.protocol import Command, ControlCommand
from libchronicle.queue import Queue, Subscriber
from libchronicle.strategy.context import Context
from libchronicle.strategy.lifecycle import Lifecycle

__all__ = ["Commands"]

LOOK_AGAIN_NS = 250_000_000


class _Host(Protocol):
    ctx: Context
    lifecycle: Lifecycle
    log: Any

    def ask_stop(self, reason: str) -> None: ...


class Commands:
    """Only commands given from now on count: what was said to an earlier process is over."""

    def __init__(self, path: Path, host: _Host) -> None:
        self._path = path
        self._host = host
        self._reader: Subscriber | None = None
        self._look_ns = 0
        self._open("latest")

    def _open(self, start: str) -> None:
        self._reader = Queue.try_open_subscriber(self._path, "daemon", start=start)  # type: ignore[arg-type]

    def poll(self) -> None:
        """Obey what has come. Never raises for a command that cannot be obeyed: it is logged."""
        if self._reader is None:
            now = monotonic_ns()
            if now < self._look_ns:
                return
            self._look_ns = now + LOOK_AGAIN_NS
            self._open("earliest")
            if self._reader is None:
                return
        while (message := self._reader.next()) is not None:
            if message.type_id == ControlCommand.TEMPLATE_ID:
                self._obey(ControlCommand.decode(message))
        self._reader.commit()

    def _obey(self, command: ControlCommand) -> None:
        told = {"command": command.command.name, "target": command.target, "value": command.value}
        told |= {"user": f"{command.user}@{command.host}", "reason": command.reason}
        try:
            self._do(command)
        except ChronicleError as error:
            self._host.log.warning("command refused", **told, error=str(error))
        else:
            self._host.log.info("command", **told)

    def _do(self, command: ControlCommand) -> None:
        lifecycle = self._host.lifecycle
        match command.command:
            case Command.SET_PARAMETER:
                lifecycle.set_parameter(command.target, command.value)
            case Command.PAUSE | Command.RESUME:
                lifecycle.set_paused(command.command is Command.PAUSE)
            case Command.CANCEL_ALL:
                self._host.ctx.cancel_all(command.target or None)
            case Command.STOP:
                self._host.ask_stop(f"stop by {command.user}")
            case _:
                raise MisuseError(reason=f"a strategy host does not know {command.command.name}")

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
