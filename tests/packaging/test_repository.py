"""The tree itself: its top level, its licence, its lock file."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

TOP_LEVEL = {
    ".ci", ".gitignore", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "deploy", "docs", "libchronicle", "ops",
    "pyproject.toml", "services", "systemd", "tests",
}  # fmt: skip


def tracked(root: Path) -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, timeout=30)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return done.stdout.splitlines()


def test_the_top_level_holds_what_it_should(project_root: Path) -> None:
    assert {name.split("/")[0] for name in tracked(project_root)} == TOP_LEVEL


def test_the_lock_file_pins_every_dependency_within_its_range(project_root: Path) -> None:
    project = tomllib.loads((project_root / "pyproject.toml").read_text())["project"]
    lock = (project_root / "deploy" / "requirements.lock").read_text().splitlines()
    pinned = dict(line.split("==") for line in lock)
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["fast"]]:
        name = re.split(r"[<>=\[;]", requirement)[0]
        assert name in pinned, f"{name} is not in deploy/requirements.lock"


def test_no_recording_is_in_the_tree(project_root: Path) -> None:
    for name in tracked(project_root):
        assert not name.endswith((".gz", ".xz", ".parquet", ".pcap")), name
