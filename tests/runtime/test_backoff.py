"""Back-off: bounded, growing, jittered, and the same for the same randomness."""

from __future__ import annotations

from random import Random

import pytest

from libchronicle.runtime.backoff import Backoff


def test_waits_grow_to_the_cap_and_start_again_after_a_reset() -> None:
    backoff = Backoff(lambda: 1.0, first_s=0.1, factor=2, cap_s=1.0)
    waits = [backoff.next_s() for _ in range(6)]
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])
    assert backoff.tries == 6
    backoff.reset()
    assert backoff.next_s() == pytest.approx(0.1)


def test_jitter_takes_at_most_half_of_a_wait() -> None:
    random = Random(3).random
    for _ in range(200):
        backoff = Backoff(random, first_s=1.0, factor=3, cap_s=9.0)
        for bound in (1, 3, 9, 9):
            assert bound / 2 <= backoff.next_s() < bound


def test_two_clients_do_not_come_back_together() -> None:
    first, second = Backoff(Random(1).random), Backoff(Random(2).random)
    assert [first.next_s() for _ in range(5)] != [second.next_s() for _ in range(5)]


@pytest.mark.parametrize("bad", [{"first_s": 0}, {"factor": 0.5}, {"first_s": 2, "cap_s": 1}])
def test_a_back_off_that_would_not_wait_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no back-off"):
        Backoff(lambda: 0.0, **bad)
