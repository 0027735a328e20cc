"""chronicle-strategy-host: one strategy, from its TOML."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from libchronicle.bus.paths import BusPaths
from libchronicle.runtime.config import HostConfig, load_strategy
from libchronicle.runtime.daemon import run_daemon
from libchronicle.runtime.logging import Log
from libchronicle.strategy.app import run_live
from libchronicle.strategy.crashes import CrashGuard
from libchronicle.strategy.loader import load_strategy_class


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
    return run_daemon(
        "chronicle-strategy-host",
        body,
        description="Runs one strategy.",
        arguments=add_arguments,
        argv=argv,
        hot=True,
    )


if __name__ == "__main__":
    sys.exit(main())
