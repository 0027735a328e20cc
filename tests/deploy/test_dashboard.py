"""The dashboard's file: fresh, loadable by Grafana's own model, laid out without holes, provisioned."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grafana_foundation_sdk", reason="the dev extra brings grafana-foundation-sdk")

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

GRID = 24


@pytest.fixture(scope="module")
def text(project_root: Path) -> str:
    return (project_root / "ops/grafana/dashboards/chronicle.json").read_text()


@pytest.fixture(scope="module")
def panels(text: str) -> list[dict[str, Any]]:
    return list(json.loads(text)["panels"])


def test_the_committed_file_is_what_the_code_makes(project_root: Path) -> None:
    command = [sys.executable, str(project_root / "ops/grafana/build.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_grafanas_model_reads_it_without_losing_anything(text: str) -> None:
    board = Dashboard.from_json(json.loads(text))
    assert JSONEncoder(sort_keys=True, indent=2).encode(board) + "\n" == text


def test_its_rows_are_those_an_operator_looks_for(panels: list[dict[str, Any]]) -> None:
    rows = [panel["title"] for panel in panels if panel["type"] == "row"]
    assert rows == ["Daemons", "Feeds", "Refinery", "Archive", "Queues", "Strategies", "Router", "Errors"]


def test_panels_have_ids_of_their_own_fill_their_lines_and_do_not_overlap(
    panels: list[dict[str, Any]],
) -> None:
    assert max(Counter(panel["id"] for panel in panels).values()) == 1
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= GRID, panel["title"]
        taken |= cells
    assert len(taken) == GRID * len({y for _, y in taken})


def test_every_panel_says_how_to_read_it_and_asks_the_provisioned_datasource(
    panels: list[dict[str, Any]], project_root: Path
) -> None:
    provisioned = (project_root / "ops/grafana/provisioning/datasources/prometheus.yml").read_text()
    for panel in panels:
        if panel["type"] != "row":
            assert panel["description"], panel["title"]
            assert panel["targets"], panel["title"]
            assert f"uid: {panel['datasource']['uid']}\n" in provisioned


def test_the_provider_finds_the_dashboard_where_it_is_installed(project_root: Path) -> None:
    provider = (project_root / "ops/grafana/provisioning/dashboards/chronicle.yml").read_text()
    assert "path: /opt/chronicle/ops/grafana/dashboards\n" in provider
