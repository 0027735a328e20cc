"""chronicle-router: every strategy's orders checked, sent to the paper venue and answered, exactly once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from libchronicle.runtime.activity import telling
from libchronicle.runtime.config import HostConfig
from libchronicle.runtime.daemon import Daemon, pin_to_core, run_daemon
from libchronicle.runtime.logging import Log
from services.router.service import RouterService


def body(config: HostConfig, _flags: argparse.Namespace, log: Log) -> None:
    pin_to_core(config.router.core)
    with RouterService(config, log) as service:
        beat = telling(service.beat, service.paths.counters("router"), log)
        with Daemon("router", beat=beat) as daemon:
            service.run(daemon)


def main(argv: Sequence[str] | None = None) -> int:
    return run_daemon("chronicle-router", body, description=__doc__ or "", argv=argv, hot=True)


if __name__ == "__main__":
    sys.exit(main())
