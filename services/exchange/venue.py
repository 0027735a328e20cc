"""The venue of one process: its markets, each a server and a pump."""

from __future__ import annotations

import asyncio
import time
from typing import Self

from libchronicle.errors import ConfigError
from libchronicle.runtime.logging import Log
from services.exchange.options import ExchangeOptions
from services.exchange.pump import Pump
from services.exchange.server import MarketServer
from services.exchange.sources import open_source


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Venue:
    """async with Venue(options) as venue: … venue.servers["binance-spot"].port …"""

    def __init__(self, options: ExchangeOptions, log: Log | None = None) -> None:
        if not options.markets:
            raise ConfigError(
                file="exchange", key="markets", reason="is empty; name at least one market with its port"
            )
        self.options = options
        sources = [open_source(options, market) for market in options.markets]
        for source, market in zip(sources, options.markets, strict=True):
            missing = [symbol for symbol in market.symbols if symbol not in source.instruments]
            if missing and log is not None:
                log.warning("not in the recording", market=market.market, symbols=",".join(missing))
        self.servers = {source.market: MarketServer(source, options, wall_ms) for source in sources}
        self.pumps = {market: Pump(server) for market, server in self.servers.items()}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Listens everywhere, then plays. Raises HostError."""
        try:
            for market in self.options.markets:
                await self.servers[market.market].listen(self.options.host, market.port)
        except BaseException:
            await self.stop()
            raise
        self._tasks = [asyncio.create_task(pump.run(), name=name) for name, pump in self.pumps.items()]

    async def run(self) -> None:
        """Until every market has ended (a recording with `at_end = "stop"`), or for ever."""
        await asyncio.gather(*self._tasks)
        if self.options.at_end != "stop":
            await asyncio.Event().wait()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(server.stop() for server in self.servers.values()))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
