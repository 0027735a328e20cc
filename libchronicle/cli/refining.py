"""`chronicle etl run`: a raw queue refined in the foreground."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import typer

from libchronicle.bus.paths import BusPaths
from libchronicle.cli.context import find_run, print_json
from libchronicle.cli.queue_paths import resolve
from libchronicle.errors import NotReadyError, NotRecorded
from libchronicle.etl import Policy, Refinery, SymbolTable, load_symbols, open_refinery
from libchronicle.runtime.config import EtlConfig

__all__ = ["run_refinery"]

BATCH = 4096
WAIT_S = 0.25
REJECTED = ("too_late", "malformed", "too_large", "unknown")


def run_refinery(
    queue: str, out: str | None, run: str | None, config: str | None, *, follow: bool, as_json: bool
) -> None:
    """Until all is refined, or with `follow` until somebody stops it."""
    context = find_run(run, config)
    try:
        raw = resolve(queue, context.suite)
    except NotReadyError as error:  # nothing will come of waiting for a name that is wrong
        raise NotRecorded(what=queue, reason="no such queue", near=str(error)) from None
    etl = (context.config.etl if context.config is not None else None) or EtlConfig()
    paths = BusPaths(out) if out else context.suite.paths
    began = perf_counter()
    refinery = open_refinery(
        paths,
        raw,
        _reader(out),
        policy=Policy.of(etl),
        symbols=load_symbols(etl.symbols_path) if etl.symbols_path is not None else SymbolTable(),
    )
    try:
        with _bar(raw.name, refinery, quiet=as_json) as show:
            _refine(refinery, show, follow=follow)
    except KeyboardInterrupt:
        pass  # the way to end it
    finally:
        facts = _facts(refinery, raw, paths, perf_counter() - began)
        refinery.close()
        refinery.raw.close()
    if as_json:
        print_json(facts)
    else:
        _tell(facts)


def _reader(out: str | None) -> str:
    """In place of the daemon, or one that goes on where it stopped for that directory: no group of the daemon's."""
    if out is None:
        return "etl"
    return f"etl.run.{hashlib.blake2b(str(Path(out).resolve()).encode(), digest_size=6).hexdigest()}"


def _refine(refinery: Refinery, show: Callable[[], object], *, follow: bool) -> None:
    while True:
        taken = refinery.run(BATCH)
        refinery.commit()
        if taken:
            show()
        elif not follow:
            return
        else:
            refinery.raw.wait(WAIT_S)


def _facts(refinery: Refinery, raw: Path, paths: BusPaths, took_s: float) -> dict[str, Any]:
    return {
        "queue": str(raw),
        "clean": str(paths.clean_dir),
        "records": refinery.frames,
        "seconds": round(took_s, 3),
        "instruments": sorted(refinery.targets),
        **refinery.figures,
        "refused_definitions": [str(error) for error in refinery.faults],
    }


def _tell(facts: dict[str, Any]) -> None:
    typer.echo(f"{facts['records']:,} records of {facts['queue']} in {facts['seconds']:.1f} s")
    typer.echo(
        f"book {facts['book']:,}, trade {facts['trade']:,}, quote {facts['quote']:,} records of"
        f" {len(facts['instruments'])} instruments into {facts['clean']}"
    )
    typer.echo(f"{facts['snapshots']:,} snapshots injected, {facts['gaps']:,} gaps, {facts['late']:,} late")
    if facts["repeated"]:
        typer.echo(f"{facts['repeated']:,} were in already")
    left_out = {name: facts[name] for name in REJECTED if facts[name]}
    if left_out:
        typer.echo("left out: " + ", ".join(f"{count:,} {name}" for name, count in left_out.items()))
    for text in facts["refused_definitions"]:
        typer.echo(f"definition refused: {text}")


@contextmanager
def _bar(name: str, refinery: Refinery, *, quiet: bool) -> Iterator[Callable[[], object]]:
    """A progress bar on the terminal; nothing where there is none."""
    if quiet or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=None)
        yield lambda: progress.update(
            task, completed=refinery.frames, total=refinery.frames + refinery.raw.lag()[1]
        )
