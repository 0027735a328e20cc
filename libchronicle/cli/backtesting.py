"""`chronicle backtest`: from the command line's words to runs, and from results to tables."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, Final

import typer

from libchronicle.backtest import BacktestResult, Plan, envelope, sweep
from libchronicle.backtest.output import output_dir
from libchronicle.backtest.spelling import latency_words
from libchronicle.backtest.sweep import Point, Progress
from libchronicle.cli.context import print_json, split_instrument
from libchronicle.cli.tables import render_table
from libchronicle.errors import BacktestFailed, InvalidArgument
from libchronicle.runtime import ExitCode
from libchronicle.strategy.params import Params

__all__ = ["run_backtest", "run_envelope", "run_sweep", "settings"]

_SHOWN = ("profit", "sharpe", "max_drawdown", "fills", "fill_ratio", "turnover")


def settings(
    strategy: str,
    data: Sequence[str],
    instruments: Sequence[str] | None,
    params: Sequence[str] | None,
    **more: Any,
) -> Plan:
    """The plan that the options say; what is None is left to the TOML. Raises ConfigError, InvalidArgument, InvalidName,
    UnknownParameter, BadParameter."""
    for name in instruments or ():
        split_instrument(name)
    said = {name: value for name, value in more.items() if value is not None}
    if "latency" in said:
        said["latency"] = latency_words(said["latency"])
    defaults = {"latency": "constant:500,500"}
    plan = Plan.of_toml(strategy, defaults=defaults, data=tuple(data), instruments=instruments, **said)
    return plan.replace({f"params.{name}": value for name, value in _params(plan, params or ()).items()})


def run_backtest(plan: Plan, out: str | None, *, as_json: bool) -> None:
    """One run, its figures, and its report when there is somewhere to put it."""
    if out is not None:
        output_dir(out)  # not only after a long run
    try:
        result = plan.run(keep_failure=True)
    except BacktestFailed as failed:  # in on_start: there is no result
        sys.stderr.write(f"{failed}\n{''.join(traceback.format_exception(failed.__cause__))}")
        raise typer.Exit(ExitCode.FAILED) from None
    page = result.report(out) if out is not None else None
    if as_json:
        print_json(result.metrics)
    else:
        sys.stdout.write(_told(result))
        if page is not None:
            sys.stdout.write(f"\n{page}\n")
    if result.failure:
        sys.stderr.write(f"the strategy failed:\n{result.failure}")
        raise typer.Exit(ExitCode.FAILED)


def _told(result: BacktestResult) -> str:
    figures = result.metrics
    split = figures.get("profit_split") or {}
    rows = [
        (
            "profit",
            f"{_text(figures['profit'])} {result.currency}, {_percent(figures.get('return'))} of the cash",
        ),
        (
            "came from",
            ", ".join(
                f"{name} {_text(-value if name in ('fees', 'funding') else value)}"
                for name, value in split.items()
            ),
        ),
        ("max drawdown", f"{_text(figures['max_drawdown'])}, for {figures.get('max_drawdown_s', 0):,.0f} s"),
        (
            "sharpe, sortino",
            f"{_text(figures['sharpe'])}, {_text(figures['sortino'])} (a year of {figures['year_days']:g} days)",
        ),
        (
            "fills",
            f"{figures['fills']:,}, {figures['maker_fills']:,} as maker; {_percent(figures['fill_ratio'])} of what was ordered",
        ),
        ("orders", f"{figures['orders']:,}, refused {_counts(figures['rejects'])}"),
        ("not sent", _counts(figures["refusals"])),
        (
            "data",
            f"{figures['messages']:,} messages in {result.wall_s:.2f} s, {figures['gaps']} gaps, hash {figures['hash']}",
        ),
    ]
    return render_table(("FIGURE", f"{result.strategy} on {', '.join(result.instruments)}"), rows) + "\n"


def run_envelope(plan: Plan, out: str | None, workers: int, *, as_json: bool) -> None:
    """Queue models by latencies: a table of profits, and the page."""
    with contextlib.ExitStack() as stack:
        where = out if out is not None else stack.enter_context(tempfile.TemporaryDirectory())
        progress = stack.enter_context(_bar("envelope", quiet=as_json))
        found = envelope(plan, f"{where}/points", workers=workers, progress=progress)
    page = found.report(out) if out is not None else None
    if as_json:
        print_json(found.to_dict())
    else:
        rows = [
            (queue, *map(_text, row)) for queue, row in zip(found.queues, found.values("profit"), strict=True)
        ]
        columns = tuple(range(1, len(found.latencies) + 1))
        sys.stdout.write(render_table(("PROFIT", *found.latencies), rows, right=columns) + "\n")
        spread = found.spread("profit")
        if spread is not None:
            sys.stdout.write(f"\nbetween {_text(spread[0])} and {_text(spread[1])}: one number misleads\n")
        if page is not None:
            sys.stdout.write(f"{page}\n")
    _fail_if(found.points)


def run_sweep(
    plan: Plan, grid: Sequence[str], out: str, workers: int, executor: str, sort: str, *, as_json: bool
) -> None:
    """A table of points, best first."""
    values = _grid(plan, grid)
    with _bar("sweep", quiet=as_json) as progress:
        points = sweep(plan, values, out, workers=workers, executor=executor, progress=progress)
    points.sort(key=lambda point: _rank(point, sort))
    if as_json:
        print_json(
            [
                {"changes": point.changes, "metrics": point.metrics, "failure": point.failure}
                for point in points
            ]
        )
    else:
        header = (*(name.removeprefix("params.") for name in values), *_SHOWN)
        rows = [
            (*map(str, point.changes.values()), *(_text(point.metrics.get(name)) for name in _SHOWN))
            for point in points
        ]
        sys.stdout.write(render_table(header, rows, right=tuple(range(len(values), len(header)))) + "\n")
    _fail_if(points)


def _rank(point: Point, figure: str) -> float:
    value = point.metrics.get(figure)
    if point.metrics and figure not in point.metrics:
        numbers = ", ".join(name for name, one in point.metrics.items() if isinstance(one, int | float))
        raise InvalidArgument(where="sweep", field="sort", value=figure, allowed=numbers)
    return -float(value) if isinstance(value, int | float) else float("inf")


def _grid(plan: Plan, words: Sequence[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    fields = set(plan.__struct_fields__) - {"params"}
    for word in words:
        name, equals, rest = word.partition("=")
        if not equals or not rest:
            raise InvalidArgument(where="sweep", field="--grid", value=word, allowed="NAME=A,B or NAME=A;B")
        if name in found or f"params.{name}" in found:
            raise InvalidArgument(
                where="sweep", field="--grid", value=word, allowed="each name once, as NAME=A,B"
            )
        model = name in ("latency", "fees", "chances") or name.startswith("latency.")
        values = rest.split(";" if ";" in rest or model else ",")
        if model or name in fields:
            found[name] = [_value(name, one) for one in values]
        else:
            found[f"params.{name}"] = [Params(plan.params).parse(name, one)[name] for one in values]
    return found


def _params(plan: Plan, words: Sequence[str]) -> dict[str, Any]:
    """Of the types that the TOML gives them."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise InvalidArgument(where="backtest", field="--param", value=word, allowed="KEY=VALUE")
        found |= Params(plan.params).parse(name, value)
    return found


_NUMBERS: Final = {"seed": int, "sample_ms": int, "leverage": float}


def _value(name: str, text: str) -> int | float | str:
    """Of the type that the plan's field has."""
    kind: type[int | float | str] = _NUMBERS.get(name, str)
    try:
        return kind(text)
    except ValueError:
        allowed = "whole numbers" if kind is int else "numbers"
        raise InvalidArgument(where="sweep", field=name, value=text, allowed=allowed) from None


def _fail_if(points: Sequence[Point]) -> None:
    failures = sorted({point.failure for point in points if point.failure})
    if failures:
        sys.stderr.write("runs failed:\n" + "\n".join(failures) + "\n")
        raise typer.Exit(ExitCode.FAILED)


@contextlib.contextmanager
def _bar(what: str, *, quiet: bool) -> Iterator[Progress | None]:
    """A progress bar on the terminal; nothing where there is none."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    value += 0  # a negative zero is none
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:,.2f}"
        if abs(value) >= 0.005 or value == 0
        else f"{value:.3g}"
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _counts(rejects: dict[str, int]) -> str:
    return ", ".join(f"{count} {code}" for code, count in rejects.items()) or "none"
