from typing import Any

from typing_extensions import Buffer

from libchronicle.strategy.base import Strategy
from libchronicle.strategy.context import Context
from libchronicle.strategy.instrument import Instrument
from libchronicle.strategy.recorder import Recorder

KIND_BITS: dict[str, int]

class Dispatcher:
    ctx: Context
    strategy: Strategy
    callbacks: int
    fills: int
    malformed: int
    ignored: int
    feed_name: str
    def __init__(self, ctx: Context, strategy: Strategy, listener: Any) -> None: ...
    def subscribe(self, subscriptions: dict[str, tuple[str, ...]]) -> None: ...
    def build_table(self) -> None: ...
    def set_live(self, live: bool) -> None: ...
    def feed(
        self,
        type_id: int,
        payload: Buffer,
        *,
        seq: int = ...,
        ts_ns: int = ...,
        epoch: int = ...,
        queue_id: int = ...,
        muted: bool = ...,
    ) -> bool: ...
    def feed_report(
        self,
        type_id: int,
        payload: Buffer,
        *,
        seq: int = ...,
        ts_ns: int = ...,
        epoch: int = ...,
        queue_id: int = ...,
        muted: bool = ...,
    ) -> bool: ...
    def fire_due(self, recorder: Recorder) -> int: ...
    def set_synced(self, instrument: Instrument, synced: bool) -> None: ...
    def no_cause(self) -> None: ...
