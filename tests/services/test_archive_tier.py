"""archive-tier as a process: in the suite, killed, and stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from libchronicle.counters import read_counters
from libchronicle.storage import Archive, ArchiveLayout
from libchronicle.storage.sources import queues_on_bus
from libchronicle.testing.live_suite import LiveSuite


@pytest.fixture
def suite(tmp_path: Path, project_root: Path) -> LiveSuite:
    made = LiveSuite.of_deployment(tmp_path, project_root / "deploy")
    made.tables["archive"] |= {"warm_after_s": 0.0, "compress": "immediate", "interval_s": 0.1, "level": 1}
    made.tables["exchange"]["rate"] = 2000.0
    for feed in made.tables["feeds"].values():
        feed["segment_size"] = 64 << 10
        feed["retain_age_s"] = 0.0
    made.write()
    with made:
        yield made  # type: ignore[misc]


def tiers(root: Path) -> set[str]:
    layout = ArchiveLayout(root / "archive")
    return {file.tier for partition in layout.partitions() for file in layout.files(partition)}


@pytest.mark.suite
@pytest.mark.timeout(240)
def test_the_suite_archives_what_its_feeds_record_and_one_reader_finds_all_of_it(suite: LiveSuite) -> None:
    suite.chronicle("up")
    root = suite.paths.root
    suite.wait_until(lambda: "cold" in tiers(root), "segments are archived and compressed")
    samples = read_counters(suite.paths.counters("archive-tier")).samples
    assert any(s.name == "archive_segments_total" and s.value for s in samples)
    suite.chronicle("down")
    for source in queues_on_bus(suite.paths):
        if source.stream == "raw":
            with Archive(root) as archive:
                seqs = [m.seq for m in archive.read(source.venue, source.symbol, "raw")]
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
            assert len(seqs) > 100
    status = json.loads(suite.chronicle("status", "--json", "--window", "0").stdout)
    assert "archive-tier" in {row["daemon"] for row in status["daemons"]}
