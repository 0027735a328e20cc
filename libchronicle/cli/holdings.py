"""What every strategy holds: what the router has told it last, valued at the books of the feeds' queues.

The router tells each strategy all its balances and positions when it attaches it, which opens a new epoch of its
orders_in, and after each fill those that the fill has moved. So the newest report of each instrument and currency in
the last epoch is how things stand. Everything is read from the run directory's queues, and nothing held back there:
it works while every daemon is dead.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import msgspec

from libchronicle.bus.paths import BusPaths
from libchronicle.cli.marks import Marks
from libchronicle.cli.newest import newest_first
from libchronicle.errors import ChronicleError
from libchronicle.portfolio import MONEY_EXPONENT, InstrumentTerms, Position
from libchronicle.protocol import AccountReport, ContractKind, PositionReport
from libchronicle.runtime.config import RouterConfig
from libchronicle.sim.paper_terms import paper_accounts

__all__ = ["Balance", "Held", "Holdings", "read_holdings"]


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy's position in one instrument. `mark`: the middle of the book, None without one, and then there is no
    unrealised profit either; `mark_age_s`: since the feed last wrote to the book. Money is in `currency`; `realised` is
    before fees."""

    venue: str
    symbol: str
    strategy: str
    account: str
    position: Decimal
    average: Decimal
    mark: Decimal | None
    mark_age_s: float | None
    unrealised: Decimal | None
    realised: Decimal
    fees: Decimal
    currency: str
    told_ns: int


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """One currency of one strategy's account. `total` and `available` are as they were told; `equity`: total, and what
    open positions on margin are worth beside it now, None where one of them has no mark; `locked`: what of it new
    orders may not use."""

    account: str
    strategy: str
    currency: str
    total: Decimal
    available: Decimal
    locked: Decimal | None
    equity: Decimal | None
    told_ns: int


@dataclass
class Holdings:
    """`failures`: what could not be read of a strategy, by its name; the others are there."""

    positions: list[Held] = field(default_factory=list)
    balances: list[Balance] = field(default_factory=list)
    failures: dict[str, ChronicleError] = field(default_factory=dict)


@dataclass
class _Told:
    """The newest reports of one strategy."""

    positions: dict[int, PositionReport] = field(default_factory=dict)
    balances: dict[str, AccountReport] = field(default_factory=dict)


def read_holdings(paths: BusPaths, router: RouterConfig | None) -> Holdings:
    """Of every strategy that ever had an endpoint. `router`: says how accounts are kept, None = none are."""
    found, told = Holdings(), {}
    for strategy in paths.strategies():
        try:
            told[strategy] = _told(paths.orders_in(strategy))
        except ChronicleError as error:
            found.failures[strategy] = error
    wanted = {instrument for one in told.values() for instrument in one.positions}
    market = Marks(paths, wanted)
    for strategy, one in told.items():
        try:
            _value(found, strategy, one, market, router)
        except ChronicleError as error:
            found.failures[strategy] = error
    return found


def _told(path: Path) -> _Told:
    """As the last epoch of an orders_in says. An attachment that was cut off before it told anything does not count."""
    told, epoch = _Told(), None
    for record in newest_first(path, (PositionReport.TEMPLATE_ID, AccountReport.TEMPLATE_ID)):
        if epoch is not None and record.epoch != epoch:
            break
        epoch = record.epoch
        if record.type_id == PositionReport.TEMPLATE_ID:
            position = PositionReport.decode(record.payload)
            told.positions.setdefault(position.instrument_id, position)
        else:
            balance = AccountReport.decode(record.payload)
            told.balances.setdefault(balance.currency, balance)
    return told


def _value(found: Holdings, strategy: str, told: _Told, market: Marks, router: RouterConfig | None) -> None:
    beside: dict[str, Decimal | None] = {}  # by currency: what positions are worth beside the balance
    open_account = paper_accounts(router) if router is not None else None
    account = open_account() if open_account is not None else None
    for instrument, report in sorted(told.positions.items(), key=lambda one: market.name(one[0])):
        terms = market.terms[instrument]
        position = Position(terms)
        position.restore(report.qty, report.open_cost, report.realized_pnl, report.fees)
        mark, heard = market.marks.get(instrument, (None, None))
        unrealised = None if mark is None and report.qty else _money(position.unrealized(mark or 1))
        held = _held(strategy, report, market.name(instrument), terms)
        found.positions.append(
            msgspec.structs.replace(
                held,
                mark=None if mark is None else Decimal(mark).scaleb(terms.price_exponent),
                mark_age_s=None if not heard else max(0.0, time.time() - heard / 1e9),
                unrealised=unrealised,
            )
        )
        worth: Decimal | None = unrealised
        if account is not None:
            if not account.is_margined(account.add(terms)):
                continue  # all of it stands in balances: what was paid, and what is there
            if terms.kind == ContractKind.SPOT and mark is not None:
                worth = _money(terms.signed_value(mark, report.qty))
        so_far = beside.get(terms.settle_currency, Decimal(0))
        beside[terms.settle_currency] = None if worth is None or so_far is None else so_far + worth
    for currency, balance in sorted(told.balances.items()):
        told_of = _balance(strategy, currency, balance, beside.get(currency, Decimal(0)))
        if account is None:  # nothing is held back where none is kept
            told_of = msgspec.structs.replace(told_of, locked=told_of.total - told_of.available)
        found.balances.append(told_of)


def _held(strategy: str, report: PositionReport, name: tuple[str, str], terms: InstrumentTerms) -> Held:
    return Held(
        venue=name[0],
        symbol=name[1],
        strategy=strategy,
        account=report.account,
        position=Decimal(report.qty).scaleb(terms.qty_exponent),
        average=Decimal(report.avg_price).scaleb(terms.price_exponent),
        mark=None,
        mark_age_s=None,
        unrealised=None,
        realised=Decimal(report.realized_pnl).scaleb(report.pnl_exponent),
        fees=Decimal(report.fees).scaleb(report.pnl_exponent),
        currency=terms.settle_currency,
        told_ns=report.ts,
    )


def _balance(strategy: str, currency: str, report: AccountReport, beside: Decimal | None) -> Balance:
    total, available = (Decimal(one).scaleb(report.exponent) for one in (report.balance, report.available))
    equity = None if beside is None else total + beside
    return Balance(
        account=report.account,
        strategy=strategy,
        currency=currency,
        total=total,
        available=available,
        locked=None if equity is None else max(equity - available, Decimal(0).scaleb(report.exponent)),
        equity=equity,
        told_ns=report.ts,
    )


def _money(mantissa: int) -> Decimal:
    return Decimal(mantissa).scaleb(MONEY_EXPONENT)
