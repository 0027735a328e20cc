"""The top of one instrument's book at one moment."""

from __future__ import annotations

from decimal import Decimal

import msgspec

__all__ = ["MarketSnapshot"]


class MarketSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """`bid` and `ask` are (price, quantity) mantissas, None where nobody is there; `recv_ts` is when the last record that
    changed it was received, ns since the Unix epoch. `valid` False: the feed is lost or its book is being built anew, and
    the prices are what was known last."""

    name: str  # venue:SYMBOL
    instrument_id: int
    price_exponent: int
    qty_exponent: int
    valid: bool
    recv_ts: int
    update_id: int
    bid: tuple[int, int] | None
    ask: tuple[int, int] | None

    def price(self, side: tuple[int, int] | None) -> Decimal | None:
        """Of `bid` or `ask`, in the quote currency."""
        return None if side is None else Decimal(side[0]).scaleb(self.price_exponent)

    def qty(self, side: tuple[int, int] | None) -> Decimal | None:
        """Of `bid` or `ask`, in units of the instrument."""
        return None if side is None else Decimal(side[1]).scaleb(self.qty_exponent)

    @property
    def spread_bps(self) -> float | None:
        """(ask − bid) / mid in 1/10,000; None without both."""
        if self.bid is None or self.ask is None or self.bid[0] + self.ask[0] <= 0:
            return None
        return 20_000 * (self.ask[0] - self.bid[0]) / (self.ask[0] + self.bid[0])
