"""What Prometheus gets to see of counters files."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from libchronicle.counters import CounterFile, ErrorLog
from services.exporter.collector import CountersCollector


def scrape(directory: Path, ttl_s: float = 5.0, expected: tuple[str, ...] = ()) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(CountersCollector(directory, ttl_s, expected))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        sample.name + str(sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_counters_gauges_and_histograms_keep_their_labels_and_values(tmp_path: Path) -> None:
    file = CounterFile.create(tmp_path / "feed.counters", "feed")
    file.counter("frames_total", "frames", {"kind": "depth"}).add(3)
    file.gauge("lag_seconds", scale=1e-9).set(2_000_000_000)
    histogram = file.histogram("wait_seconds", bounds=(1000, 2000), scale=1e-9)
    for value in (500, 1500, 9000):
        histogram.observe(value)
    seen = scrape(tmp_path)
    assert seen["chronicle_frames_total[('daemon', 'feed'), ('kind', 'depth')]"] == 3
    assert seen["chronicle_lag_seconds[('daemon', 'feed')]"] == 2.0
    assert seen["chronicle_wait_seconds_bucket[('daemon', 'feed'), ('le', '1e-06')]"] == 1
    assert seen["chronicle_wait_seconds_bucket[('daemon', 'feed'), ('le', '2e-06')]"] == 2
    assert seen["chronicle_wait_seconds_bucket[('daemon', 'feed'), ('le', '+Inf')]"] == 3
    assert seen["chronicle_wait_seconds_count[('daemon', 'feed')]"] == 3


def test_daemons_that_label_one_name_differently_share_a_family(tmp_path: Path) -> None:
    one = CounterFile.create(tmp_path / "a.counters", "a")
    two = CounterFile.create(tmp_path / "b.counters", "b")
    one.counter("messages_total", labels={"kind": "x"}).add(1)
    two.counter("messages_total").add(2)
    seen = scrape(tmp_path)
    assert seen["chronicle_messages_total[('daemon', 'a'), ('kind', 'x')]"] == 1
    assert seen["chronicle_messages_total[('daemon', 'b'), ('kind', '')]"] == 2


def test_a_silent_or_missing_or_stopped_daemon_is_down(tmp_path: Path) -> None:
    live = CounterFile.create(tmp_path / "live.counters", "live")
    CounterFile.create(tmp_path / "stopped.counters", "stopped").close()
    seen = scrape(tmp_path, expected=("live", "absent"))
    assert seen["chronicle_up[('daemon', 'live')]"] == 1.0
    assert seen["chronicle_up[('daemon', 'absent')]"] == 0.0
    assert seen["chronicle_up[('daemon', 'stopped')]"] == 0.0
    live.set_state("SYNCING")
    silent = scrape(tmp_path, ttl_s=0.0)
    assert silent["chronicle_up[('daemon', 'live')]"] == 0.0
    assert silent["chronicle_process_up[('daemon', 'live')]"] == 1.0
    assert silent["chronicle_process_up[('daemon', 'stopped')]"] == 1.0
    assert silent["chronicle_state[('daemon', 'live'), ('state', 'SYNCING')]"] == 1.0


def test_errors_are_summed_and_damaged_files_are_counted_not_fatal(tmp_path: Path) -> None:
    CounterFile.create(tmp_path / "feed.counters", "feed")
    log = ErrorLog(tmp_path / "feed.errors")
    for _ in range(3):
        log.record("boom")
    (tmp_path / "junk.counters").write_bytes(b"junk")
    seen = scrape(tmp_path)
    assert seen["chronicle_errors_total[('daemon', 'feed')]"] == 3
    assert seen["chronicle_unreadable_files[]"] == 1
