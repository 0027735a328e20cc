"""Is a benchmark worse than it was? A run against the JSON of an earlier one.

Judged are figures whose unit says which way is better: rates (`…_per_s`) up; times, memory and CPU (`…_ns`, `ns_per_…`,
`…_us`, `…_ms`, `…_mb`, `cpu_percent`) down. Shown but not judged: tails (p90 and beyond, max, stalls), which tell how often
the machine stood still, ratios, and what is measured of others beside ours. Keys that are named are judged by their unit,
tails too.

A busy machine makes one run slow, a worse program all of them: what is worse is measured again, and counts if it is worse
each time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from libchronicle.errors import ConfigError

__all__ = ["Change", "compare", "judged", "read_baseline", "same_work", "worse_each_time"]

_RATE: Final = re.compile(r"_per_s$")
_COST: Final = re.compile(r"(^|_)(ns|us|ms|mb)(_\w+)?$|(^|_)cpu_percent$")
_TAIL: Final = re.compile(r"(^|_)(max|p9\d*|stops|stalls)(_|$)")
_LARGEST: Final = 1e300  # of what a figure may be: a quotient of two is a number, too
_OTHERS: Final = re.compile(r"(^|_)(bare|hft|nautilus|picows|pipe|socket|websockets)_")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One figure then and now. `factor` is how many times worse it is (below 1: better); None where it is not judged."""

    key: str
    before: float
    now: float
    factor: float | None


def read_baseline(path: str, name: str | None) -> dict[str, Any]:
    """What `--json` printed of benchmark `name` (None: of the only one); the last line of several. Raises ConfigError."""
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(file=path, key="--baseline", reason=f"cannot be read: {error}") from error
    runs = []
    for line in lines:
        try:
            run = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            continue  # what a benchmark says before its last line
        if isinstance(run.get("bench"), str) and name in (None, run["bench"]):
            runs.append(run)
    if not runs:
        raise ConfigError(
            file=path,
            key="--baseline",
            reason=f"holds no run of {name or 'a benchmark'}, as --json prints it",
        )
    if len({run["bench"] for run in runs}) > 1:
        raise ConfigError(file=path, key="NAME", reason="is missing: the file holds several benchmarks")
    return runs[-1]


def judged(before: Mapping[str, Any], keys: Sequence[str] = ()) -> set[str]:
    """The figures of a baseline that a run is judged by: `keys`, or all that their unit says something of.

    Raises ConfigError: one of `keys` cannot be judged, or there is nothing to judge.
    """
    able = [key for key, value in before.items() if _number(value) and _sign(key) and value > 0]
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
    """Refuses figures of another interpreter, processor, medium, size or market: what a run says of itself in words.

    Raises ConfigError.
    """
    for key, value in now.items():
        if isinstance(value, str | bool) and key != "hash" and before.get(key) != value:
            reason = (
                f"is of {key} {before.get(key)!r}, this is {value!r}: figures of one cannot judge the other"
            )
            raise ConfigError(file="bench", key="--baseline", reason=reason)


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
            factor=_factor(before[key], now[key], _sign(key)) if key in chosen else None,
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
) -> tuple[list[Change], list[str]]:
    """The changes of the last run, and the keys that were worse by more than `tolerance` (0.2: by a fifth) in all of `tries`.

    Raises ConfigError.
    """
    if not math.isfinite(tolerance) or tolerance < 0:
        raise ConfigError(
            file="bench", key="--tolerance", reason=f"expected a share from 0 on, got {tolerance}"
        )
    judged(before, keys)
    worse: set[str] | None = None
    changes: list[Change] = []
    for _ in range(tries):
        changes = compare(before, measure(), keys)
        now = {
            change.key for change in changes if change.factor is not None and change.factor > 1 + tolerance
        }
        worse = now if worse is None else worse & now
        if not worse:
            break
    return changes, [change.key for change in changes if change.key in (worse or ())]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def _sign(key: str) -> int:
    """1: more is better, -1: less, 0: nothing says so."""
    return 1 if _RATE.search(key) else -1 if _COST.search(key) else 0


def _factor(before: float, now: float, sign: int) -> float:
    if sign < 0:
        return now / before
    return before / now if now > 0 else math.inf
