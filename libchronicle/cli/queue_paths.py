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
    """(name as it can be typed, path) of every queue, in the order of the data flow."""
    roots = [suite.root] if suite.hot is None else [suite.hot, suite.root]
    found = []
    for root in roots:
        for directory, names, files in os.walk(root):
            names[:] = [name for name in names if name != "archive"]  # large, and no queues
            if is_queue(files):
                names.clear()  # a queue holds no queue
                found.append((str(Path(directory).relative_to(root)), Path(directory)))
    order = ("market_data", "orders", "sessions", "control")
    return sorted(
        found, key=lambda item: (order.index(top) if (top := item[0].split("/")[0]) in order else 9, item[0])
    )


def is_queue(files: list[str]) -> bool:
    """Also one that has lost its control page."""
    return "control.meta" in files or ("notify.meta" in files and any(name.endswith(".q") for name in files))


def resolve(queue: str, suite: Suite) -> Path:
    """A queue by path, by its path in the run directory, by a feed's name. Raises NotReadyError naming what there is."""
    candidates = [Path(queue), suite.root / queue]
    if suite.hot is not None:
        candidates.append(suite.hot / queue)
    with contextlib.suppress(InvalidName):  # then it can only be a path
        candidates.append(suite.paths.raw(queue))
    for candidate in candidates:
        if candidate.is_dir() and is_queue(os.listdir(candidate)):
            return candidate
    names = [name for name, _ in queues_of(suite)]
    more = [f"… and {len(names) - LISTED} more: `chronicle queue ls`"] if len(names) > LISTED else []
    there = "".join(f"\n  {name}" for name in [*names[:LISTED], *more]) or " none"
    raise NotReadyError(reason=f"{queue}: no such queue; in {suite.root} there are:{there}")
