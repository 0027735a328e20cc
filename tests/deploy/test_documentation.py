"""docs/deployment.md against what it describes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from libchronicle.bus.access import Access, StrategyAccess, permission_rules
from libchronicle.bus.paths import BusPaths
from libchronicle.runtime.daemon import ExitCode


@pytest.fixture(scope="module")
def text(project_root: Path) -> str:
    return (project_root / "docs/deployment.md").read_text()


def test_the_table_of_exit_codes_is_that_of_the_daemons(text: str, project_root: Path) -> None:
    rows = {
        int(code): last == "no"
        for code, last in re.findall(r"^\| (\d+) \|.*\| (\S[^|]*?) \|$", text, re.MULTILINE)
    }
    assert set(rows) == {int(code) for code in ExitCode}
    unit = (project_root / "systemd/chronicle-router.service").read_text()
    prevented = re.search(r"^RestartPreventExitStatus=(.*)$", unit, re.MULTILINE)
    assert prevented
    assert {code for code, never in rows.items() if never} == {int(code) for code in prevented[1].split()}


def test_the_permission_matrix_is_that_of_the_bus(text: str) -> None:
    access = Access(
        feed="chronicle-feed",
        router="chronicle-router",
        etl="chronicle-archive",
        archive="chronicle-archive",
        readers="chronicle",
        operators="chronicle-operators",
        strategies={"<id>": StrategyAccess("chronicle-s-<id>", "chronicle-s-<id>")},
        administrator="root",
    )
    rows = re.findall(r"^\| (`[^|]+) \| `?([^|`]+)`? \| `([^|`]+)` \| (\d{4}) \|", text, re.MULTILINE)
    written = {
        place: (user, group, int(mode, 8))
        for places, user, group, mode in rows
        for place in re.findall(r"`([^`]+)`", places)
    }
    for rule in permission_rules(BusPaths(""), access):
        place = str(rule.path).replace("%3C", "<").replace("%3E", ">")
        if place in written:
            assert written.pop(place) == (rule.user, rule.group, rule.mode), place
    assert set(written) == {"control/queue/<daemon>", "strategies/<id>"}


def test_every_unit_is_described(text: str, project_root: Path) -> None:
    for unit in (project_root / "systemd").iterdir():
        assert f"`{unit.name}`" in text.replace("@<feed>", "@").replace("@<id>", "@").replace(
            "@<group>", "@"
        ), unit.name
