"""Command line of chronicle-exchange: host.toml, or plain flags without one."""

from __future__ import annotations

import argparse
import math

import msgspec

from libchronicle.errors import ConfigError
from libchronicle.runtime.checks import check_address, check_speed, check_symbols
from libchronicle.runtime.config import Interval, Port, Rate, Seed
from libchronicle.runtime.values import BadValue, convert
from libchronicle.sim.faults import FaultPlan
from libchronicle.sim.instruments import MARKETS
from services.exchange.options import ExchangeOptions, MarketOptions

COMMAND_LINE = "command line"
TYPES = {"host": str, "port": Port, "seed": Seed, "rate": Rate, "max_connection_s": Interval}


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--market", choices=MARKETS, help="serve one market without a host.toml")
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port of --market (0 = any free one)")
    parser.add_argument("--symbols", help="of --market, separated by commas (BTCUSDT; of a recording: all)")
    parser.add_argument(
        "--recording", action="append", metavar="FILE", help="play this; repeat it for more symbols"
    )
    parser.add_argument(
        "--speed", type=float, help="venue seconds per second; 0 or inf: as fast as subscribers take it"
    )
    parser.add_argument("--at-end", choices=("hold", "stop", "loop"), help="of a recording (hold)")
    parser.add_argument("--seed", type=int, help="of the generator (1)")
    parser.add_argument("--rate", type=float, help="generator: events per second and symbol (200)")
    parser.add_argument("--max-connection-s", type=float, help="end each stream after so long (86400)")
    parser.add_argument("--faults", help=argparse.SUPPRESS)  # for tests: drop=0.01,swap=0.01,seed=3


def apply_flags(options: ExchangeOptions, flags: argparse.Namespace) -> ExchangeOptions:
    """Flags win over the file; --market alone replaces its markets. Raises ConfigError."""
    _check(flags)
    changes: dict[str, object] = {
        name: value
        for name in ("host", "at_end", "seed", "rate", "max_connection_s")
        if (value := getattr(flags, name)) is not None
    }
    if flags.recording:
        changes["recordings"] = tuple(flags.recording)
    if flags.speed is not None:
        speed = flags.speed or math.inf
        check_speed(speed, "--speed", COMMAND_LINE)
        changes["speed"] = speed
    if flags.faults:
        changes["faults"] = parse_faults(flags.faults)
    if flags.market:
        symbols = tuple(name.strip().upper() for name in (flags.symbols or "").split(",") if name.strip())
        if symbols:
            check_symbols(symbols, "--symbols", COMMAND_LINE)
        market = MarketOptions(market=flags.market, port=flags.port or 0, symbols=symbols)
        changes["markets"] = (market,)
    elif flags.port is not None or flags.symbols:
        raise ConfigError(
            file=COMMAND_LINE, key="--port, --symbols", reason="belong to one market; add --market"
        )
    return msgspec.structs.replace(options, **changes)


def _check(flags: argparse.Namespace) -> None:
    """The same limits as host.toml has. Raises ConfigError."""
    for name, kind in TYPES.items():
        value = getattr(flags, name)
        if value is not None:
            try:
                convert(kind, value)
            except BadValue as error:
                option = f"--{name.replace('_', '-')}"
                raise ConfigError(file=COMMAND_LINE, key=option, reason=str(error)) from None
    if flags.host is not None:
        check_address(flags.host, "--host", COMMAND_LINE)


def parse_faults(text: str) -> FaultPlan:
    """`drop=0.01,seed=3` to a plan. Raises ConfigError."""
    try:
        pairs = dict(item.split("=", 1) for item in text.split(","))
        return msgspec.convert(pairs, FaultPlan, strict=False)
    except (ValueError, msgspec.ValidationError) as error:
        allowed = ", ".join(field.name for field in msgspec.structs.fields(FaultPlan))
        raise ConfigError(file=COMMAND_LINE, key="--faults", reason=f"{error}; allowed: {allowed}") from None
