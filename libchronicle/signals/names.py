"""Windows of time as features take them, and as their columns are called."""

from __future__ import annotations

from typing import NamedTuple

from libchronicle.errors import InvalidArgument

__all__ = ["Window", "window"]

_LONGEST_S = 7 * 86_400
_MOST_STEPS = 1_000_000


class Window(NamedTuple):
    """`steps` of `step_ns`; `label` is `10s`, or `250ms` where it is no whole number of seconds."""

    step_ns: int
    steps: int
    label: str

    @property
    def seconds(self) -> float:
        return self.step_ns * self.steps / 1e9


def window(where: str, field: str, seconds: float, step_ms: int = 1000) -> Window:
    """A window of whole steps. Raises InvalidArgument: not a whole number of them, or out of bounds."""
    if type(step_ms) is not int or not 1 <= step_ms <= 86_400_000:
        raise InvalidArgument(where=where, field="step_ms", value=step_ms, allowed="1 to 86,400,000 ms")
    if type(seconds) not in (int, float) or not 0 < seconds <= _LONGEST_S:
        raise InvalidArgument(where=where, field=field, value=seconds, allowed="above 0 s, at most a week")
    ms = round(seconds * 1000)
    if ms != seconds * 1000 or ms % step_ms or ms // step_ms > _MOST_STEPS:
        allowed = f"a whole number of steps of {step_ms} ms, at most {_MOST_STEPS:,}"
        raise InvalidArgument(where=where, field=field, value=seconds, allowed=allowed)
    label = f"{ms // 1000}s" if ms % 1000 == 0 else f"{ms}ms"
    return Window(step_ms * 1_000_000, ms // step_ms, label)
