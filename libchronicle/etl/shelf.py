"""Where an instrument's clean queues stand: opening them, and the origin file beside each stream.

    market_data/clean/<venue>/<symbol>/<stream>/                 the plain queue
    market_data/clean/<venue>/<symbol>/<stream>.late/            what came late
    market_data/clean/<venue>/<symbol>/<stream>.origin.json      which raw queue, and which epoch of it, the records are of

The origin is replaced by rename and on the medium before the first record of that epoch is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from libchronicle.bus.files import host_error
from libchronicle.bus.orders import ARCHIVE_READER
from libchronicle.bus.paths import BusPaths
from libchronicle.etl.cleanqueue import CleanQueue
from libchronicle.native.binding import parse_segment
from libchronicle.queue import Queue, QueueConfig
from libchronicle.queue.segment_files import read_head

__all__ = ["Origin", "Shelf", "clean_config", "first_seq_of", "read_origin"]

SEGMENT_SIZE: Final = 1 << 20


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Records of the plain queue from `from_seq` on (late: `late_from_seq`) are of that epoch of that raw queue."""

    raw_queue_id: int
    raw_epoch: int
    from_seq: int = 0
    late_from_seq: int = 0
    version: int = 1


def clean_config(segment_size: int = SEGMENT_SIZE, sync: bool = True) -> QueueConfig:
    """Of every clean queue: what archive-tier has not taken stays, and a full disk makes the refinery wait."""
    return QueueConfig(
        segment_size=segment_size,
        on_full="block",
        durable=(ARCHIVE_READER,),
        prefault=False,  # there are hundreds
        sync=sync,
    )


class Shelf:
    """The queues of one instrument."""

    def __init__(self, paths: BusPaths, venue: str, symbol: str, config: QueueConfig) -> None:
        self._paths = paths
        self._name = (venue, symbol)
        self._config = config

    def path(self, kind: str, late: bool) -> Path:
        return self._paths.clean(*self._name, f"{kind}.late" if late else kind)

    def exists(self, kind: str, late: bool) -> bool:
        return (self.path(kind, late) / "control.meta").exists()

    def open(self, kind: str, late: bool, retained: int = 1) -> CleanQueue:
        """Become its writer; `retained`: sealed segments that stay though all have read them. Raises as
        Queue.open_publisher does."""
        config = msgspec.structs.replace(self._config, retain_segments=retained)
        return CleanQueue(Queue.open_publisher(self.path(kind, late), config))

    def origin(self, kind: str) -> Origin | None:
        """None: there is none, or it cannot be read."""
        return read_origin(self._origin_path(kind))

    def save_origin(self, kind: str, origin: Origin) -> None:
        """Raises NoSpace, NoPermission, HostError."""
        path = self._origin_path(kind)
        temp = path.with_name(f".{path.name}")  # of one writer: what a crash leaves is overwritten
        try:
            with open(temp, "wb") as file:
                file.write(msgspec.json.encode(origin))
                file.flush()
                os.fsync(file.fileno())
            temp.rename(path)
            directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise host_error(error, path) from error

    def _origin_path(self, kind: str) -> Path:
        return self._paths.clean_origin(*self._name, kind)


def read_origin(file: Path) -> Origin | None:
    """None: there is none, or it cannot be read."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Origin)
    except (FileNotFoundError, NotADirectoryError, msgspec.MsgspecError):
        return None


def first_seq_of(queue: str, number: int) -> int | None:
    """Seq of a segment's first record; None: there is no such segment, or it has not begun."""
    try:
        head, _ = read_head(Path(queue, f"{number:09d}.q"))
    except FileNotFoundError:
        return None
    facts = parse_segment(head)
    return facts["first_seq"] if facts is not None and facts["begun"] and facts["number"] == number else None
