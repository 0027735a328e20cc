"""What a strategy's parameters are now: its session journal has them from the start on, and each change."""

from __future__ import annotations

from libchronicle.protocol import Parameter, SessionStart
from libchronicle.queue import Subscriber

__all__ = ["present_params"]

_FIRST_WINDOW = 4096  # records; each further window is four times as long


def present_params(journal: Subscriber) -> dict[str, str]:
    """Values as text, by name, of the newest session. Raises what reading a queue raises."""
    oldest, last, window = journal.oldest_seq, journal.head_seq, _FIRST_WINDOW
    found: dict[str, str] = {}
    while last > oldest:
        first = max(oldest, last - window)
        begun, told = _told(journal, first, last)
        found = told | found
        if begun:
            break
        last, window = first, 4 * window
    return found


def _told(journal: Subscriber, first: int, last: int) -> tuple[bool, dict[str, str]]:
    """Parameters within [first, last), and whether a session begins there: what is older counts no more."""
    begun, told = False, dict[str, str]()
    journal.seek_seq(first)
    while journal.next_seq < last:
        columns = journal.drain_columns(min(last - journal.next_seq, 16_384))
        if not len(columns):
            break
        payload = memoryview(columns.payload)
        for at, kind in enumerate(columns.type_ids):
            if kind == SessionStart.TEMPLATE_ID:
                begun = True
                told.clear()
            elif kind == Parameter.TEMPLATE_ID:
                one = Parameter.decode(payload[columns.offsets[at] : columns.offsets[at + 1]])
                told[one.name] = one.value
    return begun, told
