"""The router's books, shown to whoever looks: `chronicle market`, notebooks, other programs. What changed, at every beat."""

from __future__ import annotations

from libchronicle.book import L2Book
from libchronicle.bus.market_board import MarketBoardWriter
from libchronicle.protocol import Instrument
from services.router.market import MarketData

__all__ = ["Board"]

_Shown = tuple[bool, int, int]


class Board:
    def __init__(self, writer: MarketBoardWriter) -> None:
        self._writer = writer
        self._shown: dict[int, _Shown] = {}

    def show(self, markets: MarketData, definitions: dict[int, Instrument]) -> None:
        """What is no market now (feed lost, book wrong) is said to be none, with the prices that were known last."""
        for feed in markets.feeds.values():
            for instrument_id, book in feed.reader.books.items():
                if markets.is_from(instrument_id, feed.rank):
                    self._show(instrument_id, book, feed.is_alive and book.valid, definitions)

    def _show(
        self, instrument_id: int, book: L2Book, valid: bool, definitions: dict[int, Instrument]
    ) -> None:
        state = valid, book.recv_ts, book.last_update_id
        if self._shown.get(instrument_id) == state or instrument_id not in definitions:
            return
        one = definitions[instrument_id]
        name = f"{one.venue}:{one.symbol}"
        if self._writer.claim(instrument_id, name, one.price_exponent, one.qty_exponent):
            self._writer.put(
                instrument_id, valid, book.recv_ts, book.last_update_id, book.best_bid, book.best_ask
            )
        self._shown[instrument_id] = state

    def close(self) -> None:
        self._writer.close()
