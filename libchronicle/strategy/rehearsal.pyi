from collections.abc import Iterable

from libchronicle.strategy.bookview import Book
from libchronicle.strategy.sink import QueueSink

NAME: str

class Rehearsal:
    def __init__(self, sink: QueueSink, books: Iterable[Book]) -> None: ...
