"""A start reads the tail of what was journaled, however long the history is."""

from __future__ import annotations

from pathlib import Path

import pytest

from libchronicle.protocol import (
    Dispatch,
    ExecType,
    ExecutionReport,
    NewOrder,
    OrderType,
    RunMode,
    SessionSource,
    SessionStart,
    Side,
    Submitted,
    TimeInForce,
)
from libchronicle.queue import Publisher, Queue, QueueConfig
from services.router.history import reports_after, session_records
from services.router.journal import Journal, orders_path, write_checkpoint
from services.router.recovery import recover
from services.router.state import State
from tests.services.router_world import BTC, DEFINITION

ORDERS = 200_000
EVERY = 25_000  # orders between two checkpoints: a hundred thousand records
QUEUE = 0xA1


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a router that refused two hundred thousand orders of alpha, checkpoints in between."""
    path = tmp_path_factory.mktemp("journal") / "router"
    state = State()
    state.define(DEFINITION)
    alpha = state.client("alpha")
    state.attach_queue(alpha, QUEUE, (0, -1))
    with Queue.open_publisher(path, QueueConfig(segment_size=16 << 20, prefault=False)) as session:
        write_checkpoint(Journal(session), state, SessionStart(mode=RunMode.PAPER), 0)
        session.append(
            SessionSource.TEMPLATE_ID,
            SessionSource(queue_id=QUEUE, source=1, path=orders_path("alpha")).encode(),
        )
        for seq in range(ORDERS):
            if seq and seq % EVERY == 0:
                write_checkpoint(Journal(session), state, SessionStart(mode=RunMode.PAPER), 0)
            _refused(session, seq)
            alpha.last_exec_id, alpha.handled = seq + 1, (1, seq)
    return path


def _refused(session: Publisher, seq: int) -> None:
    order = NewOrder(
        instrument_id=BTC,
        qty=1,
        price=1,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
    )
    key = {"order_queue_id": QUEUE, "order_seq": seq, "order_epoch": 1}
    session.append(NewOrder.TEMPLATE_ID, order.encode())
    session.append(Submitted.TEMPLATE_ID, Submitted(request_template=NewOrder.TEMPLATE_ID, **key).encode())
    report = ExecutionReport(exec_id=seq + 1, request_seq=seq, exec_type=ExecType.REJECT, **key)
    session.append(ExecutionReport.TEMPLATE_ID, report.encode())
    cause = Dispatch(first_seq=seq, last_seq=seq, epoch=1, source=1)
    session.append(Dispatch.TEMPLATE_ID, cause.encode())


def test_a_start_after_two_hundred_thousand_orders_reads_from_the_last_checkpoint(journal: Path) -> None:
    read = 0

    def counted():
        nonlocal read
        for record in session_records(journal):
            read += 1
            yield record

    state = recover(counted())
    assert read < 4 * EVERY + 20
    assert (state.clients["alpha"].last_exec_id, state.clients["alpha"].handled) == (ORDERS, (1, ORDERS - 1))


@pytest.mark.parametrize("missing", [10, EVERY + 10])
def test_old_reports_are_read_from_the_checkpoint_before_them(journal: Path, missing: int) -> None:
    alpha = recover(session_records(journal)).clients["alpha"]
    alpha.undelivered.clear()
    after = ORDERS - missing
    found = [ExecutionReport.decode(payload).exec_id for payload in reports_after(alpha, journal, after)]
    assert found == list(range(after + 1, ORDERS + 1))
