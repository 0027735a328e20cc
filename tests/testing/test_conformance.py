from collections.abc import Callable
from pathlib import Path

import pytest

from libchronicle.queue import Queue
from libchronicle.testing.conformance import QUEUE_CHECKS, Bus
from libchronicle.testing.memory_bus import MemoryBus


@pytest.mark.parametrize("check", QUEUE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("make", [Queue, MemoryBus])
def test_every_bus_keeps_the_contract(
    tmp_path: Path, make: Callable[[], Bus], check: Callable[[Bus, Path], None]
) -> None:
    check(make(), tmp_path / "queue")
