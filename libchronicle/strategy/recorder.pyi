from libchronicle.protocol import SbeMessage
from libchronicle.queue import Publisher

class Recorder:
    def append(self, message: SbeMessage) -> None: ...
    def flush_now(self) -> None: ...

class MemoryRecorder(Recorder):
    records: list[tuple[int, bytes]]

class QueueRecorder(Recorder):
    publisher: Publisher
    def __init__(self, publisher: Publisher) -> None: ...
    def release(self) -> None: ...
