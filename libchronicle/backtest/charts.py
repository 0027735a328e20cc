"""The charts of a report, as Plotly figures. What is thinned keeps the lowest and highest of each stretch."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

import numpy

from libchronicle.backtest.metrics import middle
from libchronicle.portfolio import MONEY_EXPONENT
from libchronicle.protocol import Liquidity, Side

if TYPE_CHECKING:
    from libchronicle.backtest.result import BacktestResult

__all__ = ["MOST_POINTS", "figures", "thin"]

MOST_POINTS: Final = 4000
"""Of a line; about two for each pixel column of a wide screen."""

_BLUE, _RED, _GREEN, _GREY, _AMBER = "#4c8dff", "#e5484d", "#30a46c", "#8b8d98", "#f5a524"
_MONEY: Final = 10.0**MONEY_EXPONENT

Array = numpy.ndarray[Any, Any]


def thin(x: Array, y: Array, most: int = MOST_POINTS) -> tuple[Array, Array]:
    """At most `most` points that keep the first, the last, and the lowest and highest of each stretch."""
    if len(y) <= most:
        return x, y
    stretches = max(1, most // 2 - 1)
    edges = numpy.linspace(0, len(y), stretches + 1).astype(int)
    kept = {0, len(y) - 1}
    for start, end in itertools.pairwise(edges):
        part = y[start:end]
        kept |= {start + int(part.argmin()), start + int(part.argmax())}
    rows = numpy.array(sorted(kept))
    return x[rows], y[rows]


def figures(result: BacktestResult, split: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Charts by title, in the order in which they stand; one without data is left out."""
    made = {"Equity and drawdown": _equity(result)}
    for place, name in enumerate(result.instruments):
        made[f"{name}: fills on the price"] = _fills(result, place, name)
        made[f"{name}: position"] = _position(result, place, name)
    made["Where the profit came from"] = _split(split)
    made["Latency"] = _latency(result)
    return {title: figure for title, figure in made.items() if figure is not None}


def _go() -> Any:
    import plotly.graph_objects

    return plotly.graph_objects


def _times(ns: Array) -> Array:
    found: Array = ns.astype("datetime64[ns]").astype("datetime64[us]")
    return found


def _figure(height: int, **layout: Any) -> Any:
    figure = _go().Figure()
    axis = {"gridcolor": "rgba(128,128,128,0.18)", "zerolinecolor": "rgba(128,128,128,0.4)"}
    figure.update_layout(
        height=height,
        margin={"l": 64, "r": 24, "t": 16, "b": 40},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13, "color": _GREY},
        legend={"orientation": "h", "y": 1.08},
        hovermode="x unified",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": _GREY, "activecolor": _BLUE},
        xaxis=dict(axis),
        yaxis=dict(axis),
        **layout,
    )
    return figure


def _line(figure: Any, name: str, x: Array, y: Array, colour: str, **more: Any) -> None:
    at, values = thin(x, y)
    shape = {"color": colour, "width": 1.4} | more.pop("line", {})
    figure.add_trace(_go().Scatter(x=_times(at), y=values, name=name, mode="lines", line=shape, **more))


def _equity(result: BacktestResult) -> Any:
    ts, equity = result.equity["ts_ns"], result.equity["equity"]
    if not len(ts):
        return None
    fall = (equity - numpy.maximum.accumulate(equity)) * _MONEY
    figure = _figure(
        420, yaxis2={"domain": [0, 0.26], "title": "drawdown", "gridcolor": "rgba(128,128,128,0.18)"}
    )
    _line(figure, "equity", ts, equity * _MONEY, _BLUE)
    _line(figure, "drawdown", ts, fall, _RED, fill="tozeroy", yaxis="y2")
    figure.update_layout(
        yaxis={"domain": [0.32, 1], "title": result.currency or "equity"}, xaxis={"anchor": "y2"}
    )
    return figure


def _price(result: BacktestResult, name: str, mantissas: Array) -> Array:
    found: Array = mantissas * 10.0 ** result.definitions[name].price_exponent
    return found


def _fills(result: BacktestResult, place: int, name: str) -> Any:
    marks = result.marks
    seen = (marks["instrument"] == place) & (marks["bid"] > 0) & (marks["ask"] > 0)
    if not seen.any():
        return None
    figure = _figure(420, yaxis_title="price")
    middles = middle(marks["bid"][seen], marks["ask"][seen])
    _line(figure, "middle", marks["ts_ns"][seen], _price(result, name, middles), _GREY)
    for side, colour, symbol in ((Side.BUY, _GREEN, "triangle-up"), (Side.SELL, _RED, "triangle-down")):
        for liquidity, word in ((Liquidity.MAKER, "made"), (Liquidity.TAKER, "took")):
            _marks(
                figure, result, place, name, side, liquidity, f"{side.name.lower()}, {word}", colour, symbol
            )
    return figure


def _marks(
    figure: Any,
    result: BacktestResult,
    place: int,
    name: str,
    side: Side,
    liquidity: Liquidity,
    label: str,
    colour: str,
    symbol: str,
) -> None:
    fills = result.fills
    mine = (fills["instrument"] == place) & (fills["side"] == side) & (fills["liquidity"] == liquidity)
    if not mine.any():
        return
    x, y = thin(fills["ts_ns"][mine], _price(result, name, fills["price"][mine]))
    shape = {
        "color": colour,
        "symbol": symbol if liquidity == Liquidity.MAKER else f"{symbol}-open",
        "size": 7,
    }
    shown = f"{label} ({len(x):,} of {int(mine.sum()):,})" if len(x) < mine.sum() else f"{label} ({len(x):,})"
    figure.add_trace(_go().Scattergl(x=_times(x), y=y, name=shown, mode="markers", marker=shape))


def _position(result: BacktestResult, place: int, name: str) -> Any:
    marks = result.marks
    mine = marks["instrument"] == place
    if not mine.any() or not marks["position"][mine].any():
        return None
    figure = _figure(240, yaxis_title="quantity")
    held = marks["position"][mine] * 10.0 ** result.definitions[name].qty_exponent
    _line(figure, "position", marks["ts_ns"][mine], held, _AMBER, line={"shape": "hv"}, fill="tozeroy")
    return figure


def _split(split: dict[str, dict[str, float]]) -> Any:
    rows = {name: part for name, part in split.items() if part["fills"]}
    if not rows:
        return None
    figure = _figure(320, barmode="group")
    parts = ("spread", "adverse", "drift", "fees", "profit")
    for name, part in rows.items():
        values = [-part[key] if key == "fees" else part[key] for key in parts]
        colours = [_GREEN if value >= 0 else _RED for value in values] if len(rows) == 1 else None
        texts = [f"{value:,.2f}" for value in values]
        figure.add_trace(
            _go().Bar(
                name=name,
                x=list(parts),
                y=values,
                text=texts,
                textposition="outside",
                marker={"color": colours},
            )
        )
    return figure


def _latency(result: BacktestResult) -> Any:
    orders = result.orders
    caused = orders["cause_ts"] > 0
    arrived = orders["arrived_ns"] > 0
    series = {
        "market record to order": (orders["sent_ns"] - orders["cause_ts"])[caused],
        "order to venue": (orders["arrived_ns"] - orders["sent_ns"])[arrived],
    }
    figure = _figure(280, xaxis_title="µs", yaxis_title="orders", barmode="overlay", bargap=0.05)
    for (name, ns), colour in zip(series.items(), (_BLUE, _AMBER), strict=True):
        if len(ns):
            counts, edges = numpy.histogram(ns / 1e3, bins=60)
            figure.add_trace(
                _go().Bar(
                    x=(edges[:-1] + edges[1:]) / 2,
                    y=counts,
                    name=name,
                    marker={"color": colour},
                    opacity=0.75,
                )
            )
    figure.update_layout(hovermode="closest")
    return figure if figure.data else None
