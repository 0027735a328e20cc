import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from libchronicle.bus.paths import BusPaths
from libchronicle.protocol import (
    ExecType,
    ExecutionReport,
    NewOrder,
    OrderType,
    PositionReport,
    Side,
    TimeInForce,
)
from libchronicle.queue import Publisher, Queue, QueueConfig
from libchronicle.testing import audit_orders
from libchronicle.testing.audit import FillWatch

CONFIG = QueueConfig(segment_size=65536)


class Journals:
    """Both queues of one strategy, written by hand."""

    def __init__(self, root: Path) -> None:
        self.paths = BusPaths(root)
        self.sent: Publisher = Queue.open_publisher(self.paths.orders_out("alpha"), CONFIG)
        self.told: Publisher = Queue.open_publisher(self.paths.orders_in("alpha"), CONFIG)
        self.exec_id = 0

    def order(self, qty: int = 10) -> int:
        order = NewOrder(
            instrument_id=7, qty=qty, side=Side.BUY, order_type=OrderType.LIMIT, time_in_force=TimeInForce.GTC
        )
        return self.sent.append(order.TEMPLATE_ID, order.encode())

    def report(
        self, seq: int, kind: ExecType, qty: int = 10, last: int = 0, cum: int = 0, epoch: int = 1
    ) -> None:
        self.exec_id += 1
        report = ExecutionReport(
            order_seq=seq,
            order_epoch=epoch,
            instrument_id=7,
            exec_id=self.exec_id,
            exec_type=kind,
            qty=qty,
            last_qty=last,
            cum_qty=cum,
            leaves_qty=qty - cum,
            side=Side.BUY,
        )
        self.told.append(report.TEMPLATE_ID, report.encode())

    def position(self, qty: int) -> None:
        position = PositionReport(instrument_id=7, qty=qty)
        self.told.append(position.TEMPLATE_ID, position.encode())

    def faults(self) -> str:
        return "\n".join(audit_orders(self.paths, "alpha").faults)


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Journals]:
    journals = Journals(tmp_path)
    seq = journals.order()
    journals.report(seq, ExecType.ACK)
    journals.report(seq, ExecType.PARTIAL_FILL, last=4, cum=4)
    journals.report(seq, ExecType.FILL, last=6, cum=10)
    journals.position(10)
    yield journals
    journals.sent.close()
    journals.told.close()


def test_a_whole_history_has_no_fault_and_counts_its_fills(journals: Journals) -> None:
    waiting = journals.order()
    audit = audit_orders(journals.paths, "alpha")
    assert audit.faults == []
    assert (audit.fills, audit.positions, audit.unanswered) == (2, {7: 10}, [(1, waiting)])


def test_a_watch_tells_of_a_fill_of_a_later_order_and_of_no_earlier_one(journals: Journals) -> None:
    early, later = journals.order(), journals.order()
    with contextlib.closing(FillWatch(journals.paths, "alpha", later)) as watch:
        journals.report(early, ExecType.ACK)
        journals.report(early, ExecType.FILL, last=10, cum=10)
        journals.report(later, ExecType.ACK)
        assert not watch.look()
        journals.report(later, ExecType.PARTIAL_FILL, last=1, cum=1)
        assert watch.look()
        assert watch.filled


def test_a_fill_told_twice_is_a_fault(journals: Journals) -> None:
    journals.report(0, ExecType.FILL, last=6, cum=10)
    assert "goes on after its end" in journals.faults()
    assert "16 executed of 10" in journals.faults()
    assert "position is 10" in journals.faults()


def test_a_lost_report_is_a_fault(journals: Journals) -> None:
    journals.exec_id += 1
    journals.report(journals.order(), ExecType.ACK)
    assert "execId 5 where 4 was due" in journals.faults()


def test_an_order_that_was_passed_over_is_a_fault(journals: Journals) -> None:
    lost, answered = journals.order(), journals.order()
    journals.report(answered, ExecType.REJECT)
    assert f"order (1, {lost}): no answer" in journals.faults()


def test_a_report_of_an_order_nobody_sent_is_a_fault(journals: Journals) -> None:
    journals.report(99, ExecType.ACK)
    assert "order (1, 99), which was never sent" in journals.faults()


def test_what_retention_removed_is_no_fault(journals: Journals) -> None:
    with Queue.open_subscriber(journals.paths.orders_out("alpha"), "router") as router:
        while (1, 0) in audit_orders(journals.paths, "alpha").orders:
            for _ in range(10):
                journals.report(journals.order(), ExecType.REJECT)
            router.drain()
            router.commit()
            journals.sent.roll()
    audit = audit_orders(journals.paths, "alpha")
    assert audit.faults == []
    assert audit.orders


def test_a_position_that_is_not_the_sum_of_its_fills_is_a_fault(journals: Journals) -> None:
    journals.position(11)
    assert "fills sum up to 10, position is 11" in journals.faults()
