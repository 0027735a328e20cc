"""Orders at the embedded exchange, over real sockets, by a stock Binance client and by hand."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from websockets.asyncio.client import connect

from libchronicle.sim.instruments import SPOT, USDM
from services.exchange.options import ExchangeOptions, MarketOptions
from services.exchange.server import MarketServer
from services.exchange.venue import Venue

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
KEY, SECRET = "chronicle", "chronicle"
MARKETS = (
    MarketOptions(market=SPOT, symbols=("BTCUSDT", "ETHUSDT")),
    MarketOptions(market=USDM, symbols=("BTCUSDT",)),
)


def asynchronous(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*arguments: Any, **fixtures: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **fixtures), 60))

    return run


@asynccontextmanager
async def stock_client() -> AsyncIterator[Any]:
    from binance import AsyncClient

    async with Venue(ExchangeOptions(markets=MARKETS, rate=500.0)) as venue:
        spot, usdm = (f"127.0.0.1:{venue.servers[market].port}" for market in (SPOT, USDM))
        client = AsyncClient(KEY, SECRET)
        client.API_URL = f"http://{spot}/api"
        client.FUTURES_URL = f"http://{usdm}/fapi"
        try:
            yield client
        finally:
            await client.close_connection()


@asynccontextmanager
async def serving(market: str, **options: Any) -> AsyncIterator[MarketServer]:
    chosen = tuple(one for one in MARKETS if one.market == market)
    async with Venue(ExchangeOptions(markets=chosen, rate=500.0, **options)) as venue:
        yield venue.servers[market]


def sign(params: dict[str, Any], secret: str = SECRET) -> str:
    text = urlencode({"timestamp": int(time.time() * 1000)} | params)
    return f"{text}&signature={hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()}"


async def ask(server: MarketServer, method: str, target: str, key: str = KEY) -> tuple[int, Any]:
    def fetch() -> tuple[int, Any]:
        request = Request(
            f"http://127.0.0.1:{server.port}{target}", method=method, headers={"X-MBX-APIKEY": key}
        )
        try:
            with urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except HTTPError as error:
            return error.code, json.loads(error.read())

    return await asyncio.to_thread(fetch)


# ---------------------------------------------------------------- a stock client


@asynchronous
async def test_a_stock_client_trades_spot() -> None:
    async with stock_client() as client:
        bought = await client.order_market_buy(symbol="BTCUSDT", quantity="0.01")
        assert bought["status"] == "FILLED"
        assert sum(float(fill["qty"]) for fill in bought["fills"]) == 0.01
        book = await client.get_orderbook_ticker(symbol="BTCUSDT")
        far = f"{float(book['bidPrice']) * 0.9:.2f}"
        placed = await client.order_limit_buy(
            symbol="BTCUSDT", quantity="0.002", price=far, newClientOrderId="mine"
        )
        assert (placed["status"], placed["clientOrderId"]) == ("NEW", "mine")
        assert [o["orderId"] for o in await client.get_open_orders(symbol="BTCUSDT")] == [placed["orderId"]]
        assert (await client.get_order(symbol="BTCUSDT", origClientOrderId="mine"))[
            "price"
        ] == f"{float(far):.8f}"
        cash = next(b for b in (await client.get_account())["balances"] if b["asset"] == "USDT")
        assert float(cash["locked"]) > 0.002 * float(far)
        gone = await client.cancel_order(symbol="BTCUSDT", orderId=placed["orderId"])
        assert gone["status"] == "CANCELED"
        trades = await client.get_my_trades(symbol="BTCUSDT")
        assert {t["orderId"] for t in trades} == {bought["orderId"]}
        asset = await client.get_asset_balance(asset="BTC")
        assert float(asset["free"]) == 100.01


@asynchronous
async def test_a_stock_client_trades_futures() -> None:
    async with stock_client() as client:
        sold = await client.futures_create_order(
            symbol="BTCUSDT", side="SELL", type="MARKET", quantity="0.050"
        )
        assert sold["executedQty"] == "0.050"
        [position] = await client.futures_position_information(symbol="BTCUSDT")
        assert position["positionAmt"] == "-0.050"
        closed = await client.futures_create_order(
            symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.090", reduceOnly="true"
        )
        assert (closed["executedQty"], closed["status"]) == ("0.050", "EXPIRED")
        assert (await client.futures_position_information(symbol="BTCUSDT"))[0]["positionAmt"] == "0.000"
        balances = await client.futures_account_balance()
        assert 999_000 < float(balances[0]["balance"]) < 1_000_000


@asynchronous
async def test_refusals_carry_the_venues_codes_to_a_stock_client() -> None:
    from binance.exceptions import BinanceAPIException

    async with stock_client() as client:
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        wrong: list[tuple[int, dict[str, str]]] = [
            (-2010, order | {"quantity": "5000", "price": "59000"}),
            (-1013, order | {"quantity": "0.001", "price": "59000.001"}),
            (-1111, order | {"quantity": "0.0010000001", "price": "59000"}),
            (-1121, order | {"symbol": "NOSUCH", "quantity": "1", "price": "1"}),
            (-1116, order | {"type": "TRAILING", "quantity": "1", "price": "1"}),
            (-1102, order | {"quantity": "1"}),
            (-1013, order | {"quantity": "0", "price": "59000"}),
        ]
        for code, params in wrong:
            with pytest.raises(BinanceAPIException) as refused:
                await client.create_order(**params)
            assert refused.value.code == code, params
        with pytest.raises(BinanceAPIException) as refused:
            await client.cancel_order(symbol="BTCUSDT", orderId=1)
        assert refused.value.code == -2011
        with pytest.raises(BinanceAPIException) as refused:
            await client.get_order(symbol="BTCUSDT", orderId=1)
        assert refused.value.code == -2013


# ---------------------------------------------------------------- keys and signatures


@asynchronous
async def test_who_has_no_key_or_signs_wrong_or_late_is_refused() -> None:
    async with serving(SPOT) as server:
        account = "/api/v3/account?"
        assert (await ask(server, "GET", account + sign({}), key=""))[1]["code"] == -2014
        assert await ask(server, "GET", account + sign({}), key="stranger") == (
            401, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."},
        )  # fmt: skip
        assert (await ask(server, "GET", account + sign({}, "guess")))[1]["code"] == -1022
        assert (await ask(server, "GET", account + sign({}) + "&more=1"))[1]["code"] == -1022
        assert (await ask(server, "GET", account + sign({"timestamp": 1})))[1]["code"] == -1021
        assert (await ask(server, "GET", account + sign({"recvWindow": 10**6})))[1]["code"] == -1131
        assert (await ask(server, "GET", "/api/v3/account"))[1]["code"] == -1102
        assert (await ask(server, "GET", account + sign({})))[0] == 200


@asynchronous
async def test_hostile_parameters_are_answered_and_harm_nobody() -> None:
    async with serving(USDM) as server:
        order = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "1",
            "price": "1",
        }
        for name in order:
            for value in ("", "-1", "1e400", "9" * 400, "NaN", "\x00", "Ω", "0x10", " 1", "BTCUSDT/../"):
                status, answer = await ask(server, "POST", "/fapi/v1/order?" + sign(order | {name: value}))
                assert status in (400, 200), (name, value)
                assert status == 200 or answer["code"] < 0
        assert (await ask(server, "GET", "/fapi/v2/account?" + sign({})))[0] == 200


# ---------------------------------------------------------------- user streams


@pytest.mark.parametrize("market", [SPOT, USDM])
@asynchronous
async def test_a_user_stream_tells_every_step_of_its_owners_orders(market: str) -> None:
    spot = market == SPOT
    base = "/api/v3" if spot else "/fapi/v1"
    stream = base + ("/userDataStream" if spot else "/listenKey")
    async with serving(market) as server:
        key = (await ask(server, "POST", stream))[1]["listenKey"]
        assert (await ask(server, "POST", stream))[1]["listenKey"] == key
        assert await ask(server, "PUT", stream + (f"?listenKey={key}" if spot else "")) == (200, {})
        async with connect(f"ws://127.0.0.1:{server.port}/ws/{key}") as ws:
            params = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.010"}
            status, placed = await ask(server, "POST", f"{base}/order?" + sign(params))
            assert (status, placed["status"]) == (200, "FILLED")
            seen = []
            while not seen or seen[-1]["X"] != "FILLED":
                message = json.loads(await asyncio.wait_for(ws.recv(), 20))
                if message["e"] in ("executionReport", "ORDER_TRADE_UPDATE"):
                    seen.append(message if spot else message["o"])
            assert [(step["x"], step["i"]) for step in seen[:1]] == [("NEW", placed["orderId"])]
            assert {step["x"] for step in seen[1:]} == {"TRADE"}
            assert sum(float(step["l"]) for step in seen) == pytest.approx(0.01)
            last = json.loads(await asyncio.wait_for(ws.recv(), 20))
            assert last["e"] == ("outboundAccountPosition" if spot else "ACCOUNT_UPDATE")
        assert await ask(server, "DELETE", stream) == (200, {})
        assert (await ask(server, "PUT", stream))[1]["code"] == -1125
