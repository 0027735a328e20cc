"""`chronicle archive sql`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import typer

from libchronicle.cli.archive_scope import open_archive, recorded_run
from libchronicle.cli.context import print_json
from libchronicle.cli.tables import render_table
from libchronicle.storage.sql import query as ask

__all__ = ["run_sql"]


def run_sql(text: str, limit: int, run: str | None, config: str | None, *, as_json: bool) -> None:
    with open_archive(recorded_run(run, config)) as archive:
        table = ask(archive, text)
    lost = int((table.schema.metadata or {}).get(b"lost", 0))
    if lost:
        typer.echo(
            f"records are missing at {lost} places of what was read; `chronicle archive verify` names them",
            err=True,
        )
    shown = table if limit == 0 or as_json else table.slice(0, limit)
    columns = [_plain(column) for column in shown.columns]
    rows = list(zip(*columns, strict=True))
    if as_json:
        print_json([dict(zip(shown.column_names, row, strict=True)) for row in rows])
        return
    right = [i for i, field in enumerate(shown.schema) if _is_number(field.type)]
    typer.echo(
        render_table(shown.column_names, [[_cell(value) for value in row] for row in rows], right=right)
    )
    if shown.num_rows < table.num_rows:
        typer.echo(f"… {table.num_rows - shown.num_rows:,} more rows; --limit 0 prints all")


def _plain(column: Any) -> list[Any]:
    """Times with all their nanoseconds, which datetime has no room for."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.string())
    return [_json(value) for value in column.to_pylist()]


def _json(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return value
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
