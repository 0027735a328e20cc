"""`chronicle queue ls | inspect | tail | dump`. Looks from outside: no lock, no reader page, nothing is held back."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from libchronicle.cli.context import find_run, print_json, print_ndjson
from libchronicle.cli.queue_paths import queues_of, resolve
from libchronicle.cli.queue_tables import facts_text, queue_rows, table_text
from libchronicle.cli.records import Describer, hexdump
from libchronicle.cli.suite import Suite
from libchronicle.errors import ConfigError, CorruptError, Evicted, NotReady, NotReadyError
from libchronicle.protocol import Instrument, decode
from libchronicle.queue import Message, Queue, QueueInfo, Subscriber, inspect

__all__ = ["run_dump", "run_inspect", "run_ls", "run_tail"]

DEFINITIONS_AT_HEAD = 4096
POLL_S = 0.2


def run_ls(run: str | None, config: str | None, *, as_json: bool) -> None:
    """Every queue of the run directory."""
    suite = find_run(run, config).suite
    found = [(name, _try_inspect(path)) for name, path in queues_of(suite)]
    if as_json:
        print_json(
            [{"queue": name, "info": info if isinstance(info, QueueInfo) else None} for name, info in found]
        )
        return
    print(
        table_text(queue_rows(found)) if found else f"{suite.root}: no queues yet; `chronicle up` makes them"
    )


def run_inspect(queue: str, run: str | None, config: str | None, *, as_json: bool) -> None:
    """Head, writer, segments and readers of one queue."""
    info = inspect(resolve(queue, find_run(run, config).suite))
    if as_json:
        print_json(info)
    else:
        print(facts_text(info))


def run_tail(
    queue: str,
    run: str | None,
    config: str | None,
    *,
    follow: bool,
    limit: int,
    reader: str | None,
    from_seq: int | None,
    hexa: bool,
    as_json: bool,
) -> None:
    """The last records, one line each; with `follow`, those to come too."""
    suite = find_run(run, config).suite
    path = _await(queue, suite) if follow else resolve(queue, suite)
    describer = _describer(suite, path)
    first = _first_seq(inspect(path), limit, reader, from_seq)
    left = None if follow else limit
    for record in _records(path, first, follow=follow):
        if as_json:
            print_ndjson(describer.json(record))
        else:
            print(describer.line(record))
        if hexa:
            print("\n".join(hexdump(bytes(record))))
        if left is not None and (left := left - 1) <= 0:
            return


def run_dump(
    queue: str, run: str | None, config: str | None, *, from_seq: int | None, limit: int | None
) -> None:
    """All records, or `limit` of them from `from_seq` on, as one JSON object a line."""
    suite = find_run(run, config).suite
    path = resolve(queue, suite)
    describer = _describer(suite, path)
    for number, record in enumerate(_records(path, from_seq, follow=False)):
        if limit is not None and number >= limit:
            return
        print_ndjson(describer.json(record))


# ---------------------------------------------------------------- finding queues


def _await(queue: str, suite: Suite) -> Path:
    told = False
    while True:
        try:
            return resolve(queue, suite)
        except NotReadyError:
            if not told:
                print(f"waiting for {queue}", file=sys.stderr, flush=True)
                told = True
            time.sleep(POLL_S)


def _try_inspect(path: Path) -> QueueInfo | str:
    try:
        return inspect(path)
    except (CorruptError, NotReady) as error:
        return str(error)


# ---------------------------------------------------------------- reading


def _first_seq(info: QueueInfo, limit: int, reader: str | None, from_seq: int | None) -> int:
    if from_seq is not None:
        return max(from_seq, info.oldest_seq)
    if reader is not None:
        page = next((page for page in info.readers if page.name == reader), None)
        if page is None:
            names = ", ".join(page.name for page in info.readers) or "none"
            raise ConfigError(
                file=info.path, key="--reader", reason=f"no reader {reader!r}; there are: {names}"
            )
        return max(page.seq, info.oldest_seq)
    return max(info.next_seq - limit, info.oldest_seq)


def _records(path: Path, first: int | None, *, follow: bool) -> Iterator[Message]:
    """From `first` on, by an anonymous reader; what is evicted meanwhile is said and skipped."""
    reader = _open(path, first)
    try:
        while True:
            try:
                record = reader.next()
            except Evicted as error:
                print(f"chronicle: {error}", file=sys.stderr)
                reader.close()
                reader = _open(path, None)
                continue
            if record is not None:
                yield record
            elif not follow:
                return
            else:
                sys.stdout.flush()
                reader.wait(POLL_S)
    finally:
        reader.close()


def _open(path: Path, first: int | None) -> Subscriber:
    if first is None:
        return Queue.open_subscriber(path, None, start="earliest")
    return Queue.open_subscriber(path, None, seq=first)


def _describer(suite: Suite, path: Path) -> Describer:
    """With the instruments that the raw queues, and this one, define at their heads."""
    describer = Describer()
    for source in [suite.paths.raw(feed) for feed in suite.paths.feeds()] + [path]:
        if not (source / "control.meta").is_file():
            continue
        for number, record in enumerate(_records(source, None, follow=False)):
            if record.type_id != Instrument.TEMPLATE_ID or number >= DEFINITIONS_AT_HEAD:
                break
            describer.learn(decode(record.type_id, record))
    return describer
