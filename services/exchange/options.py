"""What one exchange process serves, whichever way it was told: host.toml, flags, or a test."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from libchronicle.runtime.config import ExchangeConfig
from libchronicle.sim.desk import Credentials
from libchronicle.sim.faults import FaultPlan

AtEnd = Literal["hold", "stop", "loop"]


class MarketOptions(msgspec.Struct, frozen=True, kw_only=True):
    """One market on one port. `symbols` empty: all that the recording has."""

    market: str
    port: int = 0
    symbols: tuple[str, ...] = ()


class ExchangeOptions(msgspec.Struct, frozen=True, kw_only=True):
    host: str = "127.0.0.1"
    markets: tuple[MarketOptions, ...]
    recordings: tuple[str, ...] = ()
    """Files to play, one symbol each; none = the generator."""
    speed: float = 1.0
    """Venue seconds per second; inf = as fast as the subscribers take it."""
    at_end: AtEnd = "hold"
    """Of a recording: keep connections and answers, end the process, or begin again."""
    seed: int = 1
    rate: float = 200.0
    """Generator: events per second and symbol."""
    max_backlog_bytes: int = 8 << 20
    """Unsent bytes after which a paced subscriber is cut off."""
    stall_timeout_s: float = 10.0
    """Without a pace: how long one subscriber may hold back the others before it is cut off."""
    first_book_wait_s: float = 5.0
    """Without a pace: how long the player waits, once it has a book, until somebody fetched it by REST."""
    max_connections: int = 1000
    """Of a market; more are cut off."""
    max_connection_s: float = 24 * 3600.0
    ping_interval_s: float = 0.0
    """0 = the venue's own."""
    weight_limit: int = 0
    """REST request weight per minute that gets 429; 0 = none."""
    faults: FaultPlan = FaultPlan()
    accounts: tuple[Credentials, ...] = (Credentials(),)
    """Who may trade."""

    @property
    def paced(self) -> bool:
        return math.isfinite(self.speed)


def from_config(config: ExchangeConfig) -> ExchangeOptions:
    """What host.toml says."""
    return ExchangeOptions(
        host=config.host,
        markets=tuple(
            MarketOptions(market=name, port=market.port, symbols=market.symbols)
            for name, market in config.markets.items()
        ),
        recordings=config.recordings,
        speed=config.speed,
        at_end=config.at_end,
        seed=config.seed,
        rate=config.rate,
        accounts=_accounts(config),
    )


def _accounts(config: ExchangeConfig) -> tuple[Credentials, ...]:
    plain = Credentials()
    named = (
        Credentials(key=key, secret=one.secret, balances=one.balances or plain.balances)
        for key, one in config.accounts.items()
    )
    return tuple(named) or (plain,)
