"""The signed half of REST: orders, account, user streams; without a socket.

Documents: Binance Spot "Request security", "Trading endpoints", "Error codes"; USD-M Futures "Trade", "Error code".

- A signed request carries its key in X-MBX-APIKEY, `timestamp`, and as its last parameter `signature`: HMAC-SHA256, with the
  secret, of query and body as they were sent.
- Its time may lie `recvWindow` before the clock's or before the market's own: a recording's clock is that of its day.
- Spot has cancel-replace; filters are looked at before anything is cancelled, money only after.
- Spot knows LIMIT, LIMIT_MAKER, MARKET, STOP_LOSS, STOP_LOSS_LIMIT; USD-M knows LIMIT (also GTX, GTD), MARKET, STOP,
  STOP_MARKET. Whatever else there is is refused by name.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from libchronicle.errors import DecimalError, FixedPointOverflow
from libchronicle.protocol import OrderType, RejectCode, Side, StpMode, TimeInForce
from libchronicle.protocol.fixed import parse_decimal
from libchronicle.sim.desk import Desk, DeskEvent, DeskOrder, Refused, Trader, Wanted
from libchronicle.sim.instruments import SPOT
from libchronicle.sim.order_texts import OrderTexts, amount
from libchronicle.sim.rest_answers import ApiError, Params

__all__ = ["SignedRoute", "TradingApi"]

_AHEAD_MS = 1000  # a client's clock may be ahead by as much

Told = Callable[[list[DeskEvent]], None]


class SignedRoute(NamedTuple):
    handler: Callable[[Trader, Params], Any]
    weight: int
    needs_signature: bool = True  # else the key alone


class TradingApi:
    """All signed endpoints of one market. `told` hears of every step of an order, before its answer goes out."""

    def __init__(self, desk: Desk, now_ms: Callable[[], int], told: Told) -> None:
        self.desk = desk
        self.texts = OrderTexts(desk)
        self._now_ms = now_ms
        self._told = told
        self._spot = desk.market == SPOT
        self.streams: dict[str, Trader] = {}
        """Listen keys in use."""
        self.routes = self._spot_routes() if self._spot else self._usdm_routes()

    def _spot_routes(self) -> Mapping[tuple[str, str], SignedRoute]:
        order, stream = "/api/v3/order", "/api/v3/userDataStream"
        return {
            ("POST", order): SignedRoute(self._new, 1),
            ("POST", "/api/v3/order/test"): SignedRoute(self._test, 1),
            ("POST", "/api/v3/order/cancelReplace"): SignedRoute(self._cancel_replace, 1),
            ("DELETE", order): SignedRoute(self._cancel, 1),
            ("GET", order): SignedRoute(self._query, 4),
            ("GET", "/api/v3/openOrders"): SignedRoute(self._open, 6),
            ("DELETE", "/api/v3/openOrders"): SignedRoute(self._cancel_all, 1),
            ("GET", "/api/v3/allOrders"): SignedRoute(self._all, 20),
            ("GET", "/api/v3/account"): SignedRoute(self._account, 20),
            ("GET", "/api/v3/myTrades"): SignedRoute(self._trades, 20),
            ("POST", stream): SignedRoute(self._open_stream, 2, needs_signature=False),
            ("PUT", stream): SignedRoute(self._keep_stream, 2, needs_signature=False),
            ("DELETE", stream): SignedRoute(self._close_stream, 2, needs_signature=False),
        }

    def _usdm_routes(self) -> Mapping[tuple[str, str], SignedRoute]:
        order, stream = "/fapi/v1/order", "/fapi/v1/listenKey"
        routes = {
            ("POST", order): SignedRoute(self._new, 1),
            ("POST", "/fapi/v1/order/test"): SignedRoute(self._test, 1),
            ("DELETE", order): SignedRoute(self._cancel, 1),
            ("GET", order): SignedRoute(self._query, 1),
            ("GET", "/fapi/v1/openOrders"): SignedRoute(self._open, 1),
            ("DELETE", "/fapi/v1/allOpenOrders"): SignedRoute(self._cancel_all, 1),
            ("GET", "/fapi/v1/allOrders"): SignedRoute(self._all, 5),
            ("GET", "/fapi/v1/userTrades"): SignedRoute(self._trades, 5),
            ("POST", stream): SignedRoute(self._open_stream, 1, needs_signature=False),
            ("PUT", stream): SignedRoute(self._keep_stream, 1, needs_signature=False),
            ("DELETE", stream): SignedRoute(self._close_stream, 1, needs_signature=False),
        }
        for version in ("v2", "v3"):
            routes["GET", f"/fapi/{version}/account"] = SignedRoute(self._account, 5)
            routes["GET", f"/fapi/{version}/balance"] = SignedRoute(self._balance, 5)
            routes["GET", f"/fapi/{version}/positionRisk"] = SignedRoute(self._positions, 5)
        return routes

    # ------------------------------------------------------------ who asks

    def trader(self, route: SignedRoute, key: str, params: Params, signed_text: str) -> Trader:
        """The client of a request. Raises ApiError. `signed_text`: query and body as sent."""
        if not key:
            raise ApiError(401, -2014, "API-key format invalid.")
        trader = self.desk.traders.get(key)
        if trader is None:
            raise ApiError(401, -2015, "Invalid API-key, IP, or permissions for action.")
        if route.needs_signature:
            self._check_signature(trader, params, signed_text)
            self._check_time(params)
        return trader

    @staticmethod
    def _check_signature(trader: Trader, params: Params, signed_text: str) -> None:
        given = _mandatory(params, "signature")
        text = signed_text.replace(f"&signature={given}", "").replace(f"signature={given}", "")
        secret = trader.credentials.secret.encode()
        right = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(right, given.lower().encode("ascii", "replace").decode()):
            raise ApiError(400, -1022, "Signature for this request is not valid.")

    def _check_time(self, params: Params) -> None:
        sent, window = _whole(params, "timestamp"), _whole(params, "recvWindow", 5000)
        if window > 60_000:
            raise ApiError(400, -1131, "recvWindow must be less than 60000")
        clocks = (self._now_ms(), self.desk.source.time_ms)
        if not any(-_AHEAD_MS <= clock - sent <= window for clock in clocks):
            raise ApiError(400, -1021, "Timestamp for this request is outside of the recvWindow.")

    # ------------------------------------------------------------ orders

    def _symbol(self, params: Params) -> str:
        symbol = _mandatory(params, "symbol")
        if symbol not in self.desk.instruments:
            raise ApiError(400, -1121, "Invalid symbol.")
        return symbol

    def _new(self, trader: Trader, params: Params) -> Any:
        symbol, wanted = self._symbol(params), self._wanted(params)
        try:
            order, events = self.desk.place(trader, symbol, wanted)
        except Refused as refused:
            raise self._refusal(refused.code) from None
        self._told(events)
        usual = "FULL" if wanted.type in (OrderType.MARKET, OrderType.LIMIT) else "ACK"
        return self.texts.placed(order, params.get("newOrderRespType", usual))

    def _cancel_replace(self, trader: Trader, params: Params) -> Any:
        """One order goes, another comes: 200 with both done, 409 with one of them, 400 with neither. A new order that no filter
        lets pass, or a request that lacks something, does nothing at all."""
        symbol, wanted = self._symbol(params), self._wanted(params)
        mode = _mandatory(params, "cancelReplaceMode")
        if mode not in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
            raise ApiError(400, -1130, "Data sent for parameter 'cancelReplaceMode' is not valid.")
        gone = _cancelled_of(params)
        try:
            self.desk.check_filters(trader, symbol, wanted)
        except Refused as refused:
            raise self._refusal(refused.code) from None
        cancelled, answer = _tried(lambda: self._cancel(trader, gone))
        placed, told = "NOT_ATTEMPTED", None
        if cancelled == "SUCCESS" or mode == "ALLOW_FAILURE":
            placed, told = _tried(lambda: self._new(trader, params))
        data = {
            "cancelResult": cancelled,
            "newOrderResult": placed,
            "cancelResponse": answer,
            "newOrderResponse": told,
        }
        if "SUCCESS" not in (cancelled, placed):
            raise ApiError(400, -2022, "Order cancel-replace failed.", data)
        if cancelled != placed:
            raise ApiError(409, -2021, "Order cancel-replace partially failed.", data)
        return data

    def _test(self, _trader: Trader, params: Params) -> Any:
        self._symbol(params)
        self._wanted(params)
        return {}

    def _refusal(self, code: RejectCode) -> ApiError:
        status, number, text = 400, *_REFUSALS.get(code, (-2010, f"Order was refused: {code.name}."))
        if code == RejectCode.WOULD_CROSS and not self._spot:
            number, text = (
                -5022,
                "Due to the order could not be executed as maker, the Post Only order will be rejected.",
            )
        if code == RejectCode.INSUFFICIENT_BALANCE and not self._spot:
            number, text = -2019, "Margin is insufficient."
        return ApiError(503 if code == RejectCode.NO_MARKET else status, number, text)

    def _wanted(self, params: Params) -> Wanted:
        symbol, kind = params["symbol"], _mandatory(params, "type")
        types = _SPOT_TYPES if self._spot else _USDM_TYPES
        if kind not in types:
            raise ApiError(400, -1116, "Invalid orderType.")
        side, tif = _mandatory(params, "side"), params.get("timeInForce", "GTC")
        if side not in ("BUY", "SELL"):
            raise ApiError(400, -1117, "Invalid side.")
        post_only = kind == "LIMIT_MAKER" or (tif == "GTX" and not self._spot)
        if tif not in (("GTC", "IOC", "FOK") if self._spot else ("GTC", "IOC", "FOK", "GTX", "GTD")):
            raise ApiError(400, -1115, "Invalid timeInForce.")
        priced = types[kind] in (OrderType.LIMIT, OrderType.STOP_LIMIT)
        if priced and kind != "LIMIT_MAKER":
            _mandatory(params, "timeInForce")
        stp = params.get("selfTradePreventionMode", "NONE")
        if stp not in _STP:
            raise ApiError(400, -1130, "Data sent for parameter 'selfTradePreventionMode' is not valid.")
        return Wanted(
            Side[side], types[kind], self._number(params, "quantity", symbol),
            self._number(params, "price", symbol) if priced else 0,
            TimeInForce.GTC if post_only else TimeInForce[tif],
            self._number(params, "stopPrice", symbol) if kind in _STOPS else 0, post_only,
            params.get("reduceOnly", "false").lower() == "true" and not self._spot,
            _good_till(params) if tif == "GTD" else 0, _STP[stp], self._client_id(params),
        )  # fmt: skip

    def _client_id(self, params: Params) -> str:
        """The client's own name of a new order; one is made up for who gives none."""
        name = params.get("newClientOrderId") or f"c{secrets.token_hex(8)}"
        if len(name) > _LONGEST_ID and not self._spot:
            raise ApiError(400, -4015, "Client order id length should not be more than 36 chars.")
        letters = _SPOT_ID if self._spot else _USDM_ID
        if not letters.fullmatch(name):
            legal = f"^{letters.pattern}$"
            raise ApiError(
                400,
                -1100,
                f"Illegal characters found in parameter 'newClientOrderId'; legal range is '{legal}'.",
            )
        return name

    def _limit(self, params: Params) -> int:
        """How many of the newest are wanted."""
        limit = _whole(params, "limit", 500)
        if limit == 0 or (limit > _MOST_ROWS and not self._spot):
            raise ApiError(400, -1130, "Data sent for parameter 'limit' is not valid.")
        return min(limit, _MOST_ROWS)

    def _number(self, params: Params, name: str, symbol: str) -> int:
        """A price or quantity, above zero and no finer than the instrument writes it."""
        text, instrument = _mandatory(params, name), self.desk.instruments[symbol]
        decimals = instrument.qty_decimals if name == "quantity" else instrument.price_decimals
        try:
            value = parse_decimal(text, -decimals)
        except (DecimalError, FixedPointOverflow):
            raise ApiError(400, -1111, f"Parameter '{name}' has too much precision.") from None
        if value <= 0:
            raise ApiError(400, -1013, f"Invalid {name}.")
        return value

    def _order(self, trader: Trader, params: Params, missing: ApiError) -> DeskOrder:
        symbol = self._symbol(params)
        client_id = params.get("origClientOrderId")
        order_id = _whole(params, "orderId") if "orderId" in params else None
        if order_id is None and client_id is None:
            raise ApiError(
                400, -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
            )
        found = trader.find(symbol, order_id, client_id)
        if found is None:
            raise missing
        return found

    def _cancel(self, trader: Trader, params: Params) -> Any:
        unknown = ApiError(400, -2011, "Unknown order sent.")
        order = self._order(trader, params, unknown)
        if not order.is_open:
            raise unknown
        only = params.get("cancelRestrictions", "")
        if only and only not in _RESTRICTIONS:
            raise ApiError(400, -1145, "Invalid cancelRestrictions")
        if only and order.status != _RESTRICTIONS[only]:
            raise ApiError(400, -2011, "Order was not canceled due to cancel restrictions.")
        self._told(self.desk.cancel(order))
        return self.texts.order(order)

    def _cancel_all(self, trader: Trader, params: Params) -> Any:
        symbol = self._symbol(params)
        orders = trader.working(symbol)
        if not orders and self._spot:
            raise ApiError(400, -2011, "Unknown order sent.")
        self._told(self.desk.cancel_all(trader, symbol))
        if self._spot:
            return [self.texts.order(order) for order in orders]
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def _query(self, trader: Trader, params: Params) -> Any:
        return self.texts.order(self._order(trader, params, ApiError(400, -2013, "Order does not exist.")))

    def _open(self, trader: Trader, params: Params) -> Any:
        symbol = self._symbol(params) if "symbol" in params else None
        return [self.texts.order(order) for order in trader.working(symbol)]

    def _all(self, trader: Trader, params: Params) -> Any:
        symbol, limit = self._symbol(params), self._limit(params)
        orders = sorted((*trader.over, *trader.open.values()), key=lambda order: order.order_id)
        return [self.texts.order(order) for order in orders if order.symbol == symbol][-limit:]

    def _trades(self, trader: Trader, params: Params) -> Any:
        symbol, limit = self._symbol(params), self._limit(params)
        return [self.texts.trade(order, fill) for order, fill in trader.trades if order.symbol == symbol][
            -limit:
        ]

    # ------------------------------------------------------------ accounts

    def _account(self, trader: Trader, _params: Params) -> Any:
        if self._spot:
            rights = {"canTrade": True, "canWithdraw": False, "canDeposit": False, "accountType": "SPOT"}
            return rights | {
                "updateTime": self.desk.now_ms,
                "balances": self.texts.balances(trader),
                "permissions": ["SPOT"],
            }
        totals = self._assets(trader)
        return {
            "canTrade": True, "assets": totals, "positions": self._positions(trader, {}),
            "totalWalletBalance": totals[0]["walletBalance"], "availableBalance": totals[0]["availableBalance"],
        }  # fmt: skip

    def _assets(self, trader: Trader) -> list[dict[str, str]]:
        account = trader.account
        return [
            {
                "asset": asset, "walletBalance": amount(account.balance(asset)),
                "marginBalance": amount(account.equity_in(asset)), "availableBalance": amount(account.available(asset)),
            }
            for asset in account.currencies
        ]  # fmt: skip

    def _balance(self, trader: Trader, _params: Params) -> Any:
        return [
            {
                "asset": one["asset"],
                "balance": one["walletBalance"],
                "availableBalance": one["availableBalance"],
            }
            for one in self._assets(trader)
        ]

    def _positions(self, trader: Trader, params: Params) -> Any:
        wanted = [self._symbol(params)] if "symbol" in params else list(self.desk.instruments)
        return [self.texts.position(trader, symbol) for symbol in wanted]

    # ------------------------------------------------------------ user streams

    def _open_stream(self, trader: Trader, _params: Params) -> Any:
        """A client has one key; it is opened again, not anew."""
        for key, owner in self.streams.items():
            if owner is trader:
                return {"listenKey": key}
        key = secrets.token_hex(32)
        self.streams[key] = trader
        return {"listenKey": key}

    def _keep_stream(self, trader: Trader, params: Params) -> Any:
        key = params.get("listenKey")
        if not any(owner is trader and key in (None, name) for name, owner in self.streams.items()):
            raise ApiError(400, -1125, "This listenKey does not exist.")
        return {}

    def _close_stream(self, trader: Trader, params: Params) -> Any:
        self._keep_stream(trader, params)
        self.streams = {key: owner for key, owner in self.streams.items() if owner is not trader}
        return {}


_SPOT_TYPES = {
    "LIMIT": OrderType.LIMIT,
    "LIMIT_MAKER": OrderType.LIMIT,
    "MARKET": OrderType.MARKET,
    "STOP_LOSS": OrderType.STOP_MARKET,
    "STOP_LOSS_LIMIT": OrderType.STOP_LIMIT,
}
_USDM_TYPES = {
    "LIMIT": OrderType.LIMIT,
    "MARKET": OrderType.MARKET,
    "STOP_MARKET": OrderType.STOP_MARKET,
    "STOP": OrderType.STOP_LIMIT,
}
_SPOT_ID, _USDM_ID = re.compile("[a-zA-Z0-9-_]{1,36}"), re.compile(r"[\.A-Z\:/a-z0-9_-]{1,36}")
_LONGEST_ID = 36
_MOST_ROWS = 1000
_LATEST_MS = 253_402_300_799_000
"""Of goodTillDate: the end of the year 9999."""
_STOPS = ("STOP_LOSS", "STOP_LOSS_LIMIT", "STOP", "STOP_MARKET")
_STP = {
    "NONE": StpMode.NONE,
    "EXPIRE_TAKER": StpMode.EXPIRE_TAKER,
    "EXPIRE_MAKER": StpMode.EXPIRE_MAKER,
    "EXPIRE_BOTH": StpMode.EXPIRE_BOTH,
}
_RESTRICTIONS = {"ONLY_NEW": "NEW", "ONLY_PARTIALLY_FILLED": "PARTIALLY_FILLED"}
_REFUSALS: dict[RejectCode, tuple[int, str]] = {
    RejectCode.BAD_PRICE: (-1013, "Filter failure: PRICE_FILTER"),
    RejectCode.BAD_QTY: (-1013, "Filter failure: LOT_SIZE"),
    RejectCode.NOTIONAL_LIMIT: (-1013, "Filter failure: NOTIONAL"),
    RejectCode.OPEN_ORDERS_LIMIT: (-1013, "Filter failure: MAX_NUM_ORDERS"),
    RejectCode.INSUFFICIENT_BALANCE: (-2010, "Account has insufficient balance for requested action."),
    RejectCode.WOULD_CROSS: (-2010, "Order would immediately match and take."),
    RejectCode.DUPLICATE: (-2010, "Duplicate order sent."),
    RejectCode.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
    RejectCode.NO_MARKET: (-1001, "Internal error; unable to process your request. Please try again."),
    RejectCode.STALE: (-1130, "Data sent for parameter 'goodTillDate' is not valid."),
}


def _cancelled_of(params: Params) -> Params:
    """What a cancel-replace says of the order that goes, as a cancel says it. Raises ApiError."""
    names = {"cancelOrderId": "orderId", "cancelOrigClientOrderId": "origClientOrderId"}
    found = {name: params[given] for given, name in names.items() if params.get(given)}
    if not found:
        raise ApiError(
            400, -1102,
            "Param 'cancelOrigClientOrderId' or 'cancelOrderId' must be sent, but both were empty/null!",
        )  # fmt: skip
    only = params.get("cancelRestrictions", "")
    if only and only not in _RESTRICTIONS:
        raise ApiError(400, -1145, "Invalid cancelRestrictions")
    return found | {"symbol": params["symbol"], "cancelRestrictions": only}


def _tried(action: Callable[[], Any]) -> tuple[str, Any]:
    """Half of a cancel-replace: whether it was done, and its answer."""
    try:
        return "SUCCESS", action()
    except ApiError as error:
        return "FAILURE", error.body


def _good_till(params: Params) -> int:
    """goodTillDate in ns; beyond what 64 bits hold, an order does not expire in anybody's time."""
    ms = _whole(params, "goodTillDate")
    if ms > _LATEST_MS:
        raise ApiError(400, -1130, "Data sent for parameter 'goodTillDate' is not valid.")
    return min(ms * 1_000_000, (1 << 63) - 1)


def _mandatory(params: Params, name: str) -> str:
    value = params.get(name, "")
    if not value:
        raise ApiError(
            400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
        )
    return value


def _whole(params: Params, name: str, default: int | None = None) -> int:
    text = params.get(name, "") if default is None else params.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ApiError(
            400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
        )
    return int(text)
