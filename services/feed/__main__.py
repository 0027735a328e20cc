"""chronicle-feed: one venue's market data into one raw queue, from host.toml or from flags alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from libchronicle.runtime.activity import telling
from libchronicle.runtime.config import HostConfig
from libchronicle.runtime.daemon import Daemon, pin_to_core, run_daemon
from libchronicle.runtime.logging import Log
from services.feed.options import add_flags, feed_options, load
from services.feed.service import FeedService


def body(config: HostConfig, flags: argparse.Namespace, log: Log) -> None:
    options = feed_options(config, flags)
    pin_to_core(options.feed.core)
    with FeedService(options, log) as service:
        daemon = Daemon(
            options.daemon, beat=telling(service.beat, options.paths.counters(options.daemon), log)
        )
        daemon.on_stop(service.hush)
        daemon.run_async(lambda daemon: service.run(daemon.ready, daemon.stop))


def main(argv: Sequence[str] | None = None) -> int:
    return run_daemon(
        "chronicle-feed", body, description=__doc__ or "", arguments=add_flags, load=load, argv=argv
    )


if __name__ == "__main__":
    sys.exit(main())
