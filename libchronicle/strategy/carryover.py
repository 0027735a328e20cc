"""What a strategy's session carries over to the next: open orders and positions, and where its order queues stand.

    Instrument …  OpenOrder …  PositionReport …  AccountReport …  CarryOver

The block is written when a session begins and ends, and now and then in between. CarryOver comes last and counts the
rest, so a block that a crash cut short is none. A host that starts looks for the newest one at the end of its session
queue and reads the order queues from there: how long that takes does not grow with their history.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from libchronicle.protocol import (
    AccountReport,
    BookMode,
    CarryOver,
    ContractKind,
    Instrument,
    OpenOrder,
    PositionReport,
    ReportFlags,
    SbeMessage,
    decode,
)
from libchronicle.queue import Subscriber
from libchronicle.strategy.context import Context
from libchronicle.strategy.dispatch import Dispatcher
from libchronicle.strategy.instrument import Instrument as Handle
from libchronicle.strategy.source import Source
from libchronicle.strategy.tracker import WorkingOrder

__all__ = ["Carried", "adopt", "carry_over", "last_carry_over"]

_SEQ_BITS = 40
_FIRST_WINDOW = 4096  # records; each further window is four times as long


# ------------------------------------------------------------ writing


def carry_over(ctx: Context, orders_out: Any, orders_in: Source, sent_any: bool) -> Iterator[SbeMessage]:
    """The block. `orders_out` is the Publisher; `sent_any` says whether this session has written to it."""
    orders = list(ctx.tracker.orders.values())
    positions = [one for one in ctx.instruments.values() if one.position.last_exec_id or one.position.qty]
    handles = {one.id: one for one in (*positions, *(order.instrument for order in orders))}
    for handle in handles.values():
        yield _definition(handle)
    for order in orders:
        yield _open_order(order, orders_out.queue_id)
    for handle in positions:
        position = handle.position
        yield PositionReport(
            instrument_id=handle.id,
            ts=ctx.now_ns(),
            qty=position.qty,
            avg_price=position.avg_price,
            realized_pnl=position.realized_pnl,
            fees=position.fees,
            last_exec_id=position.last_exec_id,
            flags=ReportFlags.CARRY_OVER,
            pnl_exponent=position.pnl_exponent,
        )
    balances = [one for one in ctx.tracker.balances.values() if one.ts_ns]
    for balance in balances:
        yield AccountReport(
            ts=balance.ts_ns,
            balance=balance.total,
            available=balance.available,
            exponent=balance.exponent,
            account=ctx.account,
            currency=balance.currency,
        )
    yield CarryOver(
        now_ns=ctx.now_ns(),
        orders_out_queue_id=orders_out.queue_id,
        orders_out_seq=orders_out.next_seq,
        orders_out_epoch=orders_out.epoch if sent_any else 0,
        orders_in_queue_id=orders_in.queue_id if orders_in.attached else 0,
        orders_in_seq=orders_in.next_seq if orders_in.attached else 0,
        orders_in_epoch=orders_in.epoch if orders_in.attached else 0,
        last_exec_id=ctx.tracker.last_exec_id,
        open_orders=len(orders),
        positions=len(positions) + len(balances),
        instruments=len(handles),
    )


def _open_order(order: WorkingOrder, queue_id: int) -> OpenOrder:
    return OpenOrder(
        order_queue_id=queue_id,
        order_seq=order.id & ((1 << _SEQ_BITS) - 1),
        order_epoch=order.id >> _SEQ_BITS,
        instrument_id=order.instrument.id,
        price=order.price,
        qty=order.qty,
        cum_qty=order.cum_qty,
        stop_price=order.stop_price,
        expire_ns=order.expire_ns,
        order_ts=order.sent_ns,
        flags=order.flags,
        side=order.side,
        order_type=order.type,
        time_in_force=order.tif,
        stp_mode=order.stp,
        account=order.account,
        tag=order.tag,
        cause_ts=order.cause_ts,
        state=order.state,
    )


def _definition(handle: Handle) -> Instrument:
    """Enough of it to find the handle again: its feed tells the rest."""
    return Instrument(
        instrument_id=handle.id,
        contract_kind=ContractKind.SPOT,
        book_mode=BookMode.L2,
        venue=handle.venue,
        symbol=handle.symbol,
    )


# ------------------------------------------------------------ reading


@dataclass(slots=True)
class Carried:
    """A block, read back."""

    end: CarryOver
    instruments: list[Instrument] = field(default_factory=list)
    orders: list[OpenOrder] = field(default_factory=list)
    positions: list[PositionReport] = field(default_factory=list)
    accounts: list[AccountReport] = field(default_factory=list)

    def add(self, record: object) -> None:
        """One of the block's records."""
        match record:
            case Instrument():
                self.instruments.append(record)
            case OpenOrder():
                self.orders.append(record)
            case PositionReport():
                self.positions.append(record)
            case AccountReport():
                self.accounts.append(record)

    def fits(self, sent: Subscriber, reports: Subscriber | None) -> bool:
        """Whether the order queues still are those it was written beside, back to the places it names. Moves the
        readers to those places; to their oldest records when it does not fit."""
        end = self.end
        fits = _fits(sent, end.orders_out_queue_id, end.orders_out_seq, end.orders_out_epoch)
        if end.orders_in_queue_id:
            fits = (
                fits
                and reports is not None
                and _fits(reports, end.orders_in_queue_id, end.orders_in_seq, end.orders_in_epoch)
            )
        sent.seek_seq(end.orders_out_seq if fits else sent.oldest_seq)
        if reports is not None:
            reports.seek_seq(end.orders_in_seq if fits and end.orders_in_queue_id else reports.oldest_seq)
        return fits


def _fits(reader: Subscriber, queue_id: int, seq: int, epoch: int) -> bool:
    oldest = reader.oldest_seq
    if reader.queue_id != queue_id or not oldest <= seq <= reader.head_seq:
        return False
    if seq == oldest or not epoch:
        return True
    reader.seek_seq(seq - 1)
    message = reader.next()
    return message is not None and (message.seq, message.epoch) == (seq - 1, epoch)


def last_carry_over(session: Subscriber) -> Carried | None:
    """The newest whole block of a session queue. Raises what reading a queue raises."""
    oldest, last, window = session.oldest_seq, session.head_seq, _FIRST_WINDOW
    while last > oldest:
        first = max(oldest, last - window)
        session.seek_seq(first)
        found = -1
        while session.next_seq < last and (message := session.next()) is not None:
            if message.type_id == CarryOver.TEMPLATE_ID:
                found = message.seq
        if found >= 0:
            return _block(session, found)
        last, window = first, 4 * window
    return None


def _block(session: Subscriber, end_seq: int) -> Carried | None:
    """None when its beginning was pruned."""
    session.seek_seq(end_seq)
    message = session.next()
    assert message is not None
    carried = Carried(CarryOver.decode(message))
    first = end_seq - carried.end.instruments - carried.end.open_orders - carried.end.positions
    if first < session.oldest_seq:
        return None
    session.seek_seq(first)
    while session.next_seq < end_seq and (message := session.next()) is not None:
        carried.add(decode(message.type_id, message))
    return carried


def adopt(dispatcher: Dispatcher, carried: Carried) -> None:
    """Take up what was carried over, as the queues up to its places would have told it."""
    ctx = dispatcher.ctx
    names = {one.instrument_id: f"{one.venue}:{one.symbol}" for one in carried.instruments}
    dispatcher.subscribe({name: () for name in names.values() if name not in ctx.instruments})
    for order in carried.orders:
        ctx.tracker.adopt(ctx.instrument(names[order.instrument_id]), order)
    for report in (*carried.positions, *carried.accounts):
        dispatcher.feed_report(report.TEMPLATE_ID, report.encode(), muted=True)
    ctx.tracker.stand_at(carried.end.last_exec_id)
