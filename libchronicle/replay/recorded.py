"""Records of one queue again, by seq, wherever they are by now: in the queue itself, or in the archive.

    in the queue     found by seq
    archived         read forward by ingest time, and again from the beginning for a record before the last one
    nowhere          a hole: `take` leaves it out

A record keeps what the queue told of it (seq, time, epoch), so that whoever is given it cannot tell it from the live one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from libchronicle.bus.names import decode_name
from libchronicle.errors import CorruptError, InvalidArgument, NotReadyError
from libchronicle.native.binding import LOST_TYPE, Message
from libchronicle.queue import Queue, Subscriber
from libchronicle.storage.archive import Archive
from libchronicle.storage.catalog import Stream

__all__ = ["Recorded", "RecordedQueue", "stream_of"]

DAY_NS: Final = 86_400_000_000_000


class Recorded(NamedTuple):
    """One record as it stood in its queue."""

    type_id: int
    payload: bytes
    seq: int
    ts_ns: int
    epoch: int


def stream_of(path: str) -> Stream:
    """What the archive calls a queue of the bus. Raises InvalidArgument for one that is not archived."""
    parts = PurePosixPath(path).parts
    if parts[-3:-1] == ("market_data", "queue"):
        return Stream("_raw", decode_name(parts[-1]), "raw")
    if parts[-4:-2] == ("orders", "queue") and parts[-1] in ("orders_in", "orders_out"):
        return Stream("_orders", decode_name(parts[-2]), parts[-1])
    if parts[-5:-3] == ("market_data", "clean"):
        return Stream(decode_name(parts[-3]), decode_name(parts[-2]), parts[-1])
    if parts[-3:-1] == ("sessions", "queue"):
        return Stream("_sessions", decode_name(parts[-1]), "session")
    allowed = (
        "market_data/queue/…, market_data/clean/…, orders/queue/…/orders_in or orders_out, sessions/queue/…"
    )
    raise InvalidArgument(where="RecordedQueue", field="path", value=path, allowed=allowed)


class RecordedQueue:
    """The queue `queue_id`, which was found at `path` (relative to the bus root) when it was written.

    `since_ns`: no record older than this is asked for; what bounds the reading of an archive. A context manager.
    Raises InvalidArgument for a queue that is not archived.
    """

    def __init__(self, archive: Archive, path: str, queue_id: int, since_ns: int) -> None:
        self.path = path
        self.queue_id = queue_id
        self._archive = archive
        self._stream = stream_of(path)
        self._since_ns = since_ns
        self._reader = self._open()
        self._forward: Iterator[Message] | None = None
        self._ahead: Message | None = None
        self._oldest: int | None = None
        self._last = -1  # seq of the last record taken from the archive

    def _open(self) -> Subscriber | None:
        """The queue on the bus, if it still is the one."""
        for source in self._archive.catalog.sources(self._stream):
            try:
                reader = Queue.open_subscriber(source.path, None, start="earliest")
            except NotReadyError:
                continue
            if reader.queue_id == self.queue_id:
                return reader
            reader.close()
        return None

    def __enter__(self) -> RecordedQueue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def take(self, first: int, last: int) -> Iterator[Recorded]:
        """Records `first` to `last`, those there are. What damage hides is left out."""
        due = first
        for record in self._from_queue(first, last):
            due = record.seq + 1
            yield record
        if due <= last and not (self._reader is not None and due >= self._reader.head_seq):
            yield from self._from_archive(due, last)

    @property
    def oldest_seq(self) -> int:
        """Seq of the first record there is: none before it will be found."""
        if self._oldest is None:
            archived = next(self._messages(), None)
            known = [] if archived is None else [archived.seq]
            if self._reader is not None:
                known.append(self._reader.oldest_seq)
            self._oldest = min(known) if known else 0
        return self._oldest

    def since(self, first: int) -> Iterator[Recorded]:
        """Record `first` and all that followed it."""
        return self.take(first, (1 << 63) - 1)

    def _from_queue(self, first: int, last: int) -> Iterator[Recorded]:
        """As far as the queue on the bus has them whole: what is behind a bad place the archive's reading finds."""
        reader = self._reader
        if reader is None or not reader.oldest_seq <= first < reader.head_seq:
            return
        due, last = first, min(last, reader.head_seq - 1)
        try:
            if reader.next_seq != first:
                reader.seek_seq(first)
            while due <= last and (message := reader.next()) is not None and message.seq == due:
                if message.type_id == LOST_TYPE:  # its segment is gone from here
                    return
                yield _copy(message)
                due += 1
        except (CorruptError, NotReadyError):
            return

    def _from_archive(self, first: int, last: int) -> Iterator[Recorded]:
        """The archive and the queues before it as one."""
        if self._forward is None or first <= self._last:
            self._forward, self._ahead, self._last = self._messages(), None, -1
        while self._last < last:
            message = self._ahead if self._ahead is not None else next(self._forward, None)
            self._ahead = None
            if message is None:
                return
            if message.seq > last:
                self._ahead = message
                return
            self._last = message.seq
            if message.seq >= first:
                yield _copy(message)

    def _messages(self) -> Iterator[Message]:
        stream = self._stream
        reading = self._archive.read(
            stream.venue, stream.symbol, stream.stream, self._since_ns, damage="skip"
        )
        for merge in reading.merges():
            for chain in merge.chains:
                if chain.queue_id == self.queue_id:
                    yield from (message for message in chain if not _is_made_up(message))


def _is_made_up(message: Message) -> bool:
    """A LOST record that stands in no queue: the reading tells of a hole with it."""
    return message.type_id == LOST_TYPE and message.epoch == 0


def _copy(message: Message) -> Recorded:
    return Recorded(message.type_id, bytes(message), message.seq, message.ts_ns, message.epoch)
