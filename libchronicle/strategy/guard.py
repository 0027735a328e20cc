"""Callbacks that sleep, do I/O or take what cannot be repeated: who does it, in which line.

A strategy that reads the wall clock or unseeded random numbers does something else in every run; one that sleeps or does I/O
delays whatever comes next. While the guard is on

    sleeping                             anywhere below a callback
    files, sockets, processes            anywhere below a callback; files are free in on_start, on_load, on_save, on_stop
    the wall clock, unseeded randomness  called by the strategy's own code (a logging handler may stamp its line)

are findings: `raise` ends the callback with GuardTripped, `warn` tells each place once. Modules that are imported late are
no I/O here.

How: one audit hook (PEP 578) per process, which stays and does nothing once no guard is on; and in the modules time, datetime,
random, uuid and os functions that ask who called them, there and under whatever names the strategy's modules imported them.
Between two findings a callback pays nothing. "The strategy" is code in the directory of its file, between runner and call.
"""

from __future__ import annotations

import datetime
import os
import random
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import Any, Final, Literal, NamedTuple, Self

from libchronicle.errors import GuardTripped

__all__ = ["Action", "Finding", "Guard", "source_of"]

Action = Literal["off", "warn", "raise"]

CLOCK: Final = "reads the wall clock", "take ctx.now_ns(), which is the same in every run"
CHANCE: Final = "takes random numbers nobody seeded", "make a random.Random(seed) of your own"
SLEEP: Final = "sleeps", "set a timer"
FILES: Final = "reads or writes files", "do it in on_start or on_save, or say it to ctx.log"
NETWORK: Final = "uses the network", "let another process do it; parameters can be set while a strategy runs"
PROCESS: Final = "starts a process", "let another process do it"

_EVENTS: Final = {  # of audit events; those with a dot at the end are families
    "open": FILES,
    "os.": FILES,
    "shutil.": FILES,
    "tempfile.": FILES,
    "glob.": FILES,
    "sqlite3.": FILES,
    "socket.": NETWORK,
    "urllib.": NETWORK,
    "http.": NETWORK,
    "subprocess.": PROCESS,
    "os.system": PROCESS,
    "os.exec": PROCESS,
    "os.fork": PROCESS,
    "os.forkpty": PROCESS,
    "os.posix_spawn": PROCESS,
    "os.startfile": PROCESS,
    "time.sleep": SLEEP,
}
_HARMLESS: Final = frozenset({"os.putenv", "os.unsetenv", "socket.gethostname"})
_FREE_OF_FILES: Final = frozenset({"on_start", "on_load", "on_save", "on_stop"})
_CLOCKS: Final = (
    "time",
    "time_ns",
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "perf_counter_ns",
    "process_time",
    "clock_gettime",
    "clock_gettime_ns",
)
_DRAWS: Final = (
    "random",
    "uniform",
    "triangular",
    "randint",
    "choice",
    "randrange",
    "sample",
    "shuffle",
    "choices",
    "normalvariate",
    "lognormvariate",
    "expovariate",
    "vonmisesvariate",
    "gammavariate",
    "gauss",
    "betavariate",
    "paretovariate",
    "weibullvariate",
    "getrandbits",
    "randbytes",
)
_HERE: Final = os.path.dirname(os.path.abspath(__file__))
_BOUNDARY: Final = frozenset(  # who calls the strategy: what is outside of these frames is not its doing
    os.path.join(directory, file)
    for directory, files in (
        (_HERE, ("live.py", "rerun.py", "lifecycle.py", "app.py")),
        (os.path.join(os.path.dirname(_HERE), "backtest"), ("runner.py",)),
    )
    for file in files
)


def source_of(strategy: object) -> str:
    """The file of a strategy's class, "" where there is none; "<stdin>" and the like for what was typed in."""
    for value in vars(type(strategy)).values():
        code = getattr(value, "__code__", None)
        if code is not None:
            found: str = code.co_filename
            return found
    return getattr(sys.modules.get(type(strategy).__module__), "__file__", None) or ""


class Finding(NamedTuple):
    """One place that did what it should not."""

    place: str  # "mine.py:12 in on_book"
    what: str
    call: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place} {self.what} ({self.call}): {self.remedy}"


class Guard:
    """A context manager around whatever calls a strategy. `file`: the strategy's; `tell` hears of each place once.

    With `action` "off" nothing is installed. Guards do not nest: an inner one takes the outer one's place until it ends.
    """

    def __init__(
        self, file: str, action: Action, tell: Callable[[Finding], object] = lambda finding: None
    ) -> None:
        self.action = action
        self.findings: dict[tuple[str, str], Finding] = {}
        self._file = file
        self._home = (
            "" if not file or file.startswith("<") else os.path.dirname(os.path.abspath(file)) + os.sep
        )
        self._tell = tell
        self._outer: Guard | None = None
        self._undo: list[tuple[dict[str, Any], str, Any]] = []
        self._seeded = False

    def __enter__(self) -> Self:
        global _active
        if self.action != "off" and self._file:
            _listen()
            self._outer, _active = _active, self
            self._patch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _active
        if _active is self:
            _active = self._outer
        while self._undo:
            names, name, value = self._undo.pop()
            names[name] = value

    # ------------------------------------------------------------ who did it

    def audit(self, event: str) -> None:
        """An event of the interpreter's."""
        verdict = _EVENTS.get(event) or _EVENTS.get(event.partition(".")[0] + ".")
        if verdict is None or event in _HARMLESS:
            return
        self._judge(sys._getframe(2), event, verdict, anywhere=True)

    def called(self, call: str, verdict: tuple[str, str], *, anywhere: bool = False) -> None:
        """One of the patched functions, by the frame above the one that calls this."""
        self._judge(sys._getframe(2), call, verdict, anywhere=anywhere)

    def _judge(self, frame: FrameType | None, call: str, verdict: tuple[str, str], *, anywhere: bool) -> None:
        culprit = self._culprit(frame, anywhere=anywhere)
        if culprit is None:
            return
        if verdict is FILES and self._callback(culprit) in _FREE_OF_FILES:
            return
        code = culprit.f_code
        file = code.co_filename.removeprefix(self._home)
        place = f"{file}:{culprit.f_lineno} in {code.co_name}"
        finding = Finding(place, verdict[0], call, verdict[1])
        if (place, call) not in self.findings:
            self.findings[place, call] = finding
            self._tell(finding)
        if self.action == "raise":
            raise GuardTripped(place=place, what=verdict[0], call=call, remedy=verdict[1])

    def _culprit(self, frame: FrameType | None, *, anywhere: bool) -> FrameType | None:
        """The innermost frame of the strategy's, if one is between here and its runner."""
        while frame is not None and frame.f_code.co_filename not in _BOUNDARY:
            name = frame.f_code.co_filename
            if name.startswith("<frozen importlib"):
                return None
            if self._is_strategys(name):
                return frame
            if not anywhere:
                return None
            frame = frame.f_back
        return None

    def _callback(self, frame: FrameType) -> str:
        """Its outermost function: the callback."""
        name = ""
        walk: FrameType | None = frame
        while walk is not None and walk.f_code.co_filename not in _BOUNDARY:
            if self._is_strategys(walk.f_code.co_filename):
                name = walk.f_code.co_name
            walk = walk.f_back
        return name

    def _is_strategys(self, file: str) -> bool:
        if not self._home:  # typed at a prompt
            return file == self._file
        return file.startswith(self._home) and "site-packages" not in file and not file.startswith(_LIBRARY)

    # ------------------------------------------------------------ what is put in the way

    def _patch(self) -> None:
        stand_ins: dict[int, Any] = {}

        def replace(module: ModuleType, name: str, make: Callable[[Any], Any]) -> None:
            original = getattr(module, name, None)
            if original is not None:
                stand_in = make(original)
                stand_ins[id(original)] = stand_in
                self._set(vars(module), name, stand_in)

        for name in _CLOCKS:
            replace(time, name, self._watch(f"time.{name}", CLOCK))
        replace(time, "sleep", self._watch("time.sleep", SLEEP, anywhere=True))
        for name in ("localtime", "gmtime", "ctime"):
            replace(time, name, self._watch(f"time.{name}", CLOCK, unless_given=True))
        replace(datetime, "datetime", lambda kind: _guarded_time(kind, self, ("now", "utcnow", "today")))
        replace(datetime, "date", lambda kind: _guarded_time(kind, self, ("today",)))
        for name in _DRAWS:
            replace(random, name, self._watch(f"random.{name}", CHANCE, seedable=True))
        replace(random, "seed", self._seeding)
        replace(random, "Random", lambda kind: _guarded_random(kind, self))
        replace(os, "urandom", self._watch("os.urandom", CHANCE))
        for name in ("uuid1", "uuid4"):
            replace(uuid, name, self._watch(f"uuid.{name}", CHANCE))
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and self._is_strategys(os.path.abspath(file)):
                for name, value in list(vars(module).items()):
                    if id(value) in stand_ins:
                        self._set(vars(module), name, stand_ins[id(value)])

    def _set(self, names: dict[str, Any], name: str, value: Any) -> None:
        self._undo.append((names, name, names[name]))
        names[name] = value

    def _watch(
        self,
        call: str,
        verdict: tuple[str, str],
        *,
        anywhere: bool = False,
        unless_given: bool = False,
        seedable: bool = False,
    ) -> Callable[[Any], Any]:
        """Makes of a function one that first asks who called it."""

        def watch(function: Callable[..., Any]) -> Callable[..., Any]:
            def watched(*args: Any, **kwargs: Any) -> Any:
                if not ((unless_given and args) or (seedable and self._seeded)):
                    self.called(call, verdict, anywhere=anywhere)
                return function(*args, **kwargs)

            return watched

        return watch

    def _seeding(self, seed: Callable[..., Any]) -> Callable[..., Any]:
        def seeding(a: Any = None, version: int = 2) -> None:
            self._seeded = a is not None
            seed(a, version)

        return seeding


# ------------------------------------------------------------ stand-ins for classes


class _Kin(type):
    """A stand-in's instances are those of what it stands for."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.__mro__[1])

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, cls.__mro__[1])


def _guarded_time(kind: type, guard: Guard, names: tuple[str, ...]) -> type:
    """datetime or date, whose `now` and kin ask who called."""

    def make(name: str) -> Any:
        original = getattr(kind, name)

        def asked(cls: type, *args: Any, **kwargs: Any) -> Any:
            guard.called(f"{kind.__name__}.{name}", CLOCK)
            return original(*args, **kwargs)

        return classmethod(asked)

    def plain(cls: type, *args: Any, **kwargs: Any) -> Any:
        return kind(*args, **kwargs)  # a value made meanwhile is an ordinary one

    return _Kin(kind.__name__, (kind,), {"__new__": plain, **{name: make(name) for name in names}})


def _guarded_random(kind: type, guard: Guard) -> type:
    """random.Random, which must be given a seed."""

    def plain(cls: type, *args: Any, **kwargs: Any) -> Any:
        if (args[0] if args else kwargs.get("x")) is None:
            guard.called("random.Random without a seed", CHANCE)
        return kind(*args, **kwargs)

    return _Kin("Random", (kind,), {"__new__": plain})


# ------------------------------------------------------------ the hook

_LIBRARY: Final = str(Path(_HERE).parent) + os.sep
_active: Guard | None = None
_listening = False


def _listen() -> None:
    """Once per process: an audit hook cannot be taken away."""
    global _listening
    if not _listening:
        _listening = True
        sys.addaudithook(_heard)


def _heard(event: str, _args: tuple[Any, ...]) -> None:
    if _active is not None:
        _active.audit(event)
