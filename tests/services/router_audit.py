"""What the queues of a strategy must say, whatever happened to the router."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from libchronicle.protocol import ExecType, ExecutionReport, NewOrder, PositionReport, Side, TimeInForce

ANSWERS = {ExecType.ACK, ExecType.REJECT, ExecType.CANCEL_REJECT, ExecType.REPLACED, ExecType.REPLACE_REJECT}
FINAL = {ExecType.REJECT, ExecType.FILL, ExecType.CANCELLED, ExecType.EXPIRED}
CHANGE_REFUSED = {ExecType.CANCEL_REJECT, ExecType.REPLACE_REJECT}


def audit(requests: Mapping[int, Any], received: list[Any]) -> dict[str, int]:
    """Requests by seq against all that came in; returns how much there was of what. AssertionError says
    what is wrong."""
    reports = [m for m in received if isinstance(m, ExecutionReport)]
    for expected, r in enumerate(reports, 1):
        assert r.exec_id == expected, (
            f"execIds are contiguous, none twice: {r.exec_id} instead of {expected}: {r}"
        )
    by_order: dict[int, list[ExecutionReport]] = defaultdict(list)
    answers: dict[int, list[ExecutionReport]] = defaultdict(list)
    for r in reports:
        by_order[r.order_seq].append(r)
        if r.exec_type in ANSWERS:
            answers[r.request_seq].append(r)
    figures: dict[str, int] = defaultdict(int)
    for seq, message in requests.items():
        if isinstance(message, NewOrder):
            _audit_order(seq, message, by_order[seq], len(answers[seq]), figures)
    _audit_positions(received, figures)
    return figures


def _audit_order(
    seq: int, message: NewOrder, reports: list[ExecutionReport], answers: int, figures: dict[str, int]
) -> None:
    assert answers == 1, f"order {seq} has {answers} answers"
    assert reports[0].exec_type in (ExecType.ACK, ExecType.REJECT), (
        f"order {seq} begins with {reports[0].exec_type!r}"
    )
    events = [r for r in reports if r.exec_type not in CHANGE_REFUSED]
    final = [r for r in events if r.exec_type in FINAL]
    assert len(final) <= 1, f"order {seq} ended {len(final)} times"
    assert not final or final[0] is events[-1], f"order {seq} went on after its end"
    cum = 0
    for r in events:
        cum += r.last_qty
        assert r.cum_qty == cum <= r.qty, f"order {seq}: cum {r.cum_qty}, fills sum to {cum} of {r.qty}"
        if r.exec_type == ExecType.FILL:
            assert cum == r.qty
    if message.time_in_force == TimeInForce.FOK:
        assert cum in (0, message.qty), f"fill or kill {seq} filled {cum} of {message.qty}"
    figures["orders"] += 1
    figures["open"] += not final
    figures[events[0].exec_type.name] += 1
    if events[0].reject_code:
        figures[events[0].reject_code.name] += 1
    figures["filled"] += cum > 0


def _audit_positions(received: list[Any], figures: dict[str, int]) -> None:
    """Every position told equals the sum of the fills up to the execId it names."""
    held: dict[int, int] = defaultdict(int)
    last_exec_id, trades = 0, set()
    for m in received:
        if isinstance(m, ExecutionReport):
            last_exec_id = m.exec_id
            if m.last_qty:
                held[m.instrument_id] += m.last_qty if m.side == Side.BUY else -m.last_qty
                assert m.trade_id not in trades, "the same trade twice"
                trades.add(m.trade_id)
        elif isinstance(m, PositionReport) and m.last_exec_id == last_exec_id:
            fills = held[m.instrument_id]
            assert m.qty == fills, f"position {m.qty} after execId {m.last_exec_id}, fills sum to {fills}"
            figures["positions"] += 1
    figures["fills"] = len(trades)
