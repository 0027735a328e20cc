"""ITCH 5.0 messages to order-level records."""

from collections.abc import Collection

from typing_extensions import Buffer

from libchronicle.protocol import Instrument
from libchronicle.venues.batch import RecordBatch

class ItchParser:
    """Messages in, records out, in the venue's order, of all stocks or of those named.

    `midnight_ns`: UTC nanoseconds of the day at 00:00 in New York. Instruments are `<venue>:<stock>`, prices
    mantissas at exponent -4, quantities shares.
    `venue_seq` and `raw_seq` are the number of the message: its sequence number in a packet, its place (from 1) in a file.

    A trade is written for every execution the venue prints; its aggressor is the other side than the order's, NONE for
    crosses and hidden orders, of which the venue tells no side.
    """

    instruments: dict[int, Instrument]
    """Stocks seen, by id; new ones are added as messages name them."""

    def __init__(
        self,
        midnight_ns: int,
        batch: RecordBatch,
        *,
        venue: str = "nasdaq",
        symbols: Collection[str] | None = None,
        file: str = ...,
    ) -> None: ...
    def feed(self, data: Buffer) -> None:
        """A chunk of the daily file: each message with its length (two bytes) before it, cut anywhere.

        A length of 0 before a known type is taken to be that type's; Nasdaq ends a file with a bare 0. Raises ImportRejected.
        """

    def finish(self) -> None:
        """There is no more. Raises ImportRejected when the last message is cut off."""

    def packet(self, payload: Buffer, ts_ns: int) -> None:
        """The payload of one UDP packet (MoldUDP64), received at `ts_ns`. Raises ImportRejected."""

    def message(self, data: Buffer, seq: int, ts_ns: int = 0) -> None:
        """One message. `ts_ns` 0 = nobody noted when it was received: the venue's time stands for it. Raises ImportRejected."""

    @property
    def kinds(self) -> dict[str, int]:
        """Messages by type letter, those of stocks that were not asked for too."""

    @property
    def total(self) -> int: ...
    @property
    def unknown_stock(self) -> int:
        """Messages of stocks that nothing before named: left out."""

    @property
    def unknown_order(self) -> int:
        """Executions of orders that nothing before added: their trades are left out."""

    @property
    def gaps(self) -> int:
        """Places where packets are missing; each stock gets a Gap record there."""

    @property
    def missing(self) -> int:
        """Messages missing there."""

    @property
    def doubled(self) -> int:
        """Messages that came again, left out."""

    @property
    def unordered(self) -> int:
        """Packets captured out of time's order: they have the time of the one before."""
