"""When a segment goes on to the next tier. Pure: the time is given.

    compress      a warm segment becomes cold
    "never"       not at all
    "immediate"   at once
    "age"         when its last record is `cold_after` old
    "idle"        when nothing has come into its partition for `idle`: the one longest idle first
    "size"        when all that is warm exceeds `warm_bytes`: those with the oldest records, until it does not

Ages are those of a segment's last record by ingest time, so what is imported is as old as it is, not as new as its file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from libchronicle.runtime.config import ArchiveConfig
from libchronicle.storage.layout import SegmentId
from libchronicle.storage.waiting import Waiting

__all__ = ["Compress", "TierPolicy", "policy_of"]

Compress = Literal["never", "immediate", "age", "idle", "size"]


class TierPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Ages in ns. `remote_after_ns` None: nothing leaves this host."""

    warm_after_ns: int = 2 * 3600 * 10**9
    compress: Compress = "age"
    cold_after_ns: int = 7 * 86400 * 10**9
    idle_ns: int = 3600 * 10**9
    warm_bytes: int = 0
    remote_after_ns: int | None = None

    def leaves_hot(self, last_ts: int, now_ns: int) -> bool:
        """Should a sealed segment whose last record has that time be archived?

        One of the future tells no age: the clock went ahead and was set back. It goes at once, for its queue, where it holds
        up all behind it, has no other end.
        """
        return not 0 <= now_ns - last_ts < self.warm_after_ns

    def to_compress(self, warm: Waiting, now_ns: int) -> Iterator[SegmentId]:
        """Those of all warm segments that become cold now, in the order in which they are to."""
        if self.compress == "immediate":
            return warm.oldest()
        if self.compress == "age":
            return warm.oldest(now_ns - self.cold_after_ns)
        if self.compress == "idle":
            return warm.idle(now_ns - self.idle_ns)
        if self.compress == "size":
            return warm.beyond(self.warm_bytes)
        return iter(())

    def to_ship(self, cold: Waiting, now_ns: int) -> Iterator[SegmentId]:
        """Those of all cold segments that go to the object store now, oldest first."""
        if self.remote_after_ns is None:
            return iter(())
        return cold.oldest(now_ns - self.remote_after_ns)


def policy_of(archive: ArchiveConfig) -> TierPolicy:
    """The configured seconds as the policy's nanoseconds."""
    return TierPolicy(
        warm_after_ns=int(archive.warm_after_s * 1e9),
        compress=archive.compress,
        cold_after_ns=int(archive.cold_after_s * 1e9),
        idle_ns=int(archive.idle_s * 1e9),
        warm_bytes=archive.warm_bytes,
        remote_after_ns=int(archive.remote_after_s * 1e9) if archive.remote else None,
    )
