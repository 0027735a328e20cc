from decimal import Decimal
from enum import IntEnum

class Exit(IntEnum):
    NONE = 0
    STOP_LOSS = 1
    TAKE_PROFIT = 2

class Exits:
    def __init__(
        self,
        *,
        stop_loss_bps: int | None = None,
        take_profit_bps: int | None = None,
        stop_loss_atr: str | float | Decimal | None = None,
        take_profit_atr: str | float | Decimal | None = None,
        atr_bars: int = 14,
        atr_bar_s: float = 60.0,
        again_ms: int = 1000,
    ) -> None: ...
    @property
    def is_set(self) -> bool: ...
    @property
    def atr(self) -> float: ...
    def on_prices(self, best_bid: int, best_ask: int, qty: int, entry: int, now_ns: int) -> Exit: ...
