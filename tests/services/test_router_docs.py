"""docs/router.md says what the tables in the code say."""

from __future__ import annotations

from pathlib import Path

from libchronicle.portfolio import TRANSITIONS, OrderState
from libchronicle.protocol import ExecType, RejectCode


def test_the_order_states_are_those_of_the_table(project_root: Path) -> None:
    text = (project_root / "docs" / "router.md").read_text()
    rows = ["| state | " + " | ".join(event.name for event in ExecType) + " |"]
    for state in OrderState:
        cells = [
            TRANSITIONS[state, event].name if (state, event) in TRANSITIONS else "-" for event in ExecType
        ]
        rows.append(f"| {state.name} | " + " | ".join(cells) + " |")
    for row in rows:
        assert row in text


def test_every_code_that_a_request_can_be_refused_with_is_explained(project_root: Path) -> None:
    text = (project_root / "docs" / "router.md").read_text()
    unused = {RejectCode.NONE, RejectCode.VENUE, RejectCode.DUPLICATE}
    for code in set(RejectCode) - unused:
        assert f"`{code.name}`" in text, code
