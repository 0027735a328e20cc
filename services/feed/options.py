"""What one feed daemon runs with: its table in host.toml, and flags that override single values."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ConfigError
from libchronicle.queue import QueueConfig
from libchronicle.runtime.config import BusConfig, FeedConfig, HostConfig, check_host, load_host, raw_readers
from libchronicle.runtime.transports import CLIENTS
from libchronicle.venues.binance.profile import PROFILES, Profile

__all__ = ["FeedOptions", "add_flags", "feed_options", "load"]


class FeedOptions(msgspec.Struct, frozen=True, kw_only=True):
    """One feed. `key` and `file` name the table the values came from, for errors about them."""

    name: str
    file: str
    feed: FeedConfig
    paths: BusPaths
    queue: Path
    durable: tuple[str, ...] = ()

    @property
    def daemon(self) -> str:
        """Name of the process, its counters file and its control queue."""
        return f"feed-{self.name}"

    @property
    def key(self) -> str:
        return f"feeds.{self.name}"

    @property
    def profile(self) -> Profile:
        return PROFILES[self.feed.venue]

    @property
    def queue_config(self) -> QueueConfig:
        """Raw data: the feed never waits for a reader; the oldest sealed segment goes when the budget is used up."""
        feed = self.feed
        return QueueConfig(
            segment_size=feed.segment_size,
            budget_bytes=feed.budget_bytes,
            on_full="evict",
            retain_age_s=feed.retain_age_s,
            durable=self.durable,
        )


def add_flags(parser: argparse.ArgumentParser) -> None:
    own = parser.add_argument_group("feed")
    own.add_argument("--name", help="which of [feeds.*]; may be left out where there is one")
    own.add_argument("--symbols", metavar="A,B", help="instead of the configured ones")
    own.add_argument(
        "--queue", type=Path, metavar="DIR", help="the raw queue; default <root>/market_data/queue/NAME"
    )
    own.add_argument("--core-id", type=int, metavar="N", help="pin to this core; -1 = not pinned")
    own.add_argument("--client", choices=CLIENTS, help="WebSocket client")
    own.add_argument("--rest-url", metavar="URL")
    own.add_argument("--ws-url", metavar="URL")
    bare = parser.add_argument_group("without host.toml")
    bare.add_argument(
        "--venue", choices=sorted(PROFILES), help="read no configuration: this venue and the flags alone"
    )


def load(flags: argparse.Namespace) -> HostConfig:
    """host.toml, or nothing but the flags when they name a venue."""
    if not flags.venue:
        return load_host(flags.config)
    profile = PROFILES[flags.venue]
    if not flags.symbols:
        raise ConfigError(file="flags", key="--symbols", reason="is missing; with --venue, name the symbols")
    feed = FeedConfig(
        venue=flags.venue,
        symbols=_symbols(flags.symbols),
        rest_url=flags.rest_url or profile.rest_url,
        ws_url=flags.ws_url or profile.ws_url,
    )
    config = HostConfig(
        version=1, bus=BusConfig(root=flags.bus_root or "run"), feeds={flags.name or flags.venue: feed}
    )
    check_host(config, "flags")
    return config


def feed_options(config: HostConfig, flags: argparse.Namespace) -> FeedOptions:
    """Raises ConfigError when --name names no feed of the configuration."""
    file = "flags" if flags.venue else str(flags.config)
    name = flags.name or (next(iter(config.feeds)) if len(config.feeds) == 1 else "")
    feed = config.feeds.get(name)
    if feed is None:
        there = ", ".join(config.feeds) or "none"
        raise ConfigError(
            file=file, key="feeds", reason=f"--name {name!r} is none of them; there are: {there}"
        )
    given = {
        "symbols": _symbols(flags.symbols) if flags.symbols else None,
        "core": flags.core_id,
        "client": flags.client,
        "rest_url": flags.rest_url,
        "ws_url": flags.ws_url,
    }
    feed = msgspec.structs.replace(feed, **{key: value for key, value in given.items() if value is not None})
    check_host(msgspec.structs.replace(config, feeds={**config.feeds, name: feed}), file)
    paths = BusPaths(config.bus.root_path, config.bus.hot_path)
    return FeedOptions(
        name=name,
        file=file,
        feed=feed,
        paths=paths,
        queue=flags.queue or paths.raw(name),
        durable=() if flags.queue else raw_readers(config, name),
    )


def _symbols(text: str) -> tuple[str, ...]:
    return tuple(symbol.strip().upper() for symbol in text.split(",") if symbol.strip())
