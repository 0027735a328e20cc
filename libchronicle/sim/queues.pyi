from libchronicle.protocol import Side

__all__ = [
    "FifoQueue",
    "FillChances",
    "LogProbQueue",
    "ProbQueue",
    "QueueModel",
    "QueuedOrder",
    "RiskAverseQueue",
    "UserQueue",
]

class QueueModel:
    power: float
    @property
    def needs_orders(self) -> bool: ...

class RiskAverseQueue(QueueModel):
    def __init__(self, *, capped: bool = ...) -> None: ...

class ProbQueue(QueueModel):
    def __init__(self, power: float = ..., *, variant: int = ...) -> None: ...

class LogProbQueue(QueueModel):
    def __init__(self, *, variant: int = ...) -> None: ...

class FifoQueue(QueueModel):
    def __init__(self) -> None: ...

class QueuedOrder:
    @property
    def id(self) -> int: ...
    @property
    def side(self) -> Side: ...
    @property
    def price(self) -> int: ...
    @property
    def leaves(self) -> int: ...
    @property
    def ahead(self) -> int: ...

class UserQueue(QueueModel):
    def on_new(self, order: QueuedOrder, displayed: int) -> int: ...
    def on_trade(self, order: QueuedOrder, qty: int, displayed: int) -> int: ...
    def on_depth(self, order: QueuedOrder, before: int, now: int) -> int: ...

class FillChances:
    touch: float
    through_only: float
    slippage: float
    slippage_ticks: int
    def __init__(
        self,
        *,
        touch: float = ...,
        through_only: float = ...,
        slippage: float = ...,
        slippage_ticks: int = ...,
    ) -> None: ...
