"""`chronicle archive` as people type it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from libchronicle.bus.paths import BusPaths
from libchronicle.cli.bench._day import fill_day
from libchronicle.cli.bench.harness import BenchOptions
from libchronicle.storage.layout import ArchiveLayout

CHRONICLE = Path(sys.executable).parent / "chronicle"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("archive-cli")
    fill_day(root, BenchOptions(tiny=True, data="/nonexistent"), 1, streams=("book", "trade"))
    return root


def chronicle(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CHRONICLE, "archive", *words, "--run", str(root)],
        capture_output=True,
        text=True,
        cwd=root,
        timeout=100,
        check=False,
    )


def test_rebuild_ls_info_and_read_tell_what_there_is(root: Path) -> None:
    assert "binance-usdm:BTCUSDT" in chronicle(root, "ls").stdout  # without a manifest, by the files
    made = chronicle(root, "rebuild")
    assert (made.returncode, made.stderr) == (0, "")
    listed = json.loads(chronicle(root, "ls", "--json").stdout)
    assert [(row["stream"], row["days"], row["state"]) for row in listed] == [
        ("book", 1, "complete"),
        ("trade", 1, "complete"),
    ]
    info = chronicle(root, "info", "binance-usdm:BTCUSDT", "--stream", "trade")
    assert "state      complete" in info.stdout
    facts = json.loads(chronicle(root, "info", "binance-usdm:BTCUSDT", "--stream", "trade", "--json").stdout)
    lines = chronicle(root, "read", "binance-usdm:BTCUSDT", "trade").stdout.splitlines()
    assert len(lines) == facts[0]["records"] == listed[1]["records"]
    assert "Trade" in lines[-1]
    few = chronicle(root, "read", "binance-usdm:BTCUSDT", "trade", "-n", "3", "--json").stdout.splitlines()
    assert [json.loads(line)["seq"] for line in few] == [0, 1, 2]


def test_tier_moves_and_verify_finds_what_was_changed(root: Path) -> None:
    chronicle(root, "rebuild")
    dry = chronicle(root, "tier", "--to", "cold", "--dry-run")
    named = json.loads(chronicle(root, "tier", "--to", "cold", "--dry-run", "--json").stdout)["would_move"]
    assert all(f"{one['segment']}: warm to cold\n" in dry.stdout for one in named)
    assert dry.stdout.splitlines()[-1] == f"would be moved: {len(named)} segments to cold", dry.stderr
    moved = chronicle(root, "tier", "--to", "cold")
    assert moved.returncode == 0, moved.stderr
    layout = ArchiveLayout.of(BusPaths(root))
    files = [file for place in layout.partitions() for file in layout.files(place)]
    assert {file.tier for file in files} == {"cold"}
    assert chronicle(root, "verify").stdout.rstrip().endswith("all as it was stored")
    good = files[0].path.read_bytes()
    bad = bytearray(good)
    bad[len(bad) // 3] ^= 4
    files[0].path.write_bytes(bad)
    found = chronicle(root, "verify")
    assert found.returncode == 65
    assert files[0].path.name in found.stdout
    assert "Put the same file back" in found.stderr
    files[0].path.write_bytes(good)
    assert chronicle(root, "tier", "--to", "warm").returncode == 0
    assert chronicle(root, "verify").returncode == 0


def test_bad_words_are_told_with_what_is_allowed(root: Path) -> None:
    for words, told in (
        (("ls", ":X"), "VENUE or VENUE:SYMBOL"),
        (("tier", "--to", "frozen"), "warm, cold or remote"),
        (("tier", "--to", "remote"), "names a store"),
        (("tier", "--to", "cold", "--older-than", "soon"), "s, m, h or d"),
        (("read", "binance-usdm:BTCUSDT", "trade", "--start", "noon"), "ISO 8601"),
        (("info", "BTCUSDT"), "venue"),
    ):
        done = chronicle(root, *words)
        assert done.returncode not in (0, 70), (words, done.stderr)
        assert told.lower() in done.stderr.lower(), (words, done.stderr)
        assert "Traceback" not in done.stderr
