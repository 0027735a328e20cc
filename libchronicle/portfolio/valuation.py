"""What a quantity at a price is worth, for spot, linear and inverse contracts.

`signed_value(price, qty)` is money that grows with the price for a long quantity, so one ledger serves all
three kinds:

    spot, linear    qty × contract_size × price       in the quote (settle) currency
    inverse         -qty × contract_size / price      in the base (settle) currency: a long gains coin as
    the price rises

Money is an int64 mantissa at MONEY_EXPONENT for every instrument: eight decimals, up to ±92 billion. It is
rounded half-even once, when a fill is valued; from there on sums are exact. The arithmetic is native (money.h).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import gcd

from libchronicle.errors import FixedPointOverflow
from libchronicle.portfolio.fixed import INT64_MAX, MONEY_EXPONENT, rescale
from libchronicle.portfolio.position import Terms
from libchronicle.protocol import ContractKind, Instrument

__all__ = ["MONEY_EXPONENT", "InstrumentTerms"]


@dataclass(frozen=True, slots=True)
class InstrumentTerms:
    """The frozen terms of one instrument that money and risk depend on. Mantissas; 0 = the venue states
    none."""

    instrument_id: int
    tick_size: int
    lot_size: int
    price_exponent: int
    qty_exponent: int
    kind: int = int(ContractKind.SPOT)
    contract_size: int = 0  # mantissa at qty_exponent; 0 = one
    min_qty: int = 0
    max_qty: int = 0
    min_notional: int = 0  # mantissa at price_exponent + qty_exponent
    trading: bool = True
    name: str = ""
    settle_currency: str = ""
    quote_currency: str = ""
    base_currency: str = ""  # none: spot inventory is kept under the instrument's name
    native: Terms = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        times, over = self._factors()
        value_exponent = self.price_exponent + self.qty_exponent
        native = Terms(
            self.tick_size,
            self.lot_size,
            self.min_qty,
            self.max_qty,
            rescale(self.min_notional, value_exponent, MONEY_EXPONENT, "least notional"),
            times,
            over,
            inverse=self.inverse,
            spot=self.kind == ContractKind.SPOT,
            trading=self.trading,
        )
        object.__setattr__(self, "native", native)

    def _factors(self) -> tuple[int, int]:
        """(times, over): the value of a product is product × times ÷ over, at MONEY_EXPONENT."""
        one = 10**-self.qty_exponent if self.qty_exponent <= 0 else 0
        size, exponent = self.contract_size, self.qty_exponent
        if size in (0, one):
            size, exponent = 1, 0
        sign = -1 if self.inverse else 1
        shift = sign * self.price_exponent + self.qty_exponent + exponent - MONEY_EXPONENT
        times, over = size * 10 ** max(shift, 0), 10 ** max(-shift, 0)
        common = gcd(times, over)
        times, over = times // common, over // common
        if max(times, over) > INT64_MAX:
            raise FixedPointOverflow(what=f"contract size of {self.name or self.instrument_id}", bits=64)
        return times, over

    @classmethod
    def of(cls, message: Instrument) -> InstrumentTerms:
        """The terms that a feed's definition record states."""
        return cls(
            instrument_id=message.instrument_id,
            tick_size=message.tick_size,
            lot_size=message.lot_size,
            price_exponent=message.price_exponent,
            qty_exponent=message.qty_exponent,
            kind=int(message.contract_kind),
            contract_size=message.contract_size,
            min_qty=message.min_qty,
            max_qty=message.max_qty,
            min_notional=message.min_notional,
            trading=bool(message.trading),
            name=f"{message.venue}:{message.symbol}",
            settle_currency=message.settle_currency or message.quote_currency,
            quote_currency=message.quote_currency,
            base_currency=message.base_currency,
        )

    @property
    def inverse(self) -> bool:
        return self.kind == ContractKind.INVERSE

    def signed_value(self, price: int, qty: int) -> int:
        """Money at MONEY_EXPONENT, with the sign of `qty` (inverse: against it). Raises
        FixedPointOverflow."""
        return self.native.signed_value(price, qty)

    def notional(self, price: int, qty: int) -> int:
        """The size of a trade in money, never negative. Raises FixedPointOverflow."""
        return abs(self.signed_value(price, qty))

    def price_of(self, cost: int, qty: int) -> int:
        """The price at which `qty` is worth `cost`: the average entry price of a position. 0 when flat."""
        return self.native.price_of(cost, qty)
