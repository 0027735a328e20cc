"""The parent's side of a comparison: starts the two processes of a peer and reads what they print."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHILD = Path(__file__).with_name("child.py")
ADAPTERS = Path(__file__).with_name("adapters")
PATIENCE_S = 20.0
LEFT = 1000  # messages of the test whether they survive


class PeerFailed(Exception):
    """A peer cannot be measured here; the text says why."""


@dataclass(frozen=True)
class Peer:
    """An adapter and the interpreter that has its package."""

    name: str
    python: str
    facts: dict[str, Any]
    serves: bool

    @property
    def adapter(self) -> Path:
        return ADAPTERS / f"{self.name}.py"


class Child:
    """One process of a measurement, in a process group of its own so that whatever it starts ends with it."""

    def __init__(self, python: str, adapter: Path, role: str, where: Path | str, *options: str) -> None:
        command = [python, str(CHILD), str(adapter), role, str(where), *options]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 closed in end()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        self._limit = threading.Timer(PATIENCE_S, self._kill)
        self._limit.daemon = True
        self._limit.start()

    def line(self) -> str:
        """The next line it prints. Raises PeerFailed if it ends instead, or takes longer than it may."""
        assert self._process.stdout is not None
        text = self._process.stdout.readline()
        if text:
            return text.strip()
        self._kill()
        self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        raise PeerFailed(said[-1] if said else "no answer in time")

    def opened(self) -> None:
        if self.line() != "open":
            raise PeerFailed("unexpected answer")

    def go(self) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self.line()

    def result(self) -> dict[str, Any]:
        decoded: dict[str, Any] = json.loads(self.line())
        return decoded

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """At once, with everything it started."""
        self._limit.cancel()
        self._kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        self._errors.close()


def find_peer(name: str, pythons: Sequence[str]) -> Peer:
    """The first interpreter that has the peer's package. Raises PeerFailed: none has."""
    reason = ""
    for python in pythons:
        child = Child(python, ADAPTERS / f"{name}.py", "facts", "")
        try:
            facts = child.result()
            return Peer(name, python, facts, serves=bool(facts.pop("serves")))
        except PeerFailed as failure:
            reason = reason or str(failure)
        finally:
            child.end()
    raise PeerFailed(reason)


@contextmanager
def served(peer: Peer, where: Path) -> Iterator[None]:
    """With what the peer needs beside its two processes."""
    if not peer.serves:
        yield
        return
    child = Child(peer.python, peer.adapter, "serve", where)
    try:
        child.opened()
        yield
    finally:
        child.end()


@contextmanager
def together(peer: Peer, where: Path, *parts: tuple[str, ...]) -> Iterator[list[Child]]:
    """Processes of the peer, each with its role and options, all open before they go."""
    children: list[Child] = []
    try:
        children.extend(Child(peer.python, peer.adapter, part[0], where, *part[1:]) for part in parts)
        for child in children:
            child.opened()
        for child in children:
            child.go()
        yield children
    finally:
        for child in children:
            child.end()


@contextmanager
def scratch() -> Iterator[Path]:
    """A short-named fresh directory in memory: some peers keep sockets in it, whose names have a limit."""
    base = "/dev/shm" if os.path.isdir("/dev/shm") else None
    path = Path(tempfile.mkdtemp(prefix="cbp-", dir=base))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        for left in Path("/dev/shm").glob(f"*{path.name}*"):  # shared memory named after it
            left.unlink(missing_ok=True)


def round_trips(peer: Peer, cores: tuple[int, int], count: int, seconds: float) -> dict[str, Any]:
    """p50_ns and p99_ns of round trips between two processes."""
    here = ("ping", "--core", str(cores[0]), "--count", str(count), "--seconds", str(seconds))
    with (
        scratch() as where,
        served(peer, where),
        together(peer, where, here, ("echo", "--core", str(cores[1]))) as children,
    ):
        return children[0].result()


def messages(peer: Peer, cores: tuple[int, int], count: int, *, many: bool) -> tuple[float, float]:
    """(messages per second received, share of those sent that were lost)."""
    suffix = "_many" if many else ""
    here = ("pump" + suffix, "--core", str(cores[0]), "--count", str(count))
    there = ("take" + suffix, "--core", str(cores[1]), "--count", str(count))
    with scratch() as where, served(peer, where), together(peer, where, here, there) as (sender, receiver):
        end = receiver.result()
        began_ns = sender.result()["began_ns"]
        if not end["got"]:
            raise PeerFailed("nothing arrived")
        return end["got"] / (end["ended_ns"] - began_ns) * 1e9, 1 - end["got"] / count


def survivors(peer: Peer) -> int:
    """How many of LEFT messages a new process reads after every process of the peer was killed."""
    count = ("--count", str(LEFT))
    with scratch() as where:
        with served(peer, where), together(peer, where, ("leave", *count), ("hold",)) as children:
            children[0].result()
        try:
            with served(peer, where), together(peer, where, ("find", *count)) as (finder,):
                return int(finder.result()["found"])
        except PeerFailed:
            return 0
