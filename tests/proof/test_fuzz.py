"""Queue files changed by a fuzzer: opened, read, sought, recovered and written to without a crash, a hang or a false record.

`native/fuzz_queue.c` says what an input is. `corpus/queue_files.txt` holds one input a line, as hex: the smallest set that
reaches what all inputs found so far reach, and those that once found a fault. Every run replays it under AddressSanitizer
and UBSan; where clang is installed libFuzzer then goes on from there, in the long run for half an hour of processor time.

A long run with CHRONICLE_FUZZ_CORPUS=DIR keeps what it finds in DIR; the set is made anew from it by
`fuzz_queue -merge=1 -set_cover_merge=1 -use_counters=0 SMALL DIR`.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

CORPUS = Path(__file__).with_name("corpus") / "queue_files.txt"
SANITIZED = ("-Wno-format-truncation", "-O1", "-fno-sanitize-recover=all")
REPLAY = (*SANITIZED, "-DCHR_REPLAY", "-fsanitize=address,undefined")
FUZZ = (*SANITIZED, "-Wno-unknown-warning-option", "-fsanitize=fuzzer,address,undefined")
WRAPS = "mmap munmap getrandom"
WORKERS = 2
LONG_CPU_S = 1800
LONG_TURN_S = 825  # of the clock, after which the rest is reckoned anew


@pytest.fixture
def inputs(tmp_path) -> Path:
    """The corpus as libFuzzer wants it: a file each."""
    folder = Path(os.environ.get("CHRONICLE_FUZZ_CORPUS") or tmp_path / "inputs")
    folder.mkdir(exist_ok=True)
    for number, line in enumerate(CORPUS.read_text().split()):
        (folder / f"kept-{number:04}").write_bytes(bytes.fromhex(line))
    return folder


def test_every_input_that_once_mattered_is_replayed(linked, inputs, report):
    program = linked("fuzz_queue", "guarded_maps", flags=REPLAY, wraps=WRAPS)
    files = sorted(inputs.glob("kept-*"))
    done = subprocess.run([program, *files], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{len(files)} inputs\n"), done.stderr[-6000:]
    report(inputs=len(files))


def child_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def fuzz(program: Path, inputs: Path, found: Path, seconds: int, workers: int) -> int:
    """Runs `workers` of them on one corpus; inputs tried."""
    command = [program, f"-max_total_time={seconds}", "-max_len=200", "-len_control=10", "-timeout=600"]
    command += [
        "-rss_limit_mb=4096",
        "-reload=1",
        "-print_final_stats=1",
        f"-artifact_prefix={found}/",
        inputs,
    ]
    environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=0"}  # the agents free in their own time
    logs = [
        found.parent / f"worker-{number}.log" for number in range(workers)
    ]  # a pipe nobody reads would stop it
    running = []
    for log in logs:
        with log.open("w") as told:
            running.append(
                subprocess.Popen(
                    list(map(str, command)), stdout=subprocess.DEVNULL, stderr=told, env=environment
                )
            )
    ends = [child.wait() for child in running]
    for child in running:  # what became of the files' names the worker does not know
        for base in ("/dev/shm", "/tmp"):
            shutil.rmtree(f"{base}/chr-fuzz-{child.pid}", ignore_errors=True)
    bad = [f"{file.name}: {file.read_bytes().hex()}" for file in found.iterdir() if "slow" not in file.name]
    tried = 0
    for end, log in zip(ends, logs, strict=True):
        errors = log.read_text(errors="replace")
        assert end == 0, "\n".join((*bad, errors[-6000:]))
        tried += int(errors.split("stat::number_of_executed_units:")[1].split()[0])
    return tried


def test_what_a_fuzzer_makes_of_the_files_of_a_queue_neither_crashes_nor_deceives(
    linked, inputs, tmp_path, scale, report
):
    program = linked("fuzz_queue", "guarded_maps", flags=FUZZ, wraps=WRAPS, compiler="clang")
    found = tmp_path / "found"
    found.mkdir()
    began = child_cpu_s()
    tried, seconds, cpu_s = 0, scale(3, LONG_TURN_S), 0.0
    while not tried or (scale.long and cpu_s < LONG_CPU_S):  # the cores are not this test's alone
        tried += fuzz(program, inputs, found, seconds, scale(1, WORKERS))
        cpu_s = child_cpu_s() - began
        seconds = min(LONG_TURN_S, int((LONG_CPU_S - cpu_s) / WORKERS) + 10)
        report(inputs=tried, cpu_seconds=int(cpu_s))
