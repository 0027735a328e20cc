from decimal import Decimal

from libchronicle.portfolio import OrderState
from libchronicle.protocol import OpenOrder
from libchronicle.protocol.enums import OrderFlags, OrderType, Side, StpMode, TimeInForce
from libchronicle.strategy.instrument import Instrument

class Position:
    instrument: Instrument
    qty: int
    avg_price: int
    realized_pnl: int
    fees: int
    pnl_exponent: int
    last_exec_id: int
    def __init__(self, instrument: Instrument) -> None: ...
    @property
    def is_flat(self) -> bool: ...

class Balance:
    currency: str
    total: int
    available: int
    exponent: int
    ts_ns: int
    def __init__(self, currency: str) -> None: ...
    @property
    def amount(self) -> Decimal: ...
    @property
    def free(self) -> Decimal: ...

class WorkingOrder:
    id: int
    instrument: Instrument
    price: int
    qty: int
    cum_qty: int
    sent_ns: int
    @property
    def side(self) -> Side: ...
    @property
    def state(self) -> OrderState: ...
    @property
    def leaves_qty(self) -> int: ...
    @property
    def type(self) -> OrderType: ...
    @property
    def tif(self) -> TimeInForce: ...
    @property
    def stp(self) -> StpMode: ...
    @property
    def flags(self) -> OrderFlags: ...
    @property
    def stop_price(self) -> int: ...
    @property
    def expire_ns(self) -> int: ...
    @property
    def cause_ts(self) -> int: ...
    @property
    def account(self) -> str: ...
    @property
    def tag(self) -> str: ...
    @property
    def is_open(self) -> bool: ...
    @property
    def is_pending(self) -> bool:
        """It was sent and not answered yet."""
    @property
    def is_cancelling(self) -> bool: ...

class Tracker:
    orders: dict[int, WorkingOrder]
    balances: dict[str, Balance]
    queue_id: int
    last_exec_id: int
    duplicates: int
    strangers: int
    def __init__(self, queue_id: int = ...) -> None: ...
    def adopt(self, instrument: Instrument, message: OpenOrder) -> None: ...
    def stand_at(self, exec_id: int) -> None: ...
