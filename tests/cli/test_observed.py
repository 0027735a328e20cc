"""A real Prometheus scrapes the running suite: every query of the dashboard and every rule has something to say."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.suite, pytest.mark.timeout(240)]

WAIT_S = 90.0
SETTLED_S = 6.0
"""Longer than the kill word waits before it wakes somebody."""
MACHINE = {"ChronicleDiskSpace", "ChronicleTickToTradeSlow"}
"""Alerts about the machine the test runs on."""


class Prometheus:
    """One server of our configuration, but for ports and a faster scrape."""

    def __init__(self, directory: Path, root: Path, port: int, exporter: int) -> None:
        config = (root / "ops/prometheus/prometheus.yml").read_text()
        config = config.replace("127.0.0.1:9464", f"127.0.0.1:{exporter}").replace("5s", "1s")
        config = config.replace("rules.yml", str(root / "ops/prometheus/rules.yml"))
        (directory / "prometheus.yml").write_text(config)
        self.url = f"http://127.0.0.1:{port}"
        self.log = directory / "prometheus.log"
        command = [
            "prometheus",
            f"--config.file={directory}/prometheus.yml",
            f"--storage.tsdb.path={directory}/tsdb",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def get(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=10) as answer:
            found = json.load(answer)
        assert found["status"] == "success"
        return found["data"]

    def query(self, expression: str) -> list[Any]:
        return list(self.get("query", query=expression)["result"])

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + WAIT_S
        while True:
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            try:
                urllib.request.urlopen(f"{self.url}/-/ready", timeout=5).close()
                return
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.2)


@pytest.fixture
def prometheus(live_suite, free_port: int, project_root: Path, tmp_path: Path) -> Iterator[Prometheus]:  # type: ignore[no-untyped-def]
    if shutil.which("prometheus") is None:
        pytest.skip("no prometheus; Debian package prometheus")
    live_suite.chronicle("up")
    server = Prometheus(tmp_path, project_root, free_port, live_suite.tables["exporter"]["port"])
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.process.terminate()
        server.process.wait(30)


def dashboard_queries(root: Path) -> dict[str, str]:
    """Expression of every target, by panel and letter."""
    board = json.loads((root / "ops/grafana/dashboards/chronicle.json").read_text())
    return {
        f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "1m")
        for panel in board["panels"]
        for target in panel.get("targets", [])
    }


def test_every_query_of_the_dashboard_has_data_every_rule_works_and_a_healthy_suite_raises_no_alarm(
    prometheus: Prometheus, project_root: Path
) -> None:
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert len(rules) > 30
    missing = dashboard_queries(project_root)
    assert len(missing) > 40
    missing |= {rule["name"]: rule["name"] for rule in rules if rule["type"] == "recording"}
    deadline = time.monotonic() + WAIT_S
    while missing and time.monotonic() < deadline:
        time.sleep(1.0)
        missing = {name: expr for name, expr in missing.items() if not prometheus.query(expr)}
    assert missing == {}
    time.sleep(SETTLED_S)

    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}
    firing = {rule["name"] for rule in rules if rule.get("state") == "firing"}
    assert firing - MACHINE == set()
    assert len(prometheus.query("chronicle_up == 1")) == 9
