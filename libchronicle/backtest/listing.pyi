from libchronicle.backtest.outbox import Outbox
from libchronicle.portfolio.account import Account
from libchronicle.protocol import AccountReport
from libchronicle.protocol import Instrument as Definition
from libchronicle.risk import RiskGate
from libchronicle.strategy.bookview import Book
from libchronicle.strategy.instrument import Instrument

class Listing(Outbox):
    """What a venue trades. `queues`: a QueueModel, or one by instrument name; `chances`: FillChances or None."""

    account: Account
    gate: RiskGate
    definitions: dict[str, Definition]
    misfit: Exception | None
    def define(self, instrument: Instrument, definition: Definition, seen: Book | None = None) -> int:
        """A definition: the slot of the instrument. Raises InvalidArgument for a queue model that needs single orders."""
    def balances(self, now: int) -> list[AccountReport]:
        """What the account holds, as the reports that tell of it."""
