"""`chronicle positions`, `chronicle balances` and `chronicle orders`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from libchronicle.cli.arguments import ConfigOption, JsonOption, RunOption
from libchronicle.cli.plain import plain

if TYPE_CHECKING:
    from libchronicle.cli.holdings import Balance, Held, Holdings
    from libchronicle.cli.open_orders import Listed, OpenOrders

__all__ = ["balances", "orders", "positions"]

_POSITIONS = (
    "VENUE", "SYMBOL", "STRATEGY", "POSITION", "AVERAGE", "MARK", "UNREALISED", "REALISED", "FEES", "IN", "AS OF",
)  # fmt: skip
_BALANCES = ("ACCOUNT", "STRATEGY", "IN", "TOTAL", "AVAILABLE", "LOCKED", "EQUITY", "AS OF")
_ORDERS = (
    "VENUE", "SYMBOL", "STRATEGY", "SIDE", "TYPE", "TIF", "QTY", "FILLED", "PRICE", "STOP", "SENT", "ID",
)  # fmt: skip
_STALE_S = 10.0  # a mark older than this says so


def positions(run: RunOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every strategy's positions: average price, mark, unrealised and realised profit; also when all daemons are dead.

    They are as the router told them last, at AS OF (UTC). MARK is the middle of the book as its feed left it. REALISED is
    before FEES.

    \b
    Examples:
      chronicle positions
      chronicle positions --json
    """
    from libchronicle.cli.tables import render_table

    found = _read(run, config)
    if as_json:
        _print_json(found.positions)
    elif found.positions:
        rows = [_position(one) for one in found.positions]
        print(render_table(_POSITIONS, [*rows, *_totals(found.positions)], right=(3, 4, 5, 6, 7, 8)))
    else:
        print("no strategy has traded yet")
    _complain(found)


def balances(run: RunOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every strategy's balances at its account; also when all daemons are dead.

    TOTAL and AVAILABLE (for new orders) are as the router told them last, at AS OF (UTC). EQUITY counts open positions
    on margin at their mark; LOCKED is what of it is not available. Without accounts (`cash` in [router.paper]) TOTAL is
    what trading has brought.

    \b
    Examples:
      chronicle balances
      chronicle balances --json
    """
    from libchronicle.cli.tables import render_table

    found = _read(run, config)
    if as_json:
        _print_json(found.balances)
    elif found.balances:
        print(render_table(_BALANCES, [_balance(one) for one in found.balances], right=(3, 4, 5, 6)))
    else:
        print("no strategy was told a balance yet")
    _complain(found)


def orders(run: RunOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every strategy's open orders, oldest first; also when all daemons are dead.

    They are as the router told them last. SENT is UTC; ID names the request in the strategy's orders_out, epoch:seq.

    \b
    Examples:
      chronicle orders
      chronicle orders --json
    """
    from libchronicle.cli.context import find_run
    from libchronicle.cli.open_orders import read_open_orders
    from libchronicle.cli.tables import render_table

    found = read_open_orders(find_run(run, config).suite.paths)
    if as_json:
        _print_json(found.orders)
    elif found.orders:
        print(render_table(_ORDERS, [_order(one) for one in found.orders], right=(6, 7, 8, 9)))
    else:
        print("no order is open")
    _complain(found)


def _read(run: str | None, config: str | None) -> Holdings:
    from libchronicle.cli.context import find_run
    from libchronicle.cli.holdings import read_holdings

    found = find_run(run, config)
    return read_holdings(found.suite.paths, found.config.router if found.config is not None else None)


def _print_json(rows: Sequence[Held] | Sequence[Balance] | Sequence[Listed]) -> None:
    """Amounts as text, without an exponent."""
    import msgspec

    from libchronicle.cli.context import print_json

    print_json(
        [
            {
                name: f"{value:f}" if isinstance(value, Decimal) else value
                for name, value in msgspec.structs.asdict(row).items()
            }
            for row in rows
        ]
    )


def _complain(found: Holdings | OpenOrders) -> None:
    """What could not be read, after what could: the first error decides the exit code. Raises it."""
    for error in found.failures.values():
        raise error


def _position(one: Held) -> tuple[str, ...]:
    mark = plain(one.mark)
    if one.mark_age_s is not None and one.mark_age_s > _STALE_S:
        from libchronicle.cli.tables import seconds

        mark += f" ({seconds(one.mark_age_s)} old)"
    return (
        one.venue,
        one.symbol,
        one.strategy,
        plain(one.position),
        plain(one.average) if one.position else "-",
        mark,
        plain(one.unrealised),
        plain(one.realised),
        plain(one.fees),
        one.currency,
        _utc(one.told_ns),
    )


def _totals(held: Sequence[Held]) -> list[tuple[str, ...]]:
    """A row for each currency, if there is anything to add up."""
    if len(held) < 2:
        return []
    rows: list[tuple[str, ...]] = []
    for currency in sorted({one.currency for one in held}):
        those = [one for one in held if one.currency == currency]
        marked = [one.unrealised for one in those if one.unrealised is not None]
        unrealised = sum(marked, Decimal(0)) if len(marked) == len(those) else None
        realised = sum((one.realised for one in those), Decimal(0))
        fees = sum((one.fees for one in those), Decimal(0))
        told = (plain(unrealised), plain(realised), plain(fees), currency, "")
        rows.append(("total", "", "", "", "", "", *told))
    return rows


def _balance(one: Balance) -> tuple[str, ...]:
    figures = (plain(each) for each in (one.total, one.available, one.locked, one.equity))
    return (one.account, one.strategy, one.currency, *figures, _utc(one.told_ns))


def _order(one: Listed) -> tuple[str, ...]:
    figures = (plain(each) for each in (one.qty, one.filled, one.price, one.stop))
    told = (one.venue, one.symbol, one.strategy, one.side, one.type or "-", one.tif or "-")
    return (*told, *figures, _utc(one.sent_ns), one.id)


def _utc(ns: int) -> str:
    return time.strftime("%m-%d %H:%M:%S", time.gmtime(ns / 1e9)) if ns else "-"
