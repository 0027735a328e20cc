"""The host's TOML and the strategies' TOMLs, as frozen structs.

Rules:
- `version = 1` is required; unknown keys, wrong types and values out of range are ConfigErrors that name
  file, key and what is allowed.
- Everything is validated and derived here, once; a daemon gets a struct it can trust.
- Relative paths are relative to the working directory, except a strategy's `file`, which is relative to its
  TOML.
- The environment may override single values, see `libchronicle.runtime.environment`.
- Quantities and money are decimal strings: they become fixed-point mantissas with their instrument's
  exponent, never floats.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from libchronicle.errors import ConfigError
from libchronicle.runtime.access import refuse_if_strangers_may_write
from libchronicle.runtime.decode import decode, read_toml
from libchronicle.runtime.environment import host_overrides, strategy_overrides

__all__ = [
    "BusConfig",
    "ExchangeConfig",
    "ExporterConfig",
    "FeedConfig",
    "HostConfig",
    "Limits",
    "MarketConfig",
    "RouterConfig",
    "StrategiesConfig",
    "StrategyConfig",
    "daemon_names",
    "load_host",
    "load_strategy",
    "strategy_files",
]

CONFIG_VERSION = 1

Venue = Literal["binance-spot", "binance-usdm"]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Core = Annotated[int, msgspec.Meta(ge=-1, le=4095)]
Amount = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,18}(\.[0-9]{1,18})?$")]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Bytes = Annotated[int, msgspec.Meta(ge=0)]
SegmentSize = Annotated[int, msgspec.Meta(ge=64 << 10, le=1 << 40, multiple_of=4096)]

SYMBOL = re.compile(r"[A-Z0-9_]{1,32}")
STRATEGY_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,30}")


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One TOML table."""


class BusConfig(_Table, frozen=True, kw_only=True):
    root: str = "run"  # the run directory: queues, counters, logs, the rendered configuration
    hot: str = ""  # e.g. /dev/shm/chronicle: market data goes there; orders and sessions stay under root

    @property
    def root_path(self) -> Path:
        return Path(os.path.abspath(self.root))

    @property
    def hot_path(self) -> Path | None:
        return Path(os.path.abspath(self.hot)) if self.hot else None


class MarketConfig(_Table, frozen=True, kw_only=True):
    """One market that the embedded exchange serves."""

    port: Port
    symbols: tuple[str, ...]


class ExchangeConfig(_Table, frozen=True, kw_only=True):
    """The embedded venue; without this table the feeds talk to real endpoints."""

    host: str = "127.0.0.1"
    source: Literal["generator", "recording"] = "generator"
    recording: str = ""  # one file, or several separated by commas: one symbol of one market each
    at_end: Literal["hold", "stop", "loop"] = "hold"  # recording: stay as it is, end the process, begin again
    speed: Positive = 1.0  # venue seconds per second; inf = as fast as the subscribers take it
    seed: int = 1
    rate: Positive = 200.0  # generator: events per second and symbol
    core: Core = -1
    markets: dict[str, MarketConfig] = {}

    @property
    def recordings(self) -> tuple[str, ...]:
        """Files to play; empty = the generator."""
        if self.source == "generator":
            return ()
        return tuple(path.strip() for path in self.recording.split(",") if path.strip())


class FeedConfig(_Table, frozen=True, kw_only=True):
    """One feed daemon. The feed's name is its queue's name: market_data/queue/<name>."""

    venue: Venue
    symbols: tuple[str, ...]
    rest_url: str
    ws_url: str
    client: Literal["websockets", "picows"] = "websockets"
    snapshot_interval_s: Positive = 900.0
    segment_size: SegmentSize = 128 << 20
    budget_bytes: Bytes = 0  # 0 = none
    retain_age_s: Seconds = 172_800.0  # sealed raw segments older than this go
    core: Core = -1


class Limits(_Table, frozen=True, kw_only=True):
    """What a strategy may do, per instrument unless the name says otherwise. None = no limit."""

    max_order_qty: Amount | None = None  # base currency
    max_order_notional: Amount | None = None  # quote currency
    max_position_qty: Amount | None = None
    max_position_notional: Amount | None = None
    max_open_orders: Annotated[int, msgspec.Meta(ge=0)] | None = None  # of the strategy
    max_orders_per_s: Annotated[int, msgspec.Meta(ge=1)] | None = None  # of the strategy
    price_band_bps: Annotated[int, msgspec.Meta(ge=1)] | None = (
        None  # a limit price's distance from the market
    )

    def tightened(self, own: Limits) -> Limits:
        """These limits with `own` taking the place of each one it sets."""
        chosen = {name: value for name, value in msgspec.structs.asdict(own).items() if value is not None}
        return msgspec.structs.replace(self, **chosen)

    def first_widened(self, own: Limits) -> str | None:
        """Name of the first limit in `own` that allows more than this one does."""
        for name, value in msgspec.structs.asdict(own).items():
            bound = getattr(self, name)
            if bound is not None and value is not None and Decimal(value) > Decimal(bound):
                return name
        return None


class RouterConfig(_Table, frozen=True, kw_only=True):
    gateway: Literal["paper"] = "paper"
    valid_for_ms: Annotated[int, msgspec.Meta(ge=1, le=3_600_000)] = (
        1000  # for orders that name no valid_until_ns
    )
    maker_fee_bps: Annotated[float, msgspec.Meta(ge=-100, le=1000)] = 0.0
    taker_fee_bps: Annotated[float, msgspec.Meta(ge=-100, le=1000)] = 0.0
    on_market_lost: Literal["keep", "cancel"] = (
        "keep"  # what becomes of resting orders; new ones are rejected
    )
    core: Core = -1
    limits: Limits = Limits()


class ExporterConfig(_Table, frozen=True, kw_only=True):
    host: str = "127.0.0.1"
    port: Port = 9464


class StrategiesConfig(_Table, frozen=True, kw_only=True):
    dir: str = "deploy/strategies"

    @property
    def path(self) -> Path:
        return Path(os.path.abspath(self.dir))


class HostConfig(_Table, frozen=True, kw_only=True):
    """Everything that runs on this host, but for the strategies' own TOMLs."""

    version: Literal[1]
    bus: BusConfig = BusConfig()
    exchange: ExchangeConfig | None = None
    feeds: dict[str, FeedConfig] = {}
    router: RouterConfig = RouterConfig()
    exporter: ExporterConfig = ExporterConfig()
    strategies: StrategiesConfig = StrategiesConfig()


class StrategyConfig(_Table, frozen=True, kw_only=True):
    """One strategy process: deploy/strategies/<id>.toml."""

    version: Literal[1]
    id: str
    file: str
    class_name: str = msgspec.field(name="class")
    subscribe: tuple[str, ...]
    kinds: tuple[Literal["book", "trade", "quote"], ...] = ("book", "trade", "quote")
    core: Core = -1
    spin_us: Annotated[int, msgspec.Meta(ge=0, le=60_000_000)] = 0  # spin this long for a record, then sleep
    on_stop: Literal["cancel", "keep"] = "cancel"
    on_disconnect: Literal["cancel", "flatten"] = "cancel"
    on_missing: Literal["refuse", "skip"] = (
        "refuse"  # when no feed carries an instrument: not start, or do without
    )
    account: str = "paper"
    params: dict[str, Any] = {}
    limits: Limits = Limits()


# ---------------------------------------------------------------- loading


def load_host(path: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> HostConfig:
    """The host's configuration with the environment's overrides. Raises ConfigError."""
    file = Path(path)
    tables = host_overrides(read_toml(file), os.environ if environ is None else environ, HostConfig)
    config = decode(HostConfig, tables, str(file))
    check_host(config, str(file))
    return config


def load_strategy(
    path: str | os.PathLike[str], host: HostConfig | None = None, environ: Mapping[str, str] | None = None
) -> StrategyConfig:
    """One strategy's configuration; `file` comes back absolute, `subscribe` and `limits` as they hold under `host`.

    Raises ConfigError, and NoPermission when a stranger may write the TOML or the strategy's code.
    """
    toml = Path(path)
    tables = strategy_overrides(read_toml(toml), os.environ if environ is None else environ, StrategyConfig)
    refuse_if_strangers_may_write(toml)
    config = decode(StrategyConfig, tables, str(toml))
    code = Path(os.path.abspath(toml.parent / config.file))
    _check_strategy(config, toml, code)
    refuse_if_strangers_may_write(code)
    subscribe, limits = config.subscribe, config.limits
    if host is not None:
        subscribe = _carried(config, host, str(toml))
        limits = _tightened(config, host, str(toml))
    return msgspec.structs.replace(config, file=str(code), subscribe=subscribe, limits=limits)


def daemon_names(config: HostConfig) -> list[str]:
    """Every daemon of this host by the name its process, counters file and control queue go by."""
    exchange = ["exchange"] if config.exchange is not None else []
    feeds = [f"feed-{name}" for name in sorted(config.feeds)]
    strategies = [f"strategy-{path.stem}" for path in strategy_files(config)]
    return [*exchange, *feeds, "router", *strategies, "exporter"]


def strategy_files(config: HostConfig) -> list[Path]:
    """The strategies' TOMLs, by name. A directory that is not there holds none."""
    return sorted(config.strategies.path.glob("*.toml"))


# ---------------------------------------------------------------- what types cannot say


def check_host(config: HostConfig, file: str) -> None:
    """What the types of HostConfig cannot say. Raises ConfigError."""

    def refuse(key: str, reason: str) -> None:
        raise ConfigError(file=file, key=key, reason=reason)

    if not config.bus.root:
        refuse("bus.root", "is empty; name the run directory")
    for name, feed in config.feeds.items():
        _check_name(name, f"feeds.{name}", file)
        _check_symbols(feed.symbols, f"feeds.{name}.symbols", file)
        _check_url(feed.rest_url, ("http", "https"), f"feeds.{name}.rest_url", file)
        _check_url(feed.ws_url, ("ws", "wss"), f"feeds.{name}.ws_url", file)
        if 0 < feed.budget_bytes < 3 * feed.segment_size:
            refuse(
                f"feeds.{name}.budget_bytes", f"must be 0 or at least three segments, {3 * feed.segment_size}"
            )
    if config.exchange is not None:
        _check_exchange(config.exchange, file)
        for name, feed in config.feeds.items():
            _check_feed_finds_its_market(name, feed, config.exchange, file)


def _check_feed_finds_its_market(name: str, feed: FeedConfig, exchange: ExchangeConfig, file: str) -> None:
    """A feed pointed at this host must point at the port the embedded exchange serves its venue on."""
    market = exchange.markets.get(feed.venue)
    for key, url in (("rest_url", feed.rest_url), ("ws_url", feed.ws_url)):
        parts = urlsplit(url)
        if (
            market is None
            or market.port == 0
            or parts.hostname not in (exchange.host, "127.0.0.1", "localhost")
        ):
            continue
        if parts.port != market.port:
            reason = f"names port {parts.port}, but [exchange.markets.{feed.venue}] listens on {market.port}"
            raise ConfigError(file=file, key=f"feeds.{name}.{key}", reason=reason)


def _check_exchange(exchange: ExchangeConfig, file: str) -> None:
    if exchange.source == "recording" and not exchange.recording:
        raise ConfigError(
            file=file, key="exchange.recording", reason='is empty, but source = "recording" needs a file'
        )
    if not exchange.markets:
        raise ConfigError(
            file=file, key="exchange.markets", reason="is empty; add [exchange.markets.binance-spot]"
        )
    ports: dict[int, str] = {}
    for name, market in exchange.markets.items():
        key = f"exchange.markets.{name}"
        if name not in ("binance-spot", "binance-usdm"):
            raise ConfigError(
                file=file, key=key, reason="no such market; allowed: binance-spot, binance-usdm"
            )
        _check_symbols(market.symbols, f"{key}.symbols", file)
        if market.port and market.port in ports:
            raise ConfigError(
                file=file, key=f"{key}.port", reason=f"{market.port} is also {ports[market.port]}'s"
            )
        ports[market.port] = name


def _check_strategy(config: StrategyConfig, toml: Path, code: Path) -> None:
    def refuse(key: str, reason: str) -> None:
        raise ConfigError(file=str(toml), key=key, reason=reason)

    if not STRATEGY_ID.fullmatch(config.id):
        refuse("id", f"{config.id!r} is no name; 1 to 31 of A-Z a-z 0-9 _ - and, but for the first, .")
    if config.id != toml.stem:
        refuse("id", f"{config.id!r} must be the file's name, {toml.stem!r}")
    if not code.is_file():
        refuse("file", f"no such file: {code}")
    if not config.class_name.isidentifier():
        refuse("class", f"{config.class_name!r} is no name of a class")
    if not config.subscribe:
        refuse("subscribe", 'is empty; name instruments, e.g. ["binance-spot:BTCUSDT"]')
    for instrument in config.subscribe:
        venue, _, symbol = instrument.partition(":")
        if not venue or not SYMBOL.fullmatch(symbol):
            refuse(
                "subscribe",
                f'{instrument!r} is no instrument; write venue:SYMBOL, e.g. "binance-spot:BTCUSDT"',
            )
    if not config.kinds:
        refuse("kinds", 'is empty; allowed: "book", "trade", "quote"')


def _carried(config: StrategyConfig, host: HostConfig, file: str) -> tuple[str, ...]:
    """Its instruments, without those it can do without."""
    carried = {f"{feed.venue}:{symbol}" for feed in host.feeds.values() for symbol in feed.symbols}
    found = tuple(instrument for instrument in config.subscribe if instrument in carried)
    missing = [instrument for instrument in config.subscribe if instrument not in carried]
    if missing and (config.on_missing == "refuse" or not found):
        allowed = ", ".join(sorted(carried)) or "none"
        raise ConfigError(
            file=file, key="subscribe", reason=f"no feed carries {missing[0]!r}; carried: {allowed}"
        )
    return found


def _tightened(config: StrategyConfig, host: HostConfig, file: str) -> Limits:
    name = host.router.limits.first_widened(config.limits)
    if name is not None:
        bound = getattr(host.router.limits, name)
        reason = (
            f"{getattr(config.limits, name)} is wider than the host's {bound}; a strategy may only tighten it"
        )
        raise ConfigError(file=file, key=f"limits.{name}", reason=reason)
    return host.router.limits.tightened(config.limits)


def _check_symbols(symbols: tuple[str, ...], key: str, file: str) -> None:
    if not symbols:
        raise ConfigError(file=file, key=key, reason='is empty; e.g. ["BTCUSDT"]')
    for symbol in symbols:
        if not SYMBOL.fullmatch(symbol):
            raise ConfigError(file=file, key=key, reason=f"{symbol!r} is no symbol; upper case, e.g. BTCUSDT")
    if len(set(symbols)) != len(symbols):
        raise ConfigError(file=file, key=key, reason="names a symbol twice")


def _check_name(name: str, key: str, file: str) -> None:
    if not STRATEGY_ID.fullmatch(name):
        raise ConfigError(
            file=file, key=key, reason="no name; 1 to 31 of A-Z a-z 0-9 _ - and, but for the first, ."
        )


def _check_url(url: str, schemes: tuple[str, ...], key: str, file: str) -> None:
    scheme, separator, rest = url.partition("://")
    if scheme not in schemes or not separator or not rest:
        allowed = " or ".join(f"{scheme}://" for scheme in schemes)
        raise ConfigError(file=file, key=key, reason=f"{url!r} must start with {allowed}")
