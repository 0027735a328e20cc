"""Bytes of a counters file. One daemon writes it, anybody reads it, also after the daemon's death.

    0   u64 magic   8 u32 version  12 u32 header bytes  16 u32 capacity  20 u32 used slots (published with release)
    24  u32 pid    32 u64 start time of the process (clock ticks, /proc)  40 i64 started, realtime ns   48 boot id, 16 bytes
    64  i64 heartbeat, CLOCK_MONOTONIC ns; 0 = orderly end (a cache line of its own)
    128 name, 64 bytes          192 state, 64 bytes
    256 descriptors, `capacity` of 256 bytes:
            0 u32 kind (stored last; 0 = unused)  4 u32 slots  8 f64 scale  16 name[80]  96 labels[64]  160 help[96]
    …   slots, `capacity` of 64 bytes (a cache line each): 0 i64 value   8 i64 upper bound (histogram buckets)

A histogram takes one slot per bound, one for +inf and one for the sum; its descriptor stands at its first slot.
Rules: values change by single aligned 8-byte stores of one thread, so a reader sees old or new, never a mixture. A restart
puts a new file in place by rename; counters begin at 0 again, as Prometheus expects.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Mapping

from libchronicle.errors import MisuseError

MAGIC = 0x3152544E43524843  # "CHRCNTR1" read as little-endian
VERSION = 1
HEADER_BYTES = 256
DESCRIPTOR_BYTES = 256
SLOT_BYTES = 64
CAPACITY = 256
USED_OFFSET = 20
HEARTBEAT_OFFSET = 64
STATE_OFFSET = 192
STATE_BYTES = 64
KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM = 1, 2, 3

HEADER = struct.Struct("<QIIIIIIQq16s")
DESCRIPTOR = struct.Struct("<IId80s64s96s")
_SEPARATOR = "\x1f"


def file_size(capacity: int) -> int:
    """Bytes of a file with that many slots."""
    return HEADER_BYTES + capacity * (DESCRIPTOR_BYTES + SLOT_BYTES)


def boot_id() -> bytes:
    """The kernel's id of this boot, 16 bytes."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return bytes.fromhex(file.read().strip().replace("-", ""))


def start_ticks(pid: int) -> int:
    """Start time of a process in clock ticks since boot; 0 if there is none, or a zombie. With the pid it names it for good."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rsplit(b")", 1)[1].split()
            return 0 if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, IndexError, ValueError):
        return 0


def header(name: str, capacity: int) -> bytes:
    """The first 256 bytes of a new file."""
    pid = os.getpid()
    fixed = HEADER.pack(
        MAGIC, VERSION, HEADER_BYTES, capacity, 0, pid, 0, start_ticks(pid), time.time_ns(), boot_id()
    )
    return fixed.ljust(128, b"\0") + _text(name, 64, "name") + b"STARTING".ljust(STATE_BYTES, b"\0")


def descriptor(slots: int, scale: float, name: str, labels: str, help_text: str) -> bytes:
    """One descriptor with its kind still 0."""
    help_raw = help_text.encode()[:95]
    return DESCRIPTOR.pack(0, slots, scale, _text(name, 80, "name"), _text(labels, 64, "labels"), help_raw)


def join_labels(labels: Mapping[str, str] | None) -> str:
    """Labels as stored: `key=value` joined by the unit separator."""
    return _SEPARATOR.join(f"{key}={value}" for key, value in sorted((labels or {}).items()))


def split_labels(text: str) -> dict[str, str]:
    """Inverse of `join_labels`."""
    return dict(part.split("=", 1) for part in text.split(_SEPARATOR) if "=" in part)


def _text(text: str, size: int, what: str) -> bytes:
    raw = text.encode()
    if len(raw) >= size:
        raise MisuseError(reason=f"counter {what} {text!r} is longer than {size - 1} bytes")
    return raw.ljust(size, b"\0")
