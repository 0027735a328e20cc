"""Queues as Prometheus sees them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from libchronicle.bus.paths import BusPaths
from libchronicle.cli.queue_paths import queues_of, resolve
from libchronicle.cli.suite import Suite
from libchronicle.queue import Queue, QueueConfig
from services.exporter.queues import QueuesCollector


def scrape(paths: BusPaths) -> str:
    registry = CollectorRegistry()
    registry.register(QueuesCollector(paths))
    return generate_latest(registry).decode()


def test_records_writers_and_readers_lag_are_shown_for_both_roots(tmp_path: Path) -> None:
    paths = BusPaths(tmp_path / "run", tmp_path / "hot")
    raw, out = paths.raw("binance-spot"), paths.orders_out("alpha")
    for path in (raw, out):
        path.parent.mkdir(parents=True)
    writer = Queue.open_publisher(raw, QueueConfig(segment_size=1 << 16))
    for _ in range(5):
        writer.append(1, b"x")
    reader = Queue.open_subscriber(raw, "alpha", start="earliest")
    reader.next()
    reader.commit()
    with Queue.open_publisher(out, QueueConfig(segment_size=1 << 16)) as closed:
        closed.append(1, b"y")
    text = scrape(paths)
    assert 'chronicle_queue_records_total{queue="market_data/queue/binance-spot"} 5.0' in text
    assert 'chronicle_queue_writer_up{queue="market_data/queue/binance-spot"} 1.0' in text
    assert 'chronicle_queue_writer_up{queue="orders/queue/alpha/orders_out"} 0.0' in text
    assert 'lag_records{queue="market_data/queue/binance-spot",reader="alpha"} 4.0' in text
    assert 'reader_up{queue="market_data/queue/binance-spot",reader="alpha"} 1.0' in text
    reader.close()
    writer.close()


def test_a_damaged_queue_does_not_hide_the_others(tmp_path: Path) -> None:
    paths = BusPaths(tmp_path)
    (tmp_path / "market_data/queue/bad").mkdir(parents=True)
    (tmp_path / "market_data/queue/bad/control.meta").write_bytes(b"junk")
    Queue.open_publisher(paths.raw("good"), QueueConfig(segment_size=1 << 16)).close()
    assert 'chronicle_queue_segments{queue="market_data/queue/good"}' in scrape(paths)


def filled(paths: BusPaths, records: int) -> Path:
    raw = paths.raw("binance-spot")
    raw.parent.mkdir(parents=True)
    with Queue.open_publisher(raw, QueueConfig(segment_size=1 << 16)) as writer:
        for _ in range(records):
            writer.append(1, b"x")
    return raw


@pytest.mark.parametrize("hot", ["run/hot", "run/deep/hot", "alias/hot", "elsewhere", "."])
def test_a_queue_left_behind_when_market_data_moved_does_not_stand_for_its_successor(
    tmp_path: Path, hot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "run"
    (tmp_path / "alias").symlink_to("run")
    left = filled(BusPaths(root), 3)
    moved = BusPaths(root, tmp_path / hot)
    raw = filled(moved, 5)
    text = scrape(moved)
    assert 'chronicle_queue_records_total{queue="market_data/queue/binance-spot"} 5.0' in text
    assert f'chronicle_queue_records_total{{queue="{left}"}} 3.0' in text
    assert text.count("chronicle_queue_records_total{") == 2
    monkeypatch.chdir(root)
    suite = Suite(root, tmp_path / hot)
    assert {path: resolve(name, suite) for name, path in queues_of(suite)} == {left: left, raw: raw}
    assert resolve("./market_data/queue/binance-spot", suite).resolve() == left


def test_one_directory_under_two_names_holds_each_queue_once(tmp_path: Path) -> None:
    raw = filled(BusPaths(tmp_path / "run"), 3)
    (tmp_path / "other").symlink_to("run")
    for hot in (tmp_path / "other", tmp_path / "run/../run"):
        assert queues_of(Suite(tmp_path / "run", hot)) == [("market_data/queue/binance-spot", raw)]


def test_a_run_directory_of_any_name_can_be_scraped(tmp_path: Path) -> None:
    root = tmp_path / os.fsdecode(b"r\xffn")
    filled(BusPaths(root), 3)
    filled(BusPaths(root, tmp_path), 5)
    assert "r?n/market_data/queue/binance-spot" in scrape(BusPaths(root, tmp_path))
