"""Builds a C program of this directory with AddressSanitizer and UBSan against the books' headers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import libchronicle.book
import libchronicle.protocol

HERE = Path(__file__).parent
INCLUDES = [f"-I{Path(package.__file__).parent}" for package in (libchronicle.book, libchronicle.protocol)]
FLAGS = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]


def build(name: str, into: Path) -> Path:
    """The program made from `name`.c; the test is skipped where there is no compiler or no sanitizer."""
    if shutil.which("gcc") is None:
        pytest.skip("no C compiler")
    program = into / name
    command = ["gcc", *FLAGS, *SANITIZE, *INCLUDES, str(HERE / f"{name}.c"), "-o", str(program)]
    made = subprocess.run(command, capture_output=True, text=True)
    if "cannot find" in made.stderr and "asan" in made.stderr:
        pytest.skip("the compiler has no sanitizer runtime")
    assert made.returncode == 0, made.stderr
    return program
