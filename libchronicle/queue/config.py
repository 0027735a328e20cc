"""How a queue is made and kept.

Geometry is stored in the queue and the stored value wins; policies are those of the present writer.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from libchronicle.errors import ConfigError

_U32: Final = (1 << 32) - 1
_I64: Final = (1 << 63) - 1
_LONG_S: Final = 1e9
"""31 years: in nanoseconds it fits 64 bits with room for a clock beside it."""

_CHOICES: Final = {
    "on_full": ("fail", "block", "evict"),
    "clock": ("tsc", "system"),
    "wait": ("hybrid", "spin", "sleep"),
}
_WHOLE: Final = {
    "segment_size": (4096, 1 << 28),
    "budget_bytes": (0, _I64),
    "reserve_bytes": (0, _I64),
    "max_lag_bytes": (0, _I64),
    "retain_segments": (0, _U32),
}
_SPANS: Final = {
    "block_timeout_s": (0.0, _LONG_S),
    "retain_age_s": (0.0, _LONG_S),
    "max_segment_age_s": (0.0, _LONG_S),
    "reader_ttl_s": (0.001, _LONG_S),
    "spin_us": (0.0, _LONG_S),
}
_FLAGS: Final = ("prefault", "memlock", "sync", "prepare")


class QueueConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Writer and reader side of one queue. Raises ConfigError for a value that is none."""

    segment_size: int = 128 << 20  # bytes, a multiple of 4096
    budget_bytes: int = 0  # of all segments; 0 = none
    reserve_bytes: int = 0  # disk space to leave free for others when making a segment
    on_full: Literal["fail", "block", "evict"] = "fail"
    block_timeout_s: float = 1.0
    durable: tuple[str, ...] = ()  # readers that hold back retention whether they run or not
    retain_segments: int = 1  # sealed segments kept though all have read them
    retain_age_s: float = 0.0  # a sealed segment stays at least that long; 0 = no age rule
    reader_ttl_s: float = 10.0  # an ephemeral reader without a heartbeat for that long is forgotten
    max_lag_bytes: int = 0  # an ephemeral reader further behind is forgotten; 0 = no limit
    max_segment_age_s: float = 0.0  # roll by time; 0 = by size only
    clock: Literal["tsc", "system"] = "tsc"
    prefault: bool = True
    memlock: bool = False
    sync: bool = True  # put sealed segments on the medium
    prepare: bool = True  # make the next segment in a native thread
    wait: Literal["hybrid", "spin", "sleep"] = "hybrid"
    spin_us: float = 20.0  # before a hybrid wait parks

    def __post_init__(self) -> None:
        for key, choices in _CHOICES.items():
            _require(key, value := getattr(self, key), value in choices, " or ".join(map(repr, choices)))
        for key, (low, high) in _WHOLE.items():
            value = getattr(self, key)
            whole = isinstance(value, int) and not isinstance(value, bool)
            _require(key, value, whole and low <= value <= high, f"a whole number from {low} to {high}")
        for key, (least, most) in _SPANS.items():
            value = getattr(self, key)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            _require(key, value, number and least <= value <= most, f"a number from {least:g} to {most:g}")
        for key in _FLAGS:
            _require(key, value := getattr(self, key), isinstance(value, bool), "True or False")
        _require("segment_size", self.segment_size, self.segment_size % 4096 == 0, "a multiple of 4096")
        names = isinstance(self.durable, tuple | list) and all(isinstance(name, str) for name in self.durable)
        _require("durable", self.durable, names, "a tuple of reader names")


def _require(key: str, value: object, good: bool, allowed: str) -> None:
    if not good:
        raise ConfigError(
            file="QueueConfig", key=key, reason=f"{value!r} is not allowed; it must be {allowed}"
        )
