"""How a queue is made and kept.

Geometry is stored in the queue and the stored value wins; policies are those of the present writer.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from libchronicle.errors import ConfigError

_SEGMENT_MIN = 4096
_SEGMENT_MAX = 1 << 28


class QueueConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Writer and reader side of one queue."""

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
        if not _SEGMENT_MIN <= self.segment_size <= _SEGMENT_MAX or self.segment_size % 4096:
            reason = f"{self.segment_size}: a multiple of 4096 from {_SEGMENT_MIN} to {_SEGMENT_MAX}"
            raise ConfigError(file="QueueConfig", key="segment_size", reason=reason)
        for key in (
            "block_timeout_s",
            "retain_age_s",
            "max_segment_age_s",
            "spin_us",
            "budget_bytes",
            "max_lag_bytes",
        ):
            if getattr(self, key) < 0:
                raise ConfigError(file="QueueConfig", key=key, reason="must not be negative")
        if self.reader_ttl_s <= 0:
            raise ConfigError(file="QueueConfig", key="reader_ttl_s", reason="must be positive")
