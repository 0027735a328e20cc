from libchronicle.book import L2Book
from libchronicle.etl.shelf import Shelf
from libchronicle.etl.stream import Stream
from libchronicle.protocol import Instrument

STREAM_KINDS: tuple[str, ...]

class Target:
    name: str
    instrument_id: int
    book: L2Book
    streams: list[Stream]
    def __init__(self, definition: Instrument, shelf: Shelf) -> None: ...
    def resume(self, shelf: Shelf) -> bool: ...
    def define(self, payload: bytes, definition: Instrument) -> None: ...
    def close(self) -> None: ...
