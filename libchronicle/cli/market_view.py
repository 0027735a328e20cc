"""`chronicle market`: the top of every book that the router follows."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path

from libchronicle.bus.market_board import MarketBoard
from libchronicle.bus.market_snapshot import MarketSnapshot
from libchronicle.cli.context import find_run, print_json
from libchronicle.cli.plain import plain
from libchronicle.cli.tables import render_table, seconds
from libchronicle.counters import read_counters
from libchronicle.errors import ChronicleError, ConfigError, NotReady

__all__ = ["run_market"]

HEADER = ("INSTRUMENT", "BID QTY", "BID", "ASK", "ASK QTY", "SPREAD", "AGE", "STATE")
_BEAT_S = 5.0


def run_market(run: str | None, config: str | None, names: list[str], *, as_json: bool) -> None:
    """Print them by name. Raises ConfigError for an instrument that is not among them."""
    suite = find_run(run, config).suite
    try:
        found = {one.name: one for one in MarketBoard(suite.paths.market_board).snapshots()}
    except NotReady:
        found = {}
    for name in names:
        if name not in found:
            known = ", ".join(found) or "none"
            raise ConfigError(file="command line", key="INSTRUMENT", reason=f"{name!r}: there are {known}")
    chosen = [found[name] for name in names] if names else list(found.values())
    lives = _router_lives(suite.paths.counters("router"))
    now_ns = time.time_ns()
    if as_json:
        print_json([_row(one, now_ns, lives) for one in chosen])
    elif chosen:
        print(render_table(HEADER, [_cells(one, now_ns, lives) for one in chosen], right=(1, 2, 3, 4, 5, 6)))
    else:
        print(f"no router has seen a market in {suite.root}")


def _router_lives(counters: Path) -> bool:
    try:
        return read_counters(counters).up(_BEAT_S)
    except ChronicleError:
        return False


def _state(one: MarketSnapshot, lives: bool) -> str:
    if not lives:
        return "router gone"
    return "ok" if one.valid else "no market"


def _row(one: MarketSnapshot, now_ns: int, lives: bool) -> dict[str, object]:
    def text(value: Decimal | None) -> str | None:
        return None if value is None else plain(value)

    return {
        "instrument": one.name,
        "state": _state(one, lives),
        "bid": text(one.price(one.bid)),
        "bid_qty": text(one.qty(one.bid)),
        "ask": text(one.price(one.ask)),
        "ask_qty": text(one.qty(one.ask)),
        "spread_bps": one.spread_bps,
        "recv_ns": one.recv_ts,
        "age_s": _age_s(one, now_ns),
    }


def _cells(one: MarketSnapshot, now_ns: int, lives: bool) -> tuple[str, ...]:
    prices = (one.qty(one.bid), one.price(one.bid), one.price(one.ask), one.qty(one.ask))
    spread, age = one.spread_bps, _age_s(one, now_ns)
    return (
        one.name,
        *map(plain, prices),
        "-" if spread is None else f"{spread:.2f} bps",
        "-" if age is None else seconds(age),
        _state(one, lives),
    )


def _age_s(one: MarketSnapshot, now_ns: int) -> float | None:
    return max(0.0, (now_ns - one.recv_ts) / 1e9) if one.recv_ts else None
