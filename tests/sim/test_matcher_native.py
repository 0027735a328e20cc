"""The matcher under AddressSanitizer and UBSan, fed random and absurd requests, trades and books."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import libchronicle.book
import libchronicle.protocol
import libchronicle.sim

HERE = Path(__file__).parent
PACKAGES = (libchronicle.sim, libchronicle.book, libchronicle.protocol)
FLAGS = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Wno-unused-function", "-fno-omit-frame-pointer"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("no C compiler")
    program = tmp_path_factory.mktemp("matcher") / "fuzz"
    includes = [f"-I{Path(str(package.__file__)).parent}" for package in PACKAGES]
    command = ["gcc", *FLAGS, *SANITIZE, *includes, str(HERE / "matcher_fuzz.c"), "-lm", "-o", str(program)]
    made = subprocess.run(command, capture_output=True, text=True)
    if "cannot find" in made.stderr and "asan" in made.stderr:
        pytest.skip("the compiler has no sanitizer runtime")
    assert made.returncode == 0, made.stderr
    return program


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_breaks_its_promises_or_touches_memory_it_does_not_own(fuzzer: Path, seed: int) -> None:
    print(f"seed {seed}")
    run = subprocess.run([str(fuzzer), str(seed), "25000"], capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stderr
    orders, fills, rejects = map(int, run.stdout.split())
    assert min(orders, fills, rejects) > 500
