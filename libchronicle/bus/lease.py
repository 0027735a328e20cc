"""The LEASE file: who holds an endpoint, and until when.

The holder's own loop pushes the expiry forward with one aligned store into the mapped file: no system call, and a loop that
hangs lets its lease run out. All else is fixed when the file appears by rename, and covered by the checksum.

     0 u64   magic "CHRLEASE"
     8 u32   version, 1
    12 u32   pid
    16 u64   start time of the process, clock ticks since boot; 0 = unknown
    24 u8*16 boot id
    40 u32   epoch of the endpoint's queue
    44 u32   time to live, ms
    48 i64   made at, ns since the Unix epoch (for people)
    56 u32   CRC-32 of bytes 0..56
    60 u32   zero
    64 i64   expires at, CLOCK_MONOTONIC ns; 0 = given back
    72       zero to 128
"""

from __future__ import annotations

import enum
import mmap
import os
import struct
import time
import zlib
from pathlib import Path
from typing import Final

import msgspec

from libchronicle.bus.files import publish_file
from libchronicle.bus.process import ProcessId, is_running, this_process

__all__ = ["LEASE_SIZE", "Lease", "LeaseRecord", "Liveness", "judge", "read_lease"]

LEASE_SIZE: Final = 128
_MAGIC: Final = int.from_bytes(b"CHRLEASE", "little")
_VERSION: Final = 1
_FIXED: Final = struct.Struct("<QIIQ16sIIq")
_CHECKSUM: Final = struct.Struct("<II")
_EXPIRY: Final = struct.Struct("<q")
_EXPIRY_OFFSET: Final = 64
assert _FIXED.size == 56


class Liveness(enum.Enum):
    """What can be said of the holder of a lease."""

    ALIVE = "alive"
    EXPIRED = "lease expired"
    RELEASED = "given back"
    DEAD = "process ended"
    ABSENT = "no lease"
    UNKNOWN = "lease cannot be read"


class LeaseRecord(msgspec.Struct, frozen=True):
    """A lease as it was read; `expires_ns` is CLOCK_MONOTONIC."""

    holder: ProcessId
    epoch: int
    ttl_ms: int
    made_at_ns: int
    expires_ns: int


class Lease:
    """The holder's side. `renew()` belongs into the loop that does the work."""

    __slots__ = ("_map", "_ttl_ns", "_words", "path", "record")

    def __init__(self, path: Path, epoch: int, ttl_s: float) -> None:
        """Takes the lease: the file appears complete, replacing an earlier one."""
        self.path: Final = path
        self._ttl_ns: Final = int(ttl_s * 1e9)
        self.record: Final = LeaseRecord(
            holder=this_process(),
            epoch=epoch,
            ttl_ms=self._ttl_ns // 1_000_000,
            made_at_ns=time.time_ns(),
            expires_ns=time.monotonic_ns() + self._ttl_ns,
        )
        descriptor = publish_file(path, _encode(self.record), keep_open=True)
        try:
            self._map: Final = mmap.mmap(descriptor, LEASE_SIZE)
        finally:
            os.close(descriptor)
        self._words: memoryview | None = memoryview(self._map).cast("q")

    def renew(self) -> None:
        """Push the expiry forward by the time to live. One store."""
        if self._words is not None:
            self._words[_EXPIRY_OFFSET // 8] = time.monotonic_ns() + self._ttl_ns

    def release(self) -> None:
        """Give the lease back: readers see RELEASED at once. Idempotent; the file stays."""
        if self._words is not None:
            self._words[_EXPIRY_OFFSET // 8] = 0
            self._words.release()
            self._words = None
            self._map.close()


def read_lease(path: Path) -> LeaseRecord | Liveness:
    """The record, or ABSENT / UNKNOWN if there is none to be had."""
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return Liveness.ABSENT
    except OSError:
        return Liveness.UNKNOWN
    if len(raw) != LEASE_SIZE or _CHECKSUM.unpack_from(raw, _FIXED.size)[0] != zlib.crc32(raw[: _FIXED.size]):
        return Liveness.UNKNOWN
    magic, version, pid, start_time, boot, epoch, ttl_ms, made_at_ns = _FIXED.unpack_from(raw)
    if magic != _MAGIC or version != _VERSION:
        return Liveness.UNKNOWN
    return LeaseRecord(
        holder=ProcessId(pid=pid, start_time=start_time, boot_id=boot),
        epoch=epoch,
        ttl_ms=ttl_ms,
        made_at_ns=made_at_ns,
        expires_ns=_EXPIRY.unpack_from(raw, _EXPIRY_OFFSET)[0],
    )


def judge(lease: LeaseRecord | Liveness, now_monotonic_ns: int | None = None) -> Liveness:
    """What the lease says of its holder now. A hung process that lives counts as EXPIRED."""
    if isinstance(lease, Liveness):
        return lease
    if lease.expires_ns == 0:
        return Liveness.RELEASED
    if not is_running(lease.holder):
        return Liveness.DEAD
    now = time.monotonic_ns() if now_monotonic_ns is None else now_monotonic_ns
    return Liveness.ALIVE if now < lease.expires_ns else Liveness.EXPIRED


def _encode(record: LeaseRecord) -> bytes:
    holder = record.holder
    fixed = _FIXED.pack(
        _MAGIC,
        _VERSION,
        holder.pid,
        holder.start_time,
        holder.boot_id,
        record.epoch,
        record.ttl_ms,
        record.made_at_ns,
    )
    page = fixed + _CHECKSUM.pack(zlib.crc32(fixed), 0) + _EXPIRY.pack(record.expires_ns)
    return page.ljust(LEASE_SIZE, b"\0")
