"""Serves the counters of every daemon of this host to Prometheus. It reads files and owns none but its own counters."""

from __future__ import annotations

import argparse
import threading

from prometheus_client import CollectorRegistry, start_http_server

from libchronicle.bus.paths import BusPaths
from libchronicle.counters import CounterFile
from libchronicle.errors import HostError
from libchronicle.runtime.config import HostConfig, daemon_names
from libchronicle.runtime.daemon import Daemon
from libchronicle.runtime.logging import Log
from services.exporter.collector import CountersCollector
from services.exporter.host import HostCollector
from services.exporter.queues import QueuesCollector

NAME = "exporter"
TTL_S = 5.0
TURN_S = 0.25


def run(config: HostConfig, options: argparse.Namespace, log: Log) -> None:
    """Serve until SIGTERM.

    Raises:
        HostError: the port is taken or not allowed.
    """
    paths = BusPaths(config.bus.root_path, config.bus.hot_path)
    paths.services_dir.mkdir(parents=True, exist_ok=True)
    counters = CounterFile.create(paths.counters(NAME), NAME)
    scrapes = counters.counter("scrapes_total", "Scrapes answered.")
    stop = threading.Event()
    with Daemon(NAME, beat=counters.heartbeat) as daemon:
        daemon.on_stop(stop.set)
        registry = CollectorRegistry()
        registry.register(CountersCollector(paths.services_dir, TTL_S, daemon_names(config), scrapes.add))
        registry.register(QueuesCollector(paths))
        registry.register(HostCollector(paths))
        host, port = config.exporter.host, config.exporter.port
        try:
            server, thread = start_http_server(port, host, registry)
        except OSError as error:
            reason = f"cannot listen: {error.strerror}; set [exporter] port to a free one"
            raise HostError(path=f"{host}:{port}", reason=reason) from error
        log.info("serving", url=f"http://{host}:{server.server_port}/metrics")
        counters.set_state("SERVING")
        daemon.ready()
        while daemon.running:
            daemon.beat()
            stop.wait(TURN_S)
        server.shutdown()
        server.server_close()
        thread.join(timeout=1.0)
    counters.close()
