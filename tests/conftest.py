"""Fixtures every test may use."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# Processes that tests start must import the installed packages too, not the sources in the working directory.
os.environ["PYTHONSAFEPATH"] = "1"
# Started in the background of a script, a process ignores Ctrl-C, and so would all it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("suite", deadline=None, print_blob=True)  # a busy machine is no failure
settings.load_profile("suite")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def chronicle_data() -> Path:
    """Directory of the market data recordings; the test is skipped where there is none."""
    path = Path(os.environ.get("CHRONICLE_DATA") or ROOT.parent / "shared" / "data")
    if not path.is_dir():
        pytest.skip(f"no recordings at {path}; set CHRONICLE_DATA")
    return path


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The checkout the tests belong to."""
    return ROOT
