"""`chronicle archive tier`: one pass of moves between tiers, or what it would move."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import msgspec
import typer

from libchronicle.cli.archive_scope import recorded_run
from libchronicle.cli.context import print_json
from libchronicle.cli.tables import count
from libchronicle.errors import ChronicleError, InvalidArgument
from libchronicle.runtime.config import ArchiveConfig
from libchronicle.storage.catalog import queue_segments
from libchronicle.storage.keeper import Keeper
from libchronicle.storage.layout import SegmentId, Tier
from libchronicle.storage.manifest import SegmentRecord
from libchronicle.storage.moves import freeze, thaw
from libchronicle.storage.objects import ObjectStore
from libchronicle.storage.policy import policy_of
from libchronicle.storage.remote import fetch, ship
from libchronicle.storage.sources import queues_on_bus
from libchronicle.storage.waiting import Waiting

__all__ = ["run_tier"]

EXIT_DATA = 65
_ORDER = ("warm", "cold", "remote")


class Move(msgspec.Struct, frozen=True):
    """A segment that a pass would move."""

    segment: str  # partition or queue, and the segment's name
    tier: str
    to: str


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
    if to not in (None, *_ORDER):
        raise InvalidArgument(where="archive tier", field="--to", value=to, allowed="warm, cold or remote")
    store = ObjectStore(archive.remote, archive.remote_options) if archive.remote else None
    if to == "remote" and store is None:
        raise InvalidArgument(
            where="archive tier",
            field="--to",
            value=to,
            allowed="remote only where [archive] remote names a store",
        )
    age_ns = _duration_ns(older_than)
    policy = policy_of(archive)
    if to == "warm":  # also what is sealed in the queues, whatever the policy says
        policy = msgspec.structs.replace(policy, warm_after_ns=age_ns)
    errors: list[str] = []
    keeper = Keeper(
        found.suite.paths,
        policy,
        level=archive.level,
        block_size=archive.block_size,
        store=store,
        tell=lambda what, error: errors.append(f"cannot {what}: {error}"),
    )
    now = time.time_ns()
    with keeper:
        if dry_run:
            _say_plan(list(_planned(keeper, to, now, age_ns)), as_json=as_json)
            return
        moved = (
            _by_policy(keeper, now) if to is None else _to(keeper, to, now, age_ns, archive, store, errors)
        )
    if as_json:
        print_json({"moved": moved, "errors": errors, "tally": msgspec.to_builtins(keeper.tally)})
    else:
        for line in errors:
            typer.echo(line, err=True)
        typer.echo(f"moved: {_told(moved)}")
    if errors:
        raise typer.Exit(EXIT_DATA)


# ---------------------------------------------------------------- a dry run


def _say_plan(moves: list[Move], *, as_json: bool) -> None:
    if as_json:
        print_json({"would_move": moves})
        return
    for move in moves:
        typer.echo(f"{move.segment}: {move.tier} to {move.to}")
    counts = {name: sum(move.to == name for move in moves) for name in _ORDER}
    typer.echo(f"would be moved: {_told({f'to {name}': number for name, number in counts.items()})}")


def _told(moves: dict[str, int]) -> str:
    """`3 segments to warm, 1 segment to cold`."""
    return (
        ", ".join(f"{count(number, 'segment')} {to}" for to, number in moves.items() if number) or "nothing"
    )


def _planned(keeper: Keeper, to: str | None, now: int, age_ns: int) -> Iterator[Move]:
    if to in (None, "warm"):
        yield from _sealed(keeper, now)
    if to is None:
        steps: tuple[tuple[Tier, Tier, Callable[[Waiting, int], Iterator[SegmentId]]], ...] = (
            ("warm", "cold", keeper.policy.to_compress),
            ("cold", "remote", keeper.policy.to_ship),
        )
        for tier, next_tier, choose in steps:
            for segment in choose(keeper.manifest.waiting(tier), now):
                known = keeper.manifest.get(segment)
                if known is not None:
                    yield Move(_name(known), tier, next_tier)
        return
    for record in _elsewhere(keeper, to, now - age_ns):
        yield Move(_name(record), record.tier, to)


def _sealed(keeper: Keeper, now: int) -> Iterator[Move]:
    """Segments of queues that the archive has not yet and the policy lets go."""
    for source in queues_on_bus(keeper.paths):
        for ref, following in pairwise(queue_segments(source.path)):
            due = ref.last_ts is not None and keeper.policy.leaves_hot(following.from_ts, now)
            if due and keeper.manifest.get(ref.id) is None:
                yield Move(f"{source.path.relative_to(keeper.paths.root)}/{ref.path.name}", "hot", "warm")


def _name(record: SegmentRecord) -> str:
    return f"{record.partition}/{record.id}"


# ---------------------------------------------------------------- moves


def _by_policy(keeper: Keeper, now: int) -> dict[str, int]:
    return {
        "to warm": keeper.take_sealed(now),
        "to cold": keeper.compress_due(now),
        "to remote": keeper.ship_due(now),
    }


def _elsewhere(keeper: Keeper, to: str, before_ns: int) -> list[SegmentRecord]:
    """Of that age, and in another tier."""
    records = keeper.manifest.find(until_ns=before_ns)
    return [one for one in records if one.tier != to and one.facts.last_ts < before_ns]


def _to(
    keeper: Keeper,
    to: str,
    now: int,
    age_ns: int,
    archive: ArchiveConfig,
    store: ObjectStore | None,
    errors: list[str],
) -> dict[str, int]:
    moved = 0
    for record in _elsewhere(keeper, to, now - age_ns):
        try:
            down = _ORDER.index(to) > _ORDER.index(record.tier)
            for _ in range(abs(_ORDER.index(record.tier) - _ORDER.index(to))):
                record = _one_step(keeper, record, down, store, archive)
                keeper.manifest.put(record)
            moved += 1
        except ChronicleError as error:
            errors.append(f"cannot move {record.id}: {error}")
    if to == "warm":
        moved += keeper.take_sealed(now)
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
