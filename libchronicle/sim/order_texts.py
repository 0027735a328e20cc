"""Orders as the venue writes them: REST answers and the events of user streams.

Documents: Binance Spot "Trading endpoints", "User Data Streams"; USD-M Futures "Trade", "User Data Streams". Commissions are in
the quote asset on both markets: the desk takes fees in the settle currency.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from libchronicle.portfolio import MONEY_EXPONENT
from libchronicle.protocol import ExecType, OrderType, Side, StpMode, TimeInForce
from libchronicle.protocol.fixed import format_decimal
from libchronicle.sim.desk import Desk, DeskEvent, DeskFill, DeskOrder, Trader
from libchronicle.sim.instruments import SPOT

__all__ = ["OrderTexts"]

_SPOT_TYPES = {
    OrderType.LIMIT: "LIMIT",
    OrderType.MARKET: "MARKET",
    OrderType.STOP_MARKET: "STOP_LOSS",
    OrderType.STOP_LIMIT: "STOP_LOSS_LIMIT",
}
_USDM_TYPES = {
    OrderType.LIMIT: "LIMIT",
    OrderType.MARKET: "MARKET",
    OrderType.STOP_MARKET: "STOP_MARKET",
    OrderType.STOP_LIMIT: "STOP",
}
_EXECUTIONS = {
    ExecType.ACK: "NEW",
    ExecType.PARTIAL_FILL: "TRADE",
    ExecType.FILL: "TRADE",
    ExecType.CANCELLED: "CANCELED",
    ExecType.EXPIRED: "EXPIRED",
    ExecType.REJECT: "EXPIRED",
}
_STP = {
    StpMode.NONE: "NONE",
    StpMode.EXPIRE_TAKER: "EXPIRE_TAKER",
    StpMode.EXPIRE_MAKER: "EXPIRE_MAKER",
    StpMode.EXPIRE_BOTH: "EXPIRE_BOTH",
}


def money(mantissa: int) -> str:
    return format_decimal(mantissa, MONEY_EXPONENT)


def amount(value: Decimal) -> str:
    return f"{value:.8f}"


class OrderTexts:
    """All texts of one market."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.spot = desk.market == SPOT

    # ------------------------------------------------------------ numbers

    def price(self, symbol: str, mantissa: int) -> str:
        return format_decimal(mantissa, -self.desk.instruments[symbol].price_decimals)

    def qty(self, symbol: str, mantissa: int) -> str:
        return format_decimal(mantissa, -self.desk.instruments[symbol].qty_decimals)

    def quote(self, symbol: str) -> str:
        return self.desk.instruments[symbol].quote_asset

    def average(self, order: DeskOrder) -> str:
        """Of its fills, at the price's decimals; 0 before there is one."""
        decimals = self.desk.instruments[order.symbol].price_decimals
        if not order.cum:
            return f"{0:.{decimals}f}"
        qty = Decimal(order.cum).scaleb(-self.desk.instruments[order.symbol].qty_decimals)
        return f"{Decimal(order.value).scaleb(MONEY_EXPONENT) / qty:.{decimals}f}"

    def kind(self, order: DeskOrder) -> str:
        wanted = order.wanted
        if self.spot and wanted.post_only:
            return "LIMIT_MAKER"
        return (_SPOT_TYPES if self.spot else _USDM_TYPES)[wanted.type]

    def tif(self, order: DeskOrder) -> str:
        return "GTX" if order.wanted.post_only and not self.spot else TimeInForce(order.wanted.tif).name

    # ------------------------------------------------------------ REST

    def order(self, order: DeskOrder) -> dict[str, Any]:
        """Of a query, and of a cancel."""
        wanted, symbol = order.wanted, order.symbol
        body: dict[str, Any] = {
            "symbol": symbol,
            "orderId": order.order_id,
            "clientOrderId": wanted.client_id,
            "price": self.price(symbol, wanted.price),
            "origQty": self.qty(symbol, wanted.qty),
            "executedQty": self.qty(symbol, order.cum),
            "status": order.status,
            "timeInForce": self.tif(order),
            "type": self.kind(order),
            "side": Side(wanted.side).name,
            "stopPrice": self.price(symbol, wanted.stop_price),
            "time": order.time_ms,
            "updateTime": order.update_ms,
            "selfTradePreventionMode": _STP[wanted.stp],
        }
        if self.spot:
            return body | {
                "orderListId": -1,
                "cummulativeQuoteQty": money(order.value),
                "icebergQty": self.qty(symbol, 0),
                "isWorking": order.is_open,
                "workingTime": order.time_ms,
                "origQuoteOrderQty": money(0),
            }
        return body | {
            "avgPrice": self.average(order),
            "cumQty": self.qty(symbol, order.cum),
            "cumQuote": money(order.value),
            "reduceOnly": wanted.reduce_only,
            "closePosition": False,
            "positionSide": "BOTH",
            "workingType": "CONTRACT_PRICE",
            "priceProtect": False,
            "origType": self.kind(order),
            "goodTillDate": wanted.expire_ns // 1_000_000,
        }

    def placed(self, order: DeskOrder, detail: str) -> dict[str, Any]:
        """Of a new order: ACK, RESULT or FULL (USD-M has no FULL)."""
        if detail == "ACK" and self.spot:
            known = self.order(order)
            return {name: known[name] for name in ("symbol", "orderId", "orderListId", "clientOrderId")} | {
                "transactTime": order.update_ms
            }
        body = self.order(order)
        if not self.spot:
            return body
        body["transactTime"] = order.update_ms
        if detail == "FULL":
            body["fills"] = [
                {
                    "price": self.price(order.symbol, fill.price),
                    "qty": self.qty(order.symbol, fill.qty),
                    "commission": money(fill.fee),
                    "commissionAsset": self.quote(order.symbol),
                    "tradeId": fill.trade_id,
                }
                for fill in order.fills
            ]
        return body

    def trade(self, order: DeskOrder, fill: DeskFill) -> dict[str, Any]:
        body: dict[str, Any] = {
            "symbol": order.symbol,
            "id": fill.trade_id,
            "orderId": order.order_id,
            "price": self.price(order.symbol, fill.price),
            "qty": self.qty(order.symbol, fill.qty),
            "quoteQty": money(fill.value),
            "commission": money(fill.fee),
            "commissionAsset": self.quote(order.symbol),
            "time": fill.time_ms,
        }
        is_buy = order.wanted.side == Side.BUY
        if self.spot:
            return body | {"orderListId": -1, "isBuyer": is_buy, "isMaker": fill.maker, "isBestMatch": True}
        body |= {
            "realizedPnl": money(fill.realized),
            "positionSide": "BOTH",
            "side": Side(order.wanted.side).name,
        }
        return body | {"buyer": is_buy, "maker": fill.maker}

    def balances(self, trader: Trader) -> list[dict[str, str]]:
        """Spot: what is free and what open orders hold."""
        found = []
        for asset in trader.account.currencies:
            free, whole = trader.account.available(asset), trader.account.balance(asset)
            found.append({"asset": asset, "free": amount(free), "locked": amount(whole - free)})
        return found

    def position(self, trader: Trader, symbol: str) -> dict[str, str]:
        """USD-M: one instrument's position, one-way mode."""
        place = list(self.desk.instruments).index(symbol)
        position = trader.account.position(place)
        return {
            "symbol": symbol,
            "positionAmt": self.qty(symbol, position.qty),
            "entryPrice": self.price(symbol, position.average_price),
            "positionSide": "BOTH",
            "liquidationPrice": self.price(symbol, trader.account.liquidation_price(place)),
        }

    # ------------------------------------------------------------ user streams

    def events(self, event: DeskEvent) -> list[dict[str, Any]]:
        """What the client's streams are told of one step."""
        if self.spot:
            return [self._execution_report(event), self._spot_account(event)]
        told = [self._order_update(event)]
        return [*told, self._account_update(event)] if event.fill else told

    def _fill(self, event: DeskEvent) -> DeskFill:
        return event.fill or DeskFill(-1, 0, 0, 0, 0, False, event.order.update_ms, 0)

    def _execution_report(self, event: DeskEvent) -> dict[str, Any]:
        order, fill, symbol = event.order, self._fill(event), event.order.symbol
        wanted = order.wanted
        return {
            "e": "executionReport", "E": order.update_ms, "s": symbol, "c": wanted.client_id, "S": Side(wanted.side).name,
            "o": self.kind(order), "f": self.tif(order), "q": self.qty(symbol, wanted.qty),
            "p": self.price(symbol, wanted.price), "P": self.price(symbol, wanted.stop_price),
            "F": self.qty(symbol, 0), "g": -1, "C": "",
            "x": _EXECUTIONS[event.kind], "X": event.status, "r": "NONE", "i": order.order_id,
            "l": self.qty(symbol, fill.qty), "z": self.qty(symbol, order.cum), "L": self.price(symbol, fill.price),
            "n": money(fill.fee), "N": self.quote(symbol) if event.fill else None, "T": order.update_ms, "t": fill.trade_id,
            "w": order.is_open, "m": fill.maker, "O": order.time_ms, "Z": money(order.value), "Y": money(fill.value),
            "Q": money(0), "W": order.time_ms, "V": _STP[wanted.stp],
        }  # fmt: skip

    def _spot_account(self, event: DeskEvent) -> dict[str, Any]:
        order = event.order
        instrument = self.desk.instruments[order.symbol]
        touched = (instrument.base_asset, instrument.quote_asset)
        balances = [one for one in self.balances(order.trader) if one["asset"] in touched]
        return {
            "e": "outboundAccountPosition", "E": order.update_ms, "u": order.update_ms,
            "B": [{"a": one["asset"], "f": one["free"], "l": one["locked"]} for one in balances],
        }  # fmt: skip

    def _order_update(self, event: DeskEvent) -> dict[str, Any]:
        order, fill, symbol = event.order, self._fill(event), event.order.symbol
        wanted = order.wanted
        body = {
            "s": symbol, "c": wanted.client_id, "S": Side(wanted.side).name, "o": self.kind(order), "f": self.tif(order),
            "q": self.qty(symbol, wanted.qty), "p": self.price(symbol, wanted.price), "ap": self.average(order),
            "sp": self.price(symbol, wanted.stop_price), "x": _EXECUTIONS[event.kind], "X": event.status, "i": order.order_id,
            "l": self.qty(symbol, fill.qty), "z": self.qty(symbol, order.cum), "L": self.price(symbol, fill.price),
            "N": self.quote(symbol), "n": money(fill.fee), "T": order.update_ms, "t": max(0, fill.trade_id),
            "m": fill.maker, "R": wanted.reduce_only, "wt": "CONTRACT_PRICE", "ot": self.kind(order), "ps": "BOTH",
            "cp": False, "rp": money(fill.realized), "V": _STP[wanted.stp], "gtd": wanted.expire_ns // 1_000_000,
        }  # fmt: skip
        return {"e": "ORDER_TRADE_UPDATE", "E": order.update_ms, "T": order.update_ms, "o": body}

    def _account_update(self, event: DeskEvent) -> dict[str, Any]:
        order = event.order
        quote, held = self.quote(order.symbol), self.position(order.trader, order.symbol)
        wallet = amount(order.trader.account.balance(quote))
        position = {"s": order.symbol, "pa": held["positionAmt"], "ep": held["entryPrice"], "ps": "BOTH"}
        return {
            "e": "ACCOUNT_UPDATE", "E": order.update_ms, "T": order.update_ms,
            "a": {"m": "ORDER", "B": [{"a": quote, "wb": wallet, "cw": wallet}], "P": [position]},
        }  # fmt: skip
