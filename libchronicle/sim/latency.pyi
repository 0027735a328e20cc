from collections.abc import Iterable, Sequence
from typing import Any, Protocol

__all__ = [
    "ConstantLatency",
    "InterpolatedLatency",
    "JitterLatency",
    "LatencyModel",
    "PythonLatency",
    "SpikeLatency",
]

class _Delays(Protocol):
    def entry(self, now_ns: int, /) -> int: ...
    def response(self, now_ns: int, /) -> int: ...

class LatencyModel:
    delays_feed: bool
    def sample(self, now_ns: int, *, seed: int = ...) -> tuple[int, int, int]: ...

class ConstantLatency(LatencyModel):
    entry_ns: int
    response_ns: int
    feed_ns: int
    def __init__(self, entry_us: float = ..., response_us: float = ..., feed_us: float = ...) -> None: ...

class JitterLatency(LatencyModel):
    entry_ns: int
    response_ns: int
    feed_ns: int
    sigma: float
    spread_ns: float
    jitter: str
    def __init__(
        self,
        entry_us: float,
        response_us: float,
        *,
        jitter: str = ...,
        sigma: float = ...,
        spread_us: float = ...,
        feed_us: float = ...,
    ) -> None: ...

class SpikeLatency(LatencyModel):
    base: LatencyModel
    extra_ns: int
    lasts_ns: int
    share: float
    def __init__(
        self,
        base: LatencyModel | _Delays | None,
        *,
        extra_us: float,
        share: float = ...,
        lasts_us: float = ...,
    ) -> None: ...

class InterpolatedLatency(LatencyModel):
    count: int
    feed_ns: int
    def __init__(self, rows: Iterable[Sequence[int]], *, feed_us: float = ...) -> None: ...
    @property
    def table(self) -> list[tuple[int, int, int]]: ...

class PythonLatency(LatencyModel):
    model: Any
    def __init__(self, model: _Delays) -> None: ...
