"""`chronicle archive verify`, `rebuild` and `tier`."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

import msgspec
import typer

from libchronicle.cli.archive_scope import open_archive, recorded_run
from libchronicle.cli.context import print_json
from libchronicle.cli.tables import size
from libchronicle.errors import ArchiveError, ChronicleError, InvalidArgument
from libchronicle.runtime.config import ArchiveConfig
from libchronicle.storage.keeper import Keeper
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.manifest import Manifest, SegmentRecord
from libchronicle.storage.moves import freeze, thaw
from libchronicle.storage.objects import ObjectStore
from libchronicle.storage.policy import policy_of
from libchronicle.storage.rebuild import rebuild
from libchronicle.storage.remote import fetch, ship
from libchronicle.storage.verify import verify_archive

__all__ = ["run_rebuild", "run_tier", "run_verify"]

EXIT_DATA = 65


def run_verify(run: str | None, config: str | None, *, remote: bool, as_json: bool) -> None:
    found_run = recorded_run(run, config)
    layout = ArchiveLayout.of(found_run.suite.paths)
    with open_archive(found_run) as archive, _manifest(layout) as manifest, _bar("verify", as_json) as told:
        opener = archive.open_remote if remote else None
        result = verify_archive(layout, manifest, opener, told)
    if as_json:
        print_json(result)
    else:
        for finding in result.findings:
            typer.echo(f"{finding.path}: {finding.reason}")
        state = "all as it was stored" if result.sound else f"{len(result.findings)} findings"
        typer.echo(f"{result.segments} segments, {size(result.bytes)}: {state}")
    if not result.sound:
        raise typer.Exit(EXIT_DATA)


def run_rebuild(run: str | None, config: str | None, *, as_json: bool) -> None:
    layout = ArchiveLayout.of(recorded_run(run, config).suite.paths)
    try:
        manifest = Manifest(layout.manifest)
    except ArchiveError:
        for suffix in ("", "-wal", "-shm"):  # a projection: what cannot be read is made anew
            layout.manifest.with_name(layout.manifest.name + suffix).unlink(missing_ok=True)
        manifest = Manifest(layout.manifest)
    with manifest, _bar("rebuild", as_json) as told:
        result = rebuild(layout, manifest, told)
    if as_json:
        print_json(result)
    else:
        for path, reason in result.skipped:
            typer.echo(f"skipped {path}: {reason}")
        typer.echo(f"{layout.manifest}: {result.added} segments")
    if result.skipped:
        raise typer.Exit(EXIT_DATA)


def run_tier(
    to: str | None,
    older_than: str | None,
    run: str | None,
    config: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """One pass by the host's policy, or everything of an age into the tier named."""
    found = recorded_run(run, config)
    archive = (found.config.archive if found.config is not None else None) or ArchiveConfig()
    if to not in (None, "warm", "cold", "remote"):
        raise InvalidArgument(where="archive tier", field="--to", value=to, allowed="warm, cold or remote")
    store = ObjectStore(archive.remote, archive.remote_options) if archive.remote else None
    if to == "remote" and store is None:
        raise InvalidArgument(
            where="archive tier",
            field="--to",
            value=to,
            allowed="remote only where [archive] remote names a store",
        )
    errors: list[str] = []
    keeper = Keeper(
        found.suite.paths,
        policy_of(archive),
        level=archive.level,
        block_size=archive.block_size,
        store=store,
        tell=lambda what, error: errors.append(f"cannot {what}: {error}"),
    )
    with keeper:
        if to is None:
            moved = _by_policy(keeper, dry_run=dry_run)
        else:
            limit = time.time_ns() - _duration_ns(older_than)
            moved = _to(keeper, to, limit, store, archive, dry_run=dry_run, errors=errors)
    if as_json:
        print_json({"moved": moved, "errors": errors, "tally": msgspec.to_builtins(keeper.tally)})
    else:
        for line in errors:
            typer.echo(line, err=True)
        what = ", ".join(f"{number} {name}" for name, number in moved.items() if number) or "nothing"
        typer.echo(f"{what} {'would be moved' if dry_run else 'moved'}")
    if errors:
        raise typer.Exit(EXIT_DATA)


def _by_policy(keeper: Keeper, *, dry_run: bool) -> dict[str, int]:
    now = time.time_ns()
    if dry_run:
        manifest, policy = keeper.manifest, keeper.policy
        return {
            "to cold": len(list(policy.to_compress(manifest.waiting("warm"), now))),
            "to remote": len(list(policy.to_ship(manifest.waiting("cold"), now))),
        }
    return {
        "to warm": keeper.take_sealed(now),
        "to cold": keeper.compress_due(now),
        "to remote": keeper.ship_due(now),
    }


def _to(
    keeper: Keeper,
    to: str,
    before_ns: int,
    store: ObjectStore | None,
    archive: ArchiveConfig,
    *,
    dry_run: bool,
    errors: list[str],
) -> dict[str, int]:
    order = ("warm", "cold", "remote")
    moved = 0
    for record in list(keeper.manifest.find(until_ns=before_ns)):
        if record.tier == to or record.facts.last_ts >= before_ns:
            continue
        moved += 1
        if dry_run:
            continue
        try:
            for _ in range(abs(order.index(record.tier) - order.index(to))):
                record = _one_step(keeper, record, order.index(to) > order.index(record.tier), store, archive)
                keeper.manifest.put(record)
        except ChronicleError as error:
            moved -= 1
            errors.append(f"cannot move {record.id}: {error}")
    return {f"to {to}": moved}


def _one_step(
    keeper: Keeper, record: SegmentRecord, down: bool, store: ObjectStore | None, archive: ArchiveConfig
) -> SegmentRecord:
    if record.tier == "warm":
        return freeze(keeper.layout, record, level=archive.level, block_size=archive.block_size)
    if record.tier == "cold" and not down:
        return thaw(keeper.layout, record)
    if store is None:
        raise InvalidArgument(
            where="archive tier", field="--to", value="warm", allowed="after [archive] remote names the store"
        )
    return ship(keeper.layout, record, store) if down else fetch(keeper.layout, record, store)


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration_ns(text: str | None) -> int:
    """90, 90s, 15m, 2h, 7d. Raises InvalidArgument."""
    if text is None:
        return 0
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    try:
        return int(float(number) * _UNITS[unit] * 1e9)
    except (ValueError, OverflowError):
        raise InvalidArgument(
            where="archive tier", field="--older-than", value=text, allowed="a number with s, m, h or d"
        ) from None


@contextlib.contextmanager
def _manifest(layout: ArchiveLayout) -> Iterator[Manifest | None]:
    """The manifest, if there is one that can be read: verify says what is wrong with it otherwise."""
    try:
        manifest = Manifest(layout.manifest, read_only=True)
    except (FileNotFoundError, ArchiveError) as error:
        typer.echo(f"manifest: {error}", err=True)
        yield None
        return
    with manifest:
        yield manifest


@contextlib.contextmanager
def _bar(name: str, quiet: bool) -> Iterator[Callable[[int], object]]:
    """The number of segments seen, on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda seen: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = SpinnerColumn(), TextColumn("{task.description} {task.completed:,.0f} segments")
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=None)
        yield lambda seen: progress.update(task, completed=seen)
