"""chronicle-strategy-host: one strategy, from its TOML."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Sequence

from libchronicle.bus.paths import BusPaths
from libchronicle.runtime.config import HostConfig, load_strategy
from libchronicle.runtime.daemon import run_daemon
from libchronicle.runtime.logging import Log
from libchronicle.strategy.app import run_live
from libchronicle.strategy.crashes import CrashGuard
from libchronicle.strategy.loader import load_strategy_class

THREADS_S = 0.2
"""How long threads of a strategy have to end after it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strategy", required=True, metavar="FILE", help="the strategy's TOML")
    parser.add_argument(
        "--symbol",
        action="append",
        metavar="VENUE:SYMBOL",
        help="instead of its `subscribe`; repeat it for more",
    )


def body(config: HostConfig, options: argparse.Namespace, log: Log) -> None:
    strategy = load_strategy(options.strategy, config, subscribe=options.symbol)
    paths = BusPaths(config.bus.root_path, config.bus.hot_path)
    with CrashGuard(paths, strategy.id, strategy.file):
        kind = load_strategy_class(strategy.file, strategy.class_name)
        run_live(kind(), strategy, paths, log.bind(strategy=strategy.id))


def main(argv: Sequence[str] | None = None) -> int:
    code = run_daemon(
        "chronicle-strategy-host",
        body,
        description="Runs one strategy.",
        arguments=add_arguments,
        argv=argv,
        hot=True,
    )
    _leave_threads(code)
    return code


def _leave_threads(code: int) -> None:
    """The interpreter would wait for threads that the strategy has started, as long as they run."""
    deadline = time.monotonic() + THREADS_S
    left = [one for one in threading.enumerate() if one is not threading.current_thread() and not one.daemon]
    for thread in left:
        thread.join(max(0.0, deadline - time.monotonic()))
    names = [one.name for one in left if one.is_alive()]
    if names:
        sys.stderr.write(f"chronicle-strategy-host: left behind: {', '.join(names)}\n")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
