"""Audit of a strategy's order queues: every request answered once, every order executed once, positions the sum of fills.

Works on the queues alone, while their writers run or after they are dead, and says what is wrong instead of what is right.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from libchronicle.bus.paths import BusPaths
from libchronicle.errors import Evicted
from libchronicle.protocol import ExecType, ExecutionReport, NewOrder, PositionReport, Side
from libchronicle.queue import LOST_TYPE, Message, Queue

__all__ = ["FillWatch", "OrderAudit", "OrderHistory", "audit_orders", "contiguous_records"]

OrderId = tuple[int, int]
"""(epoch, seq) of the order's record in orders_out."""

_FILLS = (ExecType.PARTIAL_FILL, ExecType.FILL)
_ENDS = (ExecType.FILL, ExecType.CANCELLED, ExecType.EXPIRED, ExecType.REJECT)
_ATTEMPTS = 5
_REQUEST_REJECTS = (ExecType.CANCEL_REJECT, ExecType.REPLACE_REJECT)


@dataclass
class OrderHistory:
    """One order and all that was reported of it, in order."""

    order: NewOrder
    reports: list[ExecutionReport] = field(default_factory=list)

    def faults(self) -> Iterator[str]:
        """What cannot be true of an order that was executed exactly once."""
        kinds = [report.exec_type for report in self.reports if report.exec_type not in _REQUEST_REJECTS]
        if kinds and kinds[0] not in (ExecType.ACK, ExecType.REJECT):
            yield f"begins with {kinds[0].name}"
        if kinds.count(ExecType.ACK) > 1:
            yield "acknowledged twice"
        if any(kind in _ENDS for kind in kinds[:-1]):
            yield f"goes on after its end: {[kind.name for kind in kinds]}"
        done = 0
        for report in self.reports:
            if report.exec_type in _FILLS:
                done += report.last_qty
                if report.cum_qty != done:
                    yield f"fills sum up to {done}, reported are {report.cum_qty}"
                if (report.exec_type is ExecType.FILL) != (report.leaves_qty == 0):
                    yield f"{report.exec_type.name} leaves {report.leaves_qty}"
        if done > max([self.order.qty, *(report.qty for report in self.reports)]):
            yield f"{done} executed of {self.order.qty}"


@dataclass
class OrderAudit:
    """What the queues of one strategy say. `faults` is empty when all is well."""

    strategy: str
    orders: dict[OrderId, OrderHistory]
    positions: dict[int, int]
    """Signed sum of all fills by instrument."""
    unanswered: list[OrderId]
    """Orders behind the last one that has an answer: still on their way."""
    faults: list[str]

    @property
    def next_seq(self) -> int:
        """Above every order sent so far."""
        return max((seq for _, seq in self.orders), default=-1) + 1

    @property
    def fills(self) -> int:
        return sum(
            report.exec_type in _FILLS for history in self.orders.values() for report in history.reports
        )


class FillWatch:
    """Is an order filled that was sent at or behind `seq` of orders_out? Reads what is appended from now on, and only that.

    Raises what opening orders_in raises.
    """

    def __init__(self, paths: BusPaths, strategy: str, seq: int) -> None:
        self._path = str(paths.orders_in(strategy))
        self._seq = seq
        self._reader = Queue.open_subscriber(self._path, None, start="latest")
        self.filled = False

    def look(self) -> bool:
        """Read on; `filled` from then on."""
        try:
            while not self.filled and (message := self._reader.next()) is not None:
                if message.type_id == ExecutionReport.TEMPLATE_ID:
                    report = ExecutionReport.decode(message)
                    self.filled = report.exec_type in _FILLS and report.order_seq >= self._seq
        except Evicted:  # retention passed it: what is there now is as good
            self.close()
            self._reader = Queue.open_subscriber(self._path, None, start="earliest")
        return self.filled

    def close(self) -> None:
        self._reader.close()


def contiguous_records(path: object, faults: list[str]) -> Iterator[Message]:
    """All records of a queue; a hole that the queue declares, or hides, is a fault."""
    expected: int | None = None
    with Queue.open_subscriber(str(path), None, start="earliest") as reader:
        while (message := reader.next()) is not None:
            if message.type_id == LOST_TYPE or (expected is not None and message.seq != expected):
                faults.append(f"{path}: records from seq {expected} to {message.seq} are lost")
            expected = message.seq + 1
            if message.type_id != LOST_TYPE:
                yield message


def audit_orders(paths: BusPaths, strategy: str) -> OrderAudit:
    """Read orders_out and orders_in of `strategy` from their oldest record. Raises what opening them raises.

    What retention has removed cannot be judged: reports of orders that are gone are passed over, and positions are compared
    only while orders_in reaches back to its beginning.
    """
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(
            Evicted
        ):  # retention passed the reader: begin again at what is the oldest now
            return _audit(paths, strategy)
    return _audit(paths, strategy)


def _audit(paths: BusPaths, strategy: str) -> OrderAudit:
    faults: list[str] = []
    reports: list[ExecutionReport] = []
    reported_positions: dict[int, int] = {}
    first_report = None
    for message in contiguous_records(
        paths.orders_in(strategy), faults
    ):  # first: an order is older than its answer
        first_report = message.seq if first_report is None else first_report
        if message.type_id == ExecutionReport.TEMPLATE_ID:
            reports.append(ExecutionReport.decode(message))
        elif message.type_id == PositionReport.TEMPLATE_ID:
            position = PositionReport.decode(message)
            reported_positions[position.instrument_id] = position.qty
    orders, oldest = _orders(paths, strategy, faults)
    faults += _exec_ids(reports, 1 if first_report == 0 else None)
    faults += _assign([report for report in reports if report.order_seq >= oldest], orders)
    for key, history in orders.items():
        faults += [f"order {key}: {fault}" for fault in history.faults()]
    last = max((key for key, history in orders.items() if history.reports), default=(-1, -1))
    silent = [key for key, history in orders.items() if not history.reports]
    faults += [f"order {key}: no answer, though {last} has one" for key in silent if key < last]
    positions = _positions(reports)
    if first_report == 0:
        for instrument, qty in reported_positions.items():
            if positions.get(instrument, 0) != qty:
                found = positions.get(instrument, 0)
                faults.append(f"instrument {instrument:#x}: fills sum up to {found}, position is {qty}")
    return OrderAudit(strategy, orders, positions, [key for key in silent if key > last], faults)


def _orders(paths: BusPaths, strategy: str, faults: list[str]) -> tuple[dict[OrderId, OrderHistory], int]:
    """Orders that are still there, and the seq of the oldest record."""
    orders: dict[OrderId, OrderHistory] = {}
    oldest = None
    for message in contiguous_records(paths.orders_out(strategy), faults):
        oldest = message.seq if oldest is None else oldest
        if message.type_id == NewOrder.TEMPLATE_ID:
            orders[message.epoch, message.seq] = OrderHistory(NewOrder.decode(message))
    return orders, oldest or 0


def _exec_ids(reports: list[ExecutionReport], first: int | None) -> Iterator[str]:
    """They are contiguous, from 1 on if the first report is still there."""
    if first is None:
        first = reports[0].exec_id if reports else 1
    for expected, report in enumerate(reports, start=first):
        if report.exec_id != expected:
            yield f"execId {report.exec_id} where {expected} was due"
            return


def _assign(reports: list[ExecutionReport], orders: dict[OrderId, OrderHistory]) -> Iterator[str]:
    """Give each order its reports; yields what belongs nowhere."""
    for report in reports:
        key = (report.order_epoch, report.order_seq)
        if key in orders:
            orders[key].reports.append(report)
        elif report.exec_type not in _REQUEST_REJECTS:
            yield f"execId {report.exec_id}: {report.exec_type.name} of order {key}, which was never sent"


def _positions(reports: list[ExecutionReport]) -> dict[int, int]:
    positions: dict[int, int] = defaultdict(int)
    for report in reports:
        if report.exec_type in _FILLS:
            positions[report.instrument_id] += (
                report.last_qty if report.side is Side.BUY else -report.last_qty
            )
    return dict(positions)
