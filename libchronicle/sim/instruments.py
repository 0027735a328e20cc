"""What the embedded venue knows about its markets and instruments, and how it tells them in `exchangeInfo`.

Prices are counted in ticks and quantities in lots. The venue writes numbers with a fixed count of decimals
(spot always eight, USD-M the instrument's own precision), which is part of the protocol: clients compare texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

SPOT = "binance-spot"
USDM = "binance-usdm"
MARKETS = (SPOT, USDM)

QUOTE_ASSETS = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "BTC", "ETH", "BNB", "EUR", "TRY")


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol. `tick` and `lot` are mantissas: the step in units of the last written decimal."""

    symbol: str
    base_asset: str
    quote_asset: str
    price_decimals: int
    qty_decimals: int
    tick: int
    lot: int
    reference_price: int
    """In ticks: where the generator starts and what it reverts to."""

    def price_text(self, ticks: int) -> str:
        return decimal_text(ticks * self.tick, self.price_decimals)

    def qty_text(self, lots: int) -> str:
        return decimal_text(lots * self.lot, self.qty_decimals)


def decimal_text(mantissa: int, decimals: int) -> str:
    """A non-negative mantissa with exactly `decimals` places, as the venue writes it."""
    if not decimals:
        return str(mantissa)
    text = str(mantissa)
    if len(text) <= decimals:
        text = text.zfill(decimals + 1)
    return f"{text[:-decimals]}.{text[-decimals:]}"


def split_symbol(symbol: str) -> tuple[str, str]:
    """Base and quote asset of a symbol; an unknown quote asset is taken to be its last four letters."""
    for quote in QUOTE_ASSETS:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol[: -len(quote)], quote
    return (symbol[:-4], symbol[-4:]) if len(symbol) > 4 else (symbol, "USDT")


# symbol: (reference price, tick and lot exponents on spot, tick and lot exponents on USD-M)
_KNOWN: dict[str, tuple[float, int, int, int, int]] = {
    "BTCUSDT": (60_000.0, -2, -5, -1, -3),
    "ETHUSDT": (2_600.0, -2, -4, -2, -3),
    "BNBUSDT": (550.0, -2, -3, -2, -2),
    "SOLUSDT": (150.0, -2, -3, -2, 0),
    "XRPUSDT": (0.6, -4, -1, -4, -1),
    "DOGEUSDT": (0.1, -5, 0, -5, 0),
}
_UNKNOWN = (100.0, -2, -3, -2, -2)


def generated_instrument(market: str, symbol: str) -> Instrument:
    """An instrument for the generator: today's grid for well-known symbols, a plain one for any other."""
    price, spot_tick, spot_lot, usdm_tick, usdm_lot = _KNOWN.get(symbol, _UNKNOWN)
    tick_exponent, lot_exponent = (spot_tick, spot_lot) if market == SPOT else (usdm_tick, usdm_lot)
    price_decimals = 8 if market == SPOT else max(2, -tick_exponent)
    qty_decimals = 8 if market == SPOT else -lot_exponent
    base, quote = split_symbol(symbol)
    return Instrument(
        symbol=symbol,
        base_asset=base,
        quote_asset=quote,
        price_decimals=price_decimals,
        qty_decimals=qty_decimals,
        tick=10 ** (price_decimals + tick_exponent),
        lot=10 ** (qty_decimals + lot_exponent),
        reference_price=round(price * 10**-tick_exponent),
    )


def exchange_info(market: str, instruments: Iterable[Instrument], time_ms: int) -> dict[str, Any]:
    """The body of `exchangeInfo` (documents: Spot REST API and USD-M General Info, "Exchange Information")."""
    describe = _spot_symbol if market == SPOT else _usdm_symbol
    body: dict[str, Any] = {
        "timezone": "UTC",
        "serverTime": time_ms,
        "rateLimits": _RATE_LIMITS[market],
        "exchangeFilters": [],
        "symbols": [describe(instrument) for instrument in instruments],
    }
    if market == USDM:
        body |= {"futuresType": "U_MARGINED", "assets": _usdm_assets(instruments)}
    return body


def _limit(kind: str, interval: str, number: int, limit: int) -> dict[str, Any]:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}


_RATE_LIMITS: dict[str, list[dict[str, Any]]] = {
    SPOT: [
        _limit("REQUEST_WEIGHT", "MINUTE", 1, 6000),
        _limit("ORDERS", "SECOND", 10, 100),
        _limit("ORDERS", "DAY", 1, 200_000),
        _limit("RAW_REQUESTS", "MINUTE", 5, 61_000),
    ],
    USDM: [
        _limit("REQUEST_WEIGHT", "MINUTE", 1, 2400),
        _limit("ORDERS", "MINUTE", 1, 1200),
        _limit("ORDERS", "SECOND", 10, 300),
    ],
}


def _steps(instrument: Instrument) -> tuple[str, str, str, str]:
    tick = decimal_text(instrument.tick, instrument.price_decimals)
    step = decimal_text(instrument.lot, instrument.qty_decimals)
    max_price = decimal_text(10**6 * 10**instrument.price_decimals, instrument.price_decimals)
    max_qty = decimal_text(9000 * 10**instrument.qty_decimals, instrument.qty_decimals)
    return tick, step, max_price, max_qty


def _spot_symbol(instrument: Instrument) -> dict[str, Any]:
    tick, step, max_price, max_qty = _steps(instrument)
    zero = decimal_text(0, instrument.qty_decimals)
    return {
        "symbol": instrument.symbol,
        "status": "TRADING",
        "baseAsset": instrument.base_asset,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote_asset,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": False,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": max_price, "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": max_qty, "stepSize": step},
            {"filterType": "MARKET_LOT_SIZE", "minQty": zero, "maxQty": max_qty, "stepSize": zero},
            {
                "filterType": "NOTIONAL",
                "minNotional": "5.00000000",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }


def _usdm_symbol(instrument: Instrument) -> dict[str, Any]:
    tick, step, max_price, max_qty = _steps(instrument)
    return {
        "symbol": instrument.symbol,
        "pair": instrument.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base_asset,
        "quoteAsset": instrument.quote_asset,
        "marginAsset": instrument.quote_asset,
        "pricePrecision": instrument.price_decimals,
        "quantityPrecision": instrument.qty_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": max_price, "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": max_qty, "stepSize": step},
            {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": max_qty, "stepSize": step},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": "100"},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": "1.0500",
                "multiplierDown": "0.9500",
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


def _usdm_assets(instruments: Iterable[Instrument]) -> list[dict[str, Any]]:
    quotes = sorted({instrument.quote_asset for instrument in instruments})
    return [{"asset": quote, "marginAvailable": True, "autoAssetExchange": "-10000"} for quote in quotes]
