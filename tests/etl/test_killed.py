"""Whenever the refinery is killed, and in however many processes it works: the same records in the same segments.

CHRONICLE_KILLS=1000 kills more often.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from hard_day import write_raw
from raw_world import Record, records_by_segment

KILLS = int(os.environ.get("CHRONICLE_KILLS", "200"))
RECORDS = 12_000
HERE = Path(__file__).parent
Clean = dict[str, list[list[Record]]]


class Zygote:
    """Starts refineries quickly; see kill_zygote.py."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "kill_zygote.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, raw: Path, root: Path, reader: str, group: str, seed: int) -> int | None:
        """Its pid once it works; None when it had nothing to do any more, or failed."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{raw} {root} {reader} {group} {seed}\n")
        self.process.stdin.flush()
        said = self.answer()
        assert said.isdigit(), said
        return int(said)

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    yield made
    made.close()


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("raw") / "feed"
    write_raw(path, RECORDS, seed=int(os.environ.get("CHRONICLE_SEED", "1")))
    return path


def clean(root: Path) -> Clean:
    top = root / "market_data" / "clean"
    return {
        str(control.parent.relative_to(top)): records_by_segment(control.parent)
        for control in sorted(top.rglob("control.meta"))
    }


@pytest.fixture(scope="module")
def whole(zygote: Zygote, raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Clean:
    """What comes out when nothing happens."""
    root = tmp_path_factory.mktemp("whole")
    zygote.start(raw, root, "whole", "-", 0)
    assert zygote.answer() == "DONE"
    return clean(root)


def same(found: Clean, whole: Clean) -> None:
    assert found.keys() == whole.keys()
    for queue, segments in whole.items():
        assert [len(one) for one in found[queue]] == [len(one) for one in segments], queue
        assert found[queue] == segments, queue


def test_the_hard_day_is_hard(whole: Clean) -> None:
    assert len(whole) >= 14, sorted(whole)
    assert sum(len(segments) for segments in whole.values()) > 100


@pytest.mark.timeout(300)
@pytest.mark.parametrize("group", ["-", "groups"])
def test_killed_at_random_points_it_writes_the_same_records(
    zygote: Zygote, raw: Path, whole: Clean, tmp_path: Path, group: str
) -> None:
    seed = int(os.environ.get("CHRONICLE_SEED", str(random.randrange(1 << 30))))
    print(f"CHRONICLE_SEED={seed}")
    rng = random.Random(seed)
    kills = rounds = 0
    longest_s = 0.002
    wanted = KILLS if group == "-" else KILLS // 10
    while kills < wanted:
        root = tmp_path / f"round{rounds}"
        for name in ("-",) if group == "-" else ("one", "rest"):
            done = False
            while not done:
                began = time.monotonic()
                pid = zygote.start(raw, root, f"r{rounds}{name.strip('-')}", name, rng.randrange(1 << 30))
                if rng.random() < 0.95:
                    time.sleep(rng.random() * longest_s)
                    with contextlib.suppress(ProcessLookupError):  # it was done
                        os.kill(pid, signal.SIGKILL)
                done = zygote.answer() == "DONE"
                kills += not done
                if done:
                    longest_s = min(0.02, max(0.002, (time.monotonic() - began) / 4))
        same(clean(root), whole)
        rounds += 1
    print(f"{kills} kills in {rounds} rounds")


def test_two_groups_write_what_one_process_does(
    zygote: Zygote, raw: Path, whole: Clean, tmp_path: Path
) -> None:
    for name in ("one", "rest"):
        zygote.start(raw, tmp_path, f"etl-{name}", name, 0)
        assert zygote.answer() == "DONE"
    same(clean(tmp_path), whole)
