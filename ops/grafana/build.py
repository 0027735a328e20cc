"""Writes ops/grafana/dashboards/chronicle.json: `python ops/grafana/build.py`. With --check, only says whether it is fresh.

Rows from the outside in: is everything there, does data come, does it get through the queues, do strategies and router make
orders of it in time. Every query returns at least one series on a running suite; what counts trouble shows 0 there.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync

sys.path.insert(0, str(Path(__file__).parent))

import rows as sections

TARGET = Path(__file__).parent / "dashboards" / "chronicle.json"


SECTIONS = {
    "Daemons": sections.daemons,
    "Feeds": sections.feeds,
    "Refinery": sections.refinery,
    "Archive": sections.archive,
    "Queues": sections.queues,
    "Strategies": sections.strategies,
    "Router": sections.router,
    "Errors": sections.errors,
}


def build() -> str:
    """The dashboard as JSON; the same bytes each time."""
    board = (
        Dashboard("Chronicle")
        .uid("chronicle")
        .tags(["chronicle"])
        .description("One Chronicle host. Built by ops/grafana/build.py; edit that.")
        .readonly()
        .time("now-15m", "now")
        .refresh("5s")
        .timezone("utc")
        .tooltip(DashboardCursorSync.CROSSHAIR)
    )
    numbers = itertools.count(1)
    for title, section in SECTIONS.items():
        board = board.with_row(Row(title).id(next(numbers)))
        for panel in section():
            board = board.with_panel(panel.id(next(numbers)))
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def main() -> int:
    """Write it; or with --check compare."""
    text = build()
    if "--check" in sys.argv[1:]:
        if TARGET.read_text() != text:
            print(f"{TARGET} is not what build.py makes; run python ops/grafana/build.py", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
