"""What the router writes about orders: execution reports, positions, accounts, carried orders. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from libchronicle.portfolio import MONEY_EXPONENT, Account, Ledger, Order, OrderKey, Position
from libchronicle.protocol import (
    AccountReport,
    ExecType,
    ExecutionReport,
    Liquidity,
    NewOrder,
    OpenOrder,
    OrderFlags,
    OrderType,
    PositionReport,
    RejectCode,
    ReportFlags,
    RiskEvent,
    Side,
    StpMode,
    TimeInForce,
)
from libchronicle.risk import Breach
from libchronicle.sim.paper import Liquidation, VenueEvent
from services.router.riskwatch import measurement
from services.router.state import Client, State

__all__ = [
    "account_reports",
    "balance_reports",
    "execution_report",
    "liquidation",
    "open_order",
    "position_report",
    "refusal",
    "risk_event",
    "tripped",
]

_CURRENCY = 16  # bytes that a report has for its name
_LARGEST = (1 << 63) - 1
_NO_FLAGS = ReportFlags(0)


def execution_report(event: VenueEvent, client: Client, now_ns: int, fee_currency: str) -> ExecutionReport:
    """The report of a gateway event; takes the strategy's next execId."""
    order = event.order
    client.last_exec_id += 1
    return ExecutionReport(
        order_queue_id=order.key.queue_id,
        order_seq=order.key.seq,
        order_epoch=order.key.epoch,
        instrument_id=order.instrument_id,
        exec_id=client.last_exec_id,
        venue_order_id=order.venue_order_id,
        trade_id=event.trade_id,
        price=event.price,
        qty=event.qty,
        last_price=event.last_price,
        last_qty=event.last_qty,
        cum_qty=event.cum,
        leaves_qty=event.leaves,
        fee=event.fee,
        fee_exponent=MONEY_EXPONENT,
        fee_currency=fee_currency if event.last_qty else "",
        venue_ts=now_ns,
        order_ts=order.order_ts,
        cause_ts=order.cause_ts,
        request_seq=event.request_seq or order.key.seq,
        reject_code=event.code,
        exec_type=event.kind,
        side=Side(order.side),
        liquidity=event.liquidity,
    )


def refusal(
    kind: ExecType,
    client: Client,
    key: OrderKey,
    request_seq: int,
    code: RejectCode,
    now_ns: int,
    *,
    request: NewOrder | None = None,
    order: Order | None = None,
    order_ts: int = 0,
    flags: ReportFlags = _NO_FLAGS,
    text: str = "",
) -> ExecutionReport:
    """A request that never reached the gateway; takes the strategy's next execId."""
    client.last_exec_id += 1
    report = ExecutionReport(
        order_queue_id=key.queue_id,
        order_seq=key.seq,
        order_epoch=key.epoch,
        exec_id=client.last_exec_id,
        venue_ts=now_ns,
        order_ts=order_ts,
        request_seq=request_seq,
        reject_code=code,
        exec_type=kind,
        liquidity=Liquidity.NONE,
        fee_exponent=MONEY_EXPONENT,
        flags=flags,
        text=text,
    )
    if request is not None:
        report.instrument_id, report.side = request.instrument_id, request.side
        report.price, report.qty, report.cause_ts = request.price, request.qty, request.cause_ts
    if order is not None:
        report.instrument_id, report.side = order.instrument_id, Side(order.side)
        report.price, report.qty, report.cum_qty, report.leaves_qty = (
            order.price,
            order.qty,
            order.cum,
            order.leaves,
        )
        report.venue_order_id, report.order_ts, report.cause_ts = (
            order.venue_order_id,
            order.order_ts,
            order.cause_ts,
        )
    return report


def position_report(
    client: Client, instrument_id: int, position: Position, now_ns: int, flags: ReportFlags = _NO_FLAGS
) -> PositionReport:
    """A position as it stands."""
    return PositionReport(
        instrument_id=instrument_id,
        ts=now_ns,
        qty=position.qty,
        avg_price=position.average_price,
        realized_pnl=position.realized,
        fees=position.fees,
        open_cost=position.cost,
        last_exec_id=client.last_exec_id,
        flags=flags,
        pnl_exponent=MONEY_EXPONENT,
        account=client.account,
    )


def account_reports(client: Client, ledger: Ledger, instrument_id: int, now_ns: int) -> list[AccountReport]:
    """What an instrument's trading moves: balances of the account; where none is kept, what trading has brought."""
    holding = ledger.holding(client.name, instrument_id)
    account = holding.account
    if account is None:
        return [_brought(client, ledger, holding.position.terms.settle_currency, now_ns)]
    return _balances(client, account, account.currencies_of(holding.slot), now_ns)


def balance_reports(client: Client, ledger: Ledger, now_ns: int) -> list[AccountReport]:
    """All balances of a strategy's account; none where no account is kept."""
    account = ledger.account(client.name)
    return _balances(client, account, account.currencies, now_ns) if account is not None else []


def _balances(
    client: Client, account: Account, currencies: Iterable[str], now_ns: int
) -> list[AccountReport]:
    found = []
    for currency in currencies:
        if len(currency.encode()) > _CURRENCY:
            continue  # the definition names none; the account calls it by the instrument, a report has no room for that
        balance, available, exponent = account.mantissas(currency)
        found.append(
            AccountReport(
                ts=now_ns,
                balance=balance,
                available=available,
                exponent=exponent,
                account=client.account,
                currency=currency,
            )
        )
    return found


def _brought(client: Client, ledger: Ledger, currency: str, now_ns: int) -> AccountReport:
    """Realised profit less fees of all instruments settled in a currency."""
    balance = sum(
        holding.position.realized - holding.position.fees
        for (owner, _), holding in ledger.holdings.items()
        if owner == client.name and holding.position.terms.settle_currency == currency
    )
    return AccountReport(
        ts=now_ns,
        balance=balance,
        available=balance,
        exponent=MONEY_EXPONENT,
        account=client.account,
        currency=currency,
    )


def liquidation(closed: Liquidation, now_ns: int) -> RiskEvent:
    """A position that the venue closed: `actual_value` is its quantity, `limit_value` the price."""
    return RiskEvent(
        instrument_id=closed.instrument_id,
        ts=now_ns,
        limit_value=closed.price,
        actual_value=closed.qty,
        code=RejectCode.LIQUIDATION,
        strategy=closed.owner,
        text="liquidated: equity fell to the maintenance margin",
    )


def risk_event(strategy: str, instrument_id: int, breach: Breach, now_ns: int, text: str = "") -> RiskEvent:
    """A limit that an order, or a position, has hit."""
    return RiskEvent(
        instrument_id=instrument_id,
        ts=now_ns,
        limit_value=min(breach.limit, _LARGEST),
        actual_value=min(breach.actual, _LARGEST),
        code=breach.code,
        strategy=strategy,
        text=text,
    )


def tripped(client: Client, state: State, now_ns: int) -> list[RiskEvent]:
    """What breakers of a strategy have measured and tripped, each with an instrument of its currency; a checkpoint carries
    it on."""
    events = [*client.wires.measured.values(), *client.wires.carried.values()]
    for currency, breakers in client.wires.breakers.items():
        breach = breakers.tripped(now_ns)
        instruments = [
            terms.instrument_id for terms in state.ledger.terms.values() if terms.settle_currency == currency
        ]
        if instruments and breakers.has_begun:
            events.append(measurement(client.name, instruments[0], breakers, now_ns))
        if instruments and breach is not None:
            events.append(
                risk_event(client.name, instruments[0], breach, breakers.tripped_at, "tripped before")
            )
    return events


def open_order(order: Order) -> OpenOrder:
    """The record that carries an open order into the next session."""
    flags = OrderFlags(0)
    if order.reduce_only:
        flags |= OrderFlags.REDUCE_ONLY
    if order.post_only:
        flags |= OrderFlags.POST_ONLY
    return OpenOrder(
        order_queue_id=order.key.queue_id,
        order_seq=order.key.seq,
        order_epoch=order.key.epoch,
        instrument_id=order.instrument_id,
        price=order.price,
        qty=order.qty,
        cum_qty=order.cum,
        stop_price=order.stop_price,
        expire_ns=order.expire_ns,
        order_ts=order.order_ts,
        venue_order_id=order.venue_order_id,
        flags=flags,
        side=Side(order.side),
        order_type=OrderType(order.order_type),
        time_in_force=TimeInForce(order.time_in_force),
        stp_mode=StpMode(order.stp_mode),
        account=order.account,
        cause_ts=order.cause_ts,
        place=order.ahead + 1,
        state=order.state,
    )
