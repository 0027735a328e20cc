from libchronicle.strategy.sink import QueueSink

STAGES: tuple[str, ...]

class Trace:
    used: int
    capacity: int
    def __init__(self, capacity: int, sink: QueueSink) -> None: ...
    def stamps(self) -> list[tuple[int, int, int, int, int]]: ...

class StopMonitor:
    used: int
    capacity: int
    watched_ns: int
    def __init__(self, capacity: int = ..., threshold_ns: int = ...) -> None: ...
    def stops(self) -> list[tuple[int, int]]: ...
