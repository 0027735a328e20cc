"""Reading the router's own journal back, from a checkpoint on: the last one to recover, one further back to find old
reports. What is before it is not read, however long the history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from libchronicle.errors import NotReady
from libchronicle.protocol import ExecutionReport, SessionStart, StateChange
from libchronicle.queue import Queue, Subscriber
from services.router.journal import READY, ROUTER_MACHINE, Record, Replay
from services.router.state import Client

__all__ = ["reports_after", "session_records"]

_FIRST_WINDOW = 4096  # records; each further window is four times as long


def session_records(path: Path) -> Iterator[Record]:
    """The journal from its last committed checkpoint on; from its oldest record if there is none; nothing
    if there is no journal."""
    try:
        reader = Queue.open_subscriber(path, None, start="earliest")
    except NotReady:
        return
    with reader:
        reader.seek_seq(_checkpoint(reader, reader.head_seq))
        yield from _records(reader)


def reports_after(client: Client, path: Path, after: int) -> Iterator[bytes]:
    """A strategy's committed reports above an execId: from memory where it reaches back far enough, else from the
    last checkpoint that has no report above it."""
    known = client.undelivered
    if known and known[0][0] <= after + 1:
        yield from [payload for exec_id, payload in known if exec_id > after]
        return
    found: list[bytes] = []
    replay = Replay()

    def keep(report: ExecutionReport, payload: bytes) -> None:
        if report.exec_id > after and replay.state.owners[report.order_queue_id].name == client.name:
            found.append(payload)

    replay.on_report = keep
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        at = _checkpoint(reader, reader.head_seq)
        while at > reader.oldest_seq and _last_exec_id(reader, at, client.name) > after:
            at = _checkpoint(reader, at)
        reader.seek_seq(at)
        replay.run(_records(reader))
    yield from found


def _last_exec_id(reader: Subscriber, at: int, name: str) -> int:
    """Of a strategy, as the checkpoint at `at` has it; 0 where it was not known yet."""
    checkpoint = Replay()
    reader.seek_seq(at)
    for type_id, payload in _records(reader):
        checkpoint.feed(type_id, payload)
        if checkpoint.complete:
            break
    known = checkpoint.state.clients.get(name)
    return known.last_exec_id if known is not None else 0


def _checkpoint(reader: Subscriber, last: int) -> int:
    """Seq of the newest SessionStart before `last` whose checkpoint was committed; the oldest record when there is
    none."""
    oldest, window = reader.oldest_seq, _FIRST_WINDOW
    while last > oldest:
        first = max(oldest, last - window)
        reader.seek_seq(first)
        start, found = -1, -1
        # a checkpoint that begins in this window may end in the next one: read on to where it must have
        # ended
        for message in reader:
            if message.type_id == SessionStart.TEMPLATE_ID:
                if message.seq >= last:
                    break
                start = message.seq
            elif message.type_id == StateChange.TEMPLATE_ID and start >= 0 and _is_commit(message):
                found, start = start, -1
            if message.seq >= last and start < 0:
                break
        if found >= 0:
            return found
        last, window = first, window * 4
    return oldest


def _is_commit(message: object) -> bool:
    change = StateChange.decode(message)  # type: ignore[arg-type]  # a Message is a buffer
    return change.machine == ROUTER_MACHINE and change.to_state == READY


def _records(reader: Subscriber) -> Iterator[Record]:
    for message in reader:
        yield message.type_id, bytes(message)
