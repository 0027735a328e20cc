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

from libchronicle.runtime.config import ExchangeConfig, MarketConfig, TraderConfig
from libchronicle.sim.desk import Credentials
from libchronicle.sim.instruments import SPOT, USDM
from services.exchange.options import ExchangeOptions, MarketOptions, from_config
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


# ---------------------------------------------------------------- cancel and replace


async def resting(server: MarketServer, **more: Any) -> tuple[int, str]:
    """An order far below the market: its id, and its price."""
    _, book = await ask(server, "GET", "/api/v3/ticker/bookTicker?symbol=BTCUSDT")
    price = f"{float(book['bidPrice']) * 0.9:.2f}"
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    status, placed = await ask(server, "POST", "/api/v3/order?" + sign(order | {"price": price} | more))
    assert status == 200, placed
    return placed["orderId"], price


async def replaced(server: MarketServer, gone: dict[str, Any], **more: Any) -> tuple[int, Any]:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.02"}
    wanted = order | {"cancelReplaceMode": "STOP_ON_FAILURE"} | gone | more
    return await ask(server, "POST", "/api/v3/order/cancelReplace?" + sign(wanted))


@asynchronous
async def test_an_order_is_cancelled_and_replaced_in_one_request() -> None:
    async with serving(SPOT) as server:
        number, price = await resting(server)
        status, done = await replaced(
            server, {"cancelOrderId": number}, price=price, newOrderRespType="RESULT"
        )
        assert (status, done["cancelResult"], done["newOrderResult"]) == (200, "SUCCESS", "SUCCESS")
        assert (done["cancelResponse"]["orderId"], done["cancelResponse"]["status"]) == (number, "CANCELED")
        assert (done["newOrderResponse"]["origQty"], done["newOrderResponse"]["status"]) == (
            "0.02000000",
            "NEW",
        )
        _, left = await ask(server, "GET", "/api/v3/openOrders?" + sign({"symbol": "BTCUSDT"}))
        assert [one["orderId"] for one in left] == [done["newOrderResponse"]["orderId"]]


@asynchronous
async def test_money_that_only_the_cancel_sets_free_pays_for_the_new_order() -> None:
    poor = (Credentials(balances={"USDT": "600"}),)
    async with serving(SPOT, accounts=poor) as server:
        number, price = await resting(server)  # holds most of it
        assert float(price) * 0.01 > 300
        order = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.01",
        }
        status, refused = await ask(server, "POST", "/api/v3/order?" + sign(order | {"price": price}))
        assert (status, refused["code"]) == (400, -2010)
        status, done = await replaced(server, {"cancelOrderId": number}, price=price, quantity="0.01")
        assert status == 200, done


@asynchronous
async def test_a_cancel_replace_says_which_half_failed() -> None:
    async with serving(SPOT) as server:
        number, price = await resting(server, newClientOrderId="mine")
        status, told = await replaced(server, {"cancelOrderId": 1}, price=price)
        assert (status, told["code"], told["msg"]) == (400, -2022, "Order cancel-replace failed.")
        assert told["data"] == {
            "cancelResult": "FAILURE",
            "newOrderResult": "NOT_ATTEMPTED",
            "cancelResponse": {"code": -2011, "msg": "Unknown order sent."},
            "newOrderResponse": None,
        }
        status, told = await replaced(
            server, {"cancelOrderId": 1}, price=price, cancelReplaceMode="ALLOW_FAILURE"
        )
        assert (status, told["code"]) == (409, -2021)
        assert (told["data"]["cancelResult"], told["data"]["newOrderResult"]) == ("FAILURE", "SUCCESS")
        taking = {"type": "LIMIT_MAKER", "price": f"{float(price) * 2:.2f}"}
        status, told = await replaced(server, {"cancelOrigClientOrderId": "mine"}, **taking)
        assert (status, told["code"]) == (409, -2021)
        assert told["data"]["cancelResponse"]["orderId"] == number
        assert told["data"]["newOrderResponse"] == {
            "code": -2010, "msg": "Order would immediately match and take.",
        }  # fmt: skip
        status, told = await replaced(
            server, {"cancelOrderId": number}, cancelReplaceMode="ALLOW_FAILURE", **taking
        )
        assert (status, told["code"]) == (400, -2022)


@asynchronous
async def test_a_new_order_that_no_filter_lets_pass_leaves_the_old_one_alone() -> None:
    async with serving(SPOT) as server:
        number, price = await resting(server)
        at = {"cancelOrderId": number, "price": price}
        for changes, code in (
            ({"price": "60000.001"}, -1013),
            ({"price": "60000.0000000001"}, -1111),
            ({"cancelReplaceMode": "SOMETIMES"}, -1130),
            ({"cancelRestrictions": "NEVER"}, -1145),
            ({"cancelOrderId": ""}, -1102),
            ({"type": "FLIP"}, -1116),
        ):
            status, told = await replaced(server, at | changes)
            assert (status, told["code"]) == (400, code), told
        status, told = await replaced(server, at, cancelRestrictions="ONLY_PARTIALLY_FILLED")
        assert (status, told["code"], told["data"]["cancelResponse"]["code"]) == (400, -2022, -2011)
        status, told = await ask(
            server, "GET", "/api/v3/order?" + sign({"symbol": "BTCUSDT", "orderId": number})
        )
        assert (status, told["status"]) == (200, "NEW")
        status, told = await replaced(server, at, cancelRestrictions="ONLY_NEW")
        assert status == 200, told


@pytest.mark.parametrize("market", [SPOT, USDM])
@asynchronous
async def test_an_order_that_is_named_twice_must_have_both_names(market: str) -> None:
    base = "/api/v3" if market == SPOT else "/fapi/v1"
    async with serving(market) as server:
        _, book = await ask(server, "GET", f"{base}/ticker/bookTicker?symbol=BTCUSDT")
        price = f"{float(book['bidPrice']) * 0.9:.1f}"
        order = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.01",
        }
        numbers = []
        for name in ("one", "two"):
            wanted = sign(order | {"price": price, "newClientOrderId": name})
            numbers.append((await ask(server, "POST", f"{base}/order?{wanted}"))[1]["orderId"])
        both = {"symbol": "BTCUSDT", "orderId": numbers[0], "origClientOrderId": "two"}
        assert (await ask(server, "GET", f"{base}/order?" + sign(both)))[1]["code"] == -2013
        assert (await ask(server, "DELETE", f"{base}/order?" + sign(both)))[1]["code"] == -2011
        if market == SPOT:
            gone = {"cancelOrderId": numbers[0], "cancelOrigClientOrderId": "two"}
            status, told = await replaced(server, gone, price=price)
            assert (status, told["code"], told["data"]["newOrderResult"]) == (400, -2022, "NOT_ATTEMPTED")
        right = both | {"origClientOrderId": "one"}
        assert (await ask(server, "DELETE", f"{base}/order?" + sign(right)))[1]["status"] == "CANCELED"


@pytest.mark.parametrize("market", [SPOT, USDM])
@asynchronous
async def test_names_dates_and_counts_beyond_what_the_venue_takes_are_refused_by_its_codes(
    market: str,
) -> None:
    spot = market == SPOT
    base = "/api/v3" if spot else "/fapi/v1"
    async with serving(market) as server:
        _, book = await ask(server, "GET", f"{base}/ticker/bookTicker?symbol=BTCUSDT")
        price = f"{float(book['bidPrice']) * 0.9:.1f}"
        order = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.01",
        }
        for name, code in (
            ("a" * 37, -1100 if spot else -4015),
            ("Ω", -1100),
            ("a b", -1100),
            ("\0", -1100),
            ("ok", 0),
        ):
            wanted = sign(order | {"price": price, "newClientOrderId": name})
            assert (await ask(server, "POST", f"{base}/order?{wanted}"))[1].get("code", 0) == code, name
        for path in ("allOrders", "myTrades" if spot else "userTrades"):
            target = f"{base}/{path}?"
            assert (await ask(server, "GET", target + sign({"symbol": "BTCUSDT", "limit": 0})))[1][
                "code"
            ] == -1130
            status, rows = await ask(server, "GET", target + sign({"symbol": "BTCUSDT", "limit": 10**9}))
            assert (status, rows["code"] if status != 200 else 0) == ((200, 0) if spot else (400, -1130))
        if spot:
            return
        for date, code in ((10**18 - 1, -1130), (253_402_300_799_000, 0)):
            wanted = sign(order | {"price": price, "timeInForce": "GTD", "goodTillDate": date})
            assert (await ask(server, "POST", f"{base}/order?{wanted}"))[1].get("code", 0) == code, date


# ---------------------------------------------------------------- keys


@asynchronous
async def test_each_key_of_the_configuration_has_an_account_of_its_own() -> None:
    config = ExchangeConfig(
        markets={SPOT: MarketConfig(port=0, symbols=("BTCUSDT",))},
        accounts={
            "alice": TraderConfig(secret="a-secret", balances={"USDT": "500", "BTC": "2"}),
            "bob": TraderConfig(secret="b-secret"),
        },
    )
    async with Venue(from_config(config)) as venue:
        server = venue.servers[SPOT]

        async def balances(key: str, secret: str) -> tuple[int, Any]:
            status, told = await ask(server, "GET", "/api/v3/account?" + sign({}, secret), key)
            if status != 200:
                return status, told["code"]
            return status, {one["asset"]: float(one["free"]) for one in told["balances"]}

        assert await balances("alice", "a-secret") == (200, {"BTC": 2.0, "USDT": 500.0})
        assert await balances("bob", "b-secret") == (200, {"BTC": 100.0, "USDT": 1_000_000.0})
        assert await balances("alice", "b-secret") == (400, -1022)
        assert await balances(KEY, SECRET) == (401, -2015)
