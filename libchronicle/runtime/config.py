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
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from libchronicle.bus.orders import ARCHIVE_READER
from libchronicle.errors import ConfigError
from libchronicle.runtime.access import refuse_if_strangers_may_write
from libchronicle.runtime.checks import check_host, check_strategy
from libchronicle.runtime.decode import decode, read_toml
from libchronicle.runtime.environment import host_overrides, strategy_overrides

__all__ = [
    "ArchiveConfig",
    "BacktestConfig",
    "BusConfig",
    "EtlConfig",
    "ExchangeConfig",
    "ExporterConfig",
    "FeedConfig",
    "FeesConfig",
    "HostConfig",
    "LatencyConfig",
    "Limits",
    "MarketConfig",
    "PaperConfig",
    "RiskConfig",
    "RouterConfig",
    "StrategiesConfig",
    "StrategyConfig",
    "TraderConfig",
    "check_host",
    "daemon_names",
    "load_host",
    "load_strategy",
    "raw_readers",
    "strategy_files",
]

CONFIG_VERSION = 1

Venue = Literal["binance-spot", "binance-usdm"]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Core = Annotated[int, msgspec.Meta(ge=-1, le=4095)]
Amount = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9]{1,18}(\.[0-9]{1,18})?$", description='a decimal number in quotes, e.g. "0.25"'
    ),
]
Money = Annotated[  # fits a mantissa at 1e-8
    str,
    msgspec.Meta(
        pattern=r"^[0-9]{1,10}(\.[0-9]{1,8})?$",
        description='a decimal number in quotes, with at most 10 digits before the point and 8 after it, e.g. "0.25"',
    ),
]
Secret = Annotated[
    str, msgspec.Meta(pattern=r"^[!-~]{1,128}$", description="1 to 128 visible ASCII characters")
]
Bps = Annotated[float, msgspec.Meta(ge=-100, le=1000)]
Micros = Annotated[float, msgspec.Meta(ge=0, le=60_000_000)]  # up to a minute
Speed = Annotated[float, msgspec.Meta(gt=0)]  # inf is one; `check_exchange` knows the rest
Rate = Annotated[float, msgspec.Meta(ge=0.001, le=1_000_000)]
Interval = Annotated[float, msgspec.Meta(ge=0.05, le=31_536_000)]  # seconds, up to a year
Age = Annotated[float, msgspec.Meta(ge=0, le=3_153_600_000)]  # seconds, up to a century
Seed = Annotated[int, msgspec.Meta(ge=0)]
Bytes = Annotated[int, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 31) - 1)]
SegmentSize = Annotated[int, msgspec.Meta(ge=64 << 10, le=1 << 40, multiple_of=4096)]


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

    def at(self, root: str) -> BusConfig:
        """With another run directory. `hot` is of the one that stands beside it: another has its market data below it."""
        hot = self.hot if Path(os.path.abspath(root)) == self.root_path else ""
        return msgspec.structs.replace(self, root=root, hot=hot)


class MarketConfig(_Table, frozen=True, kw_only=True):
    """One market that the embedded exchange serves."""

    port: Port
    symbols: tuple[str, ...]


class TraderConfig(_Table, frozen=True, kw_only=True):
    """Who may trade at the embedded venue; the table's name is the API key. Play money: no real venue's secret belongs here."""

    secret: Secret
    balances: dict[
        str, Money
    ] = {}  # by asset, "*" = every one not named; none = 1,000,000 USDT, 100 of all else


class ExchangeConfig(_Table, frozen=True, kw_only=True):
    """The embedded venue; without this table the feeds talk to real endpoints."""

    host: str = "127.0.0.1"
    source: Literal["generator", "recording"] = "generator"
    recording: str = ""  # one file, or several separated by commas: one symbol of one market each
    at_end: Literal["hold", "stop", "loop"] = "hold"  # recording: stay as it is, end the process, begin again
    speed: Speed = 1.0  # venue seconds per second; inf = as fast as the subscribers take it
    seed: Seed = 1
    rate: Rate = 200.0  # generator: events per second and symbol
    core: Core = -1
    markets: dict[str, MarketConfig] = {}
    accounts: dict[str, TraderConfig] = {}  # by API key; none = one, whose key and secret are "chronicle"

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
    snapshot_interval_s: Interval = 900.0
    reconnect_max_s: Interval = 30.0  # longest wait between two tries to reach the venue
    segment_size: SegmentSize = 128 << 20
    budget_bytes: Bytes = 0  # 0 = none
    retain_age_s: Age = 172_800.0  # sealed raw segments older than this go
    core: Core = -1


class Limits(_Table, frozen=True, kw_only=True):
    """What a strategy may do, per instrument unless the name says otherwise. None = no limit."""

    max_order_qty: Amount | None = None  # base currency
    max_order_notional: Amount | None = None  # quote currency
    max_position_qty: Amount | None = None
    max_position_notional: Amount | None = None
    max_open_orders: Count | None = None  # of the strategy
    max_orders_per_s: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None  # of the strategy
    price_band_bps: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = (
        None  # a limit price's distance from the market
    )
    max_exposure: Amount | None = None  # of the strategy, over all instruments settled in one currency
    max_data_age_ms: Annotated[int, msgspec.Meta(ge=1, le=86_400_000)] | None = None
    max_drawdown: Amount | None = None  # from the peak of its profit, settle currency
    max_daily_loss: Amount | None = None  # since the UTC day began
    max_losses_in_a_row: Count | None = None  # round trips

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


class RiskConfig(_Table, frozen=True, kw_only=True):
    """What a strategy's risk does beside its limits."""

    allowed: tuple[str, ...] | None = None  # patterns of venue:SYMBOL that may be traded; none = every one
    on_trip: Literal["reject", "cancel", "flatten"] = "reject"  # when a breaker trips
    breaker_reset: Literal["manual", "day", "cooldown"] = "manual"
    breaker_cooldown_s: Age = 3600.0
    stop_loss_bps: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None  # of the entry price
    take_profit_bps: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    stop_loss_atr: Amount | None = None  # multiples of the average true range
    take_profit_atr: Amount | None = None
    atr_bars: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 14
    atr_bar_s: Annotated[float, msgspec.Meta(ge=0.001, le=86_400)] = 60.0


class BacktestConfig(_Table, frozen=True, kw_only=True):
    """What a backtest of the strategy takes where nothing else is said; models as docs/backtest.md spells them."""

    latency: str | dict[str, str] | None = None  # one for all venues, or one for each
    queue: str | None = None
    chances: str | None = None
    fees: str | None = None
    cash: Amount | None = None
    leverage: Annotated[float, msgspec.Meta(ge=1, le=1000)] | None = None
    gaps: Literal["stop", "quarantine", "resync", "ignore"] | None = None


class EtlConfig(_Table, frozen=True, kw_only=True):
    """The refinery: one daemon, or one for each group. Without this table nothing is refined."""

    feeds: tuple[str, ...] = ()  # refined by name; none = every feed
    groups: dict[str, tuple[str, ...]] = {}  # name -> patterns of venue:SYMBOL; the first that fits takes it
    symbols: str = ""  # a TOML of what venues' symbols mean, and from when to when
    snapshot_interval_s: Interval = 60.0  # a book snapshot of our own at least this often
    snapshot_levels: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)] = 20_000  # or after so many levels
    segment_size: SegmentSize = 1 << 20
    segment_age_s: Interval = 3600.0  # a segment is sealed when it is this old
    late_limit_s: Age = 1800.0  # a trade or quote of yesterday this far behind still goes to its day
    sync: bool = True  # put sealed segments on the medium
    core: Core = -1

    @property
    def daemons(self) -> dict[str, str]:
        """Group by daemon, which is also the name its readers go by."""
        return {f"etl-{name}": name for name in self.groups} or {"etl": ""}

    @property
    def symbols_path(self) -> Path | None:
        return Path(os.path.abspath(self.symbols)) if self.symbols else None

    def refines(self, feed: str) -> bool:
        return not self.feeds or feed in self.feeds


class FeesConfig(_Table, frozen=True, kw_only=True):
    """What the paper venue takes for a trade."""

    maker_bps: Bps = 0.0  # of the trade's value; a rebate is negative
    taker_bps: Bps = 0.0
    per_order: Money = "0"  # settle currency; with the order's first fill
    per_trade: Money = "0"
    per_contract: Money = "0"  # of a whole unit of quantity
    tiers: tuple[tuple[Money, Bps, Bps], ...] = ()  # (traded in the thirty days before, maker_bps, taker_bps)
    volume: Money = "0"  # traded in the thirty days before the first trade


class LatencyConfig(_Table, frozen=True, kw_only=True):
    """How long requests travel to the paper venue and replies from it: the models of a backtest."""

    model: Literal["constant", "jitter", "spikes"] = "constant"
    entry_us: Micros = 0.0  # request; jitter: the median
    response_us: Micros = 0.0  # reply
    sigma: Annotated[float, msgspec.Meta(ge=0, le=3)] = 0.3  # jitter: of the lognormal distribution
    extra_us: Micros = 0.0  # spikes: how much longer it takes within a spell
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.01  # spikes: of all time that lies in a spell
    lasts_us: Annotated[float, msgspec.Meta(ge=1, le=60_000_000)] = 10_000.0  # spikes: a spell
    seed: Seed = 1


class PaperConfig(_Table, frozen=True, kw_only=True):
    """The paper venue: what each strategy's account begins with, may borrow and pays there, and how far away it is."""

    cash: dict[str, Money] = {}  # by currency; none = no account is kept, nothing is refused for money
    leverage: dict[str, Annotated[float, msgspec.Meta(ge=1, le=1000)]] = {}  # by venue:SYMBOL, venue or "*"
    maintenance_bps: Annotated[float, msgspec.Meta(ge=0, le=10_000)] = 50.0
    liquidation_bps: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 0.0
    fees: dict[str, FeesConfig] = {}  # by venue:SYMBOL, venue or "*"; none = the router's maker and taker fee
    latency: LatencyConfig | None = None  # none = no time at all


class RouterConfig(_Table, frozen=True, kw_only=True):
    gateway: Literal["paper"] = "paper"
    valid_for_ms: Annotated[int, msgspec.Meta(ge=1, le=3_600_000)] = (
        1000  # for orders that name no valid_until_ns
    )
    maker_fee_bps: Bps = 0.0
    taker_fee_bps: Bps = 0.0
    on_market_lost: Literal["keep", "cancel"] = (
        "keep"  # what becomes of resting orders; new ones are rejected
    )
    permit: Literal["none", "required"] = (
        "none"  # of an external risk gateway, for orders that enlarge a position
    )
    core: Core = -1
    limits: Limits = Limits()
    paper: PaperConfig = PaperConfig()


class ArchiveConfig(_Table, frozen=True, kw_only=True):
    """archive-tier: what leaves the queues, and where to. Without this table nothing is archived."""

    warm_after_s: Age = 7200.0  # a sealed segment is archived when its last record is this old
    compress: Literal["never", "immediate", "age", "idle", "size"] = "age"
    cold_after_s: Age = 604_800.0  # compress = "age": when its last record is this old
    idle_s: Age = 3600.0  # compress = "idle": when its partition has grown no more for so long
    warm_bytes: Bytes = 0  # compress = "size": when all that is uncompressed takes more
    level: Annotated[int, msgspec.Meta(ge=1, le=22)] = 9  # of zstd
    block_size: Annotated[int, msgspec.Meta(ge=4096, le=1 << 28)] = 1 << 20  # bytes that are unpacked at once
    remote: str = ""  # an object store, e.g. s3://bucket/prefix; none = everything stays on this host
    remote_after_s: Age = 2_592_000.0  # compressed segments go there when their last record is this old
    remote_options: dict[str, str] = {}  # of its client; credentials come from the environment
    interval_s: Interval = 1.0  # between two looks at the queues


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
    etl: EtlConfig | None = None
    router: RouterConfig = RouterConfig()
    archive: ArchiveConfig | None = None
    exporter: ExporterConfig = ExporterConfig()
    strategies: StrategiesConfig = StrategiesConfig()


class GuardConfig(_Table, frozen=True, kw_only=True):
    """What becomes of a callback that sleeps, does I/O, reads the wall clock or takes unseeded random numbers."""

    action: Literal["off", "warn", "raise"] = "off"


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
    guard: GuardConfig = GuardConfig()
    limits: Limits = Limits()
    risk: RiskConfig = RiskConfig()
    backtest: BacktestConfig = BacktestConfig()


# ---------------------------------------------------------------- loading


def load_host(path: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> HostConfig:
    """The host's configuration with the environment's overrides. Raises ConfigError."""
    file = Path(path)
    tables = host_overrides(read_toml(file), os.environ if environ is None else environ, HostConfig)
    config = decode(HostConfig, tables, str(file))
    check_host(config, str(file))
    return config


def load_strategy(
    path: str | os.PathLike[str],
    host: HostConfig | None = None,
    environ: Mapping[str, str] | None = None,
    subscribe: Sequence[str] | None = None,
) -> StrategyConfig:
    """One strategy's configuration; `file` comes back absolute, `subscribe` and `limits` as they hold under `host`.

    `subscribe` takes the place of the TOML's. Raises ConfigError, and NoPermission when a stranger may write the TOML or
    the strategy's code.
    """
    toml = Path(path)
    tables = strategy_overrides(read_toml(toml), os.environ if environ is None else environ, StrategyConfig)
    if subscribe:
        tables["subscribe"] = list(subscribe)
    refuse_if_strangers_may_write(toml)
    config = decode(StrategyConfig, tables, str(toml))
    code = Path(os.path.abspath(toml.parent / config.file))
    check_strategy(config, toml, code)
    refuse_if_strangers_may_write(code)
    instruments, limits = config.subscribe, config.limits
    if host is not None:
        instruments = _carried(config, host, str(toml))
        limits = _tightened(config, host, str(toml))
    return msgspec.structs.replace(config, file=str(code), subscribe=instruments, limits=limits)


def daemon_names(config: HostConfig) -> list[str]:
    """Every daemon of this host by the name its process, counters file and control queue go by."""
    exchange = ["exchange"] if config.exchange is not None else []
    feeds = [f"feed-{name}" for name in sorted(config.feeds)]
    etl = sorted(config.etl.daemons) if config.etl is not None else []
    strategies = [f"strategy-{path.stem}" for path in strategy_files(config)]
    archive = ["archive-tier"] if config.archive is not None else []
    return [*exchange, *feeds, *etl, "router", *strategies, *archive, "exporter"]


def raw_readers(config: HostConfig, feed: str) -> tuple[str, ...]:
    """Readers of a feed's raw queue for which every record is kept until they have read it."""
    etl = config.etl.daemons if config.etl is not None and config.etl.refines(feed) else ()
    return (*sorted(etl), *((ARCHIVE_READER,) if config.archive is not None else ()))


def strategy_files(config: HostConfig) -> list[Path]:
    """The strategies' TOMLs, by name. A directory that is not there holds none."""
    return sorted(config.strategies.path.glob("*.toml"))


# ---------------------------------------------------------------- a strategy under its host


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
