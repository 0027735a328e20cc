"""One plan over a grid of values: many runs, over processes or a cluster, that can be stopped and taken up again.

    rows = sweep(plan, {"params.edge_bps": [1, 2, 4], "queue": ["risk-averse", "prob:2"]}, "out/sweep", workers=2)

Each point is one file, `<key>.json`, written whole under another name and renamed: a point that is there is done, whoever is
killed meanwhile, and the next call does the rest. The key is that of the point's plan (settings, strategy file, data), so a
changed strategy runs anew. Rows come in the order of the grid, whoever ran them.

`executor`: "processes" (workers of this machine), "dask" (a Dask cluster: pass `client`, or one is started here; extra
[cluster]). A run that fails is a row with `failure`; it is tried again at the next call. So is one whose process dies
(memory, `os._exit`): those that ran when it died are run again, each in a process of its own, and the others never know.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any, Final

import msgspec

from libchronicle.backtest.output import output_dir, writing
from libchronicle.backtest.plan import Plan
from libchronicle.backtest.runner import said
from libchronicle.errors import HostError, InvalidArgument

__all__ = ["EXECUTORS", "Point", "grid_of", "run_plan", "sweep"]

EXECUTORS: Final = ("processes", "dask")
_MOST_POINTS: Final = 1_000_000

Progress = Callable[[int, int], None]  # done, of


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a sweep: what was set, and the figures (`BacktestResult.metrics`) or why there are none."""

    key: str
    changes: dict[str, Any]
    metrics: dict[str, Any] = {}
    failure: str = ""


def grid_of(values: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination, the last name running fastest. Raises InvalidArgument."""
    for name, choices in values.items():
        if isinstance(choices, str) or not choices:
            raise InvalidArgument(
                where="sweep", field=name, value=choices, allowed="a list of one value or more"
            )
    points = [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]
    if len(points) > _MOST_POINTS:
        raise InvalidArgument(
            where="sweep", field="grid", value=len(points), allowed=f"at most {_MOST_POINTS:,} points"
        )
    return points


def sweep(
    plan: Plan,
    values: Mapping[str, Sequence[Any]],
    directory: str | os.PathLike[str],
    *,
    workers: int = 0,
    executor: str = "processes",
    client: Any = None,
    progress: Progress | None = None,
) -> list[Point]:
    """Run what is not done yet, and return all points. `workers` 0: one a core. Raises InvalidArgument, HostError."""
    if executor not in EXECUTORS:
        raise InvalidArgument(where="sweep", field="executor", value=executor, allowed=", ".join(EXECUTORS))
    where = output_dir(directory)
    plans = [(changes, plan.replace(changes)) for changes in grid_of(values)]
    keys = [one.key() for _, one in plans]
    done = {key: found for key in keys if (found := _stored(where / f"{key}.json")) is not None}
    waiting = {
        key: (one, changes) for key, (changes, one) in zip(keys, plans, strict=True) if key not in done
    }
    total = len(done) + len(waiting)  # points that are the same run count once
    if progress is not None:
        progress(len(done), total)
    work = _over_dask if executor == "dask" else _over_processes
    for point in work(waiting, workers, client):
        _store(where, point)
        done[point.key] = point
        if progress is not None:
            progress(len(done), total)
    return [  # what is stored was named by the grid that it was run for
        msgspec.structs.replace(done[key], changes=changes)
        for key, (changes, _) in zip(keys, plans, strict=True)
    ]


def run_plan(key: str, plan: Plan, changes: dict[str, Any]) -> Point:
    """One point, in whatever process. A run that fails is a point too."""
    try:
        metrics = plan.run().metrics
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a strategy may raise anything where it is made; other points run on
        told = said(error).encode(errors="backslashreplace").decode()
        return Point(key=key, changes=changes, failure=told)
    return Point(key=key, changes=changes, metrics=metrics)


Waiting = Mapping[str, tuple[Plan, dict[str, Any]]]


def _over_processes(waiting: Waiting, workers: int, _client: Any) -> Iterator[Point]:
    left = dict(waiting)
    count = max(1, min(workers or len(os.sched_getaffinity(0)), len(left)))
    while left:
        for point in _pooled(left, count):
            del left[point.key]
            yield point
        # a worker died: the pool takes work in order, so whoever killed it is among the first of what is left
        for key in list(itertools.islice(left, count)):
            yield _alone(key, *left.pop(key))


def _pooled(waiting: Waiting, count: int) -> Iterator[Point]:
    """As many points as are done before a worker dies."""
    # spawn: a worker begins with nothing of ours, so a run does not depend on what ran here before
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_end_with_parent)
    try:
        with _no_main():
            futures = [pool.submit(run_plan, key, plan, changes) for key, (plan, changes) in waiting.items()]
        for future in as_completed(futures):
            with contextlib.suppress(BrokenProcessPool):
                yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)  # where a point cannot be stored, the rest need not run


@contextlib.contextmanager
def _no_main() -> Iterator[None]:
    """Workers that are started meanwhile do not run the caller's script again, which would begin another sweep in each."""
    ours = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = ours


def _end_with_parent() -> None:
    """In a worker: nobody would end it when the sweep is killed."""
    parent = parent_process()
    if parent is not None:
        Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _alone(key: str, plan: Plan, changes: dict[str, Any]) -> Point:
    for point in _pooled({key: (plan, changes)}, 1):
        return point
    return Point(
        key=key, changes=changes, failure="its process died: killed, out of memory, or ended by os._exit"
    )


def _over_dask(waiting: Waiting, workers: int, client: Any) -> Iterator[Point]:
    try:
        import distributed
    except ImportError as error:
        raise HostError(
            path="distributed", reason="not installed: pip install 'libchronicle[cluster]'"
        ) from error
    dask: Any = distributed  # it has no types
    if client is not None:
        yield from (one.result() for one in dask.as_completed(_submitted(client, waiting)))
        return
    count = workers or len(os.sched_getaffinity(0))
    with _no_main():
        cluster = dask.LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None)
    with cluster, dask.Client(cluster) as local:
        yield from (one.result() for one in dask.as_completed(_submitted(local, waiting)))


def _submitted(client: Any, waiting: Waiting) -> list[Any]:
    return [
        client.submit(run_plan, key, plan, changes, key=key, pure=False)
        for key, (plan, changes) in waiting.items()
    ]


def _stored(path: Path) -> Point | None:
    """A point that is done; None for one that is not, failed, or cannot be read, as it costs no more than to run it again."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Point)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return found if not found.failure and found.key == path.stem else None


def _store(where: Path, point: Point) -> None:
    part = where / f".{point.key}.{os.getpid()}.part"
    with writing(part):
        try:
            part.write_bytes(msgspec.json.encode(point))
            os.replace(part, where / f"{point.key}.json")
        except OSError:
            part.unlink(missing_ok=True)
            raise
