"""`chronicle bench`: figures on the screen, or one JSON object as the last line."""

from __future__ import annotations

from libchronicle.cli.bench import BenchOptions, available, run_bench
from libchronicle.cli.context import print_ndjson
from libchronicle.errors import ConfigError

__all__ = ["run_benchmark"]


def run_benchmark(
    name: str | None,
    *,
    names: bool,
    as_json: bool,
    tiny: bool,
    repeats: int,
    medium: str,
    directory: str,
    data: str,
) -> None:
    """Run one benchmark, or list them. Raises ConfigError."""
    if names:
        print("\n".join(available()))
        return
    if name is None:
        raise ConfigError(file="bench", key="NAME", reason=f"is missing; there are: {', '.join(available())}")
    if medium not in ("shm", "disk"):
        raise ConfigError(file="bench", key="--medium", reason=f'expected "shm" or "disk", got {medium!r}')
    figures = run_bench(
        name, BenchOptions(tiny=tiny, medium=medium, repeats=repeats, disk_dir=directory, data=data)
    )
    if as_json:
        print_ndjson(figures)
        return
    width = max(len(key) for key in figures)
    for key, value in figures.items():
        print(f"{key:<{width}}  {value:,.1f}" if isinstance(value, float) else f"{key:<{width}}  {value}")
