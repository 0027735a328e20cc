"""A whole suite of real daemons in a directory of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from libchronicle.testing.live_suite import LiveSuite, free_ports


@pytest.fixture
def free_port() -> int:
    """A port nobody listens on at the moment."""
    return free_ports(1)[0]


@pytest.fixture
def live_suite(tmp_path: Path, project_root: Path) -> Iterator[LiveSuite]:
    """The shipped configuration and strategies on free ports, with small segments. Whatever runs is stopped at the end."""
    with LiveSuite.of_deployment(tmp_path, project_root / "deploy") as suite:
        yield suite
