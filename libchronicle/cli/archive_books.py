"""`chronicle archive book`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import typer

from libchronicle.book import L2Book
from libchronicle.cli.archive_scope import open_archive, recorded_run
from libchronicle.cli.context import print_json, split_instrument
from libchronicle.cli.tables import render_table, seconds
from libchronicle.protocol import BookMode, Instrument, format_decimal
from libchronicle.storage.archive import to_ns
from libchronicle.storage.book_at import BookAt
from libchronicle.storage.reading import Times
from libchronicle.storage.recorded import recorded_range, require_recorded

__all__ = ["aligned", "run_book", "utc"]

EXIT_DATA = 65
STALE_NS = 60_000_000_000  # a clean stream has a snapshot as often


def run_book(
    instrument: str, at: str, depth: int, time: str, run: str | None, config: str | None, *, as_json: bool
) -> None:
    """Exits with 65 where nothing was recorded up to then, or the book cannot be trusted."""
    venue, symbol = split_instrument(instrument)
    with open_archive(recorded_run(run, config)) as archive:
        require_recorded(archive, venue, symbol, ["book"])
        when: int | str = int(at) if at.isdigit() else at
        found = archive.find_book(instrument, when, time=cast("Times", time))
        age_ns = None if found.last_ns is None else to_ns(when) - found.last_ns
        if as_json:
            print_json(_facts(instrument, found, depth) | {"age_ns": age_ns})
        elif found.book is None:
            known = recorded_range(archive, venue, symbol, ["book"])
            since = f"; its records begin at {utc(known[0])}" if known else ""
            typer.echo(f"{instrument}: no book was recorded up to {at}{since}", err=True)
        else:
            _show(instrument, found, depth)
        if age_ns is not None and age_ns > STALE_NS:
            typer.echo(
                f"its last record is {seconds(age_ns / 1e9)} older than that: nothing came since", err=True
            )
    if found.book is None or not found.book.valid:
        raise typer.Exit(EXIT_DATA)


def utc(ts_ns: int | None) -> str:
    """ISO 8601 with nanoseconds."""
    if ts_ns is None:
        return "-"
    whole = datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{ts_ns % 1_000_000_000:09d}Z"


def _levels(
    book: L2Book, definition: bytes | None, depth: int
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    told = Instrument.decode(definition) if definition is not None else Instrument(book_mode=BookMode.L2)

    def texts(levels: list[tuple[int, int]]) -> list[tuple[str, str]]:
        return [
            (format_decimal(p, told.price_exponent), format_decimal(q, told.qty_exponent)) for p, q in levels
        ]

    return texts(book.bids(depth)), texts(book.asks(depth))


def aligned(texts: Sequence[str]) -> list[str]:
    """Without the zeros that all of them end with: exponents are finer than ticks."""
    decimals = max((len(text.partition(".")[2].rstrip("0")) for text in texts), default=0)
    return [
        f"{whole}.{part[:decimals]}" if decimals and part else whole
        for whole, _, part in (text.partition(".") for text in texts)
    ]


def _facts(instrument: str, found: BookAt, depth: int) -> dict[str, Any]:
    book = found.book
    facts: dict[str, Any] = {"instrument": instrument, "recorded": book is not None}
    if book is None:
        return facts
    bids, asks = _levels(book, found.definition, depth)
    return facts | {
        "valid": book.valid,
        "last_ns": found.last_ns,
        "last_update_id": book.last_update_id,
        "bids": bids,
        "asks": asks,
        "hash": f"{book.hash():016x}",
        "from_ns": found.from_ns,
        "records": found.records,
        "segments": found.segments,
    }


def _show(instrument: str, found: BookAt, depth: int) -> None:
    book = found.book
    assert book is not None
    bids, asks = _levels(book, found.definition, depth)
    empty = ("", "")
    rows = [
        ((bids[at] if at < len(bids) else empty)[::-1] + (asks[at] if at < len(asks) else empty))
        for at in range(max(len(bids), len(asks)))
    ]
    quantities, prices = (
        aligned([row[a] for row in rows] + [row[b] for row in rows]) for a, b in ((0, 3), (1, 2))
    )
    height = len(rows)
    rows = list(zip(quantities[:height], prices[:height], prices[height:], quantities[height:], strict=True))
    typer.echo(f"{instrument} after {utc(found.last_ns)}")
    typer.echo(render_table(("quantity", "bid", "ask", "quantity"), rows, right=(0, 1, 2, 3)))
    if found.definition is None:
        typer.echo("in mantissas: no definition of the instrument was recorded", err=True)
    if not book.valid:
        typer.echo("not to be trusted: a gap came before, and no snapshot since", err=True)
