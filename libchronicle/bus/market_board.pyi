import os
from typing import Final

from libchronicle.bus.market_snapshot import MarketSnapshot

CELLS: Final[int]
"""Instruments that a board has room for, unless told otherwise."""

class MarketBoardWriter:
    """One process's side: a fresh file that takes the place of an older one by rename."""

    path: str
    def __init__(self, path: str | os.PathLike[str], cells: int = CELLS) -> None:
        """Raises NoSpace, HostError."""
    def claim(self, instrument_id: int, name: str, price_exponent: int, qty_exponent: int) -> bool:
        """A cell for an instrument, once; False when there is no room for it. Raises MisuseError for a name over 103 bytes."""
    def put(
        self,
        instrument_id: int,
        valid: bool,
        recv_ts: int,
        update_id: int,
        bid: tuple[int, int] | None,
        ask: tuple[int, int] | None,
    ) -> None:
        """The market of an instrument that has a cell: `recv_ts` ns since the Unix epoch, bid and ask (price, quantity)
        mantissas.

        Never waits. Raises KeyError for one without a cell, MisuseError when closed.
        """
    def close(self) -> None: ...

class MarketBoard:
    """Any other process's side. Looking costs the writer nothing, and never waits for it."""

    path: str
    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises NotReady (no router ran here), CorruptError, UnsupportedVersion, HostError."""
    @property
    def pid(self) -> int:
        """Who writes it, or wrote it: a router that was started again writes another file."""
    def get(self, name: str) -> MarketSnapshot | None:
        """The market of `venue:SYMBOL`, in one piece; None while nothing is known of it."""
    def snapshots(self) -> list[MarketSnapshot]:
        """Of all instruments, by name; each in one piece."""
