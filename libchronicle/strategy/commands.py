"""Commands of people to a running strategy: its control queue, looked at by housekeeping.

set_parameter  target = name (or "" with a JSON object as value), value
pause, resume  orders are refused meanwhile, cancels are not
cancel_all     target = instrument, "" = all
stop           as SIGTERM
"""

from __future__ import annotations

from typing import Any, Protocol

from libchronicle.bus.control import ControlReceiver, make_control_queue
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ChronicleError, MisuseError
from libchronicle.protocol import Command, ControlCommand
from libchronicle.strategy.context import Context
from libchronicle.strategy.lifecycle import Lifecycle

__all__ = ["Commands", "refusal_text"]


class _Host(Protocol):
    ctx: Context
    lifecycle: Lifecycle
    log: Any

    def ask_stop(self, reason: str) -> None: ...
    def put_on_record(self, text: str) -> None: ...


def refusal_text(command: ControlCommand) -> str:
    """How the error log's line about a command begins that could not be obeyed; why follows."""
    return f"command refused: {command.command.name} {command.target} {command.value}: "


class Commands:
    """Reads `control/queue/<daemon>` and obeys."""

    def __init__(self, paths: BusPaths, daemon: str, host: _Host) -> None:
        make_control_queue(paths, daemon)
        self._receiver = ControlReceiver(paths, daemon)
        self._host = host

    def poll(self) -> None:
        """Obey what has come; no system call. Never raises for a command that cannot be obeyed: it is logged."""
        for command in self._receiver.poll():
            self._obey(command)

    def _obey(self, command: ControlCommand) -> None:
        told = {"command": command.command.name, "target": command.target, "value": command.value}
        told |= {"user": f"{command.user}@{command.host}", "reason": command.reason}
        try:
            self._do(command)
        except ChronicleError as error:
            self._host.log.warning("command refused", **told, error=str(error))
            self._host.put_on_record(refusal_text(command) + str(error))
        else:
            self._host.log.info("command", **told)

    def _do(self, command: ControlCommand) -> None:
        lifecycle = self._host.lifecycle
        match command.command:
            case Command.SET_PARAMETER:
                lifecycle.set_parameter(command.target, command.value)
            case Command.PAUSE | Command.RESUME:
                lifecycle.recorder.append(command)
                lifecycle.set_paused(command.command is Command.PAUSE)
            case Command.CANCEL_ALL:
                lifecycle.recorder.append(command)
                self._host.ctx.cancel_all(command.target or None)
            case Command.STOP:
                self._host.ask_stop(f"stop by {command.user}")
            case _:
                raise MisuseError(reason=f"a strategy host does not know {command.command.name}")

    def close(self) -> None:
        self._receiver.close()
