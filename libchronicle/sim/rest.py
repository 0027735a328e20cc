"""The REST half of the venue, without a socket: a request goes in, a response comes out.

Documents: Binance Spot "Public API endpoints" and "Error codes"; USD-M Futures "Market Data endpoints" and "Error
codes". Status codes, error codes and messages are the venue's, because clients act on them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import msgspec

from libchronicle.sim.instruments import SPOT, Instrument, exchange_info
from libchronicle.sim.rest_answers import ApiError, Params, Response
from libchronicle.sim.source import MarketSource, TickerView, TradeView
from libchronicle.sim.trading_rest import SignedRoute, TradingApi

SPOT_DEPTH_LIMITS = range(1, 5001)
USDM_DEPTH_LIMITS = (5, 10, 20, 50, 100, 500, 1000)
MAX_TRADES = 1000

_SYMBOL = re.compile(r"[A-Z0-9\-_.]{1,20}")
_WINDOW_MS = 60_000


class Route(NamedTuple):
    handler: Callable[[Params], Any]
    weight: int
    params: tuple[str, ...]


def _illegal(name: str, pattern: str) -> ApiError:
    return ApiError(
        400, -1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'."
    )


class RestApi:
    """All endpoints of one market; those of `trading` need a key. `weight_limit` 0 counts used weight but never refuses."""

    def __init__(
        self,
        source: MarketSource,
        now_ms: Callable[[], int],
        weight_limit: int = 0,
        trading: TradingApi | None = None,
    ) -> None:
        self._source = source
        self._now_ms = now_ms
        self._weight_limit = weight_limit
        self._trading = trading
        self._window = -1
        self._used_weight = 0
        self.depth_served: set[str] = set()
        """Symbols whose book somebody has got: a player without a pace waits for that."""
        self._prefix = "/api/v3" if source.market == SPOT else "/fapi/v1"
        self._routes = self._spot_routes() if source.market == SPOT else self._usdm_routes()

    def _spot_routes(self) -> dict[str, Route]:
        return {
            "/ping": Route(self._ping, 1, ()),
            "/time": Route(self._time, 1, ()),
            "/exchangeInfo": Route(
                self._exchange_info,
                20,
                ("symbol", "symbols", "permissions", "showPermissionSets", "symbolStatus"),
            ),
            "/depth": Route(self._depth, 5, ("symbol", "limit", "symbolStatus")),
            "/trades": Route(self._trades, 25, ("symbol", "limit")),
            "/ticker/bookTicker": Route(self._book_ticker, 2, ("symbol", "symbols", "symbolStatus")),
            "/ticker/price": Route(self._price, 2, ("symbol", "symbols", "symbolStatus")),
        }

    def _usdm_routes(self) -> dict[str, Route]:
        return {
            "/ping": Route(self._ping, 1, ()),
            "/time": Route(self._time, 1, ()),
            "/exchangeInfo": Route(self._exchange_info, 1, ()),
            "/depth": Route(self._depth, 10, ("symbol", "limit")),
            "/trades": Route(self._trades, 5, ("symbol", "limit")),
            "/ticker/bookTicker": Route(self._book_ticker, 2, ("symbol",)),
            "/ticker/price": Route(self._price, 1, ("symbol",)),
        }

    def respond(self, method: str, target: str, body: bytes = b"", key: str = "") -> Response:
        """The answer to one request; `key` is what X-MBX-APIKEY says. Never raises."""
        try:
            parts = urlsplit(target)
        except ValueError:  # //[x
            parts = urlsplit("")
        signed = self._trading.routes.get((method, parts.path)) if self._trading is not None else None
        if signed is None and not parts.path.startswith(self._prefix + "/"):
            return Response(404, b"<html><body>404 Not Found</body></html>", content_type="text/html")
        try:
            if signed is not None:
                found = self._signed(signed, parts.query, body, key)
            else:
                found = self._public(method, parts.path, parts.query)
            return Response(200, msgspec.json.encode(found), self._weight_headers())
        except ApiError as error:
            answer = msgspec.json.encode(error.body)
            headers = self._weight_headers()
            if error.status == 429:
                headers += (("retry-after", str(60 - self._now_ms() // 1000 % 60)),)
            return Response(error.status, answer, headers)

    def _public(self, method: str, path: str, query: str) -> Any:
        route = self._routes.get(path[len(self._prefix) :])
        if route is None or method not in ("GET", "HEAD"):
            raise ApiError(404 if route is None else 405, -1020, "This operation is not supported.")
        params = self._params(query, route)
        self._charge(route.weight)
        return route.handler(params)

    def _signed(self, route: SignedRoute, query: str, body: bytes, key: str) -> Any:
        """Parameters may stand in the query, in the body, or in both."""
        assert self._trading is not None
        text = query + body.decode("latin-1")
        params: Params = {}
        for part in (query, body.decode("latin-1")):
            for name, value in parse_qsl(part, keep_blank_values=True):
                if name in params:
                    raise ApiError(400, -1101, f"Duplicate values for parameter '{name}'.")
                params[name] = value
        trader = self._trading.trader(route, key, params, text)
        self._charge(route.weight)
        return route.handler(trader, params)

    def _params(self, query: str, route: Route) -> Params:
        pairs = parse_qsl(query, keep_blank_values=True)
        if not route.params and pairs and self._source.market == SPOT:
            raise ApiError(400, -1101, f"Too many parameters; expected '0' and received '{len(pairs)}'.")
        seen: Params = {}
        for name, value in pairs:
            if name in seen:
                raise ApiError(400, -1101, f"Duplicate values for parameter '{name}'.")
            seen[name] = value
        known = [name for name in seen if name in route.params]
        if len(known) < len(seen) and self._source.market == SPOT:
            reason = f"read '{len(known)}' parameter(s) but was sent '{len(seen)}'."
            raise ApiError(400, -1104, f"Not all sent parameters were read; {reason}")
        return seen

    def _charge(self, weight: int) -> None:
        window = self._now_ms() // _WINDOW_MS
        if window != self._window:
            self._window, self._used_weight = window, 0
        self._used_weight += weight
        if self._weight_limit and self._used_weight > self._weight_limit:
            raise ApiError(
                429,
                -1003,
                f"Too much request weight used; current limit is {self._weight_limit} request weight per 1 MINUTE. "
                "Please use WebSocket Streams for live updates to avoid polling the API.",
            )

    def _weight_headers(self) -> tuple[tuple[str, str], ...]:
        used = str(self._used_weight)
        return (("x-mbx-used-weight", used), ("x-mbx-used-weight-1m", used))

    # ------------------------------------------------------------ parameters

    def _symbol(self, params: Params) -> str:
        symbol = params.get("symbol", "")
        if not symbol:
            raise ApiError(
                400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."
            )
        return self._known(symbol)

    def _known(self, symbol: str) -> str:
        if not _SYMBOL.fullmatch(symbol):
            if self._source.market == SPOT:
                raise _illegal("symbol", "^[A-Z0-9-_.]{1,20}$")
            symbol = symbol.upper()  # USD-M takes lower case
        if symbol not in self._source.instruments:
            raise ApiError(400, -1121, "Invalid symbol.")
        return symbol

    def _symbols(self, params: Params) -> list[str]:
        """What `symbol`, `symbols` or their absence select."""
        if "symbol" in params and "symbols" in params:
            raise ApiError(400, -1128, "Combination of optional parameters invalid.")
        if "symbol" in params:
            return [self._symbol(params)]
        if "symbols" not in params:
            return list(self._source.instruments)
        try:
            names = msgspec.json.decode(params["symbols"], type=list[str])
        except (msgspec.DecodeError, msgspec.ValidationError):
            raise _illegal(
                "symbols", '^\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\]$'
            ) from None
        return [self._known(name) for name in names]

    def _limit(self, params: Params, default: int) -> int:
        text = params.get("limit")
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or len(text) > 20:
            raise _illegal("limit", "^[0-9]{1,20}$")
        return int(text)

    # ------------------------------------------------------------ endpoints

    def _ping(self, params: Params) -> Any:
        return {}

    def _time(self, params: Params) -> Any:
        return {"serverTime": self._source.time_ms}

    def _exchange_info(self, params: Params) -> Any:
        known: Mapping[str, Instrument] = self._source.instruments
        chosen = [known[symbol] for symbol in self._symbols(params)]
        return exchange_info(self._source.market, chosen, self._source.time_ms)

    def _depth(self, params: Params) -> Any:
        symbol = self._symbol(params)
        limit = self._depth_limit(params)
        view = self._source.depth(symbol, limit)
        if view is None:
            raise ApiError(503, -1001, "Internal error; unable to process your request. Please try again.")
        self.depth_served.add(symbol)
        body: dict[str, Any] = {"lastUpdateId": view.last_update_id}
        if self._source.market != SPOT:
            body |= {"E": view.event_ms, "T": view.event_ms}
        return body | {"bids": msgspec.Raw(view.bids.encode()), "asks": msgspec.Raw(view.asks.encode())}

    def _depth_limit(self, params: Params) -> int:
        if self._source.market == SPOT:
            limit = self._limit(params, 100)
            if limit == 0:
                raise ApiError(400, -1130, "Data sent for parameter 'limit' is not valid.")
            self._charge(_spot_depth_weight(limit) - 5)
            return min(limit, SPOT_DEPTH_LIMITS[-1])
        limit = self._limit(params, 500)
        if limit not in USDM_DEPTH_LIMITS:
            allowed = ", ".join(map(str, USDM_DEPTH_LIMITS))
            raise ApiError(400, -4021, f"'limit' is not valid depth limit; allowed are {allowed}.")
        return limit

    def _trades(self, params: Params) -> Any:
        symbol = self._symbol(params)
        limit = self._limit(params, 500)
        if limit == 0 or (limit > MAX_TRADES and self._source.market != SPOT):
            raise ApiError(400, -1130, "Data sent for parameter 'limit' is not valid.")
        return [self._trade(trade) for trade in self._source.trades(symbol, min(limit, MAX_TRADES))]

    def _trade(self, trade: TradeView) -> dict[str, Any]:
        body: dict[str, Any] = {
            "id": trade.trade_id,
            "price": trade.price,
            "qty": trade.qty,
            "quoteQty": trade.quote_qty,
            "time": trade.time_ms,
            "isBuyerMaker": trade.buyer_is_maker,
        }
        if self._source.market == SPOT:
            body["isBestMatch"] = True
        return body

    def _book_ticker(self, params: Params) -> Any:
        answers = [self._ticker(symbol) for symbol in self._symbols(params)]
        return answers[0] if "symbol" in params else answers

    def _ticker(self, symbol: str) -> dict[str, Any]:
        view = self._source.ticker(symbol) or TickerView(0, self._source.time_ms, *_no_price(4))
        body: dict[str, Any] = {
            "symbol": symbol,
            "bidPrice": view.bid_price,
            "bidQty": view.bid_qty,
            "askPrice": view.ask_price,
            "askQty": view.ask_qty,
        }
        if self._source.market != SPOT:
            body |= {"time": view.event_ms, "lastUpdateId": view.update_id}
        return body

    def _price(self, params: Params) -> Any:
        answers = [self._last_price(symbol) for symbol in self._symbols(params)]
        return answers[0] if "symbol" in params else answers

    def _last_price(self, symbol: str) -> dict[str, Any]:
        last = self._source.trades(symbol, 1)
        body: dict[str, Any] = {"symbol": symbol, "price": last[0].price if last else _no_price(1)[0]}
        if self._source.market != SPOT:
            body["time"] = last[0].time_ms if last else self._source.time_ms
        return body


def _no_price(count: int) -> tuple[str, ...]:
    return ("0.00000000",) * count


def _spot_depth_weight(limit: int) -> int:
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250
