"""Midnight in New York: Nasdaq's files count nanoseconds from there."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from libchronicle.errors import HostError

__all__ = ["date_in_name", "midnight_ns", "new_york_date"]

_PATTERNS = (
    (re.compile(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)"), (1, 2, 3)),
    (re.compile(r"(?<!\d)(20\d{2})(\d{2})(\d{2})(?!\d)"), (1, 2, 3)),
    (re.compile(r"(?<!\d)(\d{2})(\d{2})(20\d{2})(?!\d)"), (3, 1, 2)),  # 01302019.NASDAQ_ITCH50
    (re.compile(r"S(\d{2})(\d{2})(\d{2})(?!\d)"), (3, 1, 2)),  # S081321-v50
)


def _zone() -> ZoneInfo:
    try:
        return ZoneInfo("America/New_York")
    except ZoneInfoNotFoundError:
        raise HostError(path="/usr/share/zoneinfo", reason="no time zones here; install tzdata") from None


def midnight_ns(day: date) -> int:
    """UTC ns of 00:00 in New York. Raises HostError where the host has no time zones."""
    return int(datetime(day.year, day.month, day.day, tzinfo=_zone()).timestamp()) * 1_000_000_000


def new_york_date(ts_ns: int) -> date:
    return datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC).astimezone(_zone()).date()


def date_in_name(name: str) -> date | None:
    """The first date in a file's name, in any form that vendors use."""
    for pattern, (year, month, day) in _PATTERNS:
        for match in pattern.finditer(name):
            number = int(match[year])
            try:
                return date(number if number > 99 else 2000 + number, int(match[month]), int(match[day]))
            except ValueError:
                continue
    return None
