import itertools
from pathlib import Path

import pytest

from libchronicle.bus.feed_states import TRANSITIONS, FeedState, Observation, advance

W, C, D = FeedState.WAITING, FeedState.CONNECTED, FeedState.DISCONNECTED


def test_a_feed_that_comes_goes_and_comes_again() -> None:
    story = [
        (Observation.ABSENT, ()),
        (Observation.READY, (C,)),
        (Observation.READY, ()),
        (Observation.LOST, (D,)),
        (Observation.ABSENT, ()),
        (Observation.READY, (C,)),
        (Observation.REOPENED, (D, C)),
    ]
    state = W
    for observation, entered in story:
        assert advance(state, observation) == entered
        state = entered[-1] if entered else state
    assert state is C


def test_nothing_ever_leads_back_to_waiting_and_each_entry_is_a_change() -> None:
    for (state, _), entered in TRANSITIONS.items():
        assert W not in entered
        for before, after in itertools.pairwise((state, *entered)):
            assert before is not after


def test_a_connected_feed_cannot_be_absent() -> None:
    with pytest.raises(KeyError):
        advance(C, Observation.ABSENT)


def test_the_table_in_the_documentation_is_the_one_in_the_code(project_root: Path) -> None:
    text = (project_root / "docs" / "bus.md").read_text()
    drawn = text.split("<!-- feed states")[1].split("<!-- end -->")[0].splitlines()[3:]
    rows = [
        f"| {state.name.lower()} | {observation.value} | {', '.join(s.name.lower() for s in entered)} |".replace(
            "|  |", "| |"
        )
        for (state, observation), entered in TRANSITIONS.items()
    ]
    assert drawn == rows
