"""What a session ran with, journaled in it: a rerun under another configuration is held to what held then.

    SessionStart · StateChunk … · Parameter …                    the router's: RouterSettings
    StateChunk … · SessionSource(orders_out of alpha)            a strategy's, as it was attached: StrategySettings

The JSON of each is cut into StateChunk records. Readers that know nothing of them pass over them, and a session of an older
router has none: then the present configuration is taken, and the verdict says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from libchronicle.errors import CorruptJournal
from libchronicle.protocol import StateChunk, instrument_id
from libchronicle.runtime.config import HostConfig, Limits, RiskConfig, RouterConfig, load_strategy

__all__ = [
    "RouterSettings",
    "StrategySettings",
    "chunks_in",
    "chunks_of",
    "settings_in",
    "settings_of_host",
    "settings_of_strategy",
]

DEFAULT_ACCOUNT = "paper"
_CHUNK = 1024

T = TypeVar("T")


class RouterSettings(msgspec.Struct, frozen=True, kw_only=True):
    """[router], and which instruments each feed is configured to carry."""

    router: RouterConfig = RouterConfig()
    markets: dict[str, tuple[str, ...]] = {}  # feed -> venue:SYMBOL
    remembers: bool = False  # the journal has what the paper venue remembers; an older router's had not

    def instruments(self, feed: str) -> list[int]:
        """Ids of what a feed carries."""
        return [instrument_id(name) for name in self.markets.get(feed, ())]


class StrategySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy may do, as its TOML says and the host's allows."""

    limits: Limits = Limits()
    account: str = DEFAULT_ACCOUNT
    risk: RiskConfig = RiskConfig()


def settings_of_host(config: HostConfig) -> RouterSettings:
    """As it is configured now."""
    markets = {
        name: tuple(f"{feed.venue}:{symbol}" for symbol in feed.symbols)
        for name, feed in config.feeds.items()
    }
    return RouterSettings(router=config.router, markets=markets, remembers=True)


def settings_of_strategy(config: HostConfig, strategy: str) -> StrategySettings:
    """As its TOML says now; the host's limits where it has none. Raises ConfigError."""
    toml = config.strategies.path / f"{strategy}.toml"
    if not toml.exists():
        return StrategySettings(limits=config.router.limits)
    found = load_strategy(toml, config)
    return StrategySettings(limits=found.limits, account=found.account, risk=found.risk)


def chunks_of(settings: msgspec.Struct | dict[str, Any]) -> Iterator[StateChunk]:
    """The records that hold settings."""
    raw = msgspec.json.encode(settings)
    for offset in range(0, len(raw), _CHUNK):
        data = raw[offset : offset + _CHUNK].ljust(_CHUNK, b"\0")
        yield StateChunk(total_size=len(raw), offset=offset, data=data)


def chunks_in(notes: Iterable[tuple[int, bytes]]) -> list[StateChunk]:
    """Those among the records of a step: what is journaled again must be them, whatever keys there are today."""
    return [StateChunk.decode(payload) for type_id, payload in notes if type_id == StateChunk.TEMPLATE_ID]


def settings_in(chunks: Sequence[StateChunk], kind: type[T]) -> T | None:
    """The settings that chunks hold, None without any. Raises CorruptJournal."""
    if not chunks:
        return None
    raw = b"".join(chunk.data for chunk in chunks)[: chunks[0].total_size]
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise CorruptJournal(reason=f"settings of the session cannot be read: {error}") from None
