"""What `chronicle up` was asked for, laid over host.toml: the configuration that the suite really runs with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from libchronicle.errors import ConfigError
from libchronicle.runtime.config import (
    ExchangeConfig,
    FeedConfig,
    HostConfig,
    StrategyConfig,
    check_host,
    load_strategy,
    strategy_files,
)

__all__ = ["UpOptions", "effective", "runnable_strategies"]

REAL_ENDPOINTS = {
    "binance-spot": ("https://api.binance.com", "wss://stream.binance.com:9443"),
    "binance-usdm": ("https://fapi.binance.com", "wss://fstream.binance.com/public"),
}
VENUES = ("binance", *REAL_ENDPOINTS)


class UpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `chronicle up` that change what runs; kept in the run directory while it runs."""

    config: str = "deploy/host.toml"
    run: str | None = None
    recordings: tuple[str, ...] = ()
    speed: float | None = None
    venue: str | None = None
    symbols: tuple[str, ...] = ()

    def said(self) -> str:
        """As they were typed, the configuration file and the run directory left out."""
        words = [f"--recording {path}" for path in self.recordings]
        if self.speed is not None:
            words.append(f"--speed {self.speed:g}")
        if self.venue:
            words.append(f"--venue {self.venue}")
        if self.symbols:
            words.append(f"--symbols {','.join(self.symbols)}")
        return " ".join(words) or "no options"


def effective(config: HostConfig, options: UpOptions) -> HostConfig:
    """`config` with the options applied and every path absolute. Raises ConfigError."""
    bus = config.bus.at(os.path.abspath(options.run or config.bus.root))
    bus = msgspec.structs.replace(bus, hot=str(bus.hot_path or ""))
    strategies = msgspec.structs.replace(config.strategies, dir=str(config.strategies.path))
    etl = config.etl
    if etl is not None and etl.symbols:
        etl = msgspec.structs.replace(etl, symbols=str(etl.symbols_path))
    config = msgspec.structs.replace(config, bus=bus, strategies=strategies, etl=etl)
    if options.venue and options.recordings:
        raise _refusal(
            "--venue", "cannot be combined with --recording: one is the real venue, one the embedded"
        )
    if options.venue:
        config = _on_real_venue(config, options)
    elif options.recordings:
        config = _on_recordings(config, options.recordings)
    elif options.symbols:
        raise _refusal(
            "--symbols", "belongs to --venue; the embedded exchange takes its symbols from host.toml"
        )
    config = _without_feeds_that_left(_at_speed(config, options.speed))
    check_host(config, options.config)
    return config


def runnable_strategies(config: HostConfig) -> tuple[list[tuple[Path, StrategyConfig]], list[str]]:
    """Strategies whose instruments have a feed, and a line about each one that lacks some.

    Raises ConfigError, NoPermission for one that is wrong in itself.
    """
    carried = {f"{feed.venue}:{symbol}" for feed in config.feeds.values() for symbol in feed.symbols}
    found, said = [], []
    for toml in strategy_files(config):
        strategy = load_strategy(toml)
        missing = [instrument for instrument in strategy.subscribe if instrument not in carried]
        needed = missing if strategy.on_missing == "refuse" or len(missing) == len(strategy.subscribe) else []
        if missing:
            what = "is not started" if needed else "does without"
            said.append(f"strategy {strategy.id} {what}: no feed carries {', '.join(missing)}")
        if not needed:
            found.append((toml, load_strategy(toml, config)))
    return found, said


def _on_real_venue(config: HostConfig, options: UpOptions) -> HostConfig:
    wanted = REAL_ENDPOINTS if options.venue == "binance" else (options.venue,)
    if options.venue not in VENUES:
        raise _refusal("--venue", f"{options.venue!r} is unknown; allowed: {', '.join(VENUES)}")
    feeds: dict[str, FeedConfig] = {}
    for name, feed in config.feeds.items():
        if feed.venue in wanted:
            rest, ws = REAL_ENDPOINTS[feed.venue]
            symbols = tuple(symbol.upper() for symbol in options.symbols) or feed.symbols
            feeds[name] = msgspec.structs.replace(feed, rest_url=rest, ws_url=ws, symbols=symbols)
    if not feeds:
        raise _refusal("--venue", f"no [feeds.…] of {options.config} has venue {options.venue}")
    return msgspec.structs.replace(config, exchange=None, feeds=feeds)


def _on_recordings(config: HostConfig, recordings: Sequence[str]) -> HostConfig:
    """Only the markets and symbols that the recordings hold."""
    from libchronicle.sim.files import read_lines
    from libchronicle.sim.recording import describe

    symbols: dict[str, tuple[str, ...]] = {}
    for path in recordings:
        with closing(read_lines(path)) as lines:  # only its head is read
            info = describe(lines, path)
        symbols[info.market] = (*symbols.get(info.market, ()), info.instrument.symbol)
    exchange = config.exchange or ExchangeConfig()
    markets = {name: market for name, market in exchange.markets.items() if name in symbols}
    for name in symbols:
        if name not in markets:
            raise _refusal(
                "--recording", f"holds {name}, but [exchange.markets.{name}] is not in the configuration"
            )
    markets = {
        name: msgspec.structs.replace(market, symbols=symbols[name]) for name, market in markets.items()
    }
    feeds = {
        name: msgspec.structs.replace(feed, symbols=symbols[feed.venue])
        for name, feed in config.feeds.items()
        if feed.venue in symbols
    }
    paths = ",".join(os.path.abspath(path) for path in recordings)
    exchange = msgspec.structs.replace(exchange, source="recording", recording=paths, markets=markets)
    return msgspec.structs.replace(config, exchange=exchange, feeds=feeds)


def _at_speed(config: HostConfig, speed: float | None) -> HostConfig:
    if config.exchange is None:
        if speed is not None:
            raise _refusal("--speed", "belongs to the embedded exchange, and there is none")
        return config
    paths = ",".join(os.path.abspath(path) for path in config.exchange.recordings)
    exchange = msgspec.structs.replace(config.exchange, recording=paths)
    if speed is not None:
        if not speed > 0:
            raise _refusal("--speed", f"must be above 0, got {speed:g}")
        exchange = msgspec.structs.replace(exchange, speed=speed)
    return msgspec.structs.replace(config, exchange=exchange)


def _without_feeds_that_left(config: HostConfig) -> HostConfig:
    """[etl] feeds that the options took away are refined no more; with none of them left, nothing is."""
    etl = config.etl
    if etl is None or not etl.feeds or all(name in config.feeds for name in etl.feeds):
        return config
    left = tuple(name for name in etl.feeds if name in config.feeds)
    return msgspec.structs.replace(config, etl=msgspec.structs.replace(etl, feeds=left) if left else None)


def _refusal(option: str, reason: str) -> ConfigError:
    return ConfigError(file="command line", key=option, reason=reason)
