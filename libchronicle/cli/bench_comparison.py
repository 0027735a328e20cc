"""Is a benchmark worse than it was? A run against the JSON of earlier ones.

Judged are figures whose unit says which way is better: rates (`…_per_s`) up; times, memory and CPU (`…_ns`, `ns_per_…`,
`…_us`, `…_ms`, `…_s`, `…_mb`, `cpu_percent`) and what is `lost` down. Shown but not judged: tails (p90 and beyond, max,
stalls), which tell how often the machine stood still, ratios, and what is measured of others beside ours. Keys that are
named are judged by their unit, tails too.

What is less than a unit can tell apart (a tenth of a percent of CPU, a megabyte) counts as that. A time of nothing or less,
as a difference between two loops may come out, was not measured: worse than any.

A busy machine makes one run slow, a worse program all of them: what is worse is measured again, and counts if it is worse
each time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec

from libchronicle.errors import ConfigError

__all__ = ["Change", "compare", "judged", "read_baseline", "same_work", "worse_each_time"]

_RATE: Final = re.compile(r"_per_s$")
_COST: Final = re.compile(r"(?:^|_)(ns|us|ms|mb|cpu_percent|lost)(?:_\w+)?$|_(s)$")
_STOPS: Final = re.compile(r"(^|_)(stops|stalls)_per_s$")
_TAIL: Final = re.compile(r"(^|_)(max|p9\d*|stops|stalls)(_|$)")
_OTHERS: Final = re.compile(r"(^|_)(bare|hft|nautilus|picows|pipe|python|socket|websockets)_")
_FLOOR: Final = {"ns": 1.0, "us": 0.1, "ms": 0.1, "s": 0.01, "mb": 1.0, "cpu_percent": 0.1, "lost": 0.5}
_NEVER_ZERO: Final = {"ns", "us", "ms", "s"}
_LARGEST: Final = 1e300  # of what a figure may be: a quotient of two is a number, too
_FAR: Final = 1e9  # times worse: of what was not measured
_FILE_LIMIT: Final = 64 << 20
_TOLERANCE_LIMIT: Final = 10.0


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One figure then and now. `factor` is how many times worse it is (below 1: better); None where it is not judged."""

    key: str
    before: float
    now: float
    factor: float | None


def read_baseline(path: str, name: str | None) -> dict[str, Any]:
    """What `--json` printed of benchmark `name` (None: of the only one there is); of several runs the medians.

    Raises ConfigError.
    """
    try:
        with open(Path(path), "rb") as file:
            text = file.read(_FILE_LIMIT).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigError(file=path, key="--baseline", reason=f"cannot be read: {error}") from error
    runs = [run for line in (*text.splitlines(), text) if (run := _run_of(line)) is not None]
    if len(runs) > 1 and len(text.splitlines()) == 1:
        runs.pop()  # the whole of one line
    found = [run for run in runs if name in (None, run["bench"])]
    if not found:
        raise ConfigError(
            file=path,
            key="--baseline",
            reason=f"holds no run of {name or 'a benchmark'}, as --json prints it",
        )
    names = sorted({run["bench"] for run in found})
    if len(names) > 1:
        raise ConfigError(
            file=path, key="NAME", reason=f"is missing: the file holds several benchmarks, {', '.join(names)}"
        )
    for run in found:
        same_work(found[-1], run)
    return {
        key: median(run[key] for run in found)
        if all(_number(run.get(key)) for run in found)
        else found[-1][key]
        for key in found[-1]
    }


def _run_of(text: str) -> dict[str, Any] | None:
    """What a benchmark says before its last line is none."""
    try:
        run = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return None
    bench = run.get("bench")
    return run if isinstance(bench, str) and bench.isidentifier() else None


def judged(before: Mapping[str, Any], keys: Sequence[str] = ()) -> set[str]:
    """The figures of a baseline that a run is judged by: `keys`, or all that their unit says something of.

    Raises ConfigError: one of `keys` cannot be judged, or there is nothing to judge.
    """
    able = [key for key, value in before.items() if key.isidentifier() and _usable(key, value)]
    for key in keys:
        if key not in able:
            reason = f"{key!r} cannot be judged; there are: {', '.join(able) or 'none'}"
            raise ConfigError(file="bench", key="--key", reason=reason)
    found = set(keys) or {key for key in able if not _TAIL.search(key) and not _OTHERS.search(key)}
    if not found:
        reason = f"has no figure to judge by itself; --key may name: {', '.join(able) or 'none'}"
        raise ConfigError(file="bench", key="--baseline", reason=reason)
    return found


def same_work(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuses figures of another interpreter, processor, medium, size or market: what runs say of themselves in words.

    Raises ConfigError.
    """
    for key in sorted({*before, *now}):
        then, here = before.get(key), now.get(key)
        if then == here or (not isinstance(then, str | bool) and not isinstance(here, str | bool)):
            continue
        what = f"is of {key} {then!r}, this is {here!r}"
        if key == "hash":
            what = "did other work: another recording, --repeats, or version of the benchmark"
        elif then is None or here is None:
            what = f"{what if then is not None else f'does not say its {key}, this is {here!r}'}"
        raise ConfigError(
            file="bench", key="--baseline", reason=f"{what}; figures of one cannot judge the other"
        )


def compare(before: Mapping[str, Any], now: Mapping[str, Any], keys: Sequence[str] = ()) -> list[Change]:
    """Every figure that both have, in the order of `before`.

    Raises ConfigError: figures of another place or other work, a key that cannot be judged, nothing to judge, a judged
    figure that is no longer measured.
    """
    same_work(before, now)
    chosen = judged(before, keys)
    for key in sorted(chosen):
        if not _number(now.get(key)):
            raise ConfigError(
                file="bench", key="--baseline", reason=f"has {key}, which is no longer measured"
            )
    return [
        Change(
            key=key,
            before=before[key],
            now=now[key],
            factor=_factor(key, before[key], now[key]) if key in chosen else None,
        )
        for key in before
        if key != "n" and _number(before[key]) and _number(now.get(key))
    ]


def worse_each_time(
    before: Mapping[str, Any],
    measure: Callable[[], Mapping[str, Any]],
    *,
    tolerance: float,
    keys: Sequence[str] = (),
    tries: int = 3,
) -> tuple[list[Change], list[str], int]:
    """(changes, worse, runs): each figure as it was in its best run, and the keys that were worse by more than `tolerance`
    (0.2: 1.2 times) in every one. There are `tries` runs, or fewer if all was good before.

    Raises ConfigError.
    """
    if not 0 <= tolerance <= _TOLERANCE_LIMIT:
        reason = f"expected a share from 0 to {_TOLERANCE_LIMIT:g} (0.2: 1.2 times worse), got {tolerance:g}"
        raise ConfigError(file="bench", key="--tolerance", reason=reason)
    judged(before, keys)
    best: dict[str, Change] = {}
    worse: list[str] = []
    runs = 0
    while runs < tries and (worse or not runs):
        runs += 1
        for change in compare(before, measure(), keys):
            known = best.get(change.key)
            if known is None or change.factor is None or change.factor < (known.factor or math.inf):
                best[change.key] = change
        worse = [change.key for change in best.values() if (change.factor or 0.0) > 1 + tolerance]
    return list(best.values()), worse, runs


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def _unit(key: str) -> str:
    """Of what is better if it is less; else nothing."""
    if _RATE.search(key):
        return ""
    found = _COST.search(key)
    return (found[1] or found[2]) if found is not None else ""


def _usable(key: str, value: Any) -> bool:
    """Does its unit say which way is better, and is it a value to measure by?"""
    if not _number(value) or _STOPS.search(key) or value < 0:
        return False
    unit = _unit(key)
    return value > 0 if _RATE.search(key) or unit in _NEVER_ZERO else bool(unit)


def _factor(key: str, before: float, now: float) -> float:
    if _RATE.search(key):
        return before / now if now * _FAR > before else _FAR
    unit = _unit(key)
    if now < 0 or (now == 0 and unit in _NEVER_ZERO):
        return _FAR
    return max(now, _FLOOR[unit]) / max(before, _FLOOR[unit])
