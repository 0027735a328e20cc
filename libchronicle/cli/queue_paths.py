"""Finding the queues of a suite on disk."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from libchronicle.cli.suite import Suite
from libchronicle.errors import InvalidName, NotReadyError

__all__ = ["queues_of", "resolve"]

LISTED = 20


def queues_of(suite: Suite) -> list[tuple[str, Path]]:
    """(name as it can be typed, path) of every queue, in the order of the data flow.

    One that was left below root when market data moved to the hot directory goes by its path: the name is its successor's.
    """
    found: dict[str, Path] = {}
    for root in _roots(suite):
        for directory, names, files in os.walk(root):
            here = Path(
                directory
            )  # an archive is large and holds no queues; a hot directory below root has been seen
            names[:] = [name for name in names if name != "archive" and here / name != suite.hot]
            if is_queue(files):
                names.clear()  # a queue holds no queue
                name = str(here.relative_to(root))
                found[directory if name in found else name] = here
    order = ("market_data", "orders", "sessions", "control")
    return sorted(
        found.items(),
        key=lambda item: (order.index(top) if (top := item[0].split("/")[0]) in order else 9, item[0]),
    )


def _roots(suite: Suite) -> list[Path]:
    return [suite.root] if suite.hot is None or suite.hot == suite.root else [suite.hot, suite.root]


def is_queue(files: list[str]) -> bool:
    """Also one that has lost its control page."""
    return "control.meta" in files or ("notify.meta" in files and any(name.endswith(".q") for name in files))


def resolve(queue: str, suite: Suite) -> Path:
    """A queue by path, by its path in the run directory, by a feed's name. Raises NotReadyError naming what there is."""
    candidates = [Path(queue), *(root / queue for root in _roots(suite))]
    with contextlib.suppress(InvalidName):  # then it can only be a path
        candidates.append(suite.paths.raw(queue))
    for candidate in candidates:
        if candidate.is_dir() and is_queue(os.listdir(candidate)):
            return candidate
    names = [name for name, _ in queues_of(suite)]
    more = [f"… and {len(names) - LISTED} more: `chronicle queue ls`"] if len(names) > LISTED else []
    there = "".join(f"\n  {name}" for name in [*names[:LISTED], *more]) or " none"
    raise NotReadyError(reason=f"{queue}: no such queue; in {suite.root} there are:{there}")
