"""What the types of the configuration cannot say: names, addresses, and values that must fit one another.

Every check raises a ConfigError with file, key and what is allowed. Nothing here looks at the host; whether a port is free or a
directory can be written is found out by whoever needs it.
"""

from __future__ import annotations

import math
import re
import stat
from decimal import Decimal
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from libchronicle.errors import ConfigError

_PARAMETER_NAME = 64  # bytes of a Parameter record's name

if TYPE_CHECKING:
    from libchronicle.runtime.config import (
        EtlConfig,
        ExchangeConfig,
        ExporterConfig,
        FeedConfig,
        HostConfig,
        MarketConfig,
        PaperConfig,
        StrategyConfig,
    )

__all__ = ["check_address", "check_exchange", "check_host", "check_speed", "check_strategy", "check_symbols"]

VENUES = ("binance-spot", "binance-usdm")
SYMBOL = re.compile(r"[A-Z0-9_]{1,32}")
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,30}")
NAME_RULE = "1 to 31 of A-Z a-z 0-9 _ - and, but for the first, ."
ACCOUNT = re.compile(r"[!-~]{1,16}")  # char16 of the messages
API_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")
MAX_SPEED = 1_000_000.0
MAX_TIERS = 16  # of a fee schedule, the one from volume 0 on among them
WILDCARDS = ("0.0.0.0", "::")


def check_host(config: HostConfig, file: str) -> None:
    """A whole host.toml. Raises ConfigError."""
    if not config.bus.root.strip():
        raise ConfigError(file=file, key="bus.root", reason="is empty; name the run directory")
    if not config.strategies.dir.strip():
        raise ConfigError(
            file=file, key="strategies.dir", reason="is empty; name the directory of the strategies' TOMLs"
        )
    for name, feed in config.feeds.items():
        _check_feed(name, feed, file)
    if config.etl is not None:
        _check_etl(config.etl, config.feeds, file)
    _check_paper(config.router.paper, file)
    check_address(config.exporter.host, "exporter.host", file)
    if config.exchange is not None:
        check_exchange(config.exchange, file)
        _check_exporters_port(config.exporter, config.exchange, file)
        for name, feed in config.feeds.items():
            _check_feed_finds_its_market(name, feed, config.exchange, file)


def check_exchange(exchange: ExchangeConfig, file: str) -> None:
    """The table [exchange]. Raises ConfigError."""
    check_address(exchange.host, "exchange.host", file)
    check_speed(exchange.speed, "exchange.speed", file)
    if exchange.source == "recording" and not exchange.recordings:
        reason = 'names no file, but source = "recording" needs a file'
        raise ConfigError(file=file, key="exchange.recording", reason=reason)
    if not exchange.markets:
        raise ConfigError(
            file=file, key="exchange.markets", reason="is empty; add [exchange.markets.binance-spot]"
        )
    ports: dict[int, str] = {}
    for name, market in exchange.markets.items():
        _check_market(name, market, ports, file)
    for key, account in exchange.accounts.items():
        place = f"exchange.accounts.{key}"
        if not API_KEY.fullmatch(key):
            raise ConfigError(file=file, key=place, reason="is no API key; 1 to 128 of A-Z a-z 0-9 _ -")
        for asset in account.balances:
            if asset != "*" and not SYMBOL.fullmatch(asset):
                raise ConfigError(
                    file=file, key=f"{place}.balances", reason=f'{asset!r} is no asset; e.g. USDT, or "*"'
                )


def check_strategy(config: StrategyConfig, toml: Path, code: Path) -> None:
    """A strategy's TOML by itself; `code` is its file, absolute. Raises ConfigError."""

    def refuse(key: str, reason: str) -> None:
        raise ConfigError(file=str(toml), key=key, reason=reason)

    if not NAME.fullmatch(config.id):
        refuse("id", f"{config.id!r} is no name; {NAME_RULE}")
    if config.id != toml.stem:
        refuse("id", f"{config.id!r} must be the file's name, {toml.stem!r}")
    if problem := _no_file(code):
        refuse("file", problem)
    if not config.class_name.isidentifier():
        refuse("class", f"{config.class_name!r} is no name of a class")
    if not ACCOUNT.fullmatch(config.account):
        refuse("account", f"{config.account!r} is no account; 1 to 16 ASCII characters without blanks")
    if not config.subscribe:
        refuse("subscribe", 'is empty; name instruments, e.g. ["binance-spot:BTCUSDT"]')
    for instrument in config.subscribe:
        venue, _, symbol = instrument.partition(":")
        if not venue or not SYMBOL.fullmatch(symbol):
            example = 'write venue:SYMBOL, e.g. "binance-spot:BTCUSDT"'
            refuse("subscribe", f"{instrument!r} is no instrument; {example}")
    if len(set(config.subscribe)) != len(config.subscribe):
        refuse("subscribe", "names an instrument twice")
    for name in config.params:
        if len(name.encode()) > _PARAMETER_NAME:
            refuse(f"params.{name}", f"is longer than {_PARAMETER_NAME} bytes, what its record holds")
    if not config.kinds:
        refuse("kinds", 'is empty; allowed: "book", "trade", "quote"')


def _no_file(path: Path) -> str:
    """Why there is no file to read at `path`; "" if there is one."""
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        return f"no such file: {path}"
    except OSError as error:
        return f"cannot be read, {error.strerror}: {str(path)[:200]}"
    return "" if stat.S_ISREG(kind) else f"is no file: {path}; name the strategy's .py"


def _check_feed(name: str, feed: FeedConfig, file: str) -> None:
    key = f"feeds.{name}"
    if not NAME.fullmatch(name):
        raise ConfigError(file=file, key=key, reason=f"no name; {NAME_RULE}")
    check_symbols(feed.symbols, f"{key}.symbols", file)
    _check_url(feed.rest_url, ("http", "https"), f"{key}.rest_url", file)
    _check_url(feed.ws_url, ("ws", "wss"), f"{key}.ws_url", file)
    if 0 < feed.budget_bytes < 3 * feed.segment_size:
        reason = f"must be 0 or at least three segments, {3 * feed.segment_size}"
        raise ConfigError(file=file, key=f"{key}.budget_bytes", reason=reason)


def _check_etl(etl: EtlConfig, feeds: dict[str, FeedConfig], file: str) -> None:
    """Each instrument is refined by exactly one process, from exactly one feed."""
    for name in etl.feeds:
        if name not in feeds:
            there = ", ".join(feeds) or "none"
            raise ConfigError(file=file, key="etl.feeds", reason=f"{name!r} is no feed; there are: {there}")
    for name, patterns in etl.groups.items():
        if not NAME.fullmatch(name) or not patterns:
            reason = f'needs a name of {NAME_RULE}, and patterns such as "binance-spot:BTC*"'
            raise ConfigError(file=file, key=f"etl.groups.{name}", reason=reason)
    carried: dict[str, str] = {}
    for name, feed in feeds.items():
        if not etl.refines(name):
            continue
        for instrument in (f"{feed.venue}:{symbol}" for symbol in feed.symbols):
            other = carried.setdefault(instrument, name)
            if other != name:
                reason = f"{instrument} comes from {other} and from {name}; name the feeds to refine"
                raise ConfigError(file=file, key="etl.feeds", reason=reason)
            if etl.groups and not any(
                fnmatchcase(instrument, one) for patterns in etl.groups.values() for one in patterns
            ):
                reason = f'no group takes {instrument}; add a last one with "*"'
                raise ConfigError(file=file, key="etl.groups", reason=reason)


def _check_paper(paper: PaperConfig, file: str) -> None:
    """What an account needs to be one."""

    def refuse(key: str, reason: str) -> None:
        raise ConfigError(file=file, key=f"router.paper.{key}", reason=reason)

    for currency in paper.cash:
        if not ACCOUNT.fullmatch(currency):
            refuse("cash", f"{currency!r} is no currency; 1 to 16 ASCII characters without blanks")
    if not paper.cash:
        for key in ("leverage", "fees"):
            if getattr(paper, key):
                refuse(key, 'needs an account: name its cash, e.g. cash = { USDT = "100000" }')
    for name, fees in paper.fees.items():
        volumes = [Decimal(0), *(Decimal(volume) for volume, _, _ in fees.tiers)]
        if any(later <= former for former, later in pairwise(volumes)):
            refuse(f"fees.{name}.tiers", "must come by volume, the first above 0")
        if len(volumes) > MAX_TIERS:
            refuse(f"fees.{name}.tiers", f"are {len(fees.tiers)}; {MAX_TIERS - 1} are allowed")


def _check_market(name: str, market: MarketConfig, ports: dict[int, str], file: str) -> None:
    key = f"exchange.markets.{name}"
    if name not in VENUES:
        raise ConfigError(file=file, key=key, reason=f"no such market; allowed: {', '.join(VENUES)}")
    check_symbols(market.symbols, f"{key}.symbols", file)
    if market.port and market.port in ports:
        reason = f"{market.port} is also {ports[market.port]}'s"
        raise ConfigError(file=file, key=f"{key}.port", reason=reason)
    ports[market.port] = name


def _check_exporters_port(exporter: ExporterConfig, exchange: ExchangeConfig, file: str) -> None:
    shared = exporter.host == exchange.host or exporter.host in WILDCARDS or exchange.host in WILDCARDS
    for name, market in exchange.markets.items():
        if shared and exporter.port and exporter.port == market.port:
            reason = f"{exporter.port} is also that of [exchange.markets.{name}]; choose another one"
            raise ConfigError(file=file, key="exporter.port", reason=reason)


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


def check_symbols(symbols: tuple[str, ...], key: str, file: str) -> None:
    """A list of symbols as the venue writes them. Raises ConfigError."""
    if not symbols:
        raise ConfigError(file=file, key=key, reason='is empty; e.g. ["BTCUSDT"]')
    for symbol in symbols:
        if not SYMBOL.fullmatch(symbol):
            raise ConfigError(file=file, key=key, reason=f"{symbol!r} is no symbol; upper case, e.g. BTCUSDT")
    if len(set(symbols)) != len(symbols):
        raise ConfigError(file=file, key=key, reason="names a symbol twice")


def check_speed(speed: float, key: str, file: str) -> None:
    """Venue seconds per second. Raises ConfigError."""
    if not (0 < speed <= MAX_SPEED or speed == math.inf):
        reason = f"expected above 0 and at most {MAX_SPEED:,.0f}, or inf, got {speed:g}"
        raise ConfigError(file=file, key=key, reason=reason)


def check_address(host: str, key: str, file: str) -> None:
    """Where to listen. A name would be looked up, and nothing at all would be every interface. Raises ConfigError."""
    if host != "localhost" and not _is_address(host):
        reason = f'{host!r} is no address to listen on; write "127.0.0.1", or "0.0.0.0" for every interface'
        raise ConfigError(file=file, key=key, reason=reason)


def _is_address(host: str) -> bool:
    if ":" not in host:
        parts = host.split(".")
        return len(parts) == 4 and all(
            part.isascii() and part.isdigit() and int(part[:4]) < 256 for part in parts
        )
    import socket  # here: a tool that only reads a configuration needs none

    try:
        return bool(socket.inet_pton(socket.AF_INET6, host))
    except OSError:
        return False


def _check_url(url: str, schemes: tuple[str, ...], key: str, file: str) -> None:
    def refuse(reason: str) -> None:
        raise ConfigError(file=file, key=key, reason=reason)

    if any(not "!" <= character <= "~" for character in url):
        refuse(f"{url!r} holds a blank or a character outside ASCII")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        refuse(f"{url!r} is no URL: {error}")
        return
    if parts.scheme not in schemes or not parts.hostname:
        refuse(f"{url!r} must start with {' or '.join(f'{scheme}://' for scheme in schemes)} and name a host")
    if port == 0:
        refuse(f"{url!r} names port 0; 1 to 65535 are allowed")
    if "?" in url or "#" in url or "@" in url:
        refuse(f"{url!r} must end with host, port or path: no user, query or fragment")
