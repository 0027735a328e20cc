"""chronicle-exchange: the embedded venue, from host.toml or from flags alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ConfigError
from libchronicle.runtime.config import ExchangeConfig, HostConfig, load_host
from libchronicle.runtime.daemon import Daemon, pin_to_core, run_daemon
from libchronicle.runtime.logging import Log
from services.exchange.flags import add_flags, apply_flags
from services.exchange.metrics import VenueMetrics
from services.exchange.options import from_config
from services.exchange.venue import Venue


def load(flags: argparse.Namespace) -> HostConfig:
    """host.toml, or nothing but the flags when they name a market."""
    return HostConfig(version=1, exchange=ExchangeConfig()) if flags.market else load_host(flags.config)


def body(config: HostConfig, flags: argparse.Namespace, log: Log) -> None:
    if config.exchange is None:
        raise ConfigError(
            file=flags.config, key="exchange", reason="is missing; add the table or give --market"
        )
    pin_to_core(config.exchange.core)
    venue = Venue(apply_flags(from_config(config.exchange), flags), log)
    metrics = None
    if not flags.market:
        metrics = VenueMetrics(
            BusPaths(config.bus.root_path, config.bus.hot_path).counters("exchange"), venue
        )
    daemon = Daemon("exchange", beat=metrics.publish if metrics else None)

    async def serve(daemon: Daemon) -> None:
        async with venue:
            for market, server in venue.servers.items():
                log.info("listening", market=market, address=f"{venue.options.host}:{server.port}")
            daemon.ready()
            if metrics:
                metrics.ready()
            await venue.run()

    try:
        daemon.run_async(serve)
    finally:
        if metrics:
            metrics.close()


def main(argv: Sequence[str] | None = None) -> int:
    return run_daemon(
        "chronicle-exchange",
        body,
        description="The embedded venue.",
        arguments=add_flags,
        load=load,
        argv=argv,
    )


if __name__ == "__main__":
    sys.exit(main())
