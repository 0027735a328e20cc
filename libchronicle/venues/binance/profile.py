"""What differs between Binance's markets: addresses, stream names, limits.

Sources: "WebSocket Streams" and "Market Data endpoints" of the Binance spot API documentation; "Websocket Market
Streams", "Diff. Book Depth Streams" and "Order Book" of USDS-Margined Futures.

    both     a connection lives 24 h; combined streams at /stream?streams=a/b/c; symbols in stream names are lowercase
    spot     the server pings every 20 s, wants the pong within a minute; at most 5 messages a second to it; 1,024 streams
    usdm     the server pings every 3 min, wants the pong within 10 min; at most 10 messages a second to it; 200 streams
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from libchronicle.protocol import ContractKind

__all__ = ["PROFILES", "SPOT", "USDM", "Profile"]

CONNECTION_LIFE_S = 24 * 3600.0
RECONNECT_AFTER_S = 23 * 3600.0  # an hour to bring the next connection up


@dataclass(frozen=True, slots=True)
class Profile:
    """One market."""

    venue: str
    api: str  # path of the REST interface below the base address
    depth_stream: str
    depth_limit: int  # levels a side of a REST snapshot
    depth_weight: int  # request weight of one
    weight_per_minute: int
    streams_limit: int  # streams one connection may carry
    futures: bool
    contract: ContractKind
    rest_url: str  # real endpoints
    ws_url: str

    def streams(self, symbols: Iterable[str]) -> list[str]:
        kinds = (self.depth_stream, "trade", "bookTicker")
        return [f"{symbol.lower()}@{kind}" for symbol in symbols for kind in kinds]

    def stream_target(self, symbols: Iterable[str]) -> str:
        """Path and query of the combined stream, to be put behind the WebSocket base address."""
        return "/stream?streams=" + quote("/".join(self.streams(symbols)), safe="/@!")

    def depth_target(self, symbol: str) -> str:
        return f"{self.api}/depth?symbol={quote(symbol, safe='')}&limit={self.depth_limit}"

    def instruments_target(self, symbols: Iterable[str] = ()) -> str:
        """exchangeInfo; futures know no choice of symbols and always send all."""
        names = ",".join(f'"{symbol}"' for symbol in symbols)
        chosen = f"?symbols={quote(f'[{names}]', safe='')}" if names and not self.futures else ""
        return f"{self.api}/exchangeInfo{chosen}"


SPOT = Profile(
    venue="binance-spot",
    api="/api/v3",
    depth_stream="depth@100ms",
    depth_limit=5000,
    depth_weight=250,
    weight_per_minute=6000,
    streams_limit=1024,
    futures=False,
    contract=ContractKind.SPOT,
    rest_url="https://api.binance.com",
    ws_url="wss://stream.binance.com:9443",
)

USDM = Profile(
    venue="binance-usdm",
    api="/fapi/v1",
    depth_stream="depth@0ms",
    depth_limit=1000,
    depth_weight=20,
    weight_per_minute=2400,
    streams_limit=200,
    futures=True,
    contract=ContractKind.LINEAR,
    rest_url="https://fapi.binance.com",
    ws_url="wss://fstream.binance.com/public",
)

PROFILES = {profile.venue: profile for profile in (SPOT, USDM)}
