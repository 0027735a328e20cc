"""Instrument definitions from exchangeInfo."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from libchronicle.errors import UnknownSymbol, VenueDataError
from libchronicle.protocol import BookMode, ContractKind, Instrument, format_decimal, instrument_id
from libchronicle.venues.binance.instruments import parse_instruments
from libchronicle.venues.binance.profile import SPOT, USDM


def listed(symbol: str, *, notional: dict[str, str] | None = None, **over: str) -> dict[str, Any]:
    values = {
        "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01000000",
        "minQty": "0.00001", "maxQty": "9000.00", "stepSize": "0.00001000",
    } | over  # fmt: skip
    price = {key: values[key] for key in ("minPrice", "maxPrice", "tickSize")}
    lot = {key: values[key] for key in ("minQty", "maxQty", "stepSize")}
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": symbol[:-4],
        "quoteAsset": symbol[-4:],
        "filters": [
            {"filterType": "PRICE_FILTER", **price},
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "ICEBERG_PARTS", "limit": 10},
            notional or {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True},
        ],
    }


def info(*symbols: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"timezone": "UTC", "rateLimits": [], "symbols": symbols})


def test_a_spot_symbol_becomes_an_instrument_with_the_venues_precision() -> None:
    (made,) = parse_instruments(info(listed("ETHUSDT"), listed("BTCUSDT")), SPOT, ["BTCUSDT"])
    assert made.instrument_id == instrument_id("binance-spot:BTCUSDT")
    assert (made.price_exponent, made.qty_exponent) == (-8, -8)
    assert (made.tick_size, made.lot_size, made.min_qty, made.max_qty) == (10**6, 10**3, 10**3, 9 * 10**11)
    assert made.min_notional == 5 * 10**16
    assert (made.contract_kind, made.contract_size, made.trading) == (ContractKind.SPOT, 10**8, 1)
    assert (made.base_currency, made.quote_currency, made.settle_currency) == ("BTC", "USDT", "USDT")
    assert Instrument.decode(made.encode()) == made


def test_a_futures_symbol_has_its_margin_asset_and_the_other_notional_filter() -> None:
    entry = listed("BTCUSDT", notional={"filterType": "MIN_NOTIONAL", "notional": "100"}) | {
        "marginAsset": "USDC"
    }
    (made,) = parse_instruments(info(entry), USDM, ["BTCUSDT"])
    assert (made.contract_kind, made.settle_currency) == (ContractKind.LINEAR, "USDC")
    assert made.min_notional == 100 * 10**16


def test_the_order_is_the_one_asked_for() -> None:
    made = parse_instruments(info(listed("AAAUSDT"), listed("BBBUSDT")), SPOT, ["BBBUSDT", "AAAUSDT"])
    assert [m.symbol for m in made] == ["BBBUSDT", "AAAUSDT"]


def test_an_unknown_symbol_is_named_with_what_may_have_been_meant() -> None:
    with pytest.raises(UnknownSymbol, match=r"binance-spot lists no symbol 'BTCUSD'.*did you mean BTCUSDT"):
        parse_instruments(info(listed("BTCUSDT")), SPOT, ["BTCUSD"])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"symbols":5}', b"\xff\xfe"])
def test_an_unreadable_answer_says_so(body: bytes) -> None:
    with pytest.raises(VenueDataError, match="exchangeInfo"):
        parse_instruments(body, SPOT, ["BTCUSDT"])


def test_a_symbol_without_the_filters_that_matter_is_an_error() -> None:
    entry = listed("BTCUSDT")
    entry["filters"] = entry["filters"][1:]
    with pytest.raises(VenueDataError, match="PRICE_FILTER"):
        parse_instruments(info(entry), SPOT, ["BTCUSDT"])


def test_a_symbol_that_does_not_trade_is_marked() -> None:
    (made,) = parse_instruments(info(listed("BTCUSDT") | {"status": "BREAK"}), SPOT, ["BTCUSDT"])
    assert made.trading == 0


@pytest.mark.parametrize(
    ("over", "floor"),
    [
        (
            {"maxQty": "9200000000.00", "stepSize": "1.00", "minQty": "1.00"},
            "1.0",
        ),  # a coin traded by the billion
        ({"maxPrice": "9999999999.0", "tickSize": "1.00", "minPrice": "1.00"}, "20000"),  # a small currency
        (
            {
                "tickSize": "0.00000001",
                "minPrice": "0.00000001",
                "maxQty": "46116860414.0",
                "stepSize": "1.0",
                "minQty": "1.0",
            },
            "0.0001",
        ),
    ],
)
def test_exponents_are_coarser_only_where_eight_decimals_would_overflow(
    over: dict[str, str], floor: str
) -> None:
    notional = {"filterType": "NOTIONAL", "minNotional": floor}
    entry = listed("BTCUSDT", notional=notional, **over)
    (made,) = parse_instruments(info(entry), SPOT, ["BTCUSDT"])
    filters = {f["filterType"]: f for f in entry["filters"]}
    tick, lot = Decimal(filters["PRICE_FILTER"]["tickSize"]), Decimal(filters["LOT_SIZE"]["stepSize"])
    assert Decimal(format_decimal(made.tick_size, made.price_exponent)) == tick
    assert Decimal(format_decimal(made.lot_size, made.qty_exponent)) == lot
    assert Decimal(filters["LOT_SIZE"]["maxQty"]) * 1000 <= Decimal(2**63) * Decimal(10) ** made.qty_exponent
    assert min(made.price_exponent, made.qty_exponent) >= -8


def test_known_exponents_stay_whatever_the_filters_say_now() -> None:
    number = instrument_id("binance-spot:BTCUSDT")
    known = Instrument(instrument_id=number, price_exponent=-4, qty_exponent=-6, book_mode=BookMode.L2)
    (made,) = parse_instruments(info(listed("BTCUSDT")), SPOT, ["BTCUSDT"], {known.instrument_id: known})
    assert (made.price_exponent, made.qty_exponent) == (-4, -6)
    assert made.tick_size == 100
