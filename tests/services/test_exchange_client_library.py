"""A stock Binance client library talks to the venue: nothing about it is changed but its base URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from libchronicle.sim.instruments import SPOT, USDM
from services.exchange.options import ExchangeOptions, MarketOptions
from services.exchange.venue import Venue

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@asynccontextmanager
async def stock_client() -> AsyncIterator[tuple[Any, Any]]:
    """python-binance's client and socket manager, pointed at a venue with both markets."""
    from binance import AsyncClient, BinanceSocketManager

    markets = (
        MarketOptions(market=SPOT, symbols=("BTCUSDT", "ETHUSDT")),
        MarketOptions(market=USDM, symbols=("BTCUSDT",)),
    )
    async with Venue(ExchangeOptions(markets=markets, rate=500.0)) as venue:
        spot, usdm = (f"127.0.0.1:{venue.servers[market].port}" for market in (SPOT, USDM))
        client = AsyncClient()
        client.API_URL = f"http://{spot}/api"
        client.FUTURES_URL = f"http://{usdm}/fapi"
        sockets = BinanceSocketManager(client)
        sockets.STREAM_URL = f"ws://{spot}/"
        sockets.FSTREAM_URL = f"ws://{usdm}/"
        try:
            yield client, sockets
        finally:
            await client.close_connection()


async def messages(stream: Any, count: int) -> list[Any]:
    async with asyncio.timeout(30), stream as connection:
        return [await connection.recv() for _ in range(count)]


def test_its_rest_calls_work_on_both_markets() -> None:
    async def test() -> None:
        async with stock_client() as (client, _):
            assert await client.ping() == {}
            assert (await client.get_server_time())["serverTime"] > 0
            info = await client.get_exchange_info()
            assert [symbol["symbol"] for symbol in info["symbols"]] == ["BTCUSDT", "ETHUSDT"]
            assert (await client.get_symbol_info("ETHUSDT"))["baseAsset"] == "ETH"
            book = await client.get_order_book(symbol="BTCUSDT", limit=50)
            assert len(book["bids"]) == 50
            assert float(book["bids"][0][0]) < float(book["asks"][0][0])
            assert (await client.get_orderbook_ticker(symbol="BTCUSDT"))["symbol"] == "BTCUSDT"
            assert isinstance(await client.get_recent_trades(symbol="BTCUSDT", limit=5), list)
            assert await client.futures_ping() == {}
            assert (await client.futures_exchange_info())["symbols"][0]["contractType"] == "PERPETUAL"
            futures = await client.futures_order_book(symbol="BTCUSDT", limit=100)
            assert futures["lastUpdateId"] > 0

    asyncio.run(test())


def test_its_exception_carries_the_venues_error_code() -> None:
    from binance.exceptions import BinanceAPIException

    async def test() -> None:
        async with stock_client() as (client, _):
            with pytest.raises(BinanceAPIException, match="Invalid symbol") as refused:
                await client.get_order_book(symbol="NOPE")
            assert (refused.value.code, refused.value.status_code) == (-1121, 400)

    asyncio.run(test())


def test_its_streams_deliver_parsed_events() -> None:
    async def test() -> None:
        async with stock_client() as (_, sockets):
            diffs = await messages(sockets.depth_socket("BTCUSDT", interval=100), 3)
            assert [diff["e"] for diff in diffs] == ["depthUpdate"] * 3
            assert diffs[1]["U"] == diffs[0]["u"] + 1
            trades = await messages(sockets.trade_socket("ETHUSDT"), 3)
            assert {trade["s"] for trade in trades} == {"ETHUSDT"}
            combined = await messages(sockets.multiplex_socket(["btcusdt@bookTicker", "ethusdt@trade"]), 10)
            assert {message["stream"] for message in combined} == {"btcusdt@bookTicker", "ethusdt@trade"}
            futures = await messages(sockets.futures_multiplex_socket(["btcusdt@depth@100ms"]), 3)
            assert futures[1]["data"]["pu"] == futures[0]["data"]["u"]

    asyncio.run(test())


def test_its_depth_cache_manager_keeps_a_book() -> None:
    async def test() -> None:
        from binance.ws.depthcache import DepthCacheManager

        async with stock_client() as (client, sockets):
            manager = DepthCacheManager(
                client, symbol="BTCUSDT", bm=sockets, ws_interval=100, refresh_interval=0
            )
            async with asyncio.timeout(30), manager as cache:
                for _ in range(10):
                    book = await cache.recv()
                    assert book.get_bids()[0][0] < book.get_asks()[0][0]

    asyncio.run(test())
