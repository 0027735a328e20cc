"""The C order-level book under AddressSanitizer and UBSan, fed random and damaged records."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from sanitized import build


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory):
    return build("l3_fuzz", tmp_path_factory.mktemp("l3"))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_comes_the_queues_and_the_levels_agree(fuzzer, seed):
    print(f"seed {seed}")
    run = subprocess.run([str(fuzzer), str(seed), "20000"], capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stderr or run.returncode
    applied, refused = map(int, run.stdout.split())
    assert applied > 1000
    assert refused > 100
