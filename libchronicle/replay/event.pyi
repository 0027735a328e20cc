from libchronicle.book import L2Book, L3Book
from libchronicle.protocol import SbeMessage

__all__ = ["ReplayEvent"]

class ReplayEvent:
    """One record as it passes. Only good until the next one: keep what you need of it, not the event.

    `source`: place of its source among those of the replay. `instrument_id` 0: of the whole feed, or of no instrument.
    `book`: the instrument's after this record; None where it has none.
    """

    source: int
    instrument_id: int
    book: L2Book | L3Book | None
    @property
    def ts_ns(self) -> int: ...
    @property
    def seq(self) -> int: ...
    @property
    def type_id(self) -> int: ...
    @property
    def payload(self) -> bytes: ...
    def message(self) -> SbeMessage:
        """The record as a message of the protocol. Raises DecodeError."""
