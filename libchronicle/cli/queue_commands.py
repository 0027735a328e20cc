"""The `chronicle queue` group."""

from __future__ import annotations

from typing import Annotated

import typer

from libchronicle.cli.arguments import ConfigOption, JsonOption, RunOption

__all__ = ["queue_app"]

queue_app = typer.Typer(
    help="Look into queues, live or dead; check and repair them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

QueueArgument = Annotated[
    str, typer.Argument(metavar="QUEUE", help="A feed's name, a path in the run directory, or any path.")
]
FromSeqOption = Annotated[int | None, typer.Option("--from-seq", metavar="N", help="Begin at this record.")]


@queue_app.command("ls")
def ls(run: RunOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every queue: writer, records, segments, live and all readers, lag of the slowest.

    \b
    Example:
      chronicle queue ls
    """
    from libchronicle.cli.queues import run_ls

    run_ls(run, config, as_json=as_json)


@queue_app.command("inspect")
def inspect(
    queue: QueueArgument, run: RunOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Head, lock, segments, and each reader's position and lag.

    \b
    Examples:
      chronicle queue inspect binance-spot
      chronicle queue inspect orders/queue/quoter/orders_out --json
    """
    from libchronicle.cli.queues import run_inspect

    run_inspect(queue, run, config, as_json=as_json)


@queue_app.command("tail")
def tail(
    queue: QueueArgument,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is appended.")] = False,
    limit: Annotated[int, typer.Option("-n", "--limit", metavar="N", min=1, help="How many records.")] = 10,
    reader: Annotated[
        str | None, typer.Option(metavar="NAME", help="Begin where this reader stands.")
    ] = None,
    from_seq: FromSeqOption = None,
    hexa: Annotated[bool, typer.Option("--hex", help="Payload as a hexdump too.")] = False,
    as_json: JsonOption = False,
    run: RunOption = None,
    config: ConfigOption = None,
) -> None:
    """The last records, decoded, one line each.

    \b
    Examples:
      chronicle queue tail binance-spot -f
      chronicle queue tail orders/queue/quoter/orders_out --reader router --limit 5
    """
    from libchronicle.cli.queues import run_tail

    run_tail(
        queue,
        run,
        config,
        follow=follow,
        limit=limit,
        reader=reader,
        from_seq=from_seq,
        hexa=hexa,
        as_json=as_json,
    )


@queue_app.command("dump")
def dump(
    queue: QueueArgument,
    from_seq: FromSeqOption = None,
    limit: Annotated[
        int | None, typer.Option("-n", "--limit", metavar="N", min=1, help="At most so many records.")
    ] = None,
    run: RunOption = None,
    config: ConfigOption = None,
) -> None:
    """Every record as one JSON object a line, with mantissas as they are stored.

    \b
    Example:
      chronicle queue dump orders/queue/quoter/orders_in > reports.ndjson
    """
    from libchronicle.cli.queues import run_dump

    run_dump(queue, run, config, from_seq=from_seq, limit=limit)


@queue_app.command("verify")
def verify(
    queue: Annotated[str | None, typer.Argument(metavar="[QUEUE]", help="Default: every queue.")] = None,
    as_json: JsonOption = False,
    notes: Annotated[bool, typer.Option("--notes", help="Show what is merely worth knowing, too.")] = False,
    run: RunOption = None,
    config: ConfigOption = None,
) -> None:
    """Check every frame, seal, index and page against each other; works while daemons run, changes nothing.

    Exits with 0: good; 66: records are missing and the queue says so; 65: damaged; 71: cannot be read; 75: no such queue.

    \b
    Examples:
      chronicle queue verify
      chronicle queue verify binance-spot --json
    """
    from libchronicle.cli.queue_checks import run_verify

    run_verify(queue, run, config, as_json=as_json, notes=notes)


@queue_app.command("repair")
def repair(
    queue: QueueArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: JsonOption = False,
    run: RunOption = None,
    config: ConfigOption = None,
) -> None:
    """Put a damaged queue right: control page, tail, seals, indexes, pages of readers, READY. Removes no committed record.

    A daemon does the same for its own queues when it starts. While a writer owns the queue only what does not concern it is
    done, and the rest is refused with its pid (exit 64). Exits with 65 if something is beyond repair.

    \b
    Examples:
      chronicle queue repair binance-spot --dry-run
      chronicle queue repair binance-spot
    """
    from libchronicle.cli.queue_checks import run_repair

    run_repair(queue, run, config, dry_run=dry_run, as_json=as_json)
