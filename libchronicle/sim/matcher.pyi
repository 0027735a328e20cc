from enum import IntEnum
from typing import NamedTuple

from libchronicle.book import L2Book
from libchronicle.protocol import ExecType, Liquidity, RejectCode, Side
from libchronicle.sim.queues import FillChances, QueueModel

__all__ = ["AHEAD_UNKNOWN", "FillRule", "MatchEvent", "Matcher", "StopTrigger", "Working"]

AHEAD_UNKNOWN: int

class FillRule(IntEnum):
    NONE = 0
    TAKE = 1
    STOP = 2
    QUEUE = 3
    THROUGH = 4
    REACHED = 5

class StopTrigger(IntEnum):
    TRADE = 0
    BOOK = 1

class MatchEvent(NamedTuple):
    kind: ExecType
    key: int
    owner: int
    slot: int
    price: int
    qty: int
    cum: int
    leaves: int
    last_price: int
    last_qty: int
    liquidity: Liquidity
    code: RejectCode
    rule: FillRule
    ahead: int
    level_price: int
    level_qty: int
    trade_id: int
    cause_seq: int
    request: int

class Working(NamedTuple):
    key: int
    owner: int
    slot: int
    side: Side
    price: int
    qty: int
    cum: int
    ahead: int
    venue_order_id: int
    type: int
    waiting: bool

class Matcher:
    books: list[L2Book]
    def __init__(self, *, seed: int = ...) -> None: ...
    def add(
        self,
        instrument_id: int,
        book: L2Book,
        *,
        tick: int = ...,
        lot: int = ...,
        qty_exponent: int = ...,
        queue: QueueModel | None = ...,
        chances: FillChances | None = ...,
        trigger: int = ...,
    ) -> int: ...
    def new(
        self,
        slot: int,
        key: int,
        side: int,
        qty: int,
        price: int = ...,
        *,
        owner: int = ...,
        type: int = ...,
        time_in_force: int = ...,
        post_only: bool = ...,
        reduce_only: bool = ...,
        stop_price: int = ...,
        expire_ns: int = ...,
        stp: int = ...,
        request: int = ...,
        now: int = ...,
    ) -> list[MatchEvent]: ...
    def cancel(
        self, key: int, *, owner: int = ..., request: int = ..., now: int = ...
    ) -> list[MatchEvent]: ...
    def cancel_all(
        self,
        *,
        owner: int | None = ...,
        slot: int | None = ...,
        request: int = ...,
        code: int = ...,
        now: int = ...,
    ) -> list[MatchEvent]: ...
    def replace(
        self, key: int, price: int, qty: int, *, owner: int = ..., request: int = ..., now: int = ...
    ) -> list[MatchEvent]: ...
    def trade(
        self, slot: int, price: int, qty: int, aggressor: int = ..., *, seq: int = ..., now: int = ...
    ) -> list[MatchEvent]: ...
    def book(self, slot: int, *, seq: int = ..., now: int = ...) -> list[MatchEvent]: ...
    def record(
        self, slot: int, type_id: int, payload: bytes, *, seq: int = ..., now: int = ...
    ) -> list[MatchEvent]: ...
    def reset(self, slot: int) -> None: ...
    def expire(self, now: int) -> list[MatchEvent]: ...
    def next_expiry_ns(self) -> int: ...
    def position(self, slot: int, owner: int = ...) -> int: ...
    def set_position(self, slot: int, qty: int, *, owner: int = ...) -> None: ...
    def working(self) -> list[Working]: ...
    def sizes(self) -> dict[str, int]: ...
    def reach(self, slot: int) -> tuple[int | None, int | None]: ...
