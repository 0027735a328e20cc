from libchronicle.portfolio.valuation import InstrumentTerms

class Terms:
    def __init__(
        self,
        tick: int,
        lot: int,
        min_qty: int,
        max_qty: int,
        min_value: int,
        times: int,
        over: int,
        *,
        inverse: bool,
        spot: bool,
        trading: bool,
    ) -> None: ...
    def signed_value(self, price: int, qty: int) -> int: ...
    def price_of(self, cost: int, qty: int) -> int: ...

class Position:
    terms: InstrumentTerms
    def __init__(
        self,
        terms: InstrumentTerms,
        qty: int = 0,
        cost: int = 0,
        cash: int = 0,
        realized: int = 0,
        fees: int = 0,
    ) -> None: ...
    @property
    def qty(self) -> int: ...
    @property
    def cost(self) -> int: ...
    @property
    def cash(self) -> int: ...
    @property
    def realized(self) -> int: ...
    @property
    def fees(self) -> int: ...
    @property
    def average_price(self) -> int: ...
    def apply(self, signed_qty: int, price: int, fee: int = 0) -> int: ...
    def unrealized(self, mark: int) -> int: ...
    def equity(self, mark: int) -> int: ...
    def restore(self, qty: int, cost: int, realized: int, fees: int) -> None: ...
