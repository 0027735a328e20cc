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
    roots = _roots(suite)
    for root in roots:
        # where the other root would be met on the way, which is walked for itself
        other = {os.path.join(root, _relative(one, root)) for one in roots if one is not root}
        for directory, names, files in os.walk(root):
            # an archive is large and holds no queues
            names[:] = [
                name for name in names if name != "archive" and os.path.join(directory, name) not in other
            ]
            if is_queue(files):
                names.clear()  # a queue holds no queue
                name = str(Path(directory).relative_to(root))
                found[directory if name in found else name] = Path(directory)
    order = ("market_data", "orders", "sessions", "control")
    return sorted(
        found.items(),
        key=lambda item: (order.index(top) if (top := item[0].split("/")[0]) in order else 9, item[0]),
    )


def _roots(suite: Suite) -> list[Path]:
    """The hot directory, then root; one of them if they are the same."""
    if suite.hot is None or os.path.realpath(suite.hot) == os.path.realpath(suite.root):
        return [suite.root]
    return [suite.hot, suite.root]


def _relative(path: Path, root: Path) -> str:
    return os.path.relpath(os.path.realpath(path), os.path.realpath(root))


def is_queue(files: list[str]) -> bool:
    """Also one that has lost its control page."""
    return "control.meta" in files or ("notify.meta" in files and any(name.endswith(".q") for name in files))


def resolve(queue: str, suite: Suite) -> Path:
    """A queue by its name in `queues_of`, by path, by a feed's name. Raises NotReadyError naming what there is."""
    candidates = [*(root / queue for root in _roots(suite)), Path(queue)]
    if queue.startswith("."):  # ./NAME is what stands here, whatever else bears the name
        candidates.insert(0, Path(queue))
    with contextlib.suppress(InvalidName):  # then it can only be a path
        candidates.append(suite.paths.raw(queue))
    for candidate in candidates:
        if candidate.is_dir() and is_queue(os.listdir(candidate)):
            return candidate
    names = [name for name, _ in queues_of(suite)]
    more = [f"… and {len(names) - LISTED} more: `chronicle queue ls`"] if len(names) > LISTED else []
    there = "".join(f"\n  {name}" for name in [*names[:LISTED], *more]) or " none"
    raise NotReadyError(reason=f"{queue}: no such queue; in {suite.root} there are:{there}")
