"""Fixtures of the daemons' tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "strategy"))
sys.path.insert(0, str(Path(__file__).parent))

from host_harness import scene as scene

from tests.services.router_world import world as world
