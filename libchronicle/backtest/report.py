"""A run as people look at it: one page that works offline, and the same figures and tables for programs.

    report.html       charts and every figure; needs plotly.min.js beside it and nothing else
    metrics.json      `BacktestResult.metrics`
    orders.parquet fills.parquet equity.parquet marks.parquet      the tables, zstd

All files appear together, the page last, or none does: what was there before stays whole (output.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Final

import msgspec

from libchronicle.backtest.output import output_dir, together
from libchronicle.errors import HostError

if TYPE_CHECKING:
    from libchronicle.backtest.result import BacktestResult

__all__ = ["write"]

TABLES: Final = ("orders", "fills", "equity", "marks")
_PAGE: Final = Path(__file__).with_name("report.html")
_HEAD: Final = (
    ("profit", "Profit"),
    ("return", "Return"),
    ("sharpe", "Sharpe"),
    ("sortino", "Sortino"),
    ("max_drawdown", "Max drawdown"),
    ("fills", "Fills"),
    ("fill_ratio", "Fill ratio"),
    ("turnover", "Turnover"),
)
_PERCENT: Final = ("return", "fill_ratio", "max_drawdown_of_peak", "winning_fills", "volatility")


def write(result: BacktestResult, directory: Path) -> Path:
    """Write all files into `directory`, which is made. Returns the page. Raises HostError."""
    try:
        import pyarrow.parquet
        from plotly.offline import get_plotlyjs

        from libchronicle.backtest import charts
    except ImportError as error:
        raise HostError(
            path=error.name or "plotly", reason="not installed: pip install 'libchronicle[research]'"
        ) from error
    output_dir(directory)
    metrics = result.metrics
    with together(directory) as put:
        for name in TABLES:
            table = getattr(result, name).to_arrow()
            put(f"{name}.parquet", partial(pyarrow.parquet.write_table, table, compression="zstd"))
        put("metrics.json", msgspec.json.format(msgspec.json.encode(metrics), indent=2))
        put("plotly.min.js", get_plotlyjs().encode())
        drawn = charts.figures(result, metrics.get("split", {}))
        put("report.html", _page(result, metrics, drawn).encode())
    return directory / "report.html"


def _page(result: BacktestResult, metrics: Mapping[str, Any], drawn: Mapping[str, Any]) -> str:
    title = f"{result.strategy} on {', '.join(result.instruments)}"
    failure = (
        f"<section class=failed><h2>The strategy failed</h2><pre>{escape(result.failure)}</pre></section>"
        if result.failure
        else ""
    )
    return Template(_PAGE.read_text()).substitute(
        title=escape(title),
        span=escape(f"{_time(result.start_ns)} to {_time(result.end_ns)} UTC"),
        tiles="".join(_tile(key, word, metrics.get(key)) for key, word in _HEAD),
        failure=failure,
        charts="".join(
            _chart(number, heading, figure) for number, (heading, figure) in enumerate(drawn.items())
        ),
        tables="".join(_table(heading, rows) for heading, rows in _sections(metrics).items()),
    )


def _time(ns: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _tile(key: str, word: str, value: Any) -> str:
    sign = (
        ""
        if not isinstance(value, float) or key not in ("profit", "return", "sharpe", "sortino")
        else "up"
        if value >= 0
        else "down"
    )
    return f'<div class="tile {sign}"><span>{word}</span><b>{escape(_text(key, value))}</b></div>'


def _text(key: str, value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return (
            f"{value:.2%}"
            if key in _PERCENT
            else f"{value:,.2f}"
            if abs(value) >= 0.005 or value == 0
            else f"{value:.3g}"
        )
    return f"{value:,}" if isinstance(value, int) and not key.endswith("_ns") else str(value)


def _chart(number: int, heading: str, figure: Any) -> str:
    body = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=f"chart{number}",
        config={"displaylogo": False, "responsive": True},
    )
    return f"<section><h2>{escape(heading)}</h2>{body}</section>"


def _sections(metrics: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Every figure in a table: plain ones together, groups under their own name."""
    plain: list[tuple[str, str]] = []
    groups: dict[str, list[tuple[str, str]]] = {}
    for key, value in metrics.items():
        if isinstance(value, dict):
            for name, inner in value.items():
                where = groups.setdefault(
                    f"{_words(key)}: {name}" if isinstance(inner, dict) else _words(key), []
                )
                where += (
                    [(_words(k), _text(k, v)) for k, v in inner.items()]
                    if isinstance(inner, dict)
                    else [(_words(name), _text(name, inner))]
                )
        elif key != "failure":
            plain.append(
                (
                    _words(key),
                    _text(key, value if not isinstance(value, list) else ", ".join(map(str, value))),
                )
            )
    return {"All figures": plain} | groups


def _words(key: str) -> str:
    return key.replace("_", " ")


def _table(heading: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    lines = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows)
    return f"<section class=table><h2>{escape(heading)}</h2><table>{lines}</table></section>"
