"""Queues as Prometheus sees them."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from libchronicle.bus.paths import BusPaths
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


def test_a_queue_left_behind_when_market_data_moved_does_not_stand_for_its_successor(tmp_path: Path) -> None:
    before, after = BusPaths(tmp_path / "run"), BusPaths(tmp_path / "run", tmp_path / "run/hot")
    for paths, records in ((before, 3), (after, 5)):
        raw = paths.raw("binance-spot")
        raw.parent.mkdir(parents=True)
        with Queue.open_publisher(raw, QueueConfig(segment_size=1 << 16)) as writer:
            for _ in range(records):
                writer.append(1, b"x")
    text = scrape(after)
    assert 'chronicle_queue_records_total{queue="market_data/queue/binance-spot"} 5.0' in text
    assert f'chronicle_queue_records_total{{queue="{before.raw("binance-spot")}"}} 3.0' in text
    assert text.count("chronicle_queue_records_total{") == 2
