"""Figures of a run, from its tables alone.

Formulas. E_k is equity on the sampling grid (interval d, the last value at or before each beat); n = year / d beats a year;
a year is 365 days (markets that never close; say `year_days=252` for others).

    return       r_k = E_k / E_(k-1) - 1, while equity is positive
    sharpe       mean(r) / std(r, ddof 1) × sqrt(n), no risk-free rate             (Sharpe 1994, "The Sharpe Ratio")
    sortino      mean(r) / sqrt(mean(min(r, 0)²)) × sqrt(n)                         (Sortino, Price 1994: target 0)
    drawdown     the largest fall of equity below its highest value so far, of all rows, and the longest time below it
    turnover     sum of the value of all fills; `turnover_times`: over the mean of equity
    fill ratio   quantity filled over quantity of the orders the venue accepted
    holding      2 × ∫|position| dt / quantity traded: the mean time a unit was held (Little's law), by the marks' grid
    split        of profit, exact in units of money (1e-8). V(p, q): value of a signed quantity q at price p; m: middle of
                 the book; h: the horizon; T: the end
                   spread    Σ V(m(t), q) - V(price, q)          what a fill earned against the middle when it happened
                   adverse   Σ V(m(t + h), q) - V(m(t), q)       what the middle did within the horizon after it
                   drift     Σ V(m(T), q) - V(m(t + h), q)       what it did after that, until the end
                   fees, funding                                 what they cost (a rebate is negative)
                 profit = spread + adverse + drift - fees - funding + rest. `rest` is what the rounding of inverse contracts
                 left, and positions from before the first fill: 0 in plain runs.
m(t + h) is the middle at the first sample at or after t + h, or the last.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy

from libchronicle.portfolio import MONEY_EXPONENT, InstrumentTerms, OrderState
from libchronicle.protocol import Liquidity, Side

if TYPE_CHECKING:
    from libchronicle.backtest.result import BacktestResult

__all__ = ["HORIZON_NS", "Split", "drawdown", "grid", "of", "returns", "splits"]

Ints = numpy.ndarray[Any, numpy.dtype[numpy.int64]]
Floats = numpy.ndarray[Any, numpy.dtype[numpy.float64]]

HORIZON_NS: Final = 1_000_000_000
_DAY_NS: Final = 86_400_000_000_000
_MONEY: Final = 10.0**MONEY_EXPONENT


class Split:
    """Profit of one instrument by where it came from: ints at MONEY_EXPONENT."""

    __slots__ = ("adverse", "drift", "fees", "fills", "maker_fills", "spread", "traded_qty", "turnover")

    def __init__(self) -> None:
        self.spread = self.adverse = self.drift = self.fees = 0
        self.turnover = self.traded_qty = self.fills = self.maker_fills = 0

    @property
    def profit(self) -> int:
        """Of the fills, at the last middle, after fees and before funding."""
        return self.spread + self.adverse + self.drift - self.fees


def of(result: BacktestResult, *, year_days: float = 365.0, horizon_ns: int = HORIZON_NS) -> dict[str, Any]:
    """All figures: money in units of the settle currency (floats), ratios, counts. None where a figure has no meaning."""
    equity = result.equity["equity"]
    split = splits(result, horizon_ns)
    figures = {
        "strategy": result.strategy,
        "instruments": list(result.instruments),
        "currency": result.currency,
        "start_ns": result.start_ns,
        "end_ns": result.end_ns,
        "hash": result.hash,
        "messages": result.messages,
        "rows": result.rows,
        "gaps": result.gaps,
        "lost": result.lost,
        "failure": result.failure,
        "settings": dict(result.settings),
        "params": {name: str(value) for name, value in result.params.items()},
    }
    figures |= _profit(result, equity, split)
    figures |= _ratios(result, year_days)
    figures |= _activity(result, split)
    figures |= _latencies(result)
    figures["split"] = {
        name: _split_figures(part) for name, part in zip(result.instruments, split, strict=True)
    }
    return figures


def _profit(result: BacktestResult, equity: Ints, split: list[Split]) -> dict[str, Any]:
    if not len(equity):
        return {"equity_start": None, "equity_end": None, "profit": None, "max_drawdown": None}
    profit = int(equity[-1]) - int(equity[0])
    funding = int(result.equity["funding"][-1])
    parts = {
        "spread": sum(part.spread for part in split),
        "adverse": sum(part.adverse for part in split),
        "drift": sum(part.drift for part in split),
        "fees": sum(part.fees for part in split),
        "funding": funding,
    }
    explained = parts["spread"] + parts["adverse"] + parts["drift"] - parts["fees"] - funding
    deepest, longest_ns = drawdown(result.equity["ts_ns"], equity)
    highest = int(equity.max())
    return {
        "equity_start": int(equity[0]) * _MONEY,
        "equity_end": int(equity[-1]) * _MONEY,
        "profit": profit * _MONEY,
        "return": profit / int(equity[0]) if equity[0] > 0 else None,
        "max_drawdown": deepest * _MONEY,
        "max_drawdown_of_peak": deepest / highest if highest > 0 else None,
        "max_drawdown_s": longest_ns / 1e9,
        "realized": int(result.equity["realized"][-1]) * _MONEY,
        "profit_split": {name: value * _MONEY for name, value in parts.items()}
        | {"rest": (profit - explained) * _MONEY},
    }


def drawdown(ts_ns: Ints, equity: Ints) -> tuple[int, int]:
    """(largest fall below the highest value so far, longest time in ns between a high and the next one at least as high)."""
    if not len(equity):
        return 0, 0
    peak = numpy.maximum.accumulate(equity)
    at_peak = ts_ns[equity >= peak]
    gaps = numpy.diff(numpy.append(at_peak, ts_ns[-1]))
    return int((peak - equity).max()), int(gaps.max(initial=0))


def grid(ts_ns: Ints, values: Ints, interval_ns: int) -> tuple[Ints, Ints]:
    """Values on the beats of `interval_ns` from the first time to the last: the last row at or before each beat."""
    if not len(ts_ns) or interval_ns <= 0:
        return ts_ns[:0], values[:0]
    first = int(ts_ns[0]) - int(ts_ns[0]) % -interval_ns  # the first beat at or after it
    beats = numpy.arange(first, int(ts_ns[-1]) + 1, interval_ns, dtype=numpy.int64)
    rows = numpy.searchsorted(ts_ns, beats, side="right") - 1
    return beats[rows >= 0], values[rows[rows >= 0]]


def returns(equity: Ints) -> Floats | None:
    """r_k of the rows; None when equity is not positive throughout or there are fewer than three rows."""
    if len(equity) < 3 or (equity <= 0).any():
        return None
    found: Floats = equity[1:] / equity[:-1] - 1.0
    return found


def _ratios(result: BacktestResult, year_days: float) -> dict[str, Any]:
    _, equity = grid(result.equity["ts_ns"], result.equity["equity"], result.sample_ns)
    r = returns(equity)
    figures: dict[str, Any] = {"sample_ns": result.sample_ns, "samples": len(equity), "year_days": year_days}
    if r is None:
        return figures | {"sharpe": None, "sortino": None, "volatility": None}
    yearly = math.sqrt(year_days * _DAY_NS / result.sample_ns)
    deviation, mean = float(r.std(ddof=1)), float(r.mean())
    downside = math.sqrt(float(numpy.square(numpy.minimum(r, 0.0)).mean()))
    return figures | {
        "sharpe": mean / deviation * yearly if deviation > 0 else None,
        "sortino": mean / downside * yearly if downside > 0 else None,
        "volatility": deviation * yearly,
    }


def _activity(result: BacktestResult, split: list[Split]) -> dict[str, Any]:
    orders, fills, equity = result.orders, result.fills, result.equity["equity"]
    accepted = orders["state"] != OrderState.REJECTED
    asked = int(orders["qty"][accepted].sum())
    value = sum(part.turnover for part in split)
    mean = float(equity.mean()) if len(equity) else 0.0
    closing = _closing_profits(result)
    return {
        "orders": len(orders),
        "orders_rejected": int((~accepted).sum()),
        "orders_filled": int((orders["state"] == OrderState.FILLED).sum()),
        "rejects": dict(result.rejects),
        "refusals": dict(result.refusals),
        "requests": result.requests,
        "fills": len(fills),
        "maker_fills": int((fills["liquidity"] == Liquidity.MAKER).sum()),
        "fill_ratio": int(fills["qty"][fills["order_id"] != 0].sum()) / asked if asked else None,
        "turnover": value * _MONEY,
        "turnover_times": value / mean if mean > 0 else None,
        "winning_fills": sum(profit > 0 for profit in closing) / len(closing) if closing else None,
        "holding_s": _holding_s(result, sum(part.traded_qty for part in split)) if len(split) == 1 else None,
        "liquidations": result.liquidations,
    }


def _closing_profits(result: BacktestResult) -> list[int]:
    """What each fill that took off a position realised."""
    found = []
    for place in range(len(result.instruments)):
        mine = result.fills["instrument"] == place
        steps = numpy.diff(result.fills["realized"][mine], prepend=0)
        signed = numpy.where(result.fills["side"][mine] == Side.BUY, 1, -1) * result.fills["qty"][mine]
        before = result.fills["position"][mine] - signed
        found += [int(step) for step in steps[(before != 0) & (numpy.sign(before) != numpy.sign(signed))]]
    return found


def _holding_s(result: BacktestResult, traded: int) -> float | None:
    if not traded or len(result.marks) < 2:
        return None
    ts, held = result.marks["ts_ns"], numpy.abs(result.marks["position"])
    return 2 * float((held[:-1] * numpy.diff(ts)).sum()) / 1e9 / traded


def _latencies(result: BacktestResult) -> dict[str, Any]:
    """Of orders: from the market record behind it to its sending, and from there to the venue."""
    orders = result.orders
    caused, arrived = orders["cause_ts"] > 0, orders["arrived_ns"] > 0
    return {
        "tick_to_order_us": _quantiles((orders["sent_ns"] - orders["cause_ts"])[caused]),
        "order_to_venue_us": _quantiles((orders["arrived_ns"] - orders["sent_ns"])[arrived]),
        "order_life_ms": _quantiles((orders["done_ns"] - orders["arrived_ns"])[orders["done_ns"] > 0], 1e6),
    }


def _quantiles(ns: Ints, unit: float = 1e3) -> dict[str, float] | None:
    if not len(ns):
        return None
    names = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
    return {name: float(numpy.percentile(ns, q)) / unit for name, q in names.items()}


def _split_figures(part: Split) -> dict[str, Any]:
    money = {
        name: getattr(part, name) * _MONEY
        for name in ("profit", "spread", "adverse", "drift", "fees", "turnover")
    }
    return money | {"fills": part.fills, "maker_fills": part.maker_fills}


# ---------------------------------------------------------------- where the profit came from


def splits(result: BacktestResult, horizon_ns: int = HORIZON_NS) -> list[Split]:
    """One Split per instrument, in the order of `result.instruments`. Exact."""
    return [_split(result, place, name, horizon_ns) for place, name in enumerate(result.instruments)]


def _split(result: BacktestResult, place: int, name: str, horizon_ns: int) -> Split:
    terms = InstrumentTerms.of(result.definitions[name])
    split = Split()
    fills, marks = result.fills, result.marks
    seen = (marks["instrument"] == place) & (marks["bid"] > 0) & (marks["ask"] > 0)
    times = marks["ts_ns"][seen]
    middles = middle(marks["bid"][seen], marks["ask"][seen])
    mine = numpy.flatnonzero(fills["instrument"] == place)
    if not len(mine) or not len(times):
        return split
    later = numpy.minimum(numpy.searchsorted(times, fills["ts_ns"][mine] + horizon_ns), len(times) - 1)
    last = int(middles[-1])
    for row, after in zip(_rows(fills, mine), middles[later].tolist(), strict=True):
        price, qty, bid, ask, fee, side, liquidity = row
        signed = qty if side == Side.BUY else -qty
        then = bid + (ask - bid) // 2 if bid and ask else price
        at_fill, at_middle = terms.signed_value(price, signed), terms.signed_value(then, signed)
        at_horizon = terms.signed_value(after, signed)
        split.spread += at_middle - at_fill
        split.adverse += at_horizon - at_middle
        split.drift += terms.signed_value(last, signed) - at_horizon
        split.fees += fee
        split.turnover += abs(at_fill)
        split.traded_qty += qty
        split.fills += 1
        split.maker_fills += liquidity == Liquidity.MAKER
    return split


def middle(bid: Ints, ask: Ints) -> Ints:
    """As the account marks positions: half-way, rounded down to a unit of price."""
    found: Ints = bid + (ask - bid) // 2
    return found


def _rows(fills: Any, mine: Ints) -> Iterator[tuple[int, ...]]:
    names = ("price", "qty", "bid", "ask", "fee", "side", "liquidity")
    return zip(*(fills[name][mine].tolist() for name in names), strict=True)
