from collections.abc import Callable

from libchronicle.queue import Publisher

class OrderSink:
    queue_id: int
    epoch: int
    seq: int
    ts_ns: int

class QueueSink(OrderSink):
    def __init__(self, publisher: Publisher) -> None: ...
    def release(self) -> None: ...

class MemorySink(OrderSink):
    messages: list[tuple[int, bytes]]
    def __init__(
        self, clock: Callable[[], int], queue_id: int = ..., epoch: int = ..., first_seq: int = ...
    ) -> None: ...
