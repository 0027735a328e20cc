"""The envelope of a backtest: the same run under several assumptions of what cannot be known from market data.

Where an order stood in its queue, and how late it arrived, decide what a passive strategy earns, and a recording says neither.
So one number misleads: the envelope runs every queue model with every latency and shows the spread. A strategy that only earns
in one corner earns nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Final

import msgspec

from libchronicle.backtest.output import output_dir, together
from libchronicle.backtest.plan import Plan
from libchronicle.backtest.sweep import Point, Progress, sweep
from libchronicle.errors import HostError

__all__ = ["LATENCIES", "QUEUES", "Envelope", "envelope"]

QUEUES: Final = ("risk-averse", "log", "prob:2", "prob:3")
"""From the most careful on: only trades move an order forward, then more and more of what is cancelled."""
LATENCIES: Final = ("constant:100,100", "constant:1000,1000", "constant:5000,5000", "jitter:5000,5000")

_FIGURES: Final = ("profit", "sharpe", "max_drawdown", "fills", "fill_ratio")


class Envelope:
    """Points by (queue, latency), in the order given."""

    def __init__(self, queues: Sequence[str], latencies: Sequence[str], points: Sequence[Point]) -> None:
        self.queues, self.latencies, self.points = tuple(queues), tuple(latencies), list(points)

    def values(self, figure: str) -> list[list[float | None]]:
        """A row per queue model, a column per latency."""
        found = [point.metrics.get(figure) for point in self.points]
        width = len(self.latencies)
        return [found[i : i + width] for i in range(0, len(found), width)]

    def spread(self, figure: str) -> tuple[float, float] | None:
        """(lowest, highest) of all runs; None without any."""
        known = [value for row in self.values(figure) for value in row if value is not None]
        return (min(known), max(known)) if known else None

    @property
    def failures(self) -> list[str]:
        return sorted({point.failure for point in self.points if point.failure})

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the axes, each figure's rows, and its spread."""
        figures = {name: {"values": self.values(name), "spread": self.spread(name)} for name in _FIGURES}
        return {
            "queues": self.queues,
            "latencies": self.latencies,
            "figures": figures,
            "failures": self.failures,
        }

    def report(self, directory: str | os.PathLike[str]) -> Path:
        """`envelope.html` with a map of each figure, and `envelope.json`. Returns the page. Raises HostError."""
        try:
            from plotly.graph_objects import Figure, Heatmap
            from plotly.offline import get_plotlyjs
        except ImportError as error:
            raise HostError(
                path="plotly", reason="not installed: pip install 'libchronicle[research]'"
            ) from error
        where = output_dir(directory)
        charts = []
        for number, name in enumerate(_FIGURES):
            rows = self.values(name)
            texts = [["–" if value is None else f"{value:,.4g}" for value in row] for row in rows]
            drawn = Heatmap(
                z=rows,
                x=self.latencies,
                y=self.queues,
                text=texts,
                texttemplate="%{text}",
                colorscale="RdYlGn",
            )
            if name == "max_drawdown":
                drawn.reversescale = True
            figure = Figure(drawn)
            figure.update_layout(
                height=120 + 48 * len(self.queues), margin={"t": 12, "b": 48, "l": 110, "r": 20},
                paper_bgcolor="rgba(0,0,0,0)", font={"color": "#8b8d98"},
            )  # fmt: skip
            body = figure.to_html(
                full_html=False, include_plotlyjs=False, div_id=f"map{number}", config={"displaylogo": False}
            )
            low_high = self.spread(name)
            told = "no run gave it" if low_high is None else f"{low_high[0]:,.4g} to {low_high[1]:,.4g}"
            charts.append(f"<section><h2>{escape(name.replace('_', ' '))}: {told}</h2>{body}</section>")
        failed = f"<section class=failed><h2>Runs that failed</h2><pre>{escape(chr(10).join(self.failures))}</pre></section>"
        page = Template(Path(__file__).with_name("report.html").read_text()).substitute(
            title="Envelope: queue model × latency",
            span="Each field is the whole run under other assumptions; the truth lies in between.",
            tiles="", failure=failed if self.failures else "", charts="".join(charts), tables="",
        )  # fmt: skip
        with together(where) as put:
            put("plotly.min.js", get_plotlyjs().encode())
            put("envelope.json", msgspec.json.format(msgspec.json.encode(self.to_dict()), indent=2))
            put("envelope.html", page.encode())
        return where / "envelope.html"


def envelope(
    plan: Plan,
    directory: str | os.PathLike[str],
    *,
    queues: Sequence[str] = QUEUES,
    latencies: Sequence[str] = LATENCIES,
    workers: int = 0,
    progress: Progress | None = None,
) -> Envelope:
    """Run the plan under each queue model with each latency; done points in `directory` are kept. Raises as `sweep`."""
    grid = {"queue": list(queues), "latency": list(latencies)}
    return Envelope(queues, latencies, sweep(plan, grid, directory, workers=workers, progress=progress))
