"""Serves the counters of every daemon of this host to Prometheus. It reads files and owns none but its own counters."""

from __future__ import annotations

import argparse
from socket import AF_INET, AF_INET6
from socketserver import BaseRequestHandler, ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

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
TURN_S = 0.1


class _Server(ThreadingMixIn, WSGIServer):
    """A slow client holds up neither the others nor the heartbeat, nor the end of the process."""

    daemon_threads = True
    timeout = TURN_S

    def __init__(self, address: tuple[str, int], handler: type[BaseRequestHandler]) -> None:
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        super().__init__(address, handler)


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """A scrape is no event."""


def run(config: HostConfig, options: argparse.Namespace, log: Log) -> None:
    """Serve until SIGTERM.

    Raises:
        HostError: the port is taken or not allowed.
    """
    paths = BusPaths(config.bus.root_path, config.bus.hot_path)
    paths.services_dir.mkdir(parents=True, exist_ok=True)
    counters = CounterFile.create(paths.counters(NAME), NAME)
    scrapes = counters.counter("scrapes_total", "Scrapes answered.")
    with Daemon(NAME, beat=counters.heartbeat) as daemon:
        registry = CollectorRegistry()
        registry.register(CountersCollector(paths.services_dir, TTL_S, daemon_names(config), scrapes.add))
        registry.register(QueuesCollector(paths))
        registry.register(HostCollector(paths))
        host, port = config.exporter.host, config.exporter.port
        try:
            server = make_server(host, port, make_wsgi_app(registry), _Server, handler_class=_Handler)
        except OSError as error:
            reason = f"cannot listen: {error.strerror}; set [exporter] port to a free one"
            raise HostError(path=f"{host}:{port}", reason=reason) from error
        log.info("serving", url=f"http://{host}:{server.server_port}/metrics")
        counters.set_state("serving")
        daemon.ready()
        while daemon.running:
            daemon.beat()
            server.handle_request()  # or none within TURN_S
        server.server_close()
    counters.close()
