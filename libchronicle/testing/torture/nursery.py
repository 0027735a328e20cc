"""Where the processes of a run come from, and where they are killed, stopped and continued."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

import msgspec

from libchronicle.errors import InternalError
from libchronicle.testing.torture.jobs import Job

__all__ = ["Child", "Nursery"]


class Child:
    """One process. Its pid is its own until `wait`: the zygote does not reap it before."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self._nursery = nursery
        self.exit_code: int | None = None

    def signal(self, number: int) -> None:
        if self.exit_code is None:
            os.kill(self.pid, number)

    def stop(self) -> None:
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill -9, and wait until nothing of it is left."""
        self.signal(signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Its exit code; minus the signal that ended it."""
        if self.exit_code is None:
            self.exit_code = int(self._nursery.ask({"wait": self.pid})["code"])
        return self.exit_code


class Nursery:
    """Context manager; at its end every process it started is gone."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "libchronicle.testing.torture.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is the starter's to deal with
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for child in self._children:
            if child.exit_code is None:
                with contextlib.suppress(ProcessLookupError):
                    child.signal(signal.SIGKILL)
        assert self._zygote.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._zygote.stdin.close()
        try:
            self._zygote.wait(10)
        except subprocess.TimeoutExpired:
            self._zygote.kill()
            self._zygote.wait()
        assert self._zygote.stdout is not None
        self._zygote.stdout.close()

    def start(self, job: Job) -> Child:
        child = Child(self, int(self.ask({"fork": job})["pid"]))
        self._children = [other for other in self._children if other.exit_code is None]
        self._children.append(child)
        return child

    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        try:
            self._zygote.stdin.write(msgspec.json.encode(command) + b"\n")
            self._zygote.stdin.flush()
            line = self._zygote.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            raise InternalError(reason=f"the process that forks the others ended with {self._zygote.wait()}")
        answer: dict[str, Any] = msgspec.json.decode(line)
        return answer
