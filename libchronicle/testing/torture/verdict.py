"""What a run found."""

from __future__ import annotations

import msgspec

from libchronicle.testing.torture.host import HostFacts
from libchronicle.testing.torture.jobs import Report

__all__ = ["FaultResult", "Verdict", "percentile"]


class FaultResult(msgspec.Struct, kw_only=True):
    """One row of the table."""

    fault: str
    rounds: int = 0
    checked: int = 0  # records compared byte for byte
    losses: int = 0  # records that were promised and are not there, or were declared lost
    torn: int = 0  # records that are not what was written
    errors: int = 0  # what else must not be: no way back, a process ended by a signal, ownership taken over
    declared: int = 0  # flip: damage that was named to whoever met it
    recoveries_s: list[float] = []
    note: str = ""
    reports: list[Report] = []

    @property
    def passed(self) -> bool:
        return self.rounds > 0 and not (self.losses or self.torn or self.errors)

    def take(self, reports: list[Report]) -> None:
        self.reports = reports
        self.losses = sum(one.count for one in reports if one.kind == "loss")
        self.torn = sum(one.count for one in reports if one.kind == "torn")
        self.errors = sum(one.count for one in reports if one.kind == "error")


class Verdict(msgspec.Struct, kw_only=True):
    """All rows, and how to have the same plan again."""

    path: str
    seed: int
    plan: str  # digest of the plan: equal for equal seeds
    host: HostFacts
    results: list[FaultResult]
    evidence: str = ""  # where what was found lies; empty when nothing was, and nothing is left
    interrupted: bool = False

    @property
    def passed(self) -> bool:
        return bool(self.results) and not self.interrupted and all(result.passed for result in self.results)


def percentile(values: list[float], share: float) -> float | None:
    """The value below which `share` (0 to 1) of them lie; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
