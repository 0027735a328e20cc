"""A process that has everything imported and forks on demand: a killed writer's successor is at work within milliseconds.

Spoken to by `nursery` in lines of JSON over stdin and stdout. It has no threads and opens no queue, so what it forks starts
clean. When its starter is gone, which closes its stdin, it kills what it forked and leaves.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from libchronicle.testing.torture.flips import judge
from libchronicle.testing.torture.jobs import FlipJob, Job
from libchronicle.testing.torture.work import work

__all__ = ["main"]


class _Command(msgspec.Struct):
    fork: Job | None = None
    wait: int = 0


def main() -> None:
    children: set[int] = set()
    decode = msgspec.json.Decoder(_Command).decode
    with contextlib.suppress(KeyboardInterrupt):
        for line in sys.stdin.buffer:
            command = decode(line)
            if command.fork is not None:
                pid = os.fork()
                if pid == 0:
                    _child(command.fork)
                children.add(pid)
                _answer({"pid": pid})
            else:
                _, status = os.waitpid(command.wait, 0)
                children.discard(command.wait)
                _answer({"code": os.waitstatus_to_exitcode(status)})
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _answer(facts: dict[str, Any]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(facts) + b"\n")
    sys.stdout.buffer.flush()


def _child(job: Job) -> None:
    """Does its job and nothing of what the zygote would do at its end."""
    code = 70
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(nowhere, 1)
        log = os.open(Path(job.arena, "stderr.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 2)
        faulthandler.enable(file=2)
        code = judge(job) if isinstance(job, FlipJob) else work(job)
    except BaseException as error:  # noqa: BLE001  the end of a process
        sys.excepthook(type(error), error, error.__traceback__)
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
