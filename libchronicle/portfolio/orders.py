"""An order and its life, as a table.

    state       ACK    REJECT    PARTIAL_FILL  FILL    CANCELLED  EXPIRED  REPLACED  CANCEL_REJECT, REPLACE_REJECT
    PENDING     OPEN   REJECTED  -             -       -          -        -         -
    OPEN        -      -         PARTIAL       FILLED  CANCELLED  EXPIRED  OPEN      OPEN
    PARTIAL     -      -         PARTIAL       FILLED  CANCELLED  EXPIRED  PARTIAL   PARTIAL
    ended       -      -         -             -       -          -        -         as it was

What the table does not name is a bug of whoever reported it and raises InvalidTransition. Beside the
table: cum ≤ qty always, and FILL means cum == qty. Every accepted order gets exactly one terminal report,
every other one exactly one REJECT.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

from libchronicle.errors import InvalidTransition
from libchronicle.protocol import ExecType, OrderType, Side, StpMode, TimeInForce

__all__ = ["AHEAD_UNKNOWN", "TERMINAL", "TRANSITIONS", "Order", "OrderKey", "OrderState", "next_state"]


class OrderState(IntEnum):
    """Where an order stands in its life."""

    PENDING = 0
    OPEN = 1
    PARTIAL = 2
    FILLED = 3
    CANCELLED = 4
    EXPIRED = 5
    REJECTED = 6


AHEAD_UNKNOWN = -1
"""Of `Order.ahead`: no trade at the order's price uses it up; one through it still fills."""

TERMINAL = frozenset({OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED})

_LATE = {
    (state, kind): state for state in TERMINAL for kind in (ExecType.CANCEL_REJECT, ExecType.REPLACE_REJECT)
}

TRANSITIONS: Mapping[tuple[OrderState, ExecType], OrderState] = MappingProxyType(
    {
        (OrderState.PENDING, ExecType.ACK): OrderState.OPEN,
        (OrderState.PENDING, ExecType.REJECT): OrderState.REJECTED,
        (OrderState.OPEN, ExecType.PARTIAL_FILL): OrderState.PARTIAL,
        (OrderState.OPEN, ExecType.FILL): OrderState.FILLED,
        (OrderState.OPEN, ExecType.CANCELLED): OrderState.CANCELLED,
        (OrderState.OPEN, ExecType.EXPIRED): OrderState.EXPIRED,
        (OrderState.OPEN, ExecType.REPLACED): OrderState.OPEN,
        (OrderState.OPEN, ExecType.CANCEL_REJECT): OrderState.OPEN,
        (OrderState.OPEN, ExecType.REPLACE_REJECT): OrderState.OPEN,
        (OrderState.PARTIAL, ExecType.PARTIAL_FILL): OrderState.PARTIAL,
        (OrderState.PARTIAL, ExecType.FILL): OrderState.FILLED,
        (OrderState.PARTIAL, ExecType.CANCELLED): OrderState.CANCELLED,
        (OrderState.PARTIAL, ExecType.EXPIRED): OrderState.EXPIRED,
        (OrderState.PARTIAL, ExecType.REPLACED): OrderState.PARTIAL,
        (OrderState.PARTIAL, ExecType.CANCEL_REJECT): OrderState.PARTIAL,
        (OrderState.PARTIAL, ExecType.REPLACE_REJECT): OrderState.PARTIAL,
    }
    | _LATE
)


class OrderKey(NamedTuple):
    """An order's name: its record in orders_out. Never reused, not even after power loss."""

    queue_id: int
    epoch: int
    seq: int


@dataclass(slots=True, eq=False, repr=False)
class Order:
    """One order as its gateway sees it. Mantissas at the instrument's exponents."""

    key: OrderKey
    owner: str
    instrument_id: int
    side: int
    qty: int
    price: int = 0
    order_type: int = OrderType.LIMIT
    time_in_force: int = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    expire_ns: int = 0
    order_ts: int = 0
    cause_ts: int = 0
    account: str = ""
    cum: int = 0
    ahead: int = 0  # displayed quantity that must trade before this order, as estimated; AHEAD_UNKNOWN
    venue_order_id: int = 0
    state: OrderState = OrderState.PENDING
    stop_price: int = 0  # of stops: they wait until the market has come to it
    stp_mode: int = StpMode.NONE
    held: int = 0  # quantity for which its owner's account holds money or margin back
    held_price: int = 0

    @property
    def leaves(self) -> int:
        """What may still fill; nothing once the order has ended."""
        return 0 if self.state in TERMINAL else self.qty - self.cum

    @property
    def reserve_price(self) -> int:
        """What its leaves may cost each; 0 = nothing is held back for it, it does not stay."""
        return self.stop_price if self.order_type == OrderType.STOP_MARKET else self.price

    @property
    def is_buy(self) -> bool:
        return self.side == Side.BUY

    @property
    def sign(self) -> int:
        return 1 if self.side == Side.BUY else -1

    def advance(self, event: int) -> None:
        """Take the table's step for `event`. Raises InvalidTransition."""
        self.state = next_state(self.state, event)

    def __repr__(self) -> str:
        side = "buy" if self.is_buy else "sell"
        return f"<Order {self.owner} {self.key.seq} {side} {self.cum}/{self.qty} @ {self.price} {self.state.name}>"


def next_state(state: OrderState, event: int) -> OrderState:
    """The state after a report of kind `event`. Raises InvalidTransition."""
    try:
        return TRANSITIONS[state, event]  # type: ignore[index]  # an ExecType hashes as its int
    except KeyError:
        raise InvalidTransition(machine="order", state=state.name, event=ExecType(event).name) from None
