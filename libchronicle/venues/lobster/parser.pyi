"""Lines of a LOBSTER message file to order-level records."""

from libchronicle.venues.batch import RecordBatch
from libchronicle.venues.lines import LineParser

EMPTY: int  # price of a level that is not there

class LobsterParser(LineParser):
    """Message file in, records out, in its order. Feed chunks of bytes cut anywhere.

    `midnight_ns`: UTC nanoseconds of the file's day at 00:00 of its market. Prices are mantissas
    at exponent -4, quantities shares. Rejected is a line that is no message, or older than the one before.
    `venue_seq` and `raw_seq` of a record are the row of the message, from 1; what `seed` wrote has 0.
    """

    def __init__(self, instrument_id: int, midnight_ns: int, batch: RecordBatch, file: str = ...) -> None: ...
    def seed(self, message: bytes, book: bytes) -> int:
        """The book before the first message, from that message and the first row of the order book file: one order for
        each level, flagged injected, first and last. How many. Raises ImportRejected."""

    @property
    def unknown(self) -> int:
        """Cancellations and executions of orders that entered before the file began, at a level
        the seed does not hold: left out."""

    @property
    def kinds(self) -> dict[str, int]:
        """Messages by kind."""

    @property
    def last_ns(self) -> int: ...

def book_levels(
    line: bytes, file: str = ..., row: int = ...
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(bids, asks) of one row of an order book file, best first, as (price, shares). Raises ImportRejected."""
