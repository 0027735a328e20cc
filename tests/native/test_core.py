"""The C core compiled on its own, plain and under sanitizers."""

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

NATIVE = Path(__file__).resolve().parents[2] / "libchronicle" / "native"
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wno-format-truncation",
    "-Werror",
]  # paths that do not fit are seen to by chr_join
BASE = ["-std=gnu11", "-g", "-O1", *WARNINGS, "-msse4.2", "-mpclmul", "-pthread", f"-I{NATIVE}"]
KINDS = {
    "plain": [],
    "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"],
    "thread": ["-fsanitize=thread", "-Wno-tsan"],
}

STRESS = int(os.environ.get("CHRONICLE_STRESS", "1"))  # multiplies the rounds of the random tests

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """build(kind) -> the program, compiled once per kind; skips where the sanitizer's runtime is missing."""
    programs = {}

    def compile_kind(kind):
        if kind not in programs:
            out = tmp_path_factory.mktemp("core") / kind
            sources = [Path(__file__).with_name("core_test.c"), *sorted(NATIVE.glob("*.c"))]
            command = ["gcc", *BASE, *KINDS[kind], *map(str, sources), "-o", str(out)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode and kind != "plain" and "cannot find" in done.stderr:
                pytest.skip(f"no runtime for {kind}: {done.stderr.splitlines()[-2]}")
            assert done.returncode == 0, done.stderr
            programs[kind] = out
        return programs[kind]

    return compile_kind


def run(program, *args):
    done = subprocess.run(
        [str(program), *map(str, args)], capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["plain", "address"])
def test_units_of_the_core(build, tmp_path, kind):
    run(build(kind), "unit", tmp_path / "q")


@pytest.mark.parametrize(("kind", "count"), [("address", 20_000), ("thread", 5_000)])
def test_writer_readers_and_agents_under_a_sanitizer(build, tmp_path, kind, count):
    run(build(kind), "stress", tmp_path / "q", count)


def test_recovery_of_damaged_segments_never_crashes_nor_invents(build, tmp_path):
    seed = random.randrange(1 << 31)
    print("seed", seed)
    run(build("address"), "fuzz", tmp_path, seed, 60 * STRESS)


def test_the_core_knows_nothing_of_python():
    for source in (*NATIVE.glob("*.c"), *NATIVE.glob("*.h")):
        assert "Python.h" not in source.read_text()
