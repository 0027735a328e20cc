from collections.abc import Iterable
from typing import Any

from libchronicle.strategy.dispatch import Dispatcher
from libchronicle.strategy.recorder import Recorder
from libchronicle.strategy.sink import QueueSink
from libchronicle.strategy.source import Source

class LiveLoop:
    stopping: bool
    parks: int
    def __init__(
        self,
        dispatcher: Dispatcher,
        recorder: Recorder,
        sink: QueueSink,
        sources: Iterable[Source],
        shell: Any,
        *,
        spin_us: int = ...,
    ) -> None: ...
    def stop(self) -> None: ...
    def now(self) -> int: ...
    def run(self) -> None: ...
