"""After a restart: the state from the journal, and each orders_in brought level with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from libchronicle.portfolio import Account
from libchronicle.protocol import ExecType, ExecutionReport, NewOrder, PositionReport, SessionSource
from services.router.journal import Journal, Record, Replay, orders_path
from services.router.state import Client, State

__all__ = ["bring_level", "last_delivered", "recover"]


def recover(records: Iterable[Record], open_account: Callable[[], Account] | None = None) -> State:
    """Replay a journal, from its last committed checkpoint or from its beginning. `open_account`: as of a Ledger."""
    replay = Replay(open_account)

    def remember(report: ExecutionReport, payload: bytes) -> None:
        replay.state.owners[report.order_queue_id].undelivered.append((report.exec_id, payload))

    replay.on_report = remember
    return replay.run(records)


def last_delivered(newest_first: Iterable[Record]) -> int:
    """The last execId in an orders_in, from its records read backwards: a few suffice."""
    for type_id, payload in newest_first:
        if type_id == ExecutionReport.TEMPLATE_ID:
            return ExecutionReport.decode(payload).exec_id
        if type_id == PositionReport.TEMPLATE_ID:
            return PositionReport.decode(payload).last_exec_id
    return 0


def bring_level(
    state: State,
    journal: Journal,
    client: Client,
    delivered: int,
    journaled: Callable[[int], Iterator[bytes]],
    ahead: Callable[[int], Iterator[tuple[ExecutionReport, NewOrder | None]]],
) -> int:
    """Append what the journal has more than orders_in, or take up what orders_in has more than the journal.

    `journaled(after)` gives the client's committed reports with a higher execId, `ahead(after)` those of
    its orders_in with the orders they acknowledge. Returns how many reports were moved. Raises
    UnknownInstrument.
    """
    assert client.reports is not None
    moved = 0
    if delivered < client.last_exec_id:
        for payload in journaled(delivered):
            client.reports.append(ExecutionReport.TEMPLATE_ID, payload)
            moved += 1
        assert delivered + moved == client.last_exec_id, "the journal lacks reports it has counted"
    elif delivered > client.last_exec_id:
        handled = client.handled
        for report, request in ahead(client.last_exec_id):
            if request is not None:
                journal.note(NewOrder.TEMPLATE_ID, request.encode())
            journal.note(ExecutionReport.TEMPLATE_ID, report.encode())
            state.apply_report(report, request)
            if _answers(report):
                handled = max(handled, (report.order_epoch, report.request_seq))
            moved += 1
        client.handled = handled
    client.undelivered.clear()
    if moved and client.handled != (0, -1):
        journal.commit(
            SessionSource(
                queue_id=client.queue_id,
                start_seq=client.handled[1] + 1,
                epoch=client.handled[0],
                source=client.rank,
                path=orders_path(client.name),
            )
        )
    return moved


def _answers(report: ExecutionReport) -> bool:
    """Whether the report is the answer to a request; fills and expiries name the order they belong to,
    answered before."""
    return report.exec_type not in (ExecType.PARTIAL_FILL, ExecType.FILL, ExecType.EXPIRED)
