"""`Queue`: where publishers and subscribers come from."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Literal

import msgspec

from libchronicle.errors import HostError, InvalidArgument, NoPermission, NotReady
from libchronicle.native.binding import Publisher, Subscriber
from libchronicle.queue.config import QueueConfig
from libchronicle.queue.names import encode_name

_LOG = logging.getLogger("chronicle.queue")

Start = Literal["resume", "resume_or_oldest", "latest", "earliest"]


def _directory(path: str | os.PathLike[str]) -> str:
    """`path` as text that the kernel takes whole. Raises InvalidArgument for what cannot be a queue, now or later."""
    where = os.fspath(path)
    try:
        sound = bool(where) and b"\0" not in os.fsencode(where)
    except UnicodeEncodeError:
        sound = False
    if not sound:
        raise _refused(where, "a path of valid text, not empty and without a NUL")
    if os.path.exists(where) and not os.path.isdir(where):
        raise _refused(where, "a directory, or where one can be made; this is a file")
    return where


def _refused(path: str, allowed: str) -> InvalidArgument:
    return InvalidArgument(where="Queue", field="path", value=path, allowed=allowed)


class Queue:
    """A directory of segments. Not instantiated: its functions open handles."""

    @staticmethod
    def open_publisher(path: str | os.PathLike[str], config: QueueConfig | None = None) -> Publisher:
        """Become the writer, making the queue if there is none.

        What is damaged of the pages that the writer owns is put right: `Publisher.mended` says what, and so does the log
        `chronicle.queue`. Raises WriterAlreadyActive, UnsupportedVersion, NoSpace, NoPermission; InvalidArgument for a path
        that is a file, lies below one, or holds a NUL.
        """
        where = Path(_directory(path))
        try:
            where.parent.mkdir(parents=True, exist_ok=True)
        except PermissionError as error:
            raise NoPermission(path=str(where), reason=f"mkdir: {error.strerror}") from error
        except (FileExistsError, NotADirectoryError) as error:
            raise _refused(
                str(where), f"a path below directories; {error.filename} is or lies below a file"
            ) from error
        except OSError as error:
            raise HostError(path=str(where), reason=f"mkdir: {error.strerror}") from error
        config = config or QueueConfig()
        durable = tuple(encode_name(name) for name in config.durable)
        publisher = Publisher(str(where), msgspec.structs.replace(config, durable=durable))
        if publisher.mended:
            _LOG.warning("%s was damaged: %s", where, publisher.mended)
        return publisher

    @staticmethod
    def open_subscriber(
        path: str | os.PathLike[str],
        name: str | None,
        config: QueueConfig | None = None,
        start: Start = "resume",
        *,
        seq: int | None = None,
        time_ns: int | None = None,
    ) -> Subscriber:
        """Open a reader. `name` None = anonymous: leaves no page, is never waited for, polls.

        `start` is used unless `seq` or `time_ns` says where. "resume" goes on where the name last committed, at the
        oldest record for a new name; it raises Evicted when that place is gone, "resume_or_oldest" skips to the oldest.
        Raises NotReady, ReaderAlreadyActive, Rewound, QueueReplaced, Evicted, CorruptReader, UnsupportedVersion; InvalidName,
        InvalidArgument for a path, start, seq or time that is none.
        """
        encoded = None if name is None else encode_name(name)
        return Subscriber(_directory(path), encoded, config or QueueConfig(), start, seq, time_ns)

    @staticmethod
    def try_open_subscriber(
        path: str | os.PathLike[str],
        name: str | None,
        config: QueueConfig | None = None,
        start: Start = "resume",
        *,
        seq: int | None = None,
        time_ns: int | None = None,
    ) -> Subscriber | None:
        """open_subscriber, but None while there is no queue yet."""
        try:
            return Queue.open_subscriber(path, name, config, start, seq=seq, time_ns=time_ns)
        except NotReady:
            return None
