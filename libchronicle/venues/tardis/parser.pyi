"""Rows of a Tardis CSV file: first surveyed, then turned into records."""

from libchronicle.protocol import Instrument
from libchronicle.venues.batch import RecordBatch
from libchronicle.venues.definition import Figures
from libchronicle.venues.lines import LineParser
from libchronicle.venues.tardis.layout import Layout

class _Rows(LineParser):
    """The file behind its header line. Rejected are another symbol or exchange, a local_timestamp before that of the row
    above, stamps that are not µs, cells that are missing or cannot be read."""

    exchange: str
    symbol: str

class TardisSurvey(_Rows):
    """What must be known of a file before its first record: whose it is, which exponents its numbers need, whether it is
    sound."""

    first_ns: int
    last_ns: int
    price: Figures
    qty: Figures
    def __init__(self, layout: Layout, file: str = ...) -> None: ...

class TardisParser(_Rows):
    """Rows to records of `instrument`, timed by local_timestamp.

    incremental_book_L2: rows of one message (equal times) are one BookDelta; a run of snapshot rows is one BookSnapshot, and,
    where it is not the first of the file, follows a Gap: the vendor's recorder had to connect again. book_snapshot: a
    BookSnapshot each row.
    Update ids and `raw_seq` are lines of the file. A trade id that is no number becomes the first 8 bytes of its BLAKE2b hash.
    """

    gaps: int
    def __init__(
        self, layout: Layout, instrument: Instrument, batch: RecordBatch, file: str = ...
    ) -> None: ...
