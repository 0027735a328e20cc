"""chronicle-etl: raw queues refined into clean queues of one instrument and stream each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from libchronicle.errors import ConfigError
from libchronicle.runtime.activity import telling
from libchronicle.runtime.config import EtlConfig, HostConfig
from libchronicle.runtime.daemon import Daemon, pin_to_core, run_daemon
from libchronicle.runtime.logging import Log
from services.etl.service import EtlService


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--group", default="", help="which of [etl.groups]; required where there are any")


def body(config: HostConfig, flags: argparse.Namespace, log: Log) -> None:
    etl = config.etl or EtlConfig()
    daemon = next((name for name, group in etl.daemons.items() if group == flags.group), None)
    if daemon is None:
        there = ", ".join(etl.groups) or "none, so leave it out"
        raise ConfigError(
            file=str(flags.config),
            key="etl.groups",
            reason=f"--group {flags.group!r} is none of them: {there}",
        )
    pin_to_core(etl.core)
    with EtlService(config, etl, daemon, log) as service:
        beat = telling(service.beat, service.paths.counters(daemon), log)
        with Daemon(daemon, beat=beat) as running:
            service.run(running)


def main(argv: Sequence[str] | None = None) -> int:
    return run_daemon("chronicle-etl", body, description=__doc__ or "", arguments=add_arguments, argv=argv)


if __name__ == "__main__":
    sys.exit(main())
