"""The REST half of the protocol, without a socket."""

import json
from random import Random
from typing import Any

import pytest

from libchronicle.sim.generator import Generator
from libchronicle.sim.instruments import SPOT, USDM, generated_instrument
from libchronicle.sim.player import Player, Tape
from libchronicle.sim.recording import describe
from libchronicle.sim.rest import RestApi
from libchronicle.testing.recordings import generated_lines

START_NS = 1_700_000_000_000_000_000
PREFIX = {SPOT: "/api/v3", USDM: "/fapi/v1"}


def api(market: str, weight_limit: int = 0) -> RestApi:
    source = Generator(
        market,
        [generated_instrument(market, symbol) for symbol in ("BTCUSDT", "ETHUSDT")],
        rate=500.0,
        start_ns=START_NS,
        rng=lambda name: Random(f"5:{name}"),
    )
    source.take(START_NS + 3_000_000_000, 1 << 30)
    return RestApi(source, lambda: START_NS // 1_000_000, weight_limit)


def get(rest: RestApi, market: str, path: str) -> tuple[int, Any]:
    response = rest.respond("GET", PREFIX[market] + path)
    return response.status, json.loads(response.body)


@pytest.mark.parametrize("market", [SPOT, USDM])
def test_ping_and_time_answer(market: str) -> None:
    rest = api(market)
    assert get(rest, market, "/ping") == (200, {})
    status, body = get(rest, market, "/time")
    assert status == 200
    assert START_NS // 10**6 <= body["serverTime"] <= START_NS // 10**6 + 3000


@pytest.mark.parametrize("market", [SPOT, USDM])
def test_depth_is_sorted_limited_and_never_crossed(market: str) -> None:
    rest = api(market)
    status, body = get(rest, market, "/depth?symbol=BTCUSDT&limit=20")
    bids, asks = [[float(price) for price, _ in body[side]] for side in ("bids", "asks")]
    assert status == 200
    assert len(bids) == len(asks) == 20
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    assert list(body) == (
        ["lastUpdateId", "bids", "asks"] if market == SPOT else ["lastUpdateId", "E", "T", "bids", "asks"]
    )


def test_spot_writes_eight_decimals_and_usdm_the_instruments_own() -> None:
    for market, price_decimals, qty_decimals in ((SPOT, 8, 8), (USDM, 2, 3)):
        _, body = get(api(market), market, "/depth?symbol=BTCUSDT&limit=5")
        price, qty = body["bids"][0]
        assert (len(price.split(".")[1]), len(qty.split(".")[1])) == (price_decimals, qty_decimals)


def test_spot_takes_any_depth_limit_up_to_5000_and_usdm_only_its_list() -> None:
    spot, usdm = api(SPOT), api(USDM)
    assert len(get(spot, SPOT, "/depth?symbol=BTCUSDT&limit=7")[1]["bids"]) == 7
    assert get(spot, SPOT, "/depth?symbol=BTCUSDT&limit=99999")[0] == 200
    assert get(spot, SPOT, "/depth?symbol=BTCUSDT&limit=0")[1]["code"] == -1130
    assert get(usdm, USDM, "/depth?symbol=BTCUSDT&limit=1000")[0] == 200
    assert get(usdm, USDM, "/depth?symbol=BTCUSDT&limit=7")[1]["code"] == -4021
    assert get(usdm, USDM, "/depth?symbol=BTCUSDT&limit=5000")[1]["code"] == -4021


@pytest.mark.parametrize(
    ("path", "status", "code", "message"),
    [
        ("/depth?symbol=NOPEUSDT", 400, -1121, "Invalid symbol."),
        ("/depth", 400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        (
            "/depth?symbol=",
            400,
            -1102,
            "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
        ),
        (
            "/depth?symbol=btcusdt",
            400,
            -1100,
            "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'.",
        ),
        (
            "/depth?symbol=BTCUSDT&limit=x",
            400,
            -1100,
            "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'.",
        ),
        ("/time?x=1", 400, -1101, "Too many parameters; expected '0' and received '1'."),
        (
            "/depth?symbol=BTCUSDT&fast=1",
            400,
            -1104,
            "Not all sent parameters were read; read '1' parameter(s) but was sent '2'.",
        ),
        ("/depth?symbol=BTCUSDT&symbol=BTCUSDT", 400, -1101, "Duplicate values for parameter 'symbol'."),
        ("/nothing", 404, -1020, "This operation is not supported."),
        ("/ticker/bookTicker?symbols=nonsense", 400, -1100, None),
    ],
)
def test_spot_refuses_in_the_venues_words(path: str, status: int, code: int, message: str | None) -> None:
    seen, body = get(api(SPOT), SPOT, path)
    assert (seen, body["code"]) == (status, code)
    assert message in (None, body["msg"])


def test_usdm_takes_a_symbol_in_lower_case() -> None:
    assert get(api(USDM), USDM, "/depth?symbol=btcusdt")[0] == 200
    assert get(api(USDM), USDM, "/depth?symbol=nope")[1]["code"] == -1121


def test_another_markets_path_is_not_found() -> None:
    assert api(SPOT).respond("GET", "/fapi/v1/ping").status == 404
    assert api(SPOT).respond("POST", "/api/v3/depth").status == 405


def test_exchange_info_gives_the_grid_of_the_symbols_asked_for() -> None:
    rest = api(SPOT)
    _, body = get(rest, SPOT, "/exchangeInfo")
    assert [symbol["symbol"] for symbol in body["symbols"]] == ["BTCUSDT", "ETHUSDT"]
    _, body = get(rest, SPOT, "/exchangeInfo?symbol=ETHUSDT")
    filters = {entry["filterType"]: entry for entry in body["symbols"][0]["filters"]}
    assert [symbol["baseAsset"] for symbol in body["symbols"]] == ["ETH"]
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00010000"
    _, body = get(rest, SPOT, '/exchangeInfo?symbols=["BTCUSDT","ETHUSDT"]')
    assert len(body["symbols"]) == 2
    _, body = get(api(USDM), USDM, "/exchangeInfo")
    filters = {entry["filterType"]: entry for entry in body["symbols"][0]["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.10"
    assert (body["symbols"][0]["contractType"], body["symbols"][0]["marginAsset"]) == ("PERPETUAL", "USDT")


def test_every_price_lies_on_the_grid_of_exchange_info() -> None:
    for market, steps in ((SPOT, 100), (USDM, 10)):
        _, body = get(api(market), market, "/depth?symbol=BTCUSDT&limit=100")
        assert all(
            abs(float(price) * steps - round(float(price) * steps)) < 1e-6 for price, _ in body["bids"]
        )


def test_trades_and_tickers_agree_with_the_book() -> None:
    rest = api(SPOT)
    _, trades = get(rest, SPOT, "/trades?symbol=BTCUSDT&limit=3")
    assert [trade["id"] for trade in trades] == sorted(trade["id"] for trade in trades)
    assert len(trades) == 3
    assert float(trades[0]["quoteQty"]) == pytest.approx(float(trades[0]["price"]) * float(trades[0]["qty"]))
    _, depth = get(rest, SPOT, "/depth?symbol=BTCUSDT&limit=1")
    _, ticker = get(rest, SPOT, "/ticker/bookTicker?symbol=BTCUSDT")
    assert [ticker["bidPrice"], ticker["bidQty"]] == depth["bids"][0]
    assert len(get(rest, SPOT, "/ticker/bookTicker")[1]) == 2
    assert get(rest, SPOT, "/ticker/price?symbol=BTCUSDT")[1]["price"] == trades[-1]["price"]


def test_used_weight_is_told_and_the_limit_refuses_with_429() -> None:
    rest = api(SPOT, weight_limit=6)
    first = rest.respond("GET", "/api/v3/ping")
    assert dict(first.headers)["x-mbx-used-weight-1m"] == "1"
    assert rest.respond("GET", "/api/v3/depth?symbol=BTCUSDT").status == 200
    refused = rest.respond("GET", "/api/v3/ping")
    assert (refused.status, json.loads(refused.body)["code"]) == (429, -1003)
    assert 1 <= int(dict(refused.headers)["retry-after"]) <= 60


def test_before_a_recording_has_its_book_depth_is_not_available() -> None:
    lines = generated_lines(SPOT)
    source = Player([Tape(describe(lines), lambda: lines)])
    rest = RestApi(source, lambda: 0)
    assert get(rest, SPOT, "/depth?symbol=BTCUSDT") == (
        503,
        {"code": -1001, "msg": "Internal error; unable to process your request. Please try again."},
    )
    assert get(rest, SPOT, "/exchangeInfo")[1]["symbols"][0]["symbol"] == "BTCUSDT", "known from the start"
    assert get(rest, SPOT, "/ticker/bookTicker?symbol=BTCUSDT")[0] == 200
    while source.take(1 << 62, 100):
        pass
    assert get(rest, SPOT, "/depth?symbol=BTCUSDT")[0] == 200
    assert rest.depth_served == {"BTCUSDT"}
    assert len(get(rest, SPOT, "/trades?symbol=BTCUSDT&limit=5")[1]) == 5
