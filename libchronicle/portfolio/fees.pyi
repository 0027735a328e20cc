from collections.abc import Sequence
from decimal import Decimal

RATE_EXPONENT: int

def rate_of_bps(bps: float, what: str = "fee") -> int: ...

class FeeSchedule:
    def __init__(
        self,
        maker_rate: int = 0,
        taker_rate: int = 0,
        *,
        per_order: int = 0,
        per_trade: int = 0,
        per_contract: int = 0,
        tiers: Sequence[tuple[int, int, int]] = (),
        volume: int = 0,
    ) -> None: ...
    @classmethod
    def from_bps(cls, maker: float, taker: float) -> FeeSchedule: ...
    @property
    def maker_rate(self) -> int: ...
    @property
    def taker_rate(self) -> int: ...
    def fee(self, value: int, *, is_maker: bool) -> int: ...

class MakerTaker(FeeSchedule):
    def __init__(self, maker_bps: float = 0.0, taker_bps: float = 0.0) -> None: ...

class TieredFees(FeeSchedule):
    def __init__(
        self, tiers: Sequence[tuple[str | int | Decimal, float, float]], *, volume: str | int | Decimal = 0
    ) -> None: ...

class FlatFees(FeeSchedule):
    def __init__(
        self,
        per_order: str | int | Decimal = 0,
        per_trade: str | int | Decimal = 0,
        per_contract: str | int | Decimal = 0,
        *,
        maker_bps: float = 0.0,
        taker_bps: float = 0.0,
    ) -> None: ...
