"""What the package offers is what is meant to be used, and it stays light."""

from __future__ import annotations

import subprocess
import sys

import libchronicle.replay as replay


def test_everything_offered_is_there_once():
    assert len(set(replay.__all__)) == len(replay.__all__)
    assert all(hasattr(replay, name) for name in replay.__all__)


def test_importing_it_loads_no_heavy_library():
    heavy = {"numpy", "pyarrow", "duckdb", "polars", "obstore"}
    script = f"import sys, libchronicle.replay; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
