from collections.abc import Callable

from libchronicle.errors import ChronicleError
from libchronicle.etl.groups import Group
from libchronicle.etl.shelf import Shelf
from libchronicle.etl.symbols import SymbolTable
from libchronicle.etl.target import Target
from libchronicle.native.binding import Subscriber

class Route: ...

class Refinery:
    raw: Subscriber
    targets: dict[str, Target]
    faults: list[ChronicleError]
    damaged: bool
    oldest_ts: int
    newest_ts: int
    frames: int
    def __init__(
        self,
        raw: Subscriber,
        shelves: Callable[[str, str], Shelf],
        symbols: SymbolTable,
        group: Group,
        *,
        snapshot_interval_ns: int,
        snapshot_levels: int,
        segment_age_ns: int,
        late_limit_ns: int,
    ) -> None: ...
    def close(self) -> None: ...
    def learn(self, reader: Subscriber, until: int) -> bool: ...
    def define(self, payload: bytes, ts_ns: int) -> None: ...
    def behind(self, seq: int) -> int: ...
    def missing(self, first: int, last: int, evicted: bool) -> None: ...
    def run(self, most: int) -> int: ...
    def commit(self) -> None: ...
    def sweep(self, now_ns: int) -> None: ...
    @property
    def figures(self) -> dict[str, int]: ...
    @property
    def queues(self) -> int: ...
