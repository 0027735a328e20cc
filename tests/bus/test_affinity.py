import threading

import pytest

from libchronicle.bus.affinity import allowed_cores, pin_to_core
from libchronicle.errors import CoreUnavailable


def in_a_thread(work: object) -> list[object]:
    """Pinning is per thread: the test's own stays free."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(work())  # type: ignore[operator]
        except CoreUnavailable as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results


def test_the_thread_runs_on_the_core_it_asked_for() -> None:
    core = max(allowed_cores())
    before = allowed_cores()
    assert in_a_thread(lambda: (pin_to_core(core), allowed_cores())[1]) == [{core}]
    assert allowed_cores() == before


def test_a_negative_core_pins_nothing() -> None:
    assert in_a_thread(lambda: (pin_to_core(-1), allowed_cores())[1]) == [allowed_cores()]


@pytest.mark.parametrize("core", [1023, 99_999, 1 << 70])
def test_a_core_that_is_not_there_is_named_with_those_that_are(core: int) -> None:
    (error,) = in_a_thread(lambda: pin_to_core(core))
    assert isinstance(error, CoreUnavailable)
    assert error.core == core
    assert error.allowed
    assert str(min(allowed_cores())) in error.allowed
