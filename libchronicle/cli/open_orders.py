"""Open orders of every strategy, as the router has told them: from orders_in, and what was asked for from orders_out.

The newest report of an order says whether it is open. When the router attaches a strategy it tells all that are open, so
the last two epochs of orders_in say it of every order: the last one may have been cut off before that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from libchronicle.bus.orders import request_of
from libchronicle.bus.paths import BusPaths
from libchronicle.cli.marks import Marks
from libchronicle.cli.newest import newest_first
from libchronicle.errors import ChronicleError, NotReadyError
from libchronicle.portfolio import OrderKey
from libchronicle.protocol import ExecutionReport, NewOrder, OpenOrder, OrderType, TimeInForce
from libchronicle.queue import Queue

__all__ = ["Listed", "OpenOrders", "read_open_orders"]


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One open order. `type` and `tif` are empty, and `stop` is None, where its request is not there any more; `price` is
    None where it has none. `id`: epoch and seq of its record in orders_out."""

    venue: str
    symbol: str
    strategy: str
    side: str
    type: str
    tif: str
    price: Decimal | None
    stop: Decimal | None
    qty: Decimal
    filled: Decimal
    leaves: Decimal
    sent_ns: int
    id: str


@dataclass
class OpenOrders:
    """`failures`: what could not be read of a strategy, by its name; the others are there."""

    orders: list[Listed] = field(default_factory=list)
    failures: dict[str, ChronicleError] = field(default_factory=dict)


Told = ExecutionReport | OpenOrder


def read_open_orders(paths: BusPaths) -> OpenOrders:
    """Of every strategy that ever had an endpoint, oldest first."""
    found: OpenOrders = OpenOrders()
    told: dict[str, list[Told]] = {}
    for strategy in paths.strategies():
        try:
            told[strategy] = sorted(_open(paths, strategy), key=lambda one: one.order_ts)
        except ChronicleError as error:
            found.failures[strategy] = error
    market = Marks(paths, {one.instrument_id for orders in told.values() for one in orders})
    for strategy, orders in told.items():
        try:
            found.orders += [_listed(paths, strategy, one, market) for one in orders]
        except ChronicleError as error:
            found.failures[strategy] = error
    return found


def _open(paths: BusPaths, strategy: str) -> Iterator[Told]:
    """The newest that was told of each order which is open."""
    seen: set[OrderKey] = set()
    epochs: set[int] = set()
    for record in newest_first(
        paths.orders_in(strategy), (ExecutionReport.TEMPLATE_ID, OpenOrder.TEMPLATE_ID)
    ):
        epochs.add(record.epoch)
        if len(epochs) > 2:
            return
        is_report = record.type_id == ExecutionReport.TEMPLATE_ID
        told = (ExecutionReport if is_report else OpenOrder).decode(record.payload)
        key = OrderKey(told.order_queue_id, told.order_epoch, told.order_seq)
        if key not in seen:
            seen.add(key)
            if _leaves(told):
                yield told


def _leaves(told: Told) -> int:
    """0 of an order that has ended."""
    return told.leaves_qty if isinstance(told, ExecutionReport) else told.qty - told.cum_qty


def _listed(paths: BusPaths, strategy: str, told: Told, market: Marks) -> Listed:
    venue, symbol = market.name(told.instrument_id)
    terms = market.terms[told.instrument_id]
    asked = told if isinstance(told, OpenOrder) else _request(paths, strategy, told)

    def price(mantissa: int) -> Decimal | None:
        return Decimal(mantissa).scaleb(terms.price_exponent) if mantissa else None

    def qty(mantissa: int) -> Decimal:
        return Decimal(mantissa).scaleb(terms.qty_exponent)

    is_stop = asked is not None and asked.order_type in (OrderType.STOP_MARKET, OrderType.STOP_LIMIT)
    return Listed(
        venue=venue,
        symbol=symbol,
        strategy=strategy,
        side=told.side.name,
        type=OrderType(asked.order_type).name if asked is not None else "",
        tif=TimeInForce(asked.time_in_force).name if asked is not None else "",
        price=price(told.price),
        stop=price(asked.stop_price) if asked is not None and is_stop else None,
        qty=qty(told.qty),
        filled=qty(told.cum_qty),
        leaves=qty(_leaves(told)),
        sent_ns=told.order_ts,
        id=f"{told.order_epoch}:{told.order_seq}",
    )


def _request(paths: BusPaths, strategy: str, told: ExecutionReport) -> NewOrder | None:
    """The record of orders_out that asked for it, if it is still there."""
    try:
        reader = Queue.open_subscriber(paths.orders_out(strategy), None, start="latest")
    except NotReadyError:
        return None
    with reader:
        return request_of(reader, told) if reader.queue_id == told.order_queue_id else None
