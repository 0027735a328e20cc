"""The kill word and the disks as Prometheus sees them."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from libchronicle.bus.kill_word import KillWord
from libchronicle.bus.paths import BusPaths
from services.exporter.host import HostCollector


def scrape(paths: BusPaths) -> str:
    registry = CollectorRegistry()
    registry.register(HostCollector(paths))
    return generate_latest(registry).decode()


def test_the_kill_word_is_shown_as_the_daemons_obey_it(tmp_path: Path) -> None:
    paths = BusPaths(tmp_path)
    assert "chronicle_killed 1.0" in scrape(paths)  # missing = killed
    word = KillWord(paths)
    word.initialise()
    assert "chronicle_killed 0.0" in scrape(paths)
    word.kill("a test")
    assert "chronicle_killed 1.0" in scrape(paths)


def test_disks_that_are_there_are_shown_and_those_that_are_not_are_left_out(tmp_path: Path) -> None:
    text = scrape(BusPaths(tmp_path, tmp_path / "never made"))
    assert 'chronicle_disk_free_bytes{path="root"}' in text
    assert 'path="hot"' not in text
