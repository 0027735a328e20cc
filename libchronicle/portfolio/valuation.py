"""What a quantity at a price is worth, for spot, linear and inverse contracts.

`signed_value(price, qty)` is money that grows with the price for a long quantity, so one ledger serves all
three kinds:

    spot, linear    qty × contract_size × price       in the quote (settle) currency
    inverse         -qty × contract_size / price      in the base (settle) currency: a long gains coin as
    the price rises

Money is an int64 mantissa at MONEY_EXPONENT for every instrument: eight decimals, up to ±92 billion. It is
rounded half-even once, when a fill is valued; from there on sums are exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libchronicle.portfolio.fixed import checked_i64, checked_product, half_even_div
from libchronicle.protocol import ContractKind, Instrument

__all__ = ["MONEY_EXPONENT", "InstrumentTerms"]

MONEY_EXPONENT = -8


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
    # The value of a product is product × _times ÷ _over, at MONEY_EXPONENT.
    _times: int = field(init=False, default=1)
    _over: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        one = 10**-self.qty_exponent if self.qty_exponent <= 0 else 0
        size, exponent = self.contract_size, self.qty_exponent
        if size in (0, one):
            size, exponent = 1, 0
        sign = -1 if self.inverse else 1
        shift = sign * self.price_exponent + self.qty_exponent + exponent - MONEY_EXPONENT
        object.__setattr__(self, "_times", size * 10 ** max(shift, 0))
        object.__setattr__(self, "_over", 10 ** max(-shift, 0))

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
        )

    @property
    def inverse(self) -> bool:
        return self.kind == ContractKind.INVERSE

    def signed_value(self, price: int, qty: int) -> int:
        """Money at MONEY_EXPONENT, with the sign of `qty` (inverse: against it). Raises
        FixedPointOverflow."""
        if self.inverse:
            product = checked_product(-qty, self._times, "value")
            return checked_i64(half_even_div(product, price * self._over), "value")
        product = checked_product(checked_product(price, qty, "value"), self._times, "value")
        return checked_i64(half_even_div(product, self._over), "value")

    def notional(self, price: int, qty: int) -> int:
        """The size of a trade in money, never negative. Raises FixedPointOverflow."""
        return abs(self.signed_value(price, qty))

    def price_of(self, cost: int, qty: int) -> int:
        """The price at which `qty` is worth `cost`: the average entry price of a position. 0 when flat."""
        if qty == 0 or cost == 0:
            return 0
        if self.inverse:
            numerator, denominator = -qty * self._times, cost * self._over
        else:
            numerator, denominator = cost * self._over, qty * self._times
        if denominator < 0:
            numerator, denominator = -numerator, -denominator
        return checked_i64(half_even_div(numerator, denominator), "average price")
