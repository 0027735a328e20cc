"""kill -9 of an importing process at any moment: the next run of the command leaves the archive as one undisturbed run does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from libchronicle.protocol import Trade
from libchronicle.storage.archive import Archive

DAY_US = 1_585_699_200_000_000
TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
KILLS = 3
ROWS = 25_000


def command(file: Path, run: Path) -> list[str]:
    chronicle = str(Path(sys.executable).parent / "chronicle")
    return [chronicle, "archive", "import", str(file), "--run", str(run)]


def start(words: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def begun(process: subprocess.Popen[bytes], run: Path) -> None:
    """Its directory is there."""
    while process.poll() is None and not (run / "archive" / "imports").exists():
        pass


def lifetime_s(process: subprocess.Popen[bytes], run: Path) -> float:
    """Of an import that nobody disturbs, from its directory on."""
    begun(process, run)
    at = time.monotonic()
    assert process.wait() == 0
    return time.monotonic() - at


def test_an_import_killed_at_any_moment_is_whole_after_the_next_run(tmp_path: Path) -> None:
    seed = 11
    random = Random(seed)
    file = tmp_path / "t.csv"
    begin = DAY_US + 86_400_000_000 - 12_000_000  # half of it lies behind midnight
    rows = (f"deribit,X,{begin + i * 1000},{begin + i * 1000},{i},buy,1.5,1\n" for i in range(ROWS))
    file.write_text(TRADES + "".join(rows))
    runs = killed = 0
    lasts_s = lifetime_s(start(command(file, tmp_path / "whole")), tmp_path / "whole")
    while killed < KILLS and runs < 20 * KILLS:  # the machine may be faster at one time than at another
        run, runs = tmp_path / f"run{runs}", runs + 1
        process = start(command(file, run))
        begun(process, run)
        time.sleep(random.uniform(0, lasts_s))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
        again = subprocess.run(command(file, run), capture_output=True, text=True, check=False)
        assert again.returncode == 0, f"seed {seed}: {again.stderr}"
        with Archive(run) as archive:
            found = [
                r.trade_id for _, r in archive.read("deribit", "X", "trade").decoded() if isinstance(r, Trade)
            ]
        assert found == list(range(ROWS)), f"seed {seed}, {run.name}"
        work = run / "archive" / "imports"
        assert [path.suffix for path in work.iterdir()] == [".json"]
        shutil.rmtree(run)
    assert killed == KILLS, f"seed {seed}: {killed} of {runs} runs were still going"
