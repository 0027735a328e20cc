from collections.abc import Callable, Iterable
from typing import Any

from libchronicle.strategy.bookview import Book
from libchronicle.strategy.dispatch import Dispatcher
from libchronicle.strategy.recorder import Recorder
from libchronicle.strategy.sink import QueueSink
from libchronicle.strategy.source import Source
from libchronicle.strategy.trace import StopMonitor

class LiveLoop:
    stopping: bool
    parks: int
    chores_done: int
    def __init__(
        self,
        dispatcher: Dispatcher,
        recorder: Recorder,
        sink: QueueSink,
        sources: Iterable[Source],
        shell: Any,
        chores: Iterable[Callable[[], object]],
        *,
        books: Iterable[Book] = ...,
        spin_us: int = ...,
    ) -> None: ...
    def stop(self) -> None: ...
    def hurry(self) -> None: ...
    def now(self) -> int: ...
    def watch_stops(self, monitor: StopMonitor | None) -> None: ...
    def run(self) -> None: ...
