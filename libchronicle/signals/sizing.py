"""How much to trade on a signal: never above what is allowed, less after losses. Amounts are mantissas, as of orders.

wanted   base × strength × confidence (base alone with `proportional=False`), halved `halvings` times
bounds   max_qty, the room to max_position on the signal's side (to flat when selling with `short=False`), max_notional / price
result   the least of them, rounded down to the lot; 0 below min_qty, or where it is worth less than min_notional

halvings: one more after every `halve_after` losses in a row, at most `max_halvings`; a gain takes one back and ends the row.
"""

from __future__ import annotations

from typing import TypedDict

from libchronicle.errors import InvalidArgument
from libchronicle.signals.outcomes import Signal

__all__ = ["PositionSizer", "SizerState"]

_MOST = 2**63 - 1


class SizerState(TypedDict):
    losses: int
    halvings: int


class PositionSizer:
    """Limits of 0 are none but for `base_qty`, `max_position` and `lot`, which must be above 0. Raises InvalidArgument."""

    def __init__(
        self,
        base_qty: int,
        max_position: int,
        *,
        lot: int = 1,
        min_qty: int = 0,
        max_qty: int = 0,
        min_notional: int = 0,
        max_notional: int = 0,
        short: bool = True,
        proportional: bool = True,
        halve_after: int = 3,
        max_halvings: int = 3,
    ) -> None:
        self.base_qty = _amount("base_qty", base_qty, 1)
        self.max_position = _amount("max_position", max_position, 1)
        self.lot = _amount("lot", lot, 1)
        self.min_qty = _amount("min_qty", min_qty)
        self.max_qty = _amount("max_qty", max_qty)
        self.min_notional = _amount("min_notional", min_notional)
        self.short = short
        self.max_notional = _amount("max_notional", max_notional)
        self.proportional = proportional
        self.halve_after = _amount("halve_after", halve_after, 1)
        self.max_halvings = _amount("max_halvings", max_halvings)
        self.losses = 0
        self.halvings = 0

    def size(self, signal: Signal, position: int, price: int = 0) -> int:
        """Quantity to trade on the signal's side; 0 = not at all. `position` is signed. With `price`, worth is looked at:
        mantissas at the exponents of price and quantity together, as an instrument's min_notional."""
        wanted = (
            int(self.base_qty * signal.strength * signal.confidence) if self.proportional else self.base_qty
        )
        room = self.max_position if self.short or signal.direction > 0 else 0
        bounds = [min(wanted, self.base_qty) >> self.halvings, room - signal.direction * position]
        if self.max_qty:
            bounds.append(self.max_qty)
        if self.max_notional and price > 0:
            bounds.append(self.max_notional // price)
        qty = min(bounds)
        qty -= qty % self.lot
        too_small = qty < self.min_qty or (price > 0 and qty * price < self.min_notional)
        return 0 if qty <= 0 or too_small else qty

    def closed(self, pnl: int) -> None:
        """A position was closed, wholly or in part, with this result."""
        if pnl > 0:
            self.losses = 0
            self.halvings = max(0, self.halvings - 1)
        elif pnl < 0:
            self.losses += 1
            if self.losses % self.halve_after == 0:
                self.halvings = min(self.max_halvings, self.halvings + 1)

    def save(self) -> SizerState:
        """For a strategy's on_save."""
        return {"losses": self.losses, "halvings": self.halvings}

    def load(self, state: SizerState) -> None:
        """From a strategy's on_load. Raises InvalidArgument."""
        self.losses = _amount("losses", state.get("losses", 0))
        self.halvings = min(self.max_halvings, _amount("halvings", state.get("halvings", 0)))


def _amount(field: str, value: int, least: int = 0) -> int:
    if type(value) is not int or not least <= value <= _MOST:
        raise InvalidArgument(
            where="PositionSizer", field=field, value=value, allowed=f"a whole number from {least}"
        )
    return value
