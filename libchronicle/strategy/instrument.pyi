from decimal import Decimal

from libchronicle.protocol.enums import Side, StpMode, TimeInForce
from libchronicle.strategy.bookview import Book
from libchronicle.strategy.order import Order
from libchronicle.strategy.tracker import Position

Amount = int | str | Decimal

class Instrument:
    name: str
    venue: str
    symbol: str
    id: int
    def __init__(self, name: str) -> None: ...
    @property
    def is_defined(self) -> bool: ...
    @property
    def tick_size(self) -> int: ...
    @property
    def lot_size(self) -> int: ...
    @property
    def min_qty(self) -> int: ...
    @property
    def max_qty(self) -> int: ...
    @property
    def min_notional(self) -> int: ...
    @property
    def price_exponent(self) -> int: ...
    @property
    def qty_exponent(self) -> int: ...
    @property
    def is_trading(self) -> bool: ...
    @property
    def quote_currency(self) -> str: ...
    @property
    def base_currency(self) -> str: ...
    @property
    def is_synced(self) -> bool: ...
    @property
    def book(self) -> Book: ...
    @property
    def position(self) -> Position: ...
    def price(self, value: Amount) -> int: ...
    def qty(self, value: Amount) -> int: ...
    def format_price(self, mantissa: int) -> str: ...
    def format_qty(self, mantissa: int) -> str: ...
    def round_price(self, mantissa: int, side: Side) -> int: ...
    def round_qty(self, mantissa: int) -> int: ...
    def limit(
        self,
        side: Side,
        price: Amount,
        qty: Amount,
        *,
        tif: TimeInForce = ...,
        post_only: bool = ...,
        reduce_only: bool = ...,
        expire_ns: int = ...,
        valid_for_ms: int = ...,
        stp: StpMode = ...,
        tag: str = ...,
    ) -> Order: ...
    def market(
        self,
        side: Side,
        qty: Amount,
        *,
        tif: TimeInForce = ...,
        reduce_only: bool = ...,
        valid_for_ms: int = ...,
        stp: StpMode = ...,
        tag: str = ...,
    ) -> Order: ...
    def stop_market(
        self,
        side: Side,
        stop_price: Amount,
        qty: Amount,
        *,
        reduce_only: bool = ...,
        valid_for_ms: int = ...,
        stp: StpMode = ...,
        tag: str = ...,
    ) -> Order: ...
    def stop_limit(
        self,
        side: Side,
        stop_price: Amount,
        price: Amount,
        qty: Amount,
        *,
        tif: TimeInForce = ...,
        reduce_only: bool = ...,
        expire_ns: int = ...,
        valid_for_ms: int = ...,
        stp: StpMode = ...,
        tag: str = ...,
    ) -> Order: ...
    def buy(self, qty: Amount, price: Amount | None = ...) -> Order: ...
    def sell(self, qty: Amount, price: Amount | None = ...) -> Order: ...
    def ioc(self, side: Side, price: Amount, qty: Amount) -> Order: ...
    def fok(self, side: Side, price: Amount, qty: Amount) -> Order: ...
    def post_only(self, side: Side, price: Amount, qty: Amount) -> Order: ...
    def gtd(self, side: Side, price: Amount, qty: Amount, expire_ns: int) -> Order: ...
