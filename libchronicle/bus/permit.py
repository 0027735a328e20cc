"""The permit of an external risk gateway: a process of its own that lets trading go on for a while, again and again.

`control/permit.word` is 16 bytes: CHRPERM1, then the time (ns since the Unix epoch) up to which orders may enlarge
positions. It is written anew by rename. A router that is told to require it refuses such orders with RISK_GATEWAY when the
time is over, or the file is missing, unreadable, of another size or another word: a gateway that hangs or dies stops new
risk by itself.

Nobody asks the gateway anything while an order waits. It watches what the queues say (positions, fills, market data), at
its own pace, and renews or withdraws. The router's loop compares two numbers; the file is read by its sidecar, twice a second.
"""

from __future__ import annotations

import os
import struct
import time
from typing import Final

from libchronicle.bus.files import make_directory, publish_file
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import MisuseError

__all__ = ["MOST_TTL_S", "PermitWatch", "RiskPermit"]

MOST_TTL_S: Final = 3600.0
_WORD: Final = b"CHRPERM1"
_LAYOUT: Final = struct.Struct("<8sq")
_DIRECTORY_MODE: Final = 0o2775
_FILE_MODE: Final = 0o664


class RiskPermit:
    """The gateway's side."""

    def __init__(self, paths: BusPaths) -> None:
        self.path: Final = paths.permit_word

    def renew(self, ttl_s: float) -> None:
        """Orders may enlarge positions for so long from now. Call it more often than that. Raises MisuseError."""
        if not 0 < ttl_s <= MOST_TTL_S:
            raise MisuseError(reason=f"a permit of {ttl_s} s; give more than none and at most {MOST_TTL_S} s")
        self._publish(time.time_ns() + round(ttl_s * 1e9))

    def withdraw(self) -> None:
        """No order may enlarge a position from now on."""
        self._publish(0)

    def _publish(self, until_ns: int) -> None:
        make_directory(self.path.parent, _DIRECTORY_MODE)
        publish_file(self.path, _LAYOUT.pack(_WORD, until_ns), _FILE_MODE)


class PermitWatch:
    """The router's side: `refresh` reads the file, from any thread; `holds` is a comparison."""

    def __init__(self, paths: BusPaths, *, required: bool) -> None:
        self.path: Final = paths.permit_word
        self.required: Final = required
        self._until_ns = 0
        self.refresh()

    def refresh(self) -> None:
        """Look at the file. Whatever is wrong with it is no permit."""
        if not self.required:
            return
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                found = os.read(descriptor, _LAYOUT.size + 1)
            finally:
                os.close(descriptor)
            word, until_ns = _LAYOUT.unpack(found)
            self._until_ns = until_ns if word == _WORD else 0
        except (OSError, struct.error):
            self._until_ns = 0

    def holds(self, now_ns: int) -> bool:
        """Whether orders may enlarge positions now. A permit for longer than any may be given is none: a clock has stepped."""
        return not self.required or now_ns < self._until_ns <= now_ns + round(MOST_TTL_S * 1e9)
