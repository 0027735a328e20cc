"""A definition for an instrument of which only recorded prices and quantities are known.

Exponents are frozen for ever, so they are those of eight decimals wherever that fits an int64, not of what one file happens to
use; tick and lot are the largest steps that all recorded values are multiples of, until somebody says better.
"""

from __future__ import annotations

from typing import NamedTuple

from libchronicle.errors import FixedPointOverflow
from libchronicle.protocol import BookMode, ContractKind, Instrument, instrument_id, parse_decimal

__all__ = ["Figures", "recorded_instrument"]

PRECISION = 8
UNIT = 100_000_000  # of the grid: 10**PRECISION
DIGITS = 18  # an int64 holds all numbers of so many
HEADROOM = 2  # digits: a level may hold a hundred times the largest quantity seen


class Figures(NamedTuple):
    """What a column of decimals needs: digits before the point, decimals after it, and the step of all values in units
    of 1e-8 (0 = not known)."""

    digits: int
    decimals: int
    grid: int = 0

    def exponent(self, what: str) -> int:
        """Raises FixedPointOverflow."""
        places = PRECISION
        while places > self.decimals and self.digits + HEADROOM + places > DIGITS:
            places -= 1
        places = max(places, self.decimals)
        if self.digits + places > DIGITS:
            raise FixedPointOverflow(what=what, bits=64)
        return -places

    def step(self, exponent: int) -> int:
        """The grid as a mantissa at `exponent`."""
        if self.grid:
            scaled = self.grid * _ten(-exponent)
            if scaled % UNIT == 0:
                return scaled // UNIT
        return _ten(-exponent - min(self.decimals, -exponent))


def _ten(places: int) -> int:
    return int(10**places)


def recorded_instrument(
    venue: str,
    symbol: str,
    price: Figures,
    qty: Figures,
    *,
    known: Instrument | None = None,
    tick: str | None = None,
    lot: str | None = None,
    contract: ContractKind = ContractKind.SPOT,
    mode: BookMode = BookMode.L2,
) -> Instrument:
    """`known`: what the archive has of it already; it stays as it is. Raises FixedPointOverflow, DecimalError, InvalidName."""
    if known is not None:
        return known
    name = f"{venue}:{symbol}"
    price_exponent = price.exponent(f"{name}: a price")
    qty_exponent = qty.exponent(f"{name}: a quantity")
    return Instrument(
        instrument_id=instrument_id(name),
        tick_size=parse_decimal(tick, price_exponent) if tick else price.step(price_exponent),
        lot_size=parse_decimal(lot, qty_exponent) if lot else qty.step(qty_exponent),
        contract_size=_ten(-qty_exponent),
        price_exponent=price_exponent,
        qty_exponent=qty_exponent,
        contract_kind=contract,
        book_mode=mode,
        trading=1,
        venue=venue,
        symbol=symbol,
    )
