"""The native decoder under the sanitizers: no mutated frame makes it read or write where it must not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SEED, FRAMES = 20240808, 300_000
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.mark.parametrize("flags", [["-msse4.2"], ["-U__SSE2__"]], ids=["vector", "scalar"])
def test_mutated_frames_stay_within_their_buffers(
    project_root: Path, tmp_path: Path, flags: list[str]
) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed")
    library = project_root / "libchronicle"
    include = [f"-I{library / part}" for part in ("native", "protocol", "venues/binance")]
    source, program = Path(__file__).with_name("fuzz_frames.c"), tmp_path / "fuzz"
    built = subprocess.run(
        [compiler, "-O1", "-g", "-std=gnu11", *flags, *SANITIZERS, *include, source, "-o", program],
        capture_output=True,
        text=True,
    )
    if "cannot find" in built.stderr:
        pytest.skip("the sanitizers' libraries are not installed")
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([program, str(SEED), str(FRAMES)], capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, f"seed {SEED}: {ran.stderr[:4000]}"
    assert FRAMES / 8 < int(ran.stdout) < FRAMES
