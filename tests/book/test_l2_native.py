"""The C book under AddressSanitizer and UBSan, fed random and damaged records beside a naive book."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import libchronicle.book
import libchronicle.protocol

SOURCE = Path(__file__).with_name("l2_fuzz.c")
INCLUDES = [f"-I{Path(package.__file__).parent}" for package in (libchronicle.book, libchronicle.protocol)]
FLAGS = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory):
    if shutil.which("gcc") is None:
        pytest.skip("no C compiler")
    program = tmp_path_factory.mktemp("l2") / "l2_fuzz"
    build = subprocess.run(
        ["gcc", *FLAGS, *SANITIZE, *INCLUDES, str(SOURCE), "-o", str(program)], capture_output=True, text=True
    )
    if "cannot find" in build.stderr and "asan" in build.stderr:
        pytest.skip("the compiler has no sanitizer runtime")
    assert build.returncode == 0, build.stderr
    return program


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_record_makes_it_differ_from_a_naive_book_or_touch_memory_it_does_not_own(fuzzer, seed):
    print(f"seed {seed}")
    run = subprocess.run([str(fuzzer), str(seed), "1500"], capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stderr
    applied, refused = map(int, run.stdout.split())
    assert applied > 20
    assert refused > 20
