"""Which process refines which instrument.

Groups are tried in order; the first one with a pattern that fits takes the instrument. Patterns are those of a shell:
`binance-spot:BTC*`, `*`. Without groups one process takes all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

__all__ = ["Group", "group_of"]


def group_of(instrument: str, groups: Mapping[str, Sequence[str]]) -> str | None:
    """Name of the group that takes `venue:SYMBOL`; None: no pattern fits."""
    for name, patterns in groups.items():
        if any(fnmatchcase(instrument, pattern) for pattern in patterns):
            return name
    return None


class Group:
    """The instruments of one process. `name` "" = all."""

    def __init__(self, name: str = "", groups: Mapping[str, Sequence[str]] | None = None) -> None:
        self.name = name
        self._groups = dict(groups or {})

    def takes(self, instrument: str) -> bool:
        """Is `venue:SYMBOL` (canonical) refined here?"""
        return not self._groups or group_of(instrument, self._groups) == self.name
