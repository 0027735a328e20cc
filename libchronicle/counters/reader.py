"""Reading counters files from outside: exporter, `chronicle status`, tests. Never writes, takes no lock."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from os import PathLike, fspath

from libchronicle.counters import layout
from libchronicle.errors import CorruptError, NotReady, UnsupportedVersion


@dataclass(frozen=True, slots=True)
class Sample:
    """One counter, gauge or histogram. `value` is scaled; `buckets` are (upper bound, count not cumulated), +inf last."""

    kind: str
    name: str
    labels: dict[str, str]
    help: str
    value: float
    buckets: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A counters file at one moment. `heartbeat_age_s` is None after an orderly end, infinite after a reboot."""

    name: str
    state: str
    pid: int
    alive: bool
    started_ns: int
    heartbeat_age_s: float | None
    samples: tuple[Sample, ...]

    def value(self, name: str, **labels: str) -> float:
        """Sum of the samples of that name whose labels include those given; 0.0 if there is none."""
        wanted = labels.items()
        return sum(s.value for s in self.samples if s.name == name and wanted <= s.labels.items())

    def up(self, ttl_s: float) -> bool:
        """The process exists and its loop gave a sign of life within `ttl_s`."""
        return self.alive and self.heartbeat_age_s is not None and self.heartbeat_age_s <= ttl_s


def read_counters(path: str | PathLike[str]) -> Snapshot:
    """The file as it is now.

    Raises:
        NotReady: there is no such file yet.
        CorruptError, UnsupportedVersion: it is no counters file of a version known here.
    """
    name = fspath(path)
    try:
        with open(name, "rb") as file:
            raw = file.read()
    except FileNotFoundError:
        raise NotReady(path=name) from None
    if len(raw) < layout.HEADER_BYTES:
        raise CorruptError(reason=f"{name}: only {len(raw)} bytes; not a counters file")
    magic, version, _, capacity, used, pid, _, ticks, started, boot = layout.HEADER.unpack_from(raw)
    if magic != layout.MAGIC:
        raise CorruptError(reason=f"{name}: not a counters file")
    if version != layout.VERSION:
        raise UnsupportedVersion(path=name, version=version, supported=layout.VERSION)
    if len(raw) < layout.file_size(capacity) or used > capacity:
        raise CorruptError(reason=f"{name}: truncated or damaged counters file")
    (beat,) = struct.unpack_from("<q", raw, layout.HEARTBEAT_OFFSET)
    same_boot = boot == layout.boot_id()
    return Snapshot(
        name=_text(raw[128:192]),
        state=_text(raw[layout.STATE_OFFSET : layout.STATE_OFFSET + layout.STATE_BYTES]),
        pid=pid,
        alive=same_boot and ticks != 0 and layout.start_ticks(pid) == ticks,
        started_ns=started,
        heartbeat_age_s=_age_s(beat, same_boot),
        samples=tuple(_samples(raw, capacity, used)),
    )


def _age_s(beat: int, same_boot: bool) -> float | None:
    if beat == 0:
        return None
    return max(0.0, (time.monotonic_ns() - beat) / 1e9) if same_boot else float("inf")


def _samples(raw: bytes, capacity: int, used: int) -> list[Sample]:
    found = []
    values = layout.HEADER_BYTES + capacity * layout.DESCRIPTOR_BYTES
    slot = 0
    while slot < used:
        kind, slots, scale, name, labels, text = layout.DESCRIPTOR.unpack_from(
            raw, layout.HEADER_BYTES + slot * layout.DESCRIPTOR_BYTES
        )
        if kind == 0 or slots == 0:
            break
        cells = [
            struct.unpack_from("<qq", raw, values + (slot + i) * layout.SLOT_BYTES) for i in range(slots)
        ]
        about = (_text(name), layout.split_labels(_text(labels)), _text(text))
        if kind == layout.KIND_HISTOGRAM:
            bounds = [bound * scale for _, bound in cells[:-2]] + [float("inf")]
            counts = [count for count, _ in cells[:-1]]
            found.append(
                Sample("histogram", *about, cells[-1][0] * scale, tuple(zip(bounds, counts, strict=True)))
            )
        else:
            word = "counter" if kind == layout.KIND_COUNTER else "gauge"
            found.append(Sample(word, *about, cells[0][0] * scale))
        slot += slots
    return found


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode(errors="replace")
