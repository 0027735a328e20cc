from collections.abc import Iterable
from typing import Any

from libchronicle.backtest.outbox import Outbox
from libchronicle.portfolio.account import Account
from libchronicle.protocol import AccountReport
from libchronicle.protocol import Instrument as Definition
from libchronicle.risk import RiskGate
from libchronicle.strategy.bookview import Book
from libchronicle.strategy.instrument import Instrument

class Clearing(Outbox):
    """Matcher and account of one run. `queues`: a QueueModel, or one by instrument name; `chances`: FillChances or None."""

    account: Account
    gate: RiskGate
    liquidations: int
    trips: int
    definitions: dict[str, Definition]
    misfit: Exception | None
    def __init__(
        self,
        gate: RiskGate,
        *,
        queue_id: int = 1,
        epoch: int = 1,
        seed: int = 1,
        queues: Any = None,
        chances: Any = None,
        cancels_on_trip: bool = False,
        latency: Any = None,
        sample_ns: int = 1_000_000_000,
        account_name: str = "",
    ) -> None: ...
    def define(self, instrument: Instrument, definition: Definition, seen: Book | None = None) -> int:
        """A definition: the slot of the instrument. Raises InvalidArgument for a queue model that needs single orders."""
    def balances(self, now: int) -> list[AccountReport]:
        """What the account holds, as the reports that tell of it."""
    def schedule_funding(self, payments: Iterable[tuple[int, str, int]]) -> None:
        """(time, instrument, rate) in order of time; those of instruments that are not there are left out."""
    def begin_curve(self, now: int) -> None:
        """The first sample; the next on the grid of `sample_ns`."""
    def end_curve(self, now: int) -> None: ...
    def counts(self) -> tuple[int, int, dict[str, int]]:
        """Orders, fills and rejections by code."""
    def instruments(self) -> list[str]:
        """Names by slot."""
