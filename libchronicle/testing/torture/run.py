"""`run_torture`: all faults under one directory, and the verdict."""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import msgspec

from libchronicle.errors import HostError, NoPermission
from libchronicle.testing.torture.faults import RUNS, Stage
from libchronicle.testing.torture.host import look_at
from libchronicle.testing.torture.nursery import Nursery
from libchronicle.testing.torture.plan import FAULTS, digest
from libchronicle.testing.torture.small_disk import can_be_filled
from libchronicle.testing.torture.verdict import FaultResult, Verdict

__all__ = ["Progress", "TortureOptions", "run_torture"]

_SHARES = {"crash": 0.4, "stop": 0.2, "disk": 0.2, "flip": 0.2}

Progress = Callable[[str, float, int], None]
"""Told the fault, the share of it that is done (0 to 1), and its rounds so far."""


class TortureOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`rounds` of each fault instead of `seconds` over all: the same work on every host."""

    seed: int
    seconds: float = 60.0
    rounds: int | None = None
    faults: tuple[str, ...] = FAULTS


def _silent(fault: str, share: float, rounds: int) -> None:
    pass


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does, so that nothing is left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_torture(
    path: Path,
    options: TortureOptions,
    progress: Progress = _silent,
    tamper: Callable[[Path], None] | None = None,
) -> Verdict:
    """Torture queues in a new directory under `path`, which must exist; nothing else there is touched.

    The directory is removed at the end unless something was found; then `Verdict.evidence` names it. `tamper` is called with
    the queue's directory after each kill: a test's means to see a verdict of failure. Raises NoPermission, HostError.
    """
    try:
        home = Path(tempfile.mkdtemp(prefix="chronicle-torture-", dir=path))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise HostError(
            path=str(path), reason="no such directory; name one on the file system to try"
        ) from error
    except PermissionError as error:
        raise NoPermission(path=str(path), reason=f"mkdir: {error.strerror}") from error
    except OSError as error:
        raise HostError(path=str(path), reason=f"mkdir: {error.strerror}") from error
    verdict = Verdict(
        path=str(path), seed=options.seed, plan=digest(options.seed), host=look_at(home), results=[]
    )
    try:
        with _terminable(), Nursery() as nursery:
            for fault in options.faults:
                if fault == "disk" and not can_be_filled():
                    continue
                verdict.results.append(_play(home / fault, fault, options, nursery, progress, tamper))
    except KeyboardInterrupt:
        verdict.interrupted = True
    finally:
        if all(result.passed for result in verdict.results):
            shutil.rmtree(home, ignore_errors=True)
        else:
            verdict.evidence = str(home)
            (home / "verdict.json").write_bytes(msgspec.json.format(msgspec.json.encode(verdict)))
    return verdict


def _play(
    arena: Path,
    fault: str,
    options: TortureOptions,
    nursery: Nursery,
    progress: Progress,
    tamper: Callable[[Path], None] | None,
) -> FaultResult:
    arena.mkdir()
    whole = sum(_SHARES[name] for name in options.faults)
    stage = Stage(
        nursery=nursery,
        arena=arena,
        seed=options.seed,
        seconds=options.seconds * _SHARES[fault] / whole,
        rounds=options.rounds,
        tell=lambda share, rounds: progress(fault, share, rounds),
        tamper=tamper,
    )
    result = RUNS[fault](stage)
    if result.passed:
        shutil.rmtree(arena, ignore_errors=True)
    return result
