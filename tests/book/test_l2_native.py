"""The C book under AddressSanitizer and UBSan, fed random and damaged records beside a naive book."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from sanitized import build


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory):
    return build("l2_fuzz", tmp_path_factory.mktemp("l2"))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_record_makes_it_differ_from_a_naive_book_or_touch_memory_it_does_not_own(fuzzer, seed):
    print(f"seed {seed}")
    run = subprocess.run([str(fuzzer), str(seed), "1500"], capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stderr
    applied, refused = map(int, run.stdout.split())
    assert applied > 20
    assert refused > 20
