"""What a session begins with: open orders and positions, as messages for its journal."""

from __future__ import annotations

from collections.abc import Iterator

from libchronicle.protocol import OpenOrder, PositionReport, ReportFlags
from libchronicle.strategy.context import Context

__all__ = ["carry_over"]

_SEQ_BITS = 40


def carry_over(ctx: Context, queue_id: int) -> Iterator[OpenOrder | PositionReport]:
    """Open orders, oldest first, then positions that are not flat."""
    for order in ctx.tracker.orders.values():
        yield OpenOrder(
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
        )
    for instrument in ctx.instruments.values():
        position = instrument.position
        if position.qty:
            yield PositionReport(
                instrument_id=instrument.id,
                ts=ctx.now_ns(),
                qty=position.qty,
                avg_price=position.avg_price,
                realized_pnl=position.realized_pnl,
                fees=position.fees,
                last_exec_id=position.last_exec_id,
                flags=ReportFlags.CARRY_OVER,
                pnl_exponent=position.pnl_exponent,
            )
