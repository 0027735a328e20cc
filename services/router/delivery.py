"""From the router into each strategy's orders_in: at once, or when the replies' latency has passed. Pure.

A reply never overtakes one before it: it is due at max(now + latency, when that one is due), as on one connection and as in a
backtest. What is on its way is lost with the process, and what matters of it is not: execution reports are in the journal and
in `undelivered` until they stand in orders_in, balances and positions are told anew when the strategy is attached.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from libchronicle.errors import ChronicleError
from libchronicle.protocol import ExecutionReport, ReportFlags
from libchronicle.sim import paper_memory
from libchronicle.sim.paper import PaperGateway
from services.router.reports import account_reports, balance_reports, open_order, position_report
from services.router.state import Client, State

__all__ = ["Delivery"]

FOREVER = 1 << 63
_PLAIN = ReportFlags(0)


class _Late(NamedTuple):
    due_ns: int
    type_id: int
    payload: bytes


class Delivery:
    """`latency`: ns that a reply sent at a time takes; None = none. `broken`: strategies whose orders_in took no report."""

    def __init__(self, state: State, gateway: PaperGateway) -> None:
        self.latency: Callable[[int], int] | None = None
        self.broken: dict[str, ChronicleError] = {}
        self._state = state
        self._gateway = gateway
        self._late: dict[str, deque[_Late]] = {}
        self._last_due: dict[str, int] = {}

    # ------------------------------------------------------------ what a step tells

    def execution(self, client: Client, exec_id: int, payload: bytes, now_ns: int) -> None:
        """A committed report; it is kept until it stands in orders_in."""
        if not self._send(client, ExecutionReport.TEMPLATE_ID, payload, now_ns):
            client.undelivered.append((exec_id, payload))

    def event(self, client: Client, type_id: int, payload: bytes, now_ns: int) -> None:
        self._send(client, type_id, payload, now_ns)

    def position(self, client: Client, instrument_id: int, now_ns: int) -> None:
        """Account, then position: the position comes last, for its execId marks the tail of orders_in."""
        if client.reports is not None:
            for type_id, payload in self._position(client, instrument_id, now_ns, _PLAIN):
                self._send(client, type_id, payload, now_ns)

    def carry_over(self, client: Client, now_ns: int) -> None:
        """Tell a strategy that was attached where it stands: balances, positions, then open orders. At once, and what was on
        its way is told by it."""
        self._late.pop(client.name, None)
        self._last_due.pop(client.name, None)
        ledger = self._state.ledger
        paper_memory.note_places(self._gateway)
        for balance in balance_reports(client, ledger, now_ns):
            self._append(client, balance.TEMPLATE_ID, balance.encode())
        for owner, instrument_id in list(ledger.holdings):
            if owner == client.name and client.reports is not None:
                for told in self._position(client, instrument_id, now_ns, ReportFlags.CARRY_OVER):
                    self._append(client, *told)
        for order in ledger.orders_of(client.name):
            carried = open_order(order)
            if client.reports is not None:
                client.reports.append(carried.TEMPLATE_ID, carried.encode())

    def _position(
        self, client: Client, instrument_id: int, now_ns: int, flags: ReportFlags
    ) -> list[tuple[int, bytes]]:
        position = self._state.ledger.holding(client.name, instrument_id).position
        self._gateway.value(client.name, instrument_id)
        accounts = account_reports(client, self._state.ledger, instrument_id, now_ns)
        report = position_report(client, instrument_id, position, now_ns, flags)
        return [(one.TEMPLATE_ID, one.encode()) for one in (*accounts, report)]

    # ------------------------------------------------------------ what is on its way

    @property
    def next_due_ns(self) -> int:
        """When the next reply arrives; 0 = none is on its way."""
        return min((late[0].due_ns for late in self._late.values() if late), default=0)

    def arrive(self, now_ns: int = FOREVER) -> bool:
        """Deliver what is due; whether anything was."""
        found = False
        for name, late in self._late.items():
            client = self._state.clients[name]
            while late and late[0].due_ns <= now_ns:
                _, type_id, payload = late.popleft()
                found = True
                if self._append(client, type_id, payload) and type_id == ExecutionReport.TEMPLATE_ID:
                    _forget(client, payload)
        return found

    def _send(self, client: Client, type_id: int, payload: bytes, now_ns: int) -> bool:
        """Whether it stands in orders_in."""
        if self.latency is None or client.reports is None:
            return self._append(client, type_id, payload)
        late = self._late.setdefault(client.name, deque())
        due = max(now_ns + self.latency(now_ns), self._last_due.get(client.name, 0))
        self._last_due[client.name] = due
        late.append(_Late(due, type_id, payload))
        return False

    def _append(self, client: Client, type_id: int, payload: bytes) -> bool:
        """Into its orders_in. A queue that takes nothing is its strategy's trouble alone: the journal has all of
        it, and `broken` tells who must open the queue again."""
        if client.reports is None:
            return False
        try:
            client.reports.append(type_id, payload)
        except ChronicleError as error:
            client.reports = None
            self.broken[client.name] = error
            return False
        return True


def _forget(client: Client, payload: bytes) -> None:
    """It stands in orders_in now. What was older than memory holds is found in the journal."""
    if client.undelivered and client.undelivered[0][1] == payload:
        client.undelivered.popleft()
