from collections.abc import Iterable

from libchronicle.portfolio import Account
from libchronicle.risk.breakers import Breakers
from libchronicle.risk.limits import ConfiguredLimits
from libchronicle.risk.situation import Breach, Proposal

class RiskGate:
    killed: bool
    open_orders: int
    def __init__(
        self,
        account: Account,
        limits: ConfiguredLimits | None = None,
        *,
        allowed: Iterable[str] | None = None,
        breakers: Breakers | None = None,
    ) -> None: ...
    @property
    def account(self) -> Account: ...
    @property
    def breakers(self) -> Breakers: ...
    def define(self, slot: int) -> None: ...
    def check(
        self, slot: int, proposal: Proposal, *, best_bid: int, best_ask: int, now_ns: int, market_ts: int = 0
    ) -> Breach | None: ...
    def after_fill(self, slot: int, before: int, now_ns: int) -> Breach | None: ...
    def after_mark(self, now_ns: int) -> Breach | None: ...
