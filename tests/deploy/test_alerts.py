"""Alerts as Prometheus itself reads them, and what an operator who is woken by one is given."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ALERT = re.compile(r"- alert: (\w+)\n(.*?)(?=\n      - |\n  - |\Z)", re.DOTALL)


def promtool(*arguments: str | Path) -> str:
    if shutil.which("promtool") is None:
        pytest.skip("no promtool; Debian package prometheus")
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alerts(root: Path) -> dict[str, str]:
    return dict(ALERT.findall((root / "ops/prometheus/rules.yml").read_text()))


def test_prometheus_takes_the_configuration_and_the_rules(project_root: Path) -> None:
    assert "SUCCESS" in promtool("check", "config", project_root / "ops/prometheus/prometheus.yml")
    assert "SUCCESS" in promtool("check", "rules", project_root / "ops/prometheus/rules.yml")


def test_alerts_fire_when_they_should_and_only_then(project_root: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", project_root / "tests/deploy/alerts.yml")


def test_every_alert_is_exercised_by_the_rule_tests(project_root: Path) -> None:
    exercised = (project_root / "tests/deploy/alerts.yml").read_text()
    assert {name for name in alerts(project_root) if name not in exercised} == set()


def test_every_alert_says_how_grave_it_is_and_leads_to_a_runbook(project_root: Path) -> None:
    found = alerts(project_root)
    assert len(found) >= 20
    named = set()
    for name, text in found.items():
        assert re.search(r"severity: (critical|warning)\b", text), name
        assert "summary:" in text, name
        runbook = re.search(r"runbook: (ops/runbooks/[a-z-]+\.md)", text)
        assert runbook, name
        named.add(project_root / runbook[1])
    assert named == set((project_root / "ops/runbooks").glob("*.md"))


def test_a_runbook_says_what_it_means_what_to_look_at_and_what_to_do(project_root: Path) -> None:
    for path in (project_root / "ops/runbooks").glob("*.md"):
        text = path.read_text()
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["What it means", "Look at", "Do"], path.name
        for link in re.findall(r"\]\(([a-z-]+\.md)\)", text):
            assert (path.parent / link).is_file(), f"{path.name} -> {link}"


def test_commands_that_a_runbook_names_exist(project_root: Path) -> None:
    import typer

    from libchronicle.cli.main import app

    group = typer.main.get_command(app)
    known = set(group.commands)  # type: ignore[attr-defined]
    for path in (project_root / "ops/runbooks").glob("*.md"):
        for name in re.findall(r"`chronicle ([a-z]+)", path.read_text()):
            assert name in known, f"{path.name}: chronicle {name}"
