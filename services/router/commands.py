"""Commands of people to the router, from its control queue. `target` is a strategy, empty = all of them.

pause, kill     new orders and replaces are rejected KILLED, over restarts too; kill also cancels what is open
resume, unkill  they pass again, and breakers that have tripped start anew
cancel_all      cancels what is open
stop            as SIGTERM
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from libchronicle.bus.control import ControlReceiver, make_control_queue
from libchronicle.bus.paths import BusPaths
from libchronicle.protocol import Command, ControlCommand, Parameter, RejectCode
from libchronicle.runtime.logging import Log
from services.router.engine import Engine
from services.router.journal import pause_name
from services.router.state import Client

__all__ = ["Commands"]

_PAUSING = {Command.PAUSE: True, Command.KILL: True, Command.RESUME: False, Command.UNKILL: False}


class Commands:
    """Reads `control/queue/router` and obeys."""

    def __init__(self, paths: BusPaths, engine: Engine, log: Log, stop: Callable[[str], None]) -> None:
        make_control_queue(paths, "router")
        self._receiver = ControlReceiver(paths, "router")
        self._engine = engine
        self._log = log
        self._stop = stop

    def poll(self, now_ns: int) -> None:
        """Obey what has come since the last call."""
        for command in self._receiver.poll():
            told = {"command": command.command.name, "target": command.target or "all"}
            told |= {"user": f"{command.user}@{command.host}", "reason": command.reason}
            known = self.obey(command, now_ns)
            (self._log.info if known else self._log.warning)(
                "command" if known else "command refused", **told
            )

    def obey(self, command: ControlCommand, now_ns: int) -> bool:
        """Do it; False for a command or target that the router does not know."""
        clients = self._engine.state.clients
        targets = [clients[command.target]] if command.target in clients else []
        if not command.target:
            targets = list(clients.values())
        if command.command == Command.STOP:
            self._stop(f"stop by {command.user}")
            return True
        if not targets and command.target:
            return False
        if command.command in _PAUSING:
            for client in targets:
                self._pause(client, _PAUSING[command.command], command.command == Command.KILL, now_ns)
            return True
        if command.command == Command.CANCEL_ALL:
            for client in targets:
                cause = Parameter(now_ns=now_ns, name=f"cancel_all:{client.name}", value=command.user)
                self._engine.on_event(cause, now_ns, partial(self._engine.gateway.cancel_all, client.name))
            return True
        return False

    def _pause(self, client: Client, paused: bool, cancel: bool, now_ns: int) -> None:
        client.paused = paused
        if not paused:
            client.wires.resume()
        end = partial(self._engine.gateway.cancel_all, client.name, code=RejectCode.KILLED)
        cause = Parameter(now_ns=now_ns, name=pause_name(client.name), value=str(int(paused)))
        self._engine.on_event(cause, now_ns, end if cancel else list)

    def close(self) -> None:
        self._receiver.close()
